#include "gradus/nn/conv.h"

#include <cmath>

#include "src/nn/uniform.h"

namespace gradus::nn {
namespace {

/// Fills weight and bias. An output sees the inputs that the weight's axes behind the first stand for.
void begin(const char* layer, Parameter& weight, Parameter& bias, const Shape& shape, int64_t in, int64_t out, int64_t groups,
           bool has_bias) {
  check_size(layer, "in", in), check_size(layer, "out", out), check_size(layer, "groups", groups);
  for (int d = 2; d < shape.rank; ++d) check_size(layer, "kernel", shape[d]);
  if (in % groups != 0 || out % groups != 0)
    throw ValueError(std::string(layer) + ": groups = " + std::to_string(groups) + " divides not both in = " + std::to_string(in) +
                     " and out = " + std::to_string(out));
  double seen = 1;
  for (int d = 1; d < shape.rank; ++d) seen *= double(shape[d]);
  weight = uniform_parameter(shape, 1 / std::sqrt(seen));
  if (has_bias) bias = uniform_parameter({out}, 1 / std::sqrt(seen));
}
int64_t share(int64_t channels, int64_t groups) { return groups < 1 ? channels : channels / groups; }

}  // namespace

Conv2d::Conv2d(const Conv2dOptions& o)
    : options_{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  begin("Conv2d", weight, bias, {o.out, share(o.in, o.groups), o.kernel.height, o.kernel.width}, o.in, o.out, o.groups, o.bias);
}
Conv1d::Conv1d(const Conv1dOptions& o)
    : options_{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  begin("Conv1d", weight, bias, {o.out, share(o.in, o.groups), o.kernel}, o.in, o.out, o.groups, o.bias);
}
ConvTranspose2d::ConvTranspose2d(const ConvTranspose2dOptions& o)
    : options_{.stride = o.stride,
               .padding = o.padding,
               .output_padding = o.output_padding,
               .groups = o.groups,
               .dilation = o.dilation} {
  begin("ConvTranspose2d", weight, bias, {o.in, share(o.out, o.groups), o.kernel.height, o.kernel.width}, o.in, o.out, o.groups,
        o.bias);
}
ConvTranspose1d::ConvTranspose1d(const ConvTranspose1dOptions& o)
    : options_{.stride = o.stride,
               .padding = o.padding,
               .output_padding = o.output_padding,
               .groups = o.groups,
               .dilation = o.dilation} {
  begin("ConvTranspose1d", weight, bias, {o.in, share(o.out, o.groups), o.kernel}, o.in, o.out, o.groups, o.bias);
}

Conv3d::Conv3d(const Conv3dOptions& o)
    : options_{.stride = o.stride, .padding = o.padding, .same = o.same, .dilation = o.dilation, .groups = o.groups} {
  begin("Conv3d", weight, bias, {o.out, share(o.in, o.groups), o.kernel.depth, o.kernel.height, o.kernel.width}, o.in, o.out,
        o.groups, o.bias);
}
ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& o)
    : options_{.stride = o.stride,
               .padding = o.padding,
               .output_padding = o.output_padding,
               .groups = o.groups,
               .dilation = o.dilation} {
  begin("ConvTranspose3d", weight, bias, {o.in, share(o.out, o.groups), o.kernel.depth, o.kernel.height, o.kernel.width}, o.in,
        o.out, o.groups, o.bias);
}

}  // namespace gradus::nn
