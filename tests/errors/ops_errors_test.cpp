#include "tests/errors/arguments.h"
#include "tests/errors/table.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

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
      WRONG(DTypeError, bitwise_not(f({2})), "bitwise", "needs integers or"),
      WRONG(DTypeError, where(f({2}), f({2}), f({2})), "where", "condition", "float32", "bool"),
      WRONG(DTypeError, integers({1}) + 0.5, "add", "0.5", "int64"),
      WRONG(DTypeError, integers({1}) * 1.5, "mul", "1.5"),
      WRONG(DTypeError, lt(integers({1}), 0.5), "lt: scalar", "0.5"),
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
      WRONG(ValueError, kNone.to(DType::float32), "to: got an", "undefined"),
  });
}

TEST(WrongCalls, CreationAndViews) {
  const AnyTensor x = f({4, 6});
  constexpr int64_t kBig = int64_t(1) << 40;
  run_table({
      WRONG(ShapeError, zeros({-1, 2}, DType::float32), "zeros: shape [-1, 2]", "negative"),
      WRONG(ShapeError, empty({kBig, kBig}, DType::float32), "empty", "counted", "[1099511627776, 1099511627776] has"),
      WRONG(OutOfMemory, empty({kBig, 1 << 20}, DType::float64), "out of memory", "shape [1099511627776, 1048576]"),
      WRONG(OutOfMemory, empty({kBig, 100}, DType::float32), "out of memory", "asked for", "free tensors, or"),
      WRONG(ShapeError, (Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), "shape: 9 dimensions", "most 8"),
      WRONG(ShapeError, (Tensor<float>{{1, 2}, {3}}), "tensor: the rows of", "different lengths"),
      WRONG(ShapeError, (Tensor<float>{{1, 2}, 3}), "tensor: the rows of", "different lengths"),
      WRONG(ValueError, from_blob(nullptr, {2}, DType::float32), "from_blob", "null"),
      WRONG(ShapeError, empty_strided({2, 3}, {4, 1}, DType::float32), "empty_strided", "gaps", "strides [4, 1]"),
      WRONG(ShapeError, empty_channels_last({2, 3}, DType::float32), "empty_channels_last", "(N, C, H, W)", "shape [2, 3]"),
      WRONG(ShapeError, x.reshape({5, 5}), "reshape", "has 24", "has 25"),
      WRONG(ShapeError, x.reshape({7, -1}), "reshape", "of -1"),
      WRONG(ShapeError, x.reshape({-1, -1}), "reshape", "more than one"),
      WRONG(ShapeError, x.reshape({-2, 12}), "reshape", "negative"),
      WRONG(ShapeError, x.t().view({24}), "view", "reshape()"),
      WRONG(ShapeError, x.transpose(0, 2), "transpose", "axis 2", "-2 to 1"),
      WRONG(ShapeError, x.permute({0}), "permute", "[0]"),
      WRONG(ShapeError, x.permute({0, 0}), "permute", "twice"),
      WRONG(ShapeError, x.expand({5, 6}), "expand", "[4, 6]"),
      WRONG(ShapeError, x.expand({6}), "expand", "more dimensions"),
      WRONG(ShapeError, x.squeeze(3), "squeeze", "axis 3"),
      WRONG(ShapeError, x.unsqueeze(4), "unsqueeze", "axis 4"),
      WRONG(ShapeError, x.flatten(1, 0), "flatten", "axis 1 comes"),
      WRONG(ShapeError, unflatten(x, 1, {4, 2}), "unflatten", "[4, 2]"),
      WRONG(ShapeError, f({2, 3, 4}).t(), "t: shape", "transpose"),
      WRONG(IndexError, x.select(0, 4), "select", "index 4", "[4, 6]"),
      WRONG(IndexError, x.select(1, -7), "select", "index -7"),
      WRONG(IndexError, f({}).select(0, 0), "select", "item()"),
      WRONG(IndexError, x.narrow(0, 3, 2), "narrow", "from 3"),
      WRONG(IndexError, x.narrow(0, 0, -1), "narrow", "-1 from"),
      WRONG(ValueError, x.slice(0, 0, 4, 0), "slice", "step 0"),
      WRONG(ValueError, x.slice(0, 4, 0, -1), "slice", "flip()"),
      WRONG(ShapeError, x.size(2), "size", "axis 2"),
      WRONG(ShapeError, x.item(), "item", "[4, 6]"),
      WRONG(DTypeError, Tensor<float>(d({2})), "tensor: asked", "float32", "float64"),
      WRONG(ShapeError, at(f({2})).copy_(f({3})), "copy_", "[3]", "[2]"),
      WRONG(DeviceError, Device("gpu"), "device", "gpu", "cuda"),
      WRONG(DeviceError, Device("cuda:x"), "device", "cuda:x", "write cpu, cuda"),
      WRONG(DeviceError, x.to(Device("cuda:99")), "cuda", "cpu"),
      WRONG(DeviceError, zeros({2}, DType::float32, Device("cuda:99")), "cuda", "cpu"),
      WRONG(ValueError, x.detach().reshape({-1}).AnyTensor::slice(0, 0, 3, -2), "slice", "use flip() for"),
  });
}

TEST(WrongCalls, Random) {
  const double two = 2;
  run_table({
      WRONG(ValueError, randint(3, 3, {2}, DType::int64), "randint", "3, 3)"),
      WRONG(DTypeError, randn({2}, DType::int64), "randn", "int64", "cast with to<float>()"),
      WRONG(DTypeError, rand({2}, DType::boolean), "rand", "bool", "cast with to<float>()"),
      WRONG(ValueError, bernoulli({2}, two, DType::float32), "bernoulli", "probability 2"),
      WRONG(ValueError, bernoulli(f({2}) * 3.0), "bernoulli", "sigmoid() gives probabilities"),
      WRONG(ValueError, randperm(-1), "randperm", "it cannot be"),
      WRONG(ShapeError, randn({-2}, DType::float32), "randn", "negative", "[-2] has a"),
      WRONG(ShapeError, full({-2}, 1, DType::float32), "full", "[-2] has a"),
      WRONG(ShapeError, randint(0, 3, {-2}, DType::int64), "randint", "[-2] has a"),
      WRONG(ValueError, randint_like(f({2}), 3, 3), "randint_like", "[3, 3)"),
      WRONG(ValueError, exponential({2}, -1, DType::float32), "exponential", "rate -1"),
      WRONG(ValueError, multinomial(f({3}), 4), "multinomial", "than 4"),
      WRONG(ValueError, multinomial(f({3}) * -1.0, 1), "multinomial", "a weight is"),
  });
}

TEST(WrongCalls, Reductions) {
  const AnyTensor x = f({4, 6});
  run_table({
      WRONG(ShapeError, sum(x, 2), "sum", "axis 2", "-2 to 1"),
      WRONG(ShapeError, sum(x, {0, 0}), "sum", "twice"),
      WRONG(ShapeError, sum(x, {0, -2}), "sum", "twice"),
      WRONG(ShapeError, mean(x, -3), "mean", "axis -3"),
      WRONG(ShapeError, nanmean(x, 2), "nanmean", "axis 2"),
      WRONG(ShapeError, prod(x, 2), "prod", "axis 2"),
      WRONG(ShapeError, amax(x, {1, 1}), "amax", "twice"),
      WRONG(ShapeError, var_mean(x, 2), "var_mean", "axis 2"),
      WRONG(ShapeError, logsumexp(x, -3), "logsumexp", "axis -3"),
      WRONG(ShapeError, count_nonzero(x, 2), "count_nonzero", "axis 2"),
      WRONG(ValueError, msort(kNone), "msort", "undefined"),
      WRONG(ShapeError, unique(x, 2), "unique", "axis 2"),
      WRONG(ShapeError, unique_consecutive(f({}), 0), "unique_consecutive", "scalar"),
      WRONG(DTypeError, mean(integers({1, 2})), "mean", "int64"),
      WRONG(ValueError, sum(kNone), "sum", "undefined"),
      WRONG(ShapeError, softmax(x, 2), "softmax", "axis 2"),
      WRONG(DTypeError, softmax(integers({1}), 0), "softmax", "int64"),
      WRONG(ShapeError, log_softmax(x, -3), "log_softmax", "axis -3"),
  });
}

TEST(WrongCalls, Products) {
  const AnyTensor singular = zeros({2, 2}, DType::float64), wide = d({2, 3});
  run_table({
      WRONG(ShapeError, matmul(f({32, 784}), f({128, 784})), "matmul", "[32, 784]", "[128, 784]", "784", "128", "w.t()"),
      WRONG(ShapeError, matmul(f({2, 3}), f({4})), "matmul", "[4]"),
      WRONG(ShapeError, matmul(f({3}), f({4})), "matmul", "they must be"),
      WRONG(ShapeError, matmul(f({}), f({4})), "matmul", "did you mean"),
      WRONG(ShapeError, matmul(f({2, 3, 4}), f({3, 4, 5})), "matmul", "[2, 3, 4]"),
      WRONG(DTypeError, matmul(f({2, 2}), d({2, 2})), "matmul", "float64"),
      WRONG(ValueError, matmul(kNone, f({2, 2})), "matmul", "undefined"),
      WRONG(ShapeError, mm(f({2, 3, 4}), f({4, 5})), "mm: the left operand", "2 dimensions are"),
      WRONG(ShapeError, mm(f({2, 3}), f({2, 3})), "mm: [2, 3] x", "[2, 3]"),
      WRONG(ShapeError, bmm(f({2, 3, 4}), f({3, 4, 5})), "bmm", "matmul broadcasts a"),
      WRONG(ShapeError, mv(f({2, 3}), f({2})), "mv: [2, 3]", "did you mean"),
      WRONG(ShapeError, dot(f({3}), f({4})), "dot", "[3]", "[4]"),
      WRONG(ShapeError, outer(f({3, 3}), f({4})), "outer", "1 dimension is"),
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
      WRONG(ShapeError, batch_norm_relu(f({2, 3}), f({3}), f({3}), f({3})), "batch_norm_relu", "[2, 3]", "[3]", "expand"),
      WRONG(DTypeError, batch_norm_relu(f({2, 3}), d({2, 3}), f({3}), f({3})), "batch_norm_relu", "float32", "float64"),
      WRONG(ShapeError, batch_norm_relu(f({2, 3}), kNone, f({4}), f({4})), "batch_norm_relu", "running_mean has shape"),
      WRONG(ValueError, batch_norm_relu(f({2, 3}), f({2, 3}), kNone, f({3})), "batch_norm_relu", "unless in training"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 4}), {}, f({3, 5}), {}), "feed_forward", "[2, 3]", "[5, 4]"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), f({4}), f({3, 5}), {}), "feed_forward", "[4]", "for 5"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 4}), {}), "feed_forward", "[5, 3]", "[3, 4]", "must be 5"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 5}), f({5})), "feed_forward", "[5]", "for 3"),
      WRONG(ShapeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({5}), {}), "feed_forward", "second weight", "[5]"),
      WRONG(ShapeError, feed_forward(f({}), f({5, 3}), {}, f({3, 5}), {}), "feed_forward", "[5, 3]"),
      WRONG(DTypeError, feed_forward(f({2, 3}), d({5, 3}), {}, f({3, 5}), {}), "feed_forward", "float32", "float64"),
      WRONG(DTypeError, feed_forward(f({2, 3}), f({5, 3}), {}, d({3, 5}), {}), "feed_forward", "float32", "float64"),
      WRONG(DTypeError, feed_forward(f({2, 3}), f({5, 3}), {}, f({3, 5}), d({3})), "feed_forward", "float64"),
      WRONG(DTypeError, feed_forward(integers({1, 2}), f({5, 2}), {}, f({3, 5}), {}), "feed_forward", "int64"),
      WRONG(ValueError, feed_forward(kNone, f({5, 2}), {}, f({3, 5}), {}), "feed_forward", "undefined"),
      WRONG(ValueError, feed_forward(f({2, 3}), f({5, 3}), {}, kNone, {}), "feed_forward", "undefined"),
      WRONG(ShapeError, linalg::inv(wide), "inv", "[2, 3]"),
      WRONG(ValueError, linalg::inv(singular), "inv", "singular"),
      WRONG(ValueError, linalg::solve(singular, d({2, 1})), "solve", "singular"),
      WRONG(ShapeError, linalg::solve(d({2, 2}), d({3, 1})), "solve", "[2, 2] and"),
      WRONG(ValueError, linalg::cholesky(singular), "cholesky", "the matrix is"),
      WRONG(ShapeError, linalg::det(wide), "det", "see lstsq() or"),
      WRONG(ShapeError, linalg::qr(d({3})), "qr: shape", "at least 2"),
      WRONG(ShapeError, linalg::svd(d({3})), "svd", "at least 2"),
      WRONG(ShapeError, linalg::eigh(wide), "eigh", "see lstsq() or"),
      WRONG(DTypeError, linalg::inv(Tensor<int64_t>{{1, 0}, {0, 1}}), "inv", "int64"),
  });
}

TEST(WrongCalls, IndexingAndScattering) {
  const AnyTensor x = f({4, 6});
  const AnyTensor index = integers({0, 9});
  run_table({
      WRONG(IndexError, index_select(x, 0, index), "index_select", "index 9"),
      WRONG(ShapeError, index_select(x, 2, integers({0})), "index_select", "axis 2"),
      WRONG(DTypeError, index_select(x, 0, f({2})), "index_select", "float32"),
      WRONG(IndexError, gather(x, 1, integers({0, 6}).reshape({1, 2})), "gather", "index 6"),
      WRONG(ShapeError, gather(x, 1, integers({0})), "gather", "they need as"),
      WRONG(DTypeError, gather(x, 1, f({1, 2})), "gather", "float32"),
      WRONG(IndexError, scatter(x, 0, integers({5}).reshape({1, 1}), f({1, 1})), "scatter", "index 5"),
      WRONG(DTypeError, scatter_add(x, 0, integers({1}).reshape({1, 1}), d({1, 1})), "scatter_add", "cast one with"),
      WRONG(IndexError, take(x, integers({24})), "take", "index 24"),
      WRONG(DTypeError, masked_fill(x, x, 1), "masked_fill", "float32"),
      WRONG(ShapeError, masked_select(x, f({5}) > 0), "masked_select", "shapes [4, 6]"),
      WRONG(IndexError, one_hot(integers({0, 5}), 5), "one_hot", "index 5"),
      WRONG(IndexError, one_hot(integers({-1})), "one_hot", "-1 is"),
      WRONG(IndexError, bincount(integers({-1})), "bincount", "-1 is"),
      WRONG(ShapeError, index_add(x, 0, integers({0, 1}), f({3, 6})), "index_add", "the index asks"),
  });
}

TEST(WrongCalls, Networks) {
  const AnyTensor image = f({2, 3, 8, 8}), w = f({4, 3, 3, 3});
  run_table({
      WRONG(ShapeError, conv2d(image, f({4, 2, 3, 3})), "conv2d", "[2, 3, 8, 8]", "[4, 2, 3, 3]"),
      WRONG(ShapeError, conv2d(f({2, 3}), w), "conv2d", "[2, 3]"),
      WRONG(ShapeError, conv2d(image, w, f({5})), "conv2d", "[5]"),
      WRONG(DTypeError, conv2d(image, d({4, 3, 3, 3})), "conv2d", "float64"),
      WRONG(ShapeError, conv2d(f({2, 3, 2, 2}), w), "conv2d", "a kernel that"),
      WRONG(ValueError, conv2d(image, w, {}, {.stride = 0}), "conv2d", "stride"),
      WRONG(ValueError, conv2d(image, w, {}, {.dilation = 0}), "conv2d", "dilation"),
      WRONG(ShapeError, conv2d(image, w, {}, {.groups = 2}), "conv2d", "group"),
      WRONG(ShapeError, conv1d(f({2, 3, 8}), f({4, 2, 3})), "conv1d", "input [2, 3,"),
      WRONG(ShapeError, conv_transpose2d(image, f({4, 3, 3, 3})), "conv_transpose2d", "input [2, 3,"),
      WRONG(ValueError, max_pool2d(image, {.kernel = 0}), "max_pool2d", "kernel"),
      WRONG(ShapeError, max_pool2d(image, {.kernel = 9}), "max_pool2d", "window of 9"),
      WRONG(ShapeError, max_pool2d(f({3}), {.kernel = 2}), "max_pool2d", "input [3]: (N,"),
      WRONG(ValueError, avg_pool2d(image, {.kernel = 2, .padding = 2}), "avg_pool2d", "padding"),
      WRONG(ValueError, adaptive_avg_pool2d(image, -1), "adaptive_avg_pool2d", "a result of -1"),
      WRONG(ShapeError, layer_norm(f({2, 5}), {4}), "layer_norm", "[4]", "[2, 5]"),
      WRONG(ShapeError, layer_norm(f({2, 5}), {5}, f({4})), "layer_norm", "weight"),
      WRONG(ShapeError, rms_norm(f({2, 5}), {2}), "rms_norm", "x has shape"),
      WRONG(ShapeError, group_norm(f({2, 6, 3}), 4), "group_norm", "form 4", "6 channels"),
      WRONG(ShapeError, batch_norm(f({2, 3}), f({4}), f({4})), "batch_norm", "running_mean has shape"),
      WRONG(ValueError, batch_norm(f({1, 3}), f({3}), f({3}), {}, {}, {.training = true}), "batch_norm", "use a larger"),
      WRONG(ValueError, interpolate(image, {}), "interpolate", "give one of"),
      WRONG(IndexError, cross_entropy(f({4, 10}), integers({1, 2, 3, 12})), "cross_entropy", "target 12", "index 3", "[0, 10)",
            "ignore_index"),
      WRONG(IndexError, cross_entropy(f({2, 10}), integers({1, -1})), "cross_entropy", "target -1"),
      WRONG(ShapeError, cross_entropy(f({4, 10}), integers({1, 2})), "cross_entropy", "[2]", "[4, 10]"),
      WRONG(DTypeError, cross_entropy(f({2, 10}), integers({1, 2}).to(DType::int32)), "cross_entropy", "int32", "int64"),
      WRONG(ShapeError, cross_entropy(f({}), integers({1})), "cross_entropy", "scalar"),
      WRONG(ValueError, cross_entropy(f({2, 10}), integers({1, 2}), {.label_smoothing = -1}), "cross_entropy", "label_smoothing"),
      WRONG(ShapeError, cross_entropy(f({2, 10}), integers({1, 2}), {.weight = f({3})}), "cross_entropy", "weight", "[3]"),
      WRONG(IndexError, nll_loss(f({2, 10}), integers({1, 10})), "nll_loss", "target 10"),
      WRONG(ShapeError, mse_loss(f({4, 1}), f({4})), "mse_loss", "[4, 1]", "[4]"),
      WRONG(DTypeError, mse_loss(f({4}), d({4})), "mse_loss", "float64"),
      WRONG(ShapeError, l1_loss(f({4, 1}), f({4})), "l1_loss", "reshape or expand"),
      WRONG(ValueError, huber_loss(f({4}), f({4}), {.delta = 0}), "huber_loss", "delta"),
      WRONG(ValueError, smooth_l1_loss(f({4}), f({4}), {.beta = -1}), "smooth_l1_loss", "beta"),
      WRONG(ShapeError, binary_cross_entropy(f({4}), f({3})), "binary_cross_entropy", "reshape or expand"),
      WRONG(ShapeError, kl_div(f({4}), f({3})), "kl_div", "reshape or expand"),
  });
}
