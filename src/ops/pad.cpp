#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/index.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/axis_order.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// The numbers for one axis, before and after.
struct Amounts {
  int64_t before, after;
};

AnyTensor pad_constant(const AnyTensor& x, const Amounts* amounts, Scalar value) {
  Shape shape = x.shape();
  int64_t offset = 0;
  for (int d = 0; d < x.dim(); ++d) shape[d] += amounts[d].before + amounts[d].after;
  AnyTensor y = empty_in_order_of(x, shape);
  kernel("pad", &KernelTable::fill, y)(array(y), value);
  for (int d = 0; d < x.dim(); ++d) offset += amounts[d].before * y.stride()[d];
  if (x.numel() > 0) {
    AnyTensor place = as_view(y, x.shape(), y.stride(), offset);
    kernel("pad", &KernelTable::copy, y)(array(place), array(x));
  }
  if (is_float(x.dtype())) {
    Shape before = x.shape();
    for (int d = 0; d < x.dim(); ++d) before[d] = amounts[d].before;
    record("pad", y, {&x}, [from = x.shape(), before](const AnyTensor& g, AnyTensor* grads) {
      grads[0] = g;
      for (int d = 0; d < from.rank; ++d)
        if (g.shape()[d] != from[d]) grads[0] = narrow(grads[0], d, before[d], from[d]);
    });
  }
  return y;
}

/// Which index of an axis of n stands at place i, which may lie outside.
int64_t source_of(PadMode mode, int64_t i, int64_t n) {
  if (mode == PadMode::replicate) return std::clamp<int64_t>(i, 0, n - 1);
  if (mode == PadMode::circular) return (i % n + n) % n;
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

}  // namespace

AnyTensor pad(const AnyTensor& x, const std::vector<int64_t>& amounts, PadMode mode, Scalar value) {
  check_defined("pad", x);
  if (amounts.size() % 2 != 0 || amounts.size() > 2 * size_t(x.dim()))
    fail<ShapeError>("pad: ", amounts.size(), " amounts for ", x.dim(),
                     " dimensions; two are needed for each axis, the last one first");
  if (mode == PadMode::constant && !is_float(x.dtype()) && !value.is_integral() && double(value) != std::trunc(double(value)))
    fail<DTypeError>("pad: value ", double(value), " for a tensor of ", x.dtype());
  Amounts by_axis[Shape::kMaxRank] = {};
  for (size_t k = 0; k < amounts.size(); k += 2) by_axis[x.dim() - 1 - int(k / 2)] = {amounts[k], amounts[k + 1]};
  AnyTensor y = x;
  bool pads = false;
  for (int d = 0; d < x.dim(); ++d) {
    auto& [before, after] = by_axis[d];
    int64_t n = x.shape()[d], kept = n + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0), total;
    if ((mode == PadMode::replicate ? n + before + after : kept) < 0 ||
        __builtin_add_overflow(std::max<int64_t>(before, 0), std::max<int64_t>(after, 0), &total) ||
        __builtin_add_overflow(total, n, &total))
      fail<ShapeError>("pad: ", before, " before and ", after, " after axis ", d, " of ", x.shape());
    if (mode == PadMode::replicate && n > 0 && (before > 0 || after > 0)) {
      // Places beyond an end show that end, also where the other amount cuts off more than there is.
      std::vector<int64_t> picks;
      for (int64_t i = -before; i < n + after; ++i) picks.push_back(source_of(mode, i, n));
      y = index_select(y, d, Tensor<int64_t>(std::span<const int64_t>(picks)).to(x.device()));
      continue;
    }
    if (kept < n) y = narrow(y, d, -std::min<int64_t>(before, 0), kept);
    before = std::max<int64_t>(before, 0), after = std::max<int64_t>(after, 0);
    pads = pads || before > 0 || after > 0;
    if (mode == PadMode::constant || (before == 0 && after == 0)) continue;
    int64_t most = mode == PadMode::reflect ? kept - 1 : mode == PadMode::circular ? kept : kept > 0 ? INT64_MAX : 0;
    if (before > most || after > most)
      fail<ShapeError>("pad: ", before, " before and ", after, " after an axis of ", kept, " elements; at most ", most,
                       mode == PadMode::reflect ? " can be reflected" : " can be taken from it");
    std::vector<int64_t> picks;
    for (int64_t i = -before; i < kept + after; ++i) picks.push_back(source_of(mode, i, kept));
    y = index_select(y, d, Tensor<int64_t>(std::span<const int64_t>(picks)).to(x.device()));
  }
  if (mode != PadMode::constant || !pads) return y.is_same(x) ? clone(x) : y;
  return pad_constant(y, by_axis, value);
}

}  // namespace gradus
