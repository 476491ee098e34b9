// Options of functions and layers of volumes, by PyTorch's names.
#pragma once
#include "tests/conformance/ops.h"

namespace conformance {

inline gradus::Triple triple(const Arguments& c, int position, const char* name, int64_t otherwise) {
  Shape sizes = c.sizes(position, name, 3, otherwise);
  return {sizes[0], sizes[1], sizes[2]};
}
/// To a size; None keeps that of the axis.
inline gradus::Triple adaptive_volume(const Arguments& c, const AnyTensor& x) {
  const Value& v = c.at(x ? 1 : 0, "output_size");
  if (v.kind != Value::list) return v.i;
  int64_t sizes[3];
  for (int d = 0; d < 3; ++d) {
    const Value& n = v.items.at(size_t(d));
    if (!n.given() && !x) throw LeftOut("an axis that stays as it is: the module takes sizes");
    sizes[d] = n.given() ? n.i : x.size(d - 3);
  }
  return {sizes[0], sizes[1], sizes[2]};
}
/// The options begin at position `at`: after the tensor for functions, at once for layers.
inline gradus::MaxPool3dOptions max_pool3d_of(const Arguments& c, int at) {
  return {.kernel = triple(c, at, "kernel_size", 1),
          .stride = triple(c, at + 1, "stride", 0),
          .padding = triple(c, at + 2, "padding", 0),
          .dilation = triple(c, at + 3, "dilation", 1),
          .ceil_mode = c.b(-1, "ceil_mode", false)};
}
inline gradus::AvgPool3dOptions avg_pool3d_of(const Arguments& c, int at) {
  return {.kernel = triple(c, at, "kernel_size", 1),
          .stride = triple(c, at + 1, "stride", 0),
          .padding = triple(c, at + 2, "padding", 0),
          .ceil_mode = c.b(at + 3, "ceil_mode", false),
          .count_include_pad = c.b(at + 4, "count_include_pad", true),
          .divisor_override = c.i(at + 5, "divisor_override", 0)};
}

}  // namespace conformance
