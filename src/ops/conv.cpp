#include "gradus/ops/conv.h"

#include <string_view>

#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/layout.h"

namespace gradus {

Padding::Padding(const char* word) : Pair(0), same(std::string_view(word) == "same") {
  if (!same && std::string_view(word) != "valid")
    fail<ValueError>("padding \"", word, "\": the words are \"same\" and \"valid\"; or give a number");
}

namespace {

// The three maps of a convolution, each the gradient of the others: y of (x, w), dx of (dy, w), dw of (dy, x).

ConvParams params(const Conv2dOptions& o) {
  return {{o.stride.height, o.stride.width}, {o.padding.height, o.padding.width}, {o.dilation.height, o.dilation.width}, o.groups};
}

void check_options(const char* op, Pair stride, Pair padding, Pair dilation, int64_t groups) {
  auto each = [op](const char* what, Pair p, int64_t least) {
    if (p.height < least || p.width < least)
      fail<ValueError>(op, ": ", what, " ", p.height, ", ", p.width, " is less than ", least);
  };
  each("stride", stride, 1), each("padding", padding, 0), each("dilation", dilation, 1);
  if (groups < 1) fail<ValueError>(op, ": ", groups, " groups; at least 1 is needed");
}

/// The size along one axis. Throws where the kernel does not fit.
int64_t out_size(const char* op, int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  int64_t reach = dilation * (kernel - 1) + 1, room = size + 2 * padding;
  if (kernel < 1) fail<ShapeError>(op, ": a kernel of size ", kernel, "; at least 1 is needed");
  if (reach > room)
    fail<ShapeError>(op, ": a kernel that reaches over ", reach, " does not fit an image of ", size, " with padding ", padding);
  return (room - reach) / stride + 1;
}

Shape out_shape(const char* op, const Shape& x, const Shape& w, const Conv2dOptions& o) {
  return {x[0], w[0], out_size(op, x[2], w[2], o.stride.height, o.padding.height, o.dilation.height),
          out_size(op, x[3], w[3], o.stride.width, o.padding.width, o.dilation.width)};
}

AnyTensor forward(const char* op, const AnyTensor& x, const AnyTensor& w, const AnyTensor& bias, const Conv2dOptions& o) {
  AnyTensor y = empty_channels_last(out_shape(op, x.shape(), w.shape(), o), x.dtype(), x.device());
  AnyTensor image = channels_last(x), weight = dense(w), shift = bias.defined() ? dense(bias) : bias;
  kernel(op, &KernelTable::conv2d, y)(array(y), array(image), array(weight), array(shift), params(o));
  return y;
}
AnyTensor backward_input(const char* op, const Shape& shape, const AnyTensor& g, const AnyTensor& w, const Conv2dOptions& o) {
  AnyTensor dx = empty_channels_last(shape, g.dtype(), g.device());
  AnyTensor dy = channels_last(g), weight = dense(w);
  kernel(op, &KernelTable::conv2d_backward_input, dx)(array(dx), array(dy), array(weight), params(o));
  return dx;
}
AnyTensor backward_weight(const char* op, const Shape& shape, const AnyTensor& g, const AnyTensor& x, const Conv2dOptions& o,
                          AnyTensor* dbias = nullptr) {
  AnyTensor dw = empty(shape, g.dtype(), g.device());
  AnyTensor dy = channels_last(g), image = channels_last(x);
  if (dbias) *dbias = empty({g.size(1)}, g.dtype(), g.device());
  kernel(op, &KernelTable::conv2d_backward_weight, dw)(array(dw), dbias ? array(*dbias) : Array{}, array(dy), array(image),
                                                       params(o));
  return dw;
}

AnyTensor record_conv2d(const char* op, const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias,
                        const Conv2dOptions& o) {
  AnyTensor y = forward(op, x, weight, bias, o);
  record(op, y, {&x, &weight, &bias}, [op, o, x = Saved(x), weight = Saved(weight)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor image = x(), w = weight();
    if (is_grad_enabled()) {
      if (wanted(0)) grads[0] = conv2d_backward_input(image.shape(), g, w, o);
      if (wanted(1)) grads[1] = conv2d_backward_weight(w.shape(), g, image, o);
      if (wanted(2)) grads[2] = sum(g, {0, 2, 3});
      return;
    }
    AnyTensor dy = channels_last(g);
    if (wanted(0)) grads[0] = backward_input(op, image.shape(), dy, w, o);
    if (wanted(1)) grads[1] = backward_weight(op, w.shape(), dy, image, o, wanted(2) ? &grads[2] : nullptr);
    if (wanted(2) && !wanted(1)) grads[2] = sum(dy, {0, 2, 3});
  });
  return y;
}

/// Images of a batch; `lone` is set where x is one image.
AnyTensor batched(const char* op, const AnyTensor& x, int rank, bool& lone) {
  check_float(op, x);
  lone = x.dim() == rank - 1;
  if (!lone && x.dim() != rank)
    fail<ShapeError>(op, ": input ", x.shape(), ": ", rank == 4 ? "(N, C, H, W) or (C, H, W)" : "(N, C, L) or (C, L)",
                     " is needed");
  return lone ? x.unsqueeze(0) : x;
}

void check_weight(const char* op, const AnyTensor& x, const AnyTensor& w, const AnyTensor& bias, int rank, int64_t out) {
  check_same(op, x, w);
  check_rank(op, "the weight", w, rank);
  if (!bias.defined()) return;
  check_same(op, x, bias);
  if (bias.dim() != 1 || bias.size(0) != out)
    fail<ShapeError>(op, ": bias ", bias.shape(), " for ", out, " output channels; it must have shape [", out, "]");
}

void check_channels(const char* op, const AnyTensor& x, const AnyTensor& w, int64_t groups) {
  if (w.size(0) % groups) fail<ShapeError>(op, ": ", w.size(0), " output channels do not divide into ", groups, " groups");
  if (x.size(1) != w.size(1) * groups)
    fail<ShapeError>(op, ": input ", x.shape(), " has ", x.size(1), " channels, weight ", w.shape(), " with ", groups,
                     " group(s) wants ", w.size(1) * groups);
}

/// Conv2d on a batch whose options are numbers but for the padding.
AnyTensor conv2d_batch(const char* op, const AnyTensor& x, const AnyTensor& w, const AnyTensor& bias, Conv2dOptions o) {
  if (!o.padding.same) return record_conv2d(op, x, w, bias, o);
  if (o.stride != Pair(1)) fail<ValueError>(op, ": padding \"same\" needs a stride of 1; give the padding as a number");
  // What does not halve is one more behind than in front. Padded as behind at both sides, the result is longer by that one in front.
  Pair both(o.dilation.height * (w.size(2) - 1), o.dilation.width * (w.size(3) - 1));
  o.padding = Padding((both.height + 1) / 2, (both.width + 1) / 2);
  AnyTensor y = record_conv2d(op, x, w, bias, o);
  if (both.height % 2) y = y.narrow(2, 1, x.size(2));
  if (both.width % 2) y = y.narrow(3, 1, x.size(3));
  return y;
}

}  // namespace

AnyTensor conv2d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const Conv2dOptions& o) {
  bool lone;
  AnyTensor images = batched("conv2d", x, 4, lone);
  check_rank("conv2d", "the weight", weight, 4);
  check_weight("conv2d", x, weight, bias, 4, weight.size(0));
  check_options("conv2d", o.stride, o.padding, o.dilation, o.groups);
  check_channels("conv2d", images, weight, o.groups);
  AnyTensor y = conv2d_batch("conv2d", images, weight, bias, o);
  return lone ? y.squeeze(0) : y;
}

AnyTensor conv1d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const Conv1dOptions& o) {
  bool lone;
  AnyTensor rows = batched("conv1d", x, 3, lone);
  check_rank("conv1d", "the weight", weight, 3);
  check_weight("conv1d", x, weight, bias, 3, weight.size(0));
  check_options("conv1d", o.stride, o.padding, o.dilation, o.groups);
  check_channels("conv1d", rows, weight, o.groups);
  Padding padding(0, o.padding.width);
  padding.same = o.padding.same;
  AnyTensor y =
      conv2d_batch("conv1d", rows.unsqueeze(2), weight.unsqueeze(2), bias, {{1, o.stride}, padding, {1, o.dilation}, o.groups});
  y = y.squeeze(2);
  return lone ? y.squeeze(0) : y;
}

AnyTensor conv2d_backward_input(const Shape& image, const AnyTensor& g, const AnyTensor& weight, const Conv2dOptions& o) {
  constexpr const char* op = "conv2d_backward_input";
  check_float(op, g), check_same(op, g, weight);
  check_rank(op, "the gradient", g, 4), check_rank(op, "the weight", weight, 4);
  check_options(op, o.stride, o.padding, o.dilation, o.groups);
  if (image.rank != 4 || image[1] != weight.size(1) * o.groups || weight.size(0) % o.groups ||
      !(out_shape(op, image, weight.shape(), o) == g.shape()))
    fail<ShapeError>(op, ": an image of ", image, " and a weight of ", weight.shape(), " do not give a result of ", g.shape());
  AnyTensor dx = backward_input(op, image, g, weight, o);
  record(op, dx, {&g, &weight}, [o, g = Saved(g), weight = Saved(weight)](const AnyTensor& v, AnyTensor* grads) {
    AnyTensor dy = g(), w = weight();
    if (wanted(0)) grads[0] = conv2d(v, w, {}, o);
    if (wanted(1)) grads[1] = conv2d_backward_weight(w.shape(), dy, v, o);
  });
  return dx;
}

AnyTensor conv2d_backward_weight(const Shape& shape, const AnyTensor& g, const AnyTensor& x, const Conv2dOptions& o) {
  constexpr const char* op = "conv2d_backward_weight";
  check_float(op, g), check_same(op, g, x);
  check_rank(op, "the gradient", g, 4), check_rank(op, "the image", x, 4);
  check_options(op, o.stride, o.padding, o.dilation, o.groups);
  if (shape.rank != 4 || x.size(1) != shape[1] * o.groups || shape[0] % o.groups ||
      !(out_shape(op, x.shape(), shape, o) == g.shape()))
    fail<ShapeError>(op, ": an image of ", x.shape(), " and a weight of ", shape, " do not give a result of ", g.shape());
  AnyTensor dw = backward_weight(op, shape, g, x, o);
  record(op, dw, {&g, &x}, [o, g = Saved(g), x = Saved(x)](const AnyTensor& v, AnyTensor* grads) {
    AnyTensor dy = g(), image = x();
    if (wanted(0)) grads[0] = conv2d(image, v, {}, o);
    if (wanted(1)) grads[1] = conv2d_backward_input(image.shape(), dy, v, o);
  });
  return dw;
}

namespace {

/// On a batch; checked but for what depends on both axes' options.
AnyTensor conv_transpose_batch(const char* op, const AnyTensor& x, const AnyTensor& w, const AnyTensor& bias,
                               const ConvTranspose2dOptions& o) {
  check_options(op, o.stride, o.padding, o.dilation, o.groups);
  if (x.size(1) != w.size(0))
    fail<ShapeError>(op, ": input ", x.shape(), " has ", x.size(1), " channels, weight ", w.shape(), " wants ", w.size(0));
  if (w.size(0) % o.groups) fail<ShapeError>(op, ": ", w.size(0), " input channels do not divide into ", o.groups, " groups");
  auto extent = [&](int axis, int64_t stride, int64_t padding, int64_t dilation, int64_t extra) {
    if (extra < 0 || (extra >= stride && extra >= dilation))
      fail<ValueError>(op, ": output_padding ", extra, " must be less than the stride ", stride, " or the dilation ", dilation);
    int64_t size = (x.size(axis) - 1) * stride - 2 * padding + dilation * (w.size(axis) - 1) + extra + 1;
    if (size < 1)
      fail<ShapeError>(op, ": input ", x.shape(), " with weight ", w.shape(), " and padding ", padding, " gives a size of ", size);
    return size;
  };
  Shape shape = {x.size(0), w.size(1) * o.groups,
                 extent(2, o.stride.height, o.padding.height, o.dilation.height, o.output_padding.height),
                 extent(3, o.stride.width, o.padding.width, o.dilation.width, o.output_padding.width)};
  // Where output_padding is a stride or more, conv2d has more windows on `shape` than x has elements: what is beyond is zero.
  AnyTensor padded = x;
  auto reach = [&](int axis, int64_t stride, int64_t padding, int64_t dilation) {
    Shape windows = padded.shape();
    windows[axis] = out_size(op, shape[axis], w.size(axis), stride, padding, dilation);
    if (windows[axis] > x.size(axis)) padded = slice_backward(padded, windows, axis, 0, 1);
  };
  reach(2, o.stride.height, o.padding.height, o.dilation.height);
  reach(3, o.stride.width, o.padding.width, o.dilation.width);
  AnyTensor y = conv2d_backward_input(shape, padded, w, {o.stride, Padding(o.padding), o.dilation, o.groups});
  return bias.defined() ? y + reshape(bias, {1, bias.numel(), 1, 1}) : y;
}

}  // namespace

AnyTensor conv_transpose2d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const ConvTranspose2dOptions& o) {
  bool lone;
  AnyTensor images = batched("conv_transpose2d", x, 4, lone);
  check_rank("conv_transpose2d", "the weight", weight, 4);
  check_weight("conv_transpose2d", x, weight, bias, 4, weight.size(1) * o.groups);
  AnyTensor y = conv_transpose_batch("conv_transpose2d", images, weight, bias, o);
  return lone ? y.squeeze(0) : y;
}

AnyTensor conv_transpose1d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const ConvTranspose1dOptions& o) {
  bool lone;
  AnyTensor rows = batched("conv_transpose1d", x, 3, lone);
  check_rank("conv_transpose1d", "the weight", weight, 3);
  check_weight("conv_transpose1d", x, weight, bias, 3, weight.size(1) * o.groups);
  AnyTensor y = conv_transpose_batch("conv_transpose1d", rows.unsqueeze(2), weight.unsqueeze(2), bias,
                                     {{1, o.stride}, {0, o.padding}, {0, o.output_padding}, o.groups, {1, o.dilation}});
  y = y.squeeze(2);
  return lone ? y.squeeze(0) : y;
}

}  // namespace gradus
