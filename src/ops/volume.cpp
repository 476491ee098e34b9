// Volumes as stacks of images: a convolution is a sum of those of its slices; a window's maximum, and its mean, are those of images and
// then of depths.
#include "gradus/ops/volume.h"

#include "gradus/ops/conv.h"
#include "gradus/ops/create.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/pool.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// (N, C, D, H, W) as a batch of N D images, and back.
AnyTensor images(const AnyTensor& x) {
  return reshape(permute(x, {0, 2, 1, 3, 4}), {x.size(0) * x.size(2), x.size(1), x.size(3), x.size(4)});
}
AnyTensor volumes(const AnyTensor& x, int64_t n, int64_t depth) { return permute(unflatten(x, 0, {n, depth}), {0, 2, 1, 3, 4}); }

void check_volume(const char* op, const AnyTensor& x) {
  check_defined(op, x);
  if (x.dim() != 4 && x.dim() != 5)
    fail<ShapeError>(op, ": x has shape ", x.shape(), "; (N, C, D, H, W) or (C, D, H, W) is needed");
}
void check_taps(const char* op, const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, int64_t out) {
  check_same(op, x, weight), check_rank(op, "weight", weight, 5);
  if (!bias) return;
  check_same(op, x, bias);
  if (bias.dim() != 1 || bias.numel() != out) fail<ShapeError>(op, ": bias has shape ", bias.shape(), " for ", out, " channels");
}
/// f of a batch, for one without.
template <class F> AnyTensor batched(const AnyTensor& x, F f) { return x.dim() == 4 ? squeeze(f(unsqueeze(x, 0)), 0) : f(x); }
template <class F> std::pair<AnyTensor, AnyTensor> batched_pair(const AnyTensor& x, F f) {
  if (x.dim() == 5) return f(x);
  auto [y, indices] = f(unsqueeze(x, 0));
  return {squeeze(y, 0), squeeze(indices, 0)};
}

}  // namespace

AnyTensor conv3d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const Conv3dOptions& o) {
  check_volume("conv3d", x), check_taps("conv3d", x, weight, bias, weight.defined() ? weight.shape()[0] : 0);
  if (x.dim() == 4) return batched(x, [&](const AnyTensor& x) { return conv3d(x, weight, bias, o); });
  if (o.stride.depth < 1 || o.dilation.depth < 1) fail<ValueError>("conv3d: stride and dilation must be at least 1");
  if (o.same && (o.stride.depth != 1 || o.stride.height != 1 || o.stride.width != 1))
    fail<ValueError>("conv3d: a padding that keeps the size needs a stride of 1");
  const int64_t taps = weight.size(2), reach = o.dilation.depth * (taps - 1);
  const int64_t front = o.same ? reach / 2 : o.padding.depth, back = o.same ? reach - reach / 2 : o.padding.depth;
  AnyTensor deep = front || back ? pad(x, {0, 0, 0, 0, front, back}) : x;
  const int64_t room = deep.size(2) - reach - 1, depth = room / o.stride.depth + 1;
  if (room < 0)
    fail<ShapeError>("conv3d: no window of depth ", reach + 1, " fits ", x.shape(), " with a padding of ", o.padding.depth);
  Conv2dOptions flat{.stride = {o.stride.height, o.stride.width},
                     .padding = o.same ? Padding("same") : Padding(Pair(o.padding.height, o.padding.width)),
                     .dilation = {o.dilation.height, o.dilation.width},
                     .groups = o.groups};
  AnyTensor y;
  for (int64_t k = 0; k < taps; ++k) {
    const int64_t first = k * o.dilation.depth;
    AnyTensor part = slice(deep, 2, first, first + (depth - 1) * o.stride.depth + 1, o.stride.depth);
    part = conv2d(images(part), select(weight, 2, k), k == 0 ? bias : AnyTensor(), flat);
    y = y ? y + part : part;
  }
  return volumes(y, x.size(0), depth);
}

AnyTensor conv_transpose3d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const ConvTranspose3dOptions& o) {
  check_volume("conv_transpose3d", x);
  check_taps("conv_transpose3d", x, weight, bias, weight.defined() && weight.dim() > 1 ? weight.shape()[1] * o.groups : 0);
  if (x.dim() == 4) return batched(x, [&](const AnyTensor& x) { return conv_transpose3d(x, weight, bias, o); });
  if (o.stride.depth < 1 || o.dilation.depth < 1) fail<ValueError>("conv_transpose3d: stride and dilation must be at least 1");
  const int64_t taps = weight.size(2), depth = x.size(2);
  const int64_t whole = (depth - 1) * o.stride.depth + o.dilation.depth * (taps - 1) + 1 + o.output_padding.depth;
  const int64_t kept = whole - 2 * o.padding.depth;
  if (depth < 1 || kept < 1)
    fail<ShapeError>("conv_transpose3d: x of shape ", x.shape(), " gives a depth of ", kept, " with a padding of ",
                     o.padding.depth);
  ConvTranspose2dOptions flat{.stride = {o.stride.height, o.stride.width},
                              .padding = {o.padding.height, o.padding.width},
                              .output_padding = {o.output_padding.height, o.output_padding.width},
                              .groups = o.groups,
                              .dilation = {o.dilation.height, o.dilation.width}};
  AnyTensor y, in = images(x), places = arange(0, depth, 1, DType::int64, x.device()) * o.stride.depth;
  for (int64_t k = 0; k < taps; ++k) {
    AnyTensor part = volumes(conv_transpose2d(in, select(weight, 2, k), {}, flat), x.size(0), depth);
    if (!y) y = zeros({part.size(0), part.size(1), whole, part.size(3), part.size(4)}, x.dtype(), x.device());
    y = index_add(y, 2, places + k * o.dilation.depth, part);
  }
  y = narrow(y, 2, o.padding.depth, kept);
  return bias ? y + reshape(bias, {-1, 1, 1, 1}) : y;
}

// ---- pools: over (N, C D, H, W), then over (N, C, D, H W)
namespace {

AnyTensor as_planes(const AnyTensor& x) { return reshape(x, {x.size(0), x.size(1) * x.size(2), x.size(3), x.size(4)}); }
/// The planes of x's depths as columns: (N, C, D, H W).
AnyTensor as_depths(const AnyTensor& planes, const AnyTensor& x) {
  return reshape(planes, {x.size(0), x.size(1), x.size(2), planes.size(2) * planes.size(3)});
}
AnyTensor as_volumes(const AnyTensor& depths, const AnyTensor& planes) {
  return unflatten(depths, 3, {planes.size(2), planes.size(3)});
}

template <class Flat, class Deep> AnyTensor pooled(const AnyTensor& x, Flat flat, Deep deep) {
  return batched(x, [&](const AnyTensor& x) {
    AnyTensor planes = flat(as_planes(x));
    return as_volumes(deep(as_depths(planes, x)), planes);
  });
}
/// The same where both give indices too.
template <class Flat, class Deep> std::pair<AnyTensor, AnyTensor> pooled_with_indices(const AnyTensor& x, Flat flat, Deep deep) {
  return batched_pair(x, [&](const AnyTensor& x) -> std::pair<AnyTensor, AnyTensor> {
    auto [planes, in_plane] = flat(as_planes(x));
    auto [depths, in_depths] = deep(as_depths(planes, x));
    // From the element of (D, H' W') that was chosen to that of (D, H, W) which stood there.
    const int64_t columns = planes.size(2) * planes.size(3);
    AnyTensor chosen = flatten(in_depths, 2, -1), depth = floor_divide(chosen, columns);
    AnyTensor place = gather(flatten(as_depths(in_plane, x), 2, -1), 2, chosen) + depth * (x.size(3) * x.size(4));
    return {as_volumes(depths, planes), as_volumes(reshape(place, depths.shape()), planes)};
  });
}

MaxPool2dOptions flat_of(const MaxPool3dOptions& o) {
  return {.kernel = {o.kernel.height, o.kernel.width},
          .stride = {o.stride.height, o.stride.width},
          .padding = {o.padding.height, o.padding.width},
          .dilation = {o.dilation.height, o.dilation.width},
          .ceil_mode = o.ceil_mode};
}
MaxPool2dOptions deep_of(const MaxPool3dOptions& o) {
  return {.kernel = {o.kernel.depth, 1},
          .stride = {o.stride.depth ? o.stride.depth : o.kernel.depth, 1},
          .padding = {o.padding.depth, 0},
          .dilation = {o.dilation.depth, 1},
          .ceil_mode = o.ceil_mode};
}

}  // namespace

AnyTensor max_pool3d(const AnyTensor& x, const MaxPool3dOptions& o) {
  check_volume("max_pool3d", x);
  return pooled(
      x, [&](const AnyTensor& x) { return max_pool2d(x, flat_of(o)); },
      [&](const AnyTensor& x) { return max_pool2d(x, deep_of(o)); });
}
std::pair<AnyTensor, AnyTensor> max_pool3d_with_indices(const AnyTensor& x, const MaxPool3dOptions& o) {
  check_volume("max_pool3d", x);
  return pooled_with_indices(
      x, [&](const AnyTensor& x) { return max_pool2d_with_indices(x, flat_of(o)); },
      [&](const AnyTensor& x) { return max_pool2d_with_indices(x, deep_of(o)); });
}

AnyTensor avg_pool3d(const AnyTensor& x, const AvgPool3dOptions& o) {
  check_volume("avg_pool3d", x);
  const bool sums = o.divisor_override != 0;
  AvgPool2dOptions flat{.kernel = {o.kernel.height, o.kernel.width},
                        .stride = {o.stride.height, o.stride.width},
                        .padding = {o.padding.height, o.padding.width},
                        .ceil_mode = o.ceil_mode,
                        .count_include_pad = o.count_include_pad,
                        .divisor_override = sums ? 1 : 0};
  AvgPool2dOptions deep{.kernel = {o.kernel.depth, 1},
                        .stride = {o.stride.depth ? o.stride.depth : o.kernel.depth, 1},
                        .padding = {o.padding.depth, 0},
                        .ceil_mode = o.ceil_mode,
                        .count_include_pad = o.count_include_pad,
                        .divisor_override = o.divisor_override};
  return pooled(
      x, [&](const AnyTensor& x) { return avg_pool2d(x, flat); }, [&](const AnyTensor& x) { return avg_pool2d(x, deep); });
}

AnyTensor adaptive_avg_pool3d(const AnyTensor& x, Triple out) {
  check_volume("adaptive_avg_pool3d", x);
  return pooled(
      x,
      [&](const AnyTensor& x) {
        return adaptive_avg_pool2d(x, {out.height, out.width});
      },
      [&](const AnyTensor& x) {
        return adaptive_avg_pool2d(x, {out.depth, x.size(3)});
      });
}
AnyTensor adaptive_max_pool3d(const AnyTensor& x, Triple out) {
  check_volume("adaptive_max_pool3d", x);
  return pooled(
      x,
      [&](const AnyTensor& x) {
        return adaptive_max_pool2d(x, {out.height, out.width});
      },
      [&](const AnyTensor& x) {
        return adaptive_max_pool2d(x, {out.depth, x.size(3)});
      });
}
std::pair<AnyTensor, AnyTensor> adaptive_max_pool3d_with_indices(const AnyTensor& x, Triple out) {
  check_volume("adaptive_max_pool3d", x);
  return pooled_with_indices(
      x,
      [&](const AnyTensor& x) {
        return adaptive_max_pool2d_with_indices(x, {out.height, out.width});
      },
      [&](const AnyTensor& x) {
        return adaptive_max_pool2d_with_indices(x, {out.depth, x.size(3)});
      });
}

}  // namespace gradus
