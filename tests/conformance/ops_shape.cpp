// Views and copies of them.
#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;

AnyTensor squeezed(Arguments& c) {
  if (!c.given(1, "dim")) return squeeze(c[0]);
  if (!c.is_list(1, "dim")) return squeeze(c[0], c.i(1, "dim"));
  AnyTensor x = c[0];
  // From the last axis on, so that the numbers of those before stay what they are.
  std::set<int64_t, std::greater<>> axes;
  for (int64_t axis : c.shape(1, "dim")) axes.insert(axis < 0 ? axis + x.dim() : axis);
  for (int64_t axis : axes) x = squeeze(x, axis);
  return x;
}

}  // namespace

void add_views(Registry& ops) {
  for (const char* name : {"reshape", "view", "view_copy"}) {
    bool is_view = std::string(name) == "view";
    ops.add(name, [is_view](Arguments& c) -> Outputs {
      Shape shape = c.shape_from(1, "shape");
      return is_view ? view(c[0], shape) : reshape(c[0], shape);
    });
  }
  OP("reshape_as", reshape(c[0], c.t(1).shape()));
  OP("view_as", view(c[0], c.t(1).shape()));
  OP("ravel", flatten(c[0]));
  OP("flatten", flatten(c[0], c.i(1, "start_dim", 0), c.i(2, "end_dim", -1)));
  OP("unflatten", unflatten(c[0], c.i(1, "dim"), c.shape(2, "sizes")));
  for (const char* name : {"squeeze", "squeeze.multiple", "squeeze_copy"})
    ops.add(name, [](Arguments& c) -> Outputs { return squeezed(c); });
  for (const char* name : {"unsqueeze", "unsqueeze_copy"}) OP(name, unsqueeze(c[0], c.i(1, "dim")));
  for (const char* name : {"transpose", "transpose_copy"}) OP(name, transpose(c[0], c.i(1, "dim0"), c.i(2, "dim1")));
  for (const char* name : {"permute", "permute_copy"}) OP(name, permute(c[0], c.shape_from(1, "dims")));
  for (const char* name : {"expand", "expand_copy"}) OP(name, expand(c[0], c.shape_from(1, "size")));
  OP("expand_as", expand(c[0], c.t(1).shape()));
  OP("broadcast_to", broadcast_to(c[0], c.shape(1, "size")));
  for (const char* name : {"narrow", "narrow_copy"}) OP(name, narrow(c[0], c.i(1, "dim"), c.i(2, "start"), c.i(3, "length")));
  OP("select", select(c[0], c.i(1, "dim"), c.i(2, "index")));
  OP("slice", slice(c[0], c.i(1, "dim", 0), c.i(2, "start", 0), c.i(3, "end", INT64_MAX), c.i(4, "step", 1)));
  OP("sum_to_size", sum_to(c[0], c.shape_from(1)));
  for (const char* name : {"clone", "alias_copy"}) OP(name, clone(c[0]));
  OP("contiguous", contiguous(c[0]));
  for (const char* name : {"t", "t_copy", "T"}) OP(name, c[0].t());
}

namespace {

Outputs parts(const AnyTensor& x, const Value& how, int64_t axis, bool sizes) {
  if (how.kind == Value::integer) return sizes ? split(x, how.i, axis) : tensor_split(x, how.i, axis);
  Arguments one({how}, {});
  std::vector<int64_t> list = one.shape(0).vector();
  return sizes ? split(x, list, axis) : tensor_split(x, list, axis);
}

void add_joining(Registry& ops) {
  OP("cat", cat(c.list(0), c.i(1, "dim", 0)));
  OP("stack", stack(c.list(0), c.i(1, "dim", 0)));
  OP("vstack", vstack(c.list(0)));
  OP("hstack", hstack(c.list(0)));
  OP("dstack", dstack(c.list(0)));
  OP("column_stack", column_stack(c.list(0)));
  OP("block_diag", block_diag(c.rest(0)));
  OP("cartesian_prod", cartesian_prod(c.rest(0)));
  OP("combinations", combinations(c[0], c.i(1, "r", 2), c.b(2, "with_replacement", false)));
  OP("broadcast_tensors", broadcast_tensors(c.rest(0)));
  for (const char* name : {"meshgrid.variadic_tensors", "meshgrid.list_of_tensors"})
    OP(name, meshgrid(c.rest(0), c.str(-1, "indexing", "ij") == "xy" ? MeshOrder::xy : MeshOrder::ij));
  for (const char* name : {"split", "split.list_args", "unsafe_split", "split_with_sizes", "split_with_sizes_copy"})
    OP(name, parts(c[0], c.at(1), c.i(2, "dim", 0), true));
  OP("tensor_split", parts(c[0], c.at(1, "indices_or_sections"), c.i(2, "dim", 0), false));
  OP("vsplit", parts(c[0], c.at(1), 0, false));
  OP("hsplit", parts(c[0], c.at(1), c[0].dim() == 1 ? 0 : 1, false));
  OP("dsplit", parts(c[0], c.at(1), 2, false));
  for (const char* name : {"chunk", "unsafe_chunk"}) OP(name, chunk(c[0], c.i(1, "chunks"), c.i(2, "dim", 0)));
  for (const char* name : {"unbind", "unbind_copy"}) OP(name, unbind(c[0], c.i(1, "dim", 0)));
}

void add_repeating(Registry& ops) {
  OP("repeat", repeat(c[0], c.shape_from(1, "repeats")));
  OP("tile", tile(c[0], c.shape_from(1, "dims")));
  ops.add("repeat_interleave", [](Arguments& c) -> Outputs {
    c.at(3, "output_size");  // a hint
    if (c.is_tensor(1, "repeats")) {
      AnyTensor counts = c.t(1, "repeats");
      return c.given(2, "dim") ? repeat_interleave(c[0], counts, c.i(2, "dim")) : repeat_interleave(flatten(c[0]), counts, 0);
    }
    return c.given(2, "dim") ? repeat_interleave(c[0], c.i(1, "repeats"), c.i(2, "dim"))
                             : repeat_interleave(c[0], c.i(1, "repeats"));
  });
  OP("flip", c.shape_from(1, "dims").rank ? flip(c[0], c.shape_from(1, "dims").vector()) : c[0].clone());
  OP("fliplr", fliplr(c[0]));
  OP("flipud", flipud(c[0]));
  OP("roll", c.given(2, "dims") ? roll(c[0], c.shape(1, "shifts"), c.shape(2, "dims")) : roll(c[0], c.i(1, "shifts")));
  OP("rot90",
     c.given(2, "dims") ? rot90(c[0], c.i(1, "k", 1), c.shape(2, "dims")[0], c.shape(2, "dims")[1]) : rot90(c[0], c.i(1, "k", 1)));
  OP("movedim", movedim(c[0], c.shape(1, "source"), c.shape(2, "destination")));
  OP("atleast_1d", atleast_1d(c[0]));
  OP("atleast_2d", atleast_2d(c[0]));
  OP("atleast_3d", atleast_3d(c[0]));
  for (const char* name : {"unfold", "unfold_copy"}) OP(name, unfold(c[0], c.i(1, "dimension"), c.i(2, "size"), c.i(3, "step")));
  for (const char* name : {"mT", "mH", "H"}) OP(name, transpose(c[0], -2, -1));
}

void add_diagonals(Registry& ops) {
  OP("tril", tril(c[0], c.i(1, "diagonal", 0)));
  OP("triu", triu(c[0], c.i(1, "diagonal", 0)));
  for (const char* name : {"diagonal", "diagonal_copy"})
    OP(name, diagonal(c[0], c.i(1, "offset", 0), c.i(2, "dim1", 0), c.i(3, "dim2", 1)));
  OP("linalg.diagonal", diagonal(c[0], c.i(-1, "offset", 0), c.i(-1, "dim1", -2), c.i(-1, "dim2", -1)));
  OP("diag_embed", diag_embed(c[0], c.i(1, "offset", 0), c.i(2, "dim1", -2), c.i(3, "dim2", -1)));
  OP("diag", diag(c[0], c.i(1, "diagonal", 0)));
  OP("diagflat", diagflat(c[0], c.i(1, "offset", 0)));
  OP("trace", trace(c[0]));
  OP("select_scatter", select_scatter(c[0], c.t(1), c.i(2, "dim"), c.i(3, "index")));
  OP("slice_scatter",
     slice_scatter(c[0], c.t(1), c.i(2, "dim", 0), c.i(3, "start", 0), c.i(4, "end", INT64_MAX), c.i(5, "step", 1)));
  OP("diagonal_scatter", diagonal_scatter(c[0], c.t(1), c.i(2, "offset", 0), c.i(3, "dim1", 0), c.i(4, "dim2", 1)));
}

void add_padding(Registry& ops) {
  OP("constant_pad_nd", pad(c[0], c.shape(1, "pad").vector(), PadMode::constant, c.s(2, "value", 0)));
  const std::pair<const char*, PadMode> modes[] = {{"constant", PadMode::constant},
                                                   {"reflect", PadMode::reflect},
                                                   {"replicate", PadMode::replicate},
                                                   {"replicate_negative", PadMode::replicate},
                                                   {"circular", PadMode::circular}};
  for (auto [name, mode] : modes)
    ops.add(std::string("nn.functional.pad.") + name, [mode = mode](Arguments& c) -> Outputs {
      c.str(2, "mode", "");
      return pad(c[0], c.shape(1, "pad").vector(), mode, c.s(3, "value", 0));
    });
}

/// torch.cross without an axis takes the first of size 3.
int64_t axis_of_three(const AnyTensor& x) {
  for (int d = 0; d < x.dim(); ++d)
    if (x.shape()[d] == 3) return d;
  return -1;
}

}  // namespace

void add_shapes(Registry& ops) {
  add_views(ops);
  add_joining(ops);
  add_repeating(ops);
  add_diagonals(ops);
  add_padding(ops);
  OP("kron", kron(c[0], c.t(1)));
  OP("linalg.cross", cross(c[0], c.t(1), c.i(-1, "dim", -1)));
  OP("cross", cross(c[0], c.t(1), c.given(2, "dim") ? c.i(2, "dim") : axis_of_three(c[0])));
  OP("cdist", (c.at(3, "compute_mode"), cdist(c[0], c.t(1), c.d(2, "p", 2)))).loose();
}

}  // namespace conformance
