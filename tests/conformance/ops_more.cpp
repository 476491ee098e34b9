// Bounds, statistics, norms of matrices, rearrangements, and names for what others do.
#include "tests/conformance/ops.h"
#include "tests/conformance/volumes.h"

namespace conformance {
namespace {

using namespace gradus;

void add_bounds(Registry& ops) {
  OP("clamp", clamp(c[0], c.maybe(1, "min"), c.maybe(2, "max")));
  OP("clamp_min", clamp_min(c[0], c.t(1, "min")));
  OP("clamp_max", clamp_max(c[0], c.t(1, "max")));
  OP("fmax", fmax(c[0], c.t(1, "other")));
  OP("fmin", fmin(c[0], c.t(1, "other")));
  for (const char* name : {"round.decimals_0", "round.decimals_3", "round.decimals_neg_3"})
    OP(name, round(c[0], c.i(-1, "decimals")));
  OP("div.trunc_rounding", (c.str(-1, "rounding_mode", ""), trunc(c[0] / c.t(1))));
  OP("div.floor_rounding", (c.str(-1, "rounding_mode", ""), floor_divide(c[0], c.t(1))));
  OP("angle", angle(c[0]));
  OP("special.xlog1py", xlog1py(c[0], c.t(1)));
  OP("special.entr", entr(c[0]));
  OP("special.ndtr", ndtr(c[0]));
  OP("nn.functional.tanhshrink", tanhshrink(c[0]));
  OP("gcd", gcd(c[0], c.t(1)));
  OP("lcm", lcm(c[0], c.t(1)));
  OP("isin", isin(c[0], c.t(1)));
  OP("renorm", renorm(c[0], c.d(1, "p", 2), c.i(2, "dim"), c.d(3, "maxnorm", 1)));
  // All tensors are real.
  for (const char* name : {"positive", "resolve_neg"}) OP(name, positive(c[0]));
  for (const char* name : {"conj", "conj_physical", "resolve_conj"}) OP(name, conj(c[0]));
  OP("real", real(c[0]));
  OP("isreal", isreal(c[0]));
  ops.add("unravel_index", [](Arguments& c) -> Outputs { return unravel_index(c[0], c.shape(1)); });
  ops.add("broadcast_shapes", [](Arguments& c) -> Outputs {
    std::vector<Shape> shapes;
    for (int k = 0; k < c.count(); ++k) shapes.push_back(c.shape(k));
    std::vector<AnyTensor> sizes;
    for (int64_t n : broadcast_shapes(shapes)) sizes.push_back(full({}, n, DType::int64));
    return sizes;
  });
}

void add_products(Registry& ops) {
  auto scales = [](const Arguments& c) { return AddmmOptions{.beta = c.d(-1, "beta", 1), .alpha = c.d(-1, "alpha", 1)}; };
  ops.add("addr", [scales](Arguments& c) -> Outputs { return addr(c[0], c.t(1), c.t(2), scales(c)); });
  ops.add("addbmm", [scales](Arguments& c) -> Outputs { return addbmm(c[0], c.t(1), c.t(2), scales(c)); }).loose();
  OP("nn.functional.bilinear", bilinear(c[0], c.t(1), c.t(2), c.maybe(3, "bias"))).loose();
}

QuantileOptions quantile_of(const Arguments& c) {
  QuantileOptions o{.keepdim = c.b(3, "keepdim", false)};
  if (c.given(2, "dim")) o.axis = c.i(2, "dim");
  const std::string how = c.str(-1, "interpolation", "linear");
  const std::pair<const char*, Quantile> names[] = {{"linear", Quantile::linear},
                                                    {"lower", Quantile::lower},
                                                    {"higher", Quantile::higher},
                                                    {"midpoint", Quantile::midpoint},
                                                    {"nearest", Quantile::nearest}};
  for (auto [name, value] : names)
    if (how == name) o.interpolation = value;
  return o;
}

void add_statistics(Registry& ops) {
  for (const std::string suffix : {"", ".unbiased"})
    ops.add("std_mean" + suffix, [](Arguments& c) -> Outputs {
      Spread s = spread_of(c);
      auto [deviation, middle] = std_mean(c[0], s.axes, s.keepdim, s.correction);
      return {deviation, middle};
    });
  OP("cov",
     cov(c[0], {.correction = c.i(-1, "correction", 1), .fweights = c.maybe(-1, "fweights"), .aweights = c.maybe(-1, "aweights")}))
      .loose();  // gradients of weights that nearly cancel
  OP("corrcoef", corrcoef(c[0]));
  OP("quantile",
     c.is_tensor(1, "q") ? quantile(c[0], c.t(1, "q"), quantile_of(c)) : quantile(c[0], c.d(1, "q", 0), quantile_of(c)));
  OP("nanquantile",
     c.is_tensor(1, "q") ? nanquantile(c[0], c.t(1, "q"), quantile_of(c)) : nanquantile(c[0], c.d(1, "q", 0), quantile_of(c)));
}

/// The norm of a matrix, by the name or number of its order.
AnyTensor matrix_norm_of(const AnyTensor& x, const Value& order, const Shape& axes, bool keepdim) {
  if (order.kind == Value::text)
    return linalg::matrix_norm(x, order.s == "nuc" ? linalg::NormKind::nuclear : linalg::NormKind::frobenius, axes, keepdim);
  return linalg::matrix_norm(x, order.kind == Value::integer ? double(order.i) : order.d, axes, keepdim);
}

void add_matrix_norms(Registry& ops) {
  OP("norm.nuc", matrix_norm_of(c[0], c.at(1), {-2, -1}, false));
  OP("linalg.matrix_norm",
     matrix_norm_of(c[0], c.at(1, "ord"), c.given(2, "dim") ? c.shape(2, "dim") : Shape{-2, -1}, c.b(3, "keepdim", false)))
      .loose();
  for (const char* name : {"linalg.norm", "linalg.norm.subgradients_at_zero"})
    ops.add(name,
            [](Arguments& c) -> Outputs {
              const bool keepdim = c.b(-1, "keepdim", false);
              if (c.given(1, "ord") && c[0].dim() == 2) return matrix_norm_of(c[0], c.at(1, "ord"), {-2, -1}, keepdim);
              return norm(c[0], c.s(1, "ord", 2), {}, keepdim);
            })
        .loose();
  OP("linalg.cond", linalg::cond(c[0])).loose();
}

Pair pair(const Arguments& c, int position, const char* name, int64_t otherwise) {
  Shape sizes = c.sizes(position, name, 2, otherwise);
  return {sizes[0], sizes[1]};
}

void add_rearrangements(Registry& ops) {
  OP("nn.functional.pixel_shuffle", pixel_shuffle(c[0], c.i(1, "upscale_factor")));
  OP("nn.functional.pixel_unshuffle", pixel_unshuffle(c[0], c.i(1, "downscale_factor")));
  OP("nn.functional.channel_shuffle", channel_shuffle(c[0], c.i(1, "groups")));
  OP("nn.functional.unfold", unfold(c[0], {.kernel = pair(c, 1, "kernel_size", 1),
                                           .dilation = pair(c, 2, "dilation", 1),
                                           .padding = pair(c, 3, "padding", 0),
                                           .stride = pair(c, 4, "stride", 1)}));
  // The window says what the size is where none is given; here it always is.
  auto size = [](Arguments& c) {
    for (const char* name : {"kernel_size", "stride", "padding"}) c.at(-1, name);
    return c.shape(-1, "output_size");
  };
  for (const char* name : {"nn.functional.max_unpool1d", "nn.functional.max_unpool1d.grad"})
    ops.add(name, [size](Arguments& c) -> Outputs { return max_unpool1d(c[0], c.t(1), size(c)[-1]); });
  for (const char* name : {"nn.functional.max_unpool2d", "nn.functional.max_unpool2d.grad"})
    ops.add(name, [size](Arguments& c) -> Outputs { return max_unpool2d(c[0], c.t(1), {size(c)[-2], size(c)[-1]}); });
}

void add_volumes(Registry& ops) {
  ops.add("nn.functional.conv3d",
          [](Arguments& c) -> Outputs {
            Conv3dOptions o{
                .stride = triple(c, 3, "stride", 1), .dilation = triple(c, 5, "dilation", 1), .groups = c.i(6, "groups", 1)};
            if (c.at(4, "padding").kind == Value::text)
              o.same = c.str(4, "padding", "") == "same";
            else
              o.padding = triple(c, 4, "padding", 0);
            return conv3d(c[0], c.t(1), c.maybe(2, "bias"), o);
          })
      .loose();
  OP("nn.functional.conv_transpose3d", conv_transpose3d(c[0], c.t(1), c.maybe(2, "bias"),
                                                        {.stride = triple(c, 3, "stride", 1),
                                                         .padding = triple(c, 4, "padding", 0),
                                                         .output_padding = triple(c, 5, "output_padding", 0),
                                                         .groups = c.i(6, "groups", 1),
                                                         .dilation = triple(c, 7, "dilation", 1)}))
      .loose();
  OP("nn.functional.avg_pool3d", avg_pool3d(c[0], avg_pool3d_of(c, 1)));
  ops.add("nn.functional.max_pool3d", [](Arguments& c) -> Outputs {
    MaxPool3dOptions o = max_pool3d_of(c, 1);
    if (!c.b(-1, "return_indices", false)) return max_pool3d(c[0], o);
    auto [y, indices] = max_pool3d_with_indices(c[0], o);
    return {y, indices};
  });
  OP("nn.functional.adaptive_avg_pool3d", adaptive_avg_pool3d(c[0], adaptive_volume(c, c[0])));
  ops.add("nn.functional.adaptive_max_pool3d", [](Arguments& c) -> Outputs {
    if (!c.b(2, "return_indices", false)) return adaptive_max_pool3d(c[0], adaptive_volume(c, c[0]));
    auto [y, indices] = adaptive_max_pool3d_with_indices(c[0], adaptive_volume(c, c[0]));
    return {y, indices};
  });
}

}  // namespace

void add_more(Registry& ops) {
  add_bounds(ops);
  add_products(ops);
  add_statistics(ops);
  add_matrix_norms(ops);
  add_rearrangements(ops);
  add_volumes(ops);
}

}  // namespace conformance
