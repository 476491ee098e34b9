// Reductions, scans, sorting and selecting.
#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;

#define REDUCTION(f) OP(#f, f(c[0], over(c), c.b(2, "keepdim", false)))

/// No axes at all, or an empty list of them, means all in PyTorch.
Axes over(const Arguments& c, int position = 1, const char* name = "dim") {
  Axes axes = c.axes(position, name);
  return axes.list.rank == 0 ? Axes() : axes;
}
std::optional<int64_t> along(const Arguments& c) {
  return c.given(1, "dim") ? std::optional<int64_t>(c.i(1, "dim")) : std::nullopt;
}
Outputs both(const AnyValuesIndices& y) { return {y.values, y.indices}; }

void add_sums(Registry& ops) {
  REDUCTION(sum), REDUCTION(mean), REDUCTION(prod), REDUCTION(nansum), REDUCTION(nanmean), REDUCTION(amax), REDUCTION(amin);
  REDUCTION(all), REDUCTION(any), REDUCTION(count_nonzero), REDUCTION(logsumexp);
  OP("argmax", argmax(c[0], along(c), c.b(2, "keepdim", false)));
  OP("argmin", argmin(c[0], along(c), c.b(2, "keepdim", false)));
  ops.add("aminmax", [](Arguments& c) -> Outputs {
    auto [least, most] = aminmax(c[0], over(c, -1), c.b(-1, "keepdim", false));
    return {least, most};
  });
  OP("max.reduction_no_dim", max(c[0]));
  OP("min.reduction_no_dim", min(c[0]));
  OP("max.reduction_with_dim", both(max(c[0], c.i(1, "dim"), c.b(2, "keepdim", false))));
  OP("min.reduction_with_dim", both(min(c[0], c.i(1, "dim"), c.b(2, "keepdim", false))));
}

void add_spreads(Registry& ops) {
  for (const std::string suffix : {"", ".unbiased"}) {
    ops.add("var" + suffix, [](Arguments& c) -> Outputs {
      Spread s = spread_of(c);
      return var(c[0], s.axes, s.keepdim, s.correction);
    });
    ops.add("std" + suffix, [](Arguments& c) -> Outputs {
      Spread s = spread_of(c);
      return gradus::std(c[0], s.axes, s.keepdim, s.correction);
    });
    ops.add("var_mean" + suffix, [](Arguments& c) -> Outputs {
      Spread s = spread_of(c);
      auto [spread, middle] = var_mean(c[0], s.axes, s.keepdim, s.correction);
      return {spread, middle};
    });
  }
}

void add_norms(Registry& ops) {
  for (const char* name : {"norm", "norm.fro", "norm.inf"})
    ops.add(name, [](Arguments& c) -> Outputs {
      Scalar p = c.at(1, "p").kind == Value::text ? (c.str(1, "p", ""), Scalar(2)) : c.s(1, "p", 2);
      return norm(c[0], p, over(c, 2), c.b(3, "keepdim", false));
    });
  OP("linalg.vector_norm", norm(c[0], c.s(1, "ord", 2), over(c, 2), c.b(3, "keepdim", false)));
}

void add_scans(Registry& ops) {
  OP("cumsum", cumsum(c[0], c.i(1, "dim")));
  OP("cumprod", cumprod(c[0], c.i(1, "dim")));
  OP("logcumsumexp", logcumsumexp(c[0], c.i(1, "dim")));
  OP("cummax", both(cummax(c[0], c.i(1, "dim"))));
  OP("cummin", both(cummin(c[0], c.i(1, "dim"))));
  ops.add("diff", [](Arguments& c) -> Outputs {
    int64_t n = c.i(1, "n", 1), axis = c.i(2, "dim", -1);
    std::vector<AnyTensor> parts;
    for (const AnyTensor& part : {c.maybe(3, "prepend"), c[0], c.maybe(4, "append")})
      if (part && (n > 0 || parts.empty())) parts.push_back(part);
    return diff(parts.size() > 1 ? cat(parts, axis) : c[0], n, axis);
  });
  for (const char* name : {"trapezoid", "trapz"})
    OP(name,
       c.given(1, "x") ? trapezoid(c[0], c.t(1, "x"), c.i(-1, "dim", -1)) : trapezoid(c[0], c.s(-1, "dx", 1), c.i(-1, "dim", -1)));
  OP("cumulative_trapezoid", c.given(1, "x") ? cumulative_trapezoid(c[0], c.t(1, "x"), c.i(-1, "dim", -1))
                                             : cumulative_trapezoid(c[0], c.s(-1, "dx", 1), c.i(-1, "dim", -1)));
}

void add_sorting(Registry& ops) {
  // Where stable is false, an order of equals is one of those allowed.
  OP("sort", (c.at(-1, "stable"), both(sort(c[0], c.i(1, "dim", -1), c.b(2, "descending", false)))));
  OP("argsort", (c.at(-1, "stable"), argsort(c[0], c.i(1, "dim", -1), c.b(2, "descending", false))));
  OP("msort", msort(c[0]));
  OP("topk", both(topk(c[0], c.i(1, "k"), c.i(2, "dim", -1), c.b(3, "largest", true), c.b(4, "sorted", true))));
  OP("kthvalue", both(kthvalue(c[0], c.i(1, "k"), c.i(2, "dim", -1), c.b(3, "keepdim", false))));
  OP("median", c.given(1, "dim") ? both(median(c[0], c.i(1, "dim"), c.b(2, "keepdim", false))) : median(c[0]));
  OP("nanmedian", c.given(1, "dim") ? both(nanmedian(c[0], c.i(1, "dim"), c.b(2, "keepdim", false))) : nanmedian(c[0]));
  OP("searchsorted", (c.at(-1, "out_int32"), searchsorted(c[0], c.t(1), c.b(-1, "right", false))));
  OP("bucketize", (c.at(-1, "out_int32"), bucketize(c[0], c.t(1), c.b(-1, "right", false))));
}

/// Of values, numbers and counts, those that were asked for.
Outputs asked_for(const AnyUnique& u, const Arguments& c) {
  std::vector<AnyTensor> outputs{u.values};
  if (c.b(-1, "return_inverse", false)) outputs.push_back(u.inverse);
  if (c.b(-1, "return_counts", false)) outputs.push_back(u.counts);
  return outputs;
}
void add_unique(Registry& ops) {
  // Here they are always sorted.
  OP("unique", (c.at(-1, "sorted"), asked_for(c.given(-1, "dim") ? unique(c[0], c.i(-1, "dim")) : unique(c[0]), c)));
  OP("unique_consecutive", asked_for(c.given(-1, "dim") ? unique_consecutive(c[0], c.i(-1, "dim")) : unique_consecutive(c[0]), c));
}

}  // namespace

Spread spread_of(const Arguments& c) {
  bool alone = c.at(1, "dim").kind == Value::boolean;
  bool unbiased = c.b(alone ? 1 : 2, "unbiased", true);
  return {alone ? Axes() : over(c), c.b(3, "keepdim", false), c.d(-1, "correction", unbiased ? 1 : 0)};
}

void add_reductions(Registry& ops) {
  add_sums(ops);
  add_spreads(ops);
  add_norms(ops);
  add_scans(ops);
  add_sorting(ops);
  add_unique(ops);
}

}  // namespace conformance
