// Layers: a product with a weight, its bias, and two of them with gelu between.
#include "gradus/autograd/gradient.h"
#include "gradus/ops/create.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/view.h"
#include "kernels/functors.h"
#include "src/autograd/engine.h"
#include "src/ops/matrix.h"

namespace gradus {
namespace {

int64_t rows_of(const AnyTensor& x) {
  int64_t rows = 1;
  for (int d = 0; d < x.dim() - 1; ++d) rows *= x.shape()[d];
  return rows;
}

void check_bias(const char* op, const AnyTensor& weight, const AnyTensor& bias) {
  if (!bias.defined()) return;
  check_same(op, weight, bias);
  if (bias.dim() != 1 || bias.size(0) != weight.size(0))
    fail<ShapeError>(op, ": bias ", bias.shape(), " for ", weight.size(0), " outputs");
}
void check_layer(const char* op, const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias) {
  check_product(op, x, weight);
  check_rank(op, "the weight", weight, 2);
  const int64_t in = weight.size(1);
  if (x.dim() == 0 || x.size(-1) != in)
    fail<ShapeError>(op, ": input ", x.shape(), ", weight ", weight.shape(), ": the input's last size must be ", in);
  check_bias(op, weight, bias);
}

/// What takes the shape of x but for its last size.
AnyTensor empty_rows(const AnyTensor& x, int64_t size) {
  Shape shape = x.shape();
  shape[-1] = size;
  return empty(shape, x.dtype(), x.device());
}

/// x w' + bias, or x w.
AnyTensor times(const char* op, const AnyTensor& x, Matrix& w, const AnyTensor& bias = {}) {
  const int64_t rows = rows_of(x);
  AnyTensor y = empty_rows(x, w.shape[1]);
  Rows to(y, rows), from(x, rows);
  multiply(op, y, to, from, w, bias.defined() ? dense(bias) : bias);
  return y;
}

/// In a rule: the gradient of a weight, which is input `at`, as g' x; and that of its bias, the next input, where with_bias.
void give_gradients(const char* op, uint32_t at, const AnyTensor& g, const AnyTensor& x, bool with_bias, AnyTensor* grads) {
  const int64_t rows = rows_of(x);
  with_bias = with_bias && wanted(at + 1);
  const bool sums = with_bias && wanted(at) && rows > 1;
  if (with_bias && !sums) grads[at + 1] = g;  // the engine sums it down
  if (!wanted(at) || (rows == 1 && give_outer_product(at, g, x))) return;
  AnyTensor& dw = grads[at] = empty({g.size(-1), x.size(-1)}, g.dtype(), g.device());
  Rows from(g, rows), in(x, rows);
  Matrix to(dw);
  if (!sums) return multiply(op, dw, to, from.transposed(), in);
  grads[at + 1] = empty({g.size(-1)}, g.dtype(), g.device());
  kernel(op, &KernelTable::matmul_sums, g)(to.array_view(), array(grads[at + 1]), from.transposed().array_view(), in.array_view());
}
/// The same as public ops.
AnyTensor gradient_of_weight(const AnyTensor& g, const AnyTensor& x) {
  const int64_t rows = rows_of(x);
  return mm(reshape(g, {rows, g.size(-1)}).t(), reshape(x, {rows, x.size(-1)}));
}

}  // namespace

AnyTensor linear(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias) {
  check_layer("linear", x, weight, bias);
  Matrix w(weight);
  AnyTensor y = times("linear", x, w.transposed(), bias);
  if (!is_float(x.dtype())) return y;
  record("linear", y, {&x, &weight, &bias}, [x = Saved(x), weight = Saved(weight)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor w = weight(), in = x();
    if (is_grad_enabled()) {
      if (wanted(0)) grads[0] = matmul(g, w);
      if (wanted(1)) grads[1] = gradient_of_weight(g, in);
      if (wanted(2)) grads[2] = g;
      return;
    }
    Matrix mw(w);
    if (wanted(0)) grads[0] = times("linear", g, mw);
    give_gradients("linear", 1, g, in, true, grads);
  });
  return y;
}

// ---- feed_forward ------------------------------------------------------------------------------------------------------------

namespace {

constexpr const char* kFeedForward = "feed_forward";

/// y = a w2' + b2 with a = gelu(h), h = x w1' + b1.
struct FeedForwardRule {
  Saved x, w1, b1, h, a, w2;

  void operator()(const AnyTensor& g, AnyTensor* grads) { is_grad_enabled() ? composed(g, grads) : fused(g, grads); }

  void fused(const AnyTensor& g, AnyTensor* grads) {
    AnyTensor in = x(), first = w1(), second = w2(), inner = h(), activated = a.give();
    give_gradients(kFeedForward, 3, g, activated, true, grads);
    if (!wanted(0) && !wanted(1) && !wanted(2)) return;
    // What gelu gave is not read again, so the gradient of what it was given takes its place.
    AnyTensor d = owned_alone(activated) ? activated : empty(inner.shape(), g.dtype(), g.device());
    activated = {};
    const int64_t rows = rows_of(in);
    AnyTensor sums = wanted(2) ? empty({first.size(0)}, g.dtype(), g.device()) : AnyTensor();
    {
      Rows to(d, rows), from(g, rows), at(inner, rows);
      Matrix w(second);
      kernel(kFeedForward, &KernelTable::matmul_gelu_backward, g)(to.array_view(), array(sums), from.array_view(), w.array_view(),
                                                                  at.array_view());
    }
    grads[2] = std::move(sums);
    Matrix w(first);
    if (wanted(0)) grads[0] = times(kFeedForward, d, w);
    give_gradients(kFeedForward, 1, d, in, false, grads);
  }

  void composed(const AnyTensor& g, AnyTensor* grads) const {
    AnyTensor in = x(), first = w1(), inner = linear(in, first, b1());  // once more, since its gradient may be asked for
    if (wanted(4)) grads[4] = g;
    if (wanted(3)) grads[3] = gradient_of_weight(g, gelu_tanh(inner));
    AnyTensor d = matmul(g, w2()) * gelu_tanh_slope(inner);
    if (wanted(2)) grads[2] = d;
    if (wanted(1)) grads[1] = gradient_of_weight(d, in);
    if (wanted(0)) grads[0] = matmul(d, first);
  }
};

}  // namespace

AnyTensor feed_forward(const AnyTensor& x, const AnyTensor& weight1, const AnyTensor& bias1, const AnyTensor& weight2,
                       const AnyTensor& bias2) {
  check_float(kFeedForward, x);
  check_layer(kFeedForward, x, weight1, bias1);
  check_same(kFeedForward, x, weight2);
  check_rank(kFeedForward, "the second weight", weight2, 2);
  if (weight2.size(1) != weight1.size(0))
    fail<ShapeError>(kFeedForward, ": weights ", weight1.shape(), " and ", weight2.shape(), ": the second one's last size must be ",
                     weight1.size(0));
  check_bias(kFeedForward, weight2, bias2);

  const bool recorded = Inputs{&x, &weight1, &bias1, &weight2, &bias2}.any_records();
  AnyTensor a = empty_rows(x, weight1.size(0)), h = recorded ? empty(a.shape(), a.dtype(), a.device()) : AnyTensor();
  const AnyTensor b = bias1.defined() ? dense(bias1) : bias1;
  {
    const int64_t rows = rows_of(x);
    Rows to(a, rows), from(x, rows);
    Matrix w(weight1);
    Array inner = to.array_view();
    inner.data = h.defined() ? h.raw_data() : nullptr;
    kernel(kFeedForward, &KernelTable::matmul_gelu, x)(to.array_view(), inner, from.array_view(), w.transposed().array_view(),
                                                       array(b));
  }
  Matrix w(weight2);
  AnyTensor y = times(kFeedForward, a, w.transposed(), bias2);
  record(kFeedForward, y, {&x, &weight1, &bias1, &weight2, &bias2},
         FeedForwardRule{Saved(x), Saved(weight1), Saved(bias1), Saved(h), Saved(a), Saved(weight2)});
  return y;
}

}  // namespace gradus
