#include "tests/errors/table.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const AnyTensor kNone;
AnyTensor f(const Shape& shape) { return draw(shape, 0.5, 1.5, 3, DType::float32); }
AnyTensor d(const Shape& shape) { return draw(shape, 0.5, 1.5); }
AnyTensor integers(std::initializer_list<int64_t> list) {
  std::vector<int64_t> values(list);
  return Tensor<int64_t>(std::span<const int64_t>(values));
}
/// An lvalue to write to.
AnyTensor& at(AnyTensor&& x) {
  static AnyTensor kept;
  return kept = std::move(x);
}

}  // namespace

TEST(WrongCalls, Elementwise) {
  run_table({
      WRONG(ShapeError, add(f({2, 3}), f({4, 5, 6})), "add", "[2, 3]", "[4, 5, 6]", "broadcast"),
      WRONG(ShapeError, mul(f({2, 3}), f({2})), "mul", "[2, 3]", "[2]"),
      WRONG(ShapeError, where(f({2}) > 0, f({3}), f({3})), "where", "broadcast"),
      WRONG(ShapeError, add_(at(f({3})), f({2, 3})), "add_", "[2, 3]", "in place"),
      WRONG(DTypeError, add(f({2}), d({2})), "add", "float32", "float64", "to()"),
      WRONG(DTypeError, atan2(f({2}), d({2})), "atan2", "float64"),
      WRONG(DTypeError, exp(integers({1})), "exp", "int64", "to<float>()"),
      WRONG(DTypeError, sqrt(f({2}) > 0), "sqrt", "bool"),
      WRONG(DTypeError, neg(f({2}) > 0), "neg", "bool"),
      WRONG(DTypeError, add(f({2}) > 0, f({2}) > 0), "add", "bool"),
      WRONG(DTypeError, bitwise_and(f({2}), f({2})), "bitwise_and", "float32"),
      WRONG(DTypeError, bitwise_not(f({2})), "bitwise"),
      WRONG(DTypeError, where(f({2}), f({2}), f({2})), "where", "condition", "float32", "bool"),
      WRONG(DTypeError, integers({1}) + 0.5, "add", "0.5", "int64"),
      WRONG(DTypeError, integers({1}) * 1.5, "mul", "1.5"),
      WRONG(DTypeError, lt(integers({1}), 0.5), "lt", "0.5"),
      WRONG(ValueError, integers({1, 2}) / integers({0, 1}), "div", "zero"),
      WRONG(ValueError, integers({1}) / 0, "div", "zero"),
      WRONG(ValueError, remainder(integers({1}), integers({0})), "remainder", "zero"),
      WRONG(ValueError, fmod(integers({1}), integers({0})), "fmod", "zero"),
      WRONG(ValueError, floor_divide(integers({1}), integers({0})), "floor_divide", "zero"),
      WRONG(ValueError, add(kNone, f({2})), "add", "undefined"),
      WRONG(ValueError, add(f({2}), kNone), "add", "undefined"),
      WRONG(ValueError, tanh(kNone), "tanh", "undefined"),
      WRONG(ValueError, where(kNone, f({2}), f({2})), "where", "undefined"),
      WRONG(ValueError, mul_scalar_(at(f({1, 3}).expand({4, 3})), 2), "mul", "expanded", "clone()"),
      WRONG(ValueError, kNone.to(DType::float32), "to", "undefined"),
  });
}

TEST(WrongCalls, CreationAndViews) {
  const AnyTensor x = f({4, 6});
  constexpr int64_t kBig = int64_t(1) << 40;
  run_table({
      WRONG(ShapeError, zeros({-1, 2}, DType::float32), "[-1, 2]", "negative"),
      WRONG(ShapeError, empty({kBig, kBig}, DType::float32), "counted"),
      WRONG(OutOfMemory, empty({kBig, 1 << 20}, DType::float64), "1099511627776"),
      WRONG(OutOfMemory, empty({kBig, 100}, DType::float32), "asked for"),
      WRONG(ShapeError, (Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), "9", "8"),
      WRONG(ShapeError, (Tensor<float>{{1, 2}, {3}}), "different lengths"),
      WRONG(ShapeError, (Tensor<float>{{1, 2}, 3}), "different lengths"),
      WRONG(ValueError, from_blob(nullptr, {2}, DType::float32), "from_blob", "null"),
      WRONG(ShapeError, empty_strided({2, 3}, {4, 1}, DType::float32), "gaps"),
      WRONG(ShapeError, empty_channels_last({2, 3}, DType::float32), "(N, C, H, W)"),
      WRONG(ShapeError, x.reshape({5, 5}), "reshape", "24", "25"),
      WRONG(ShapeError, x.reshape({7, -1}), "reshape", "-1"),
      WRONG(ShapeError, x.reshape({-1, -1}), "reshape", "more than one"),
      WRONG(ShapeError, x.reshape({-2, 12}), "reshape", "negative"),
      WRONG(ShapeError, x.t().view({24}), "view", "reshape()"),
      WRONG(ShapeError, x.transpose(0, 2), "transpose", "2", "-2 to 1"),
      WRONG(ShapeError, x.permute({0}), "permute", "[0]"),
      WRONG(ShapeError, x.permute({0, 0}), "permute", "twice"),
      WRONG(ShapeError, x.expand({5, 6}), "expand", "[4, 6]"),
      WRONG(ShapeError, x.expand({6}), "expand", "more dimensions"),
      WRONG(ShapeError, x.squeeze(3), "squeeze", "3"),
      WRONG(ShapeError, x.unsqueeze(4), "unsqueeze", "4"),
      WRONG(ShapeError, x.flatten(1, 0), "flatten"),
      WRONG(ShapeError, unflatten(x, 1, {4, 2}), "unflatten", "[4, 2]"),
      WRONG(ShapeError, f({2, 3, 4}).t(), "t:", "transpose"),
      WRONG(IndexError, x.select(0, 4), "select", "4", "[4, 6]"),
      WRONG(IndexError, x.select(1, -7), "select", "-7"),
      WRONG(IndexError, f({}).select(0, 0), "select", "item()"),
      WRONG(IndexError, x.narrow(0, 3, 2), "narrow", "3"),
      WRONG(IndexError, x.narrow(0, 0, -1), "narrow", "-1"),
      WRONG(ValueError, x.slice(0, 0, 4, 0), "slice", "step 0"),
      WRONG(ValueError, x.slice(0, 4, 0, -1), "slice", "flip()"),
      WRONG(ShapeError, x.size(2), "size", "2"),
      WRONG(ShapeError, x.item(), "item", "[4, 6]"),
      WRONG(DTypeError, Tensor<float>(d({2})), "float32", "float64"),
      WRONG(ShapeError, at(f({2})).copy_(f({3})), "[3]", "[2]"),
      WRONG(DeviceError, Device("gpu"), "gpu", "cuda"),
      WRONG(DeviceError, Device("cuda:x"), "cuda:x"),
      WRONG(DeviceError, x.to(Device("cuda")), "cuda", "cpu"),
      WRONG(DeviceError, zeros({2}, DType::float32, Device("cuda:1")), "cuda"),
      WRONG(ValueError, x.detach().reshape({-1}).AnyTensor::slice(0, 0, 3, -2), "slice"),
  });
}

TEST(WrongCalls, Random) {
  const double two = 2;
  run_table({
      WRONG(ValueError, randint(3, 3, {2}, DType::int64), "randint", "3"),
      WRONG(DTypeError, randn({2}, DType::int64), "int64"),
      WRONG(DTypeError, rand({2}, DType::boolean), "bool"),
      WRONG(ValueError, bernoulli({2}, two, DType::float32), "bernoulli", "2"),
      WRONG(ValueError, bernoulli(f({2}) * 3.0), "bernoulli"),
      WRONG(Error, randperm(-1), "randperm"),
      WRONG(ShapeError, randn({-2}, DType::float32), "negative"),
      WRONG(ValueError, multinomial(f({3}), 4), "multinomial", "4"),
      WRONG(Error, multinomial(f({3}) * -1.0, 1), "multinomial"),
  });
}

TEST(WrongCalls, Reductions) {
  const AnyTensor x = f({4, 6});
  run_table({
      WRONG(ShapeError, sum(x, 2), "sum", "2", "-2 to 1"),
      WRONG(ShapeError, sum(x, {0, 0}), "sum", "twice"),
      WRONG(ShapeError, sum(x, {0, -2}), "sum", "twice"),
      WRONG(ShapeError, mean(x, -3), "mean", "-3"),
      WRONG(ShapeError, nanmean(x, 2), "nanmean", "2"),
      WRONG(ShapeError, prod(x, 2), "prod", "2"),
      WRONG(ShapeError, amax(x, {1, 1}), "amax", "twice"),
      WRONG(ShapeError, var_mean(x, 2), "var_mean", "2"),
      WRONG(ShapeError, logsumexp(x, -3), "logsumexp", "-3"),
      WRONG(ShapeError, count_nonzero(x, 2), "count_nonzero", "2"),
      WRONG(ValueError, msort(kNone), "msort", "undefined"),
      WRONG(ShapeError, unique(x, 2), "unique", "2"),
      WRONG(ShapeError, unique_consecutive(f({}), 0), "unique_consecutive", "scalar"),
      WRONG(DTypeError, mean(integers({1, 2})), "mean", "int64"),
      WRONG(ValueError, sum(kNone), "sum", "undefined"),
      WRONG(ShapeError, softmax(x, 2), "softmax", "2"),
      WRONG(DTypeError, softmax(integers({1}), 0), "softmax", "int64"),
      WRONG(ShapeError, log_softmax(x, -3), "log_softmax", "-3"),
  });
}

TEST(WrongCalls, Products) {
  const AnyTensor singular = zeros({2, 2}, DType::float64), wide = d({2, 3});
  run_table({
      WRONG(ShapeError, matmul(f({32, 784}), f({128, 784})), "matmul", "[32, 784]", "[128, 784]", "784", "128", "w.t()"),
      WRONG(ShapeError, matmul(f({2, 3}), f({4})), "matmul", "[4]"),
      WRONG(ShapeError, matmul(f({3}), f({4})), "matmul"),
      WRONG(ShapeError, matmul(f({}), f({4})), "matmul"),
      WRONG(ShapeError, matmul(f({2, 3, 4}), f({3, 4, 5})), "matmul", "[2, 3, 4]"),
      WRONG(DTypeError, matmul(f({2, 2}), d({2, 2})), "matmul", "float64"),
      WRONG(ValueError, matmul(kNone, f({2, 2})), "matmul", "undefined"),
      WRONG(ShapeError, mm(f({2, 3, 4}), f({4, 5})), "mm"),
      WRONG(ShapeError, mm(f({2, 3}), f({2, 3})), "mm", "[2, 3]"),
      WRONG(ShapeError, bmm(f({2, 3, 4}), f({3, 4, 5})), "bmm"),
      WRONG(ShapeError, mv(f({2, 3}), f({2})), "mv"),
      WRONG(ShapeError, dot(f({3}), f({4})), "dot", "[3]", "[4]"),
      WRONG(ShapeError, outer(f({3, 3}), f({4})), "outer"),
      WRONG(ShapeError, addmm(f({7}), f({2, 3}), f({3, 4})), "addmm", "[7]"),
      WRONG(ShapeError, linear(f({2, 3}), f({5, 4})), "linear", "[2, 3]", "[5, 4]"),
      WRONG(ShapeError, linear(f({2, 3}), f({5, 3}), f({4})), "linear", "[4]"),
      WRONG(ShapeError, add_layer_norm(f({2, 3}), f({3}), {3}), "add_layer_norm", "[2, 3]", "[3]", "expand"),
      WRONG(DTypeError, add_layer_norm(f({2, 3}), d({2, 3}), {3}), "add_layer_norm", "float32", "float64"),
      WRONG(ShapeError, add_rms_norm(f({2, 3}), f({2, 3}), {2}), "add_rms_norm", "[2, 3]", "[2]"),
      WRONG(ValueError, add_rms_norm(f({2, 3}), kNone, {3}), "add_rms_norm", "undefined"),
      WRONG(ShapeError, add_group_norm(f({2, 3}), f({3}), 3), "add_group_norm", "[2, 3]", "[3]", "expand"),
      WRONG(DTypeError, add_group_norm(f({2, 3}), d({2, 3}), 3), "add_group_norm", "float32", "float64"),
      WRONG(ShapeError, add_group_norm(f({2, 3}), f({2, 3}), 2), "add_group_norm", "3 channels", "2 equal groups"),
      WRONG(ValueError, add_group_norm(f({2, 3}), kNone, 3), "add_group_norm", "undefined"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 4}), {}, f({3, 5}), {}), "feed_forward", "[2, 3]", "[5, 4]"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), f({4}), f({3, 5}), {}), "feed_forward", "[4]", "5"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 4}), {}), "feed_forward", "[5, 3]", "[3, 4]", "must be 5"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 5}), f({5})), "feed_forward", "[5]", "3"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({5}), {}), "feed_forward", "second weight", "[5]"),
      WRONG(ShapeError, feed_forward(f({}), f({5, 3}), {}, f({3, 5}), {}), "feed_forward", "[5, 3]"),
      WRONG(DTypeError, feed_forward(f({2, 3}), d({5, 3}), {}, f({3, 5}), {}), "feed_forward", "float32", "float64"),
      WRONG(DTypeError, feed_forward(f({2, 3}), f({5, 3}), {}, d({3, 5}), {}), "feed_forward", "float32", "float64"),
      WRONG(DTypeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 5}), d({3})), "feed_forward", "float64"),
      WRONG(DTypeError, feed_forward(integers({1, 2}), f({5, 2}), {}, f({3, 5}), {}), "feed_forward", "int64"),
      WRONG(ValueError, feed_forward(kNone, f({5, 2}), {}, f({3, 5}), {}), "feed_forward", "undefined"),
      WRONG(ValueError, feed_forward(f({2, 3}), f({5, 3}), {}, kNone, {}), "feed_forward", "undefined"),
      WRONG(ShapeError, linalg::inv(wide), "inv", "[2, 3]"),
      WRONG(Error, linalg::inv(singular), "inv", "singular"),
      WRONG(Error, linalg::solve(singular, d({2, 1})), "solve", "singular"),
      WRONG(ShapeError, linalg::solve(d({2, 2}), d({3, 1})), "solve"),
      WRONG(Error, linalg::cholesky(singular), "cholesky"),
      WRONG(ShapeError, linalg::det(wide), "det"),
      WRONG(ShapeError, linalg::qr(d({3})), "qr"),
      WRONG(ShapeError, linalg::svd(d({3})), "svd"),
      WRONG(ShapeError, linalg::eigh(wide), "eigh"),
      WRONG(DTypeError, linalg::inv(Tensor<int64_t>{{1, 0}, {0, 1}}), "inv", "int64"),
  });
}

TEST(WrongCalls, IndexingAndScattering) {
  const AnyTensor x = f({4, 6});
  const AnyTensor index = integers({0, 9});
  run_table({
      WRONG(IndexError, index_select(x, 0, index), "index_select", "9"),
      WRONG(ShapeError, index_select(x, 2, integers({0})), "index_select", "2"),
      WRONG(DTypeError, index_select(x, 0, f({2})), "index_select", "float32"),
      WRONG(IndexError, gather(x, 1, integers({0, 6}).reshape({1, 2})), "gather", "6"),
      WRONG(ShapeError, gather(x, 1, integers({0})), "gather"),
      WRONG(DTypeError, gather(x, 1, f({1, 2})), "gather", "float32"),
      WRONG(IndexError, scatter(x, 0, integers({5}).reshape({1, 1}), f({1, 1})), "scatter", "5"),
      WRONG(DTypeError, scatter_add(x, 0, integers({1}).reshape({1, 1}), d({1, 1})), "scatter_add"),
      WRONG(IndexError, take(x, integers({24})), "take", "24"),
      WRONG(DTypeError, masked_fill(x, x, 1), "masked_fill", "float32"),
      WRONG(ShapeError, masked_select(x, f({5}) > 0), "masked_select"),
      WRONG(Error, one_hot(integers({0, 5}), 5), "one_hot", "5"),
      WRONG(Error, one_hot(integers({-1})), "one_hot", "-1"),
      WRONG(Error, bincount(integers({-1})), "bincount", "-1"),
      WRONG(ShapeError, index_add(x, 0, integers({0, 1}), f({3, 6})), "index_add"),
  });
}

TEST(WrongCalls, Networks) {
  const AnyTensor image = f({2, 3, 8, 8}), w = f({4, 3, 3, 3});
  run_table({
      WRONG(ShapeError, conv2d(image, f({4, 2, 3, 3})), "conv2d", "[2, 3, 8, 8]", "[4, 2, 3, 3]"),
      WRONG(ShapeError, conv2d(f({2, 3}), w), "conv2d", "[2, 3]"),
      WRONG(ShapeError, conv2d(image, w, f({5})), "conv2d", "[5]"),
      WRONG(DTypeError, conv2d(image, d({4, 3, 3, 3})), "conv2d", "float64"),
      WRONG(ShapeError, conv2d(f({2, 3, 2, 2}), w), "conv2d"),
      WRONG(ValueError, conv2d(image, w, {}, {.stride = 0}), "conv2d", "stride"),
      WRONG(ValueError, conv2d(image, w, {}, {.dilation = 0}), "conv2d", "dilation"),
      WRONG(Error, conv2d(image, w, {}, {.groups = 2}), "conv2d", "group"),
      WRONG(ShapeError, conv1d(f({2, 3, 8}), f({4, 2, 3})), "conv1d"),
      WRONG(ShapeError, conv_transpose2d(image, f({4, 3, 3, 3})), "conv_transpose2d"),
      WRONG(Error, max_pool2d(image, {.kernel = 0}), "max_pool2d", "kernel"),
      WRONG(ShapeError, max_pool2d(image, {.kernel = 9}), "max_pool2d", "9"),
      WRONG(ShapeError, max_pool2d(f({3}), {.kernel = 2}), "max_pool2d"),
      WRONG(Error, avg_pool2d(image, {.kernel = 2, .padding = 2}), "avg_pool2d", "padding"),
      WRONG(Error, adaptive_avg_pool2d(image, -1), "adaptive_avg_pool2d", "-1"),
      WRONG(ShapeError, layer_norm(f({2, 5}), {4}), "layer_norm", "[4]", "[2, 5]"),
      WRONG(ShapeError, layer_norm(f({2, 5}), {5}, f({4})), "layer_norm", "weight"),
      WRONG(ShapeError, rms_norm(f({2, 5}), {2}), "rms_norm"),
      WRONG(Error, group_norm(f({2, 6, 3}), 4), "group_norm", "4", "6"),
      WRONG(Error, batch_norm(f({2, 3}), f({4}), f({4})), "batch_norm"),
      WRONG(Error, batch_norm(f({1, 3}), f({3}), f({3}), {}, {}, {.training = true}), "batch_norm"),
      WRONG(Error, interpolate(image, {}), "interpolate"),
      WRONG(IndexError, cross_entropy(f({4, 10}), integers({1, 2, 3, 12})), "cross_entropy", "target 12", "index 3", "[0, 10)",
            "ignore_index"),
      WRONG(IndexError, cross_entropy(f({2, 10}), integers({1, -1})), "cross_entropy", "-1"),
      WRONG(ShapeError, cross_entropy(f({4, 10}), integers({1, 2})), "cross_entropy", "[2]", "[4, 10]"),
      WRONG(DTypeError, cross_entropy(f({2, 10}), integers({1, 2}).to(DType::int32)), "cross_entropy", "int32", "int64"),
      WRONG(ShapeError, cross_entropy(f({}), integers({1})), "cross_entropy", "scalar"),
      WRONG(ValueError, cross_entropy(f({2, 10}), integers({1, 2}), {.label_smoothing = -1}), "cross_entropy", "label_smoothing"),
      WRONG(ShapeError, cross_entropy(f({2, 10}), integers({1, 2}), {.weight = f({3})}), "cross_entropy", "weight", "[3]"),
      WRONG(IndexError, nll_loss(f({2, 10}), integers({1, 10})), "nll_loss", "10"),
      WRONG(ShapeError, mse_loss(f({4, 1}), f({4})), "mse_loss", "[4, 1]", "[4]"),
      WRONG(DTypeError, mse_loss(f({4}), d({4})), "mse_loss", "float64"),
      WRONG(ShapeError, l1_loss(f({4, 1}), f({4})), "l1_loss"),
      WRONG(ValueError, huber_loss(f({4}), f({4}), {.delta = 0}), "huber_loss", "delta"),
      WRONG(ValueError, smooth_l1_loss(f({4}), f({4}), {.beta = -1}), "smooth_l1_loss", "beta"),
      WRONG(ShapeError, binary_cross_entropy(f({4}), f({3})), "binary_cross_entropy"),
      WRONG(ShapeError, kl_div(f({4}), f({3})), "kl_div"),
  });
}
