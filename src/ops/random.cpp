#include "gradus/ops/random.h"

#include <cmath>

#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// The blocks of four words that n elements of x take: four elements a block, or two where each needs two words.
Draw take(Generator& g, int64_t n, bool two_words) { return draw_blocks(g, uint64_t(two_words ? (n + 1) / 2 : (n + 3) / 4)); }

/// Lets fill(row-major tensor, draw) write x, whatever the layout of x is.
template <class F> void draw_into(AnyTensor& x, Generator& g, bool two_words, F&& fill) {
  Draw draw = take(g, x.numel(), two_words);
  if (x.numel() == 0) return;
  NoGrad no_grad;
  AnyTensor y = x.is_contiguous() ? x : empty(x.shape(), x.dtype(), x.device());
  fill(array(y), draw);
  if (!y.is_same(x)) kernel("random", &KernelTable::copy, x)(array(x), array(y));
}
/// The same in place: x leaves the graph.
template <class F> AnyTensor& redraw(const char* op, AnyTensor& x, Generator& g, bool two_words, F&& fill) {
  check_in_place(op, x);
  for (int d = 0; d < x.dim(); ++d)
    if (x.stride()[d] == 0 && x.shape()[d] > 1)
      fail<ValueError>(op, "_: x of shape ", x.shape(), " is expanded, so elements share memory; clone() it first");
  draw_into(x, g, two_words, fill);
  written_in_place(x);
  if (is_grad_enabled()) x.impl()->node.reset();
  return x;
}
bool is_wide(const AnyTensor& x) { return x.dtype() == DType::float64; }

void check_probability(const char* op, double p) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>(op, ": probability ", p, " is outside [0, 1]; sigmoid() gives probabilities");
}
void check_deviation(const char* op, double deviation) {
  if (!(deviation >= 0)) fail<ValueError>(op, ": deviation ", deviation, " is negative");
}
void check_range(const char* op, double low, double high) {
  if (!(low <= high && high - low < HUGE_VAL)) fail<ValueError>(op, ": no numbers lie in [", low, ", ", high, ")");
}
void check_rate(const char* op, double rate) {
  if (!(rate > 0)) fail<ValueError>(op, ": rate ", rate, " is not positive");
}
/// A count of true elements that is not zero.
bool any_true(const AnyTensor& condition) { return to(condition, DType::int64).sum().item() != 0; }

auto uniform_into(double low, double high, const AnyTensor& x) {
  return [f = kernel("uniform", &KernelTable::uniform, x), low, high](const Array& y, Draw draw) { f(y, draw, low, high); };
}
auto normal_into(double mean, double deviation, const AnyTensor& x) {
  return
      [f = kernel("normal", &KernelTable::normal, x), mean, deviation](const Array& y, Draw draw) { f(y, draw, mean, deviation); };
}
auto bernoulli_into(double p, const AnyTensor& x) {
  return [f = kernel("bernoulli", &KernelTable::bernoulli, x), p](const Array& y, Draw draw) { f(y, Array{}, draw, p); };
}
auto integers_into(const char* op, int64_t low, int64_t high, const AnyTensor& x) {
  if (x.dtype() == DType::boolean) fail<DTypeError>(op, ": integers in bool; use bernoulli");
  if (low >= high) fail<ValueError>(op, ": no integers lie in [", low, ", ", high, ")");
  if (is_integer(x.dtype()) && x.dtype() != DType::int64) {
    int bits = int(item_size(x.dtype())) * 8;
    int64_t least = x.dtype() == DType::uint8 ? 0 : -(int64_t(1) << (bits - 1)), most = least + (int64_t(1) << bits) - 1;
    if (low < least || high - 1 > most) fail<ValueError>(op, ": ", x.dtype(), " cannot hold all of [", low, ", ", high, ")");
  }
  auto* f = kernel(op, &KernelTable::random_integers, x);
  return [f, low, range = uint64_t(high) - uint64_t(low)](const Array& y, Draw draw) { f(y, draw, low, range); };
}

}  // namespace

namespace {
/// Not drawn yet.
AnyTensor empty_for(const char* op, const Shape& shape, DType dtype, Device device) {
  check_sizes(op, shape);
  return empty(shape, dtype, device);
}
AnyTensor uniform_named(const char* op, const Shape& shape, double low, double high, DType dtype, Generator& g, Device device) {
  AnyTensor y = empty_for(op, shape, dtype, device);
  check_float(op, y);
  draw_into(y, g, is_wide(y), uniform_into(low, high, y));
  return y;
}
AnyTensor normal_named(const char* op, const Shape& shape, double mean, double deviation, DType dtype, Generator& g,
                       Device device) {
  AnyTensor y = empty_for(op, shape, dtype, device);
  check_float(op, y);
  draw_into(y, g, is_wide(y), normal_into(mean, deviation, y));
  return y;
}
}  // namespace

AnyTensor uniform(const Shape& shape, double low, double high, DType dtype, Generator& g, Device device) {
  check_range("uniform", low, high);
  return uniform_named("uniform", shape, low, high, dtype, g, device);
}
AnyTensor rand(const Shape& shape, DType dtype, Generator& g, Device device) {
  return uniform_named("rand", shape, 0, 1, dtype, g, device);
}

AnyTensor normal(const Shape& shape, double mean, double deviation, DType dtype, Generator& g, Device device) {
  check_deviation("normal", deviation);
  return normal_named("normal", shape, mean, deviation, dtype, g, device);
}
AnyTensor randn(const Shape& shape, DType dtype, Generator& g, Device device) {
  return normal_named("randn", shape, 0, 1, dtype, g, device);
}
AnyTensor normal(const AnyTensor& mean, const AnyTensor& deviation, Generator& g) {
  check_same("normal", mean, deviation);
  check_float("normal", mean);
  if (any_true(deviation.detach() < 0)) fail<ValueError>("normal: a deviation is negative");
  Shape shape;
  shape.rank = broadcast({mean.dim(), mean.shape().size, nullptr}, {deviation.dim(), deviation.shape().size, nullptr}, shape.size);
  if (shape.rank < 0) fail<ShapeError>("normal: shapes ", mean.shape(), " and ", deviation.shape(), " do not broadcast");
  return mean + deviation * randn(shape, mean.dtype(), g, mean.device());
}

AnyTensor randint(int64_t low, int64_t high, const Shape& shape, DType dtype, Generator& g, Device device) {
  AnyTensor y = empty_for("randint", shape, dtype, device);
  draw_into(y, g, true, integers_into("randint", low, high, y));
  return y;
}

Tensor<int64_t> randperm(int64_t n, Generator& g, Device device) {
  if (n < 0) fail<ValueError>("randperm: n is ", n, "; it cannot be negative");
  AnyTensor y = empty({n}, DType::int64, device);
  draw_into(y, g, true, [f = kernel("randperm", &KernelTable::random_permutation, y)](const Array& to, Draw draw) { f(to, draw); });
  return Tensor<int64_t>(y);
}

AnyTensor bernoulli(const AnyTensor& p, Generator& g) {
  check_float("bernoulli", p);
  AnyTensor probability = dense(p.detach());
  if (any_true(logical_not(logical_and(probability >= 0, probability <= 1))))
    fail<ValueError>("bernoulli: a probability is outside [0, 1]; sigmoid() gives probabilities");
  AnyTensor y = empty(p.shape(), p.dtype(), p.device());
  draw_into(y, g, is_wide(p), [&, f = kernel("bernoulli", &KernelTable::bernoulli, p)](const Array& to, Draw draw) {
    f(to, array(probability), draw, 0);
  });
  record_without_gradient("bernoulli", y, {&p});
  return y;
}
AnyTensor bernoulli(const Shape& shape, double p, DType dtype, Generator& g, Device device) {
  check_probability("bernoulli", p);
  AnyTensor y = empty_for("bernoulli", shape, dtype, device);
  draw_into(y, g, false, bernoulli_into(p, y));
  return y;
}

AnyTensor exponential(const Shape& shape, double rate, DType dtype, Generator& g, Device device) {
  check_rate("exponential", rate);
  AnyTensor y = empty_for("exponential", shape, dtype, device);
  return exponential_(y, rate, g);
}

Tensor<int64_t> multinomial(const AnyTensor& weights, int64_t n, bool replacement, Generator& g) {
  check_float("multinomial", weights);
  if (weights.dim() != 1 && weights.dim() != 2)
    fail<ShapeError>("multinomial: weights of shape ", weights.shape(), " are neither (classes) nor (rows, classes)");
  NoGrad no_grad;
  AnyTensor w = to(weights.detach(), DType::float64).contiguous();
  if (w.dim() == 1) w = unsqueeze(w, 0);
  int64_t rows = w.shape()[0], classes = w.shape()[1];
  if (n < 0) fail<ValueError>("multinomial: ", n, " classes are asked for");
  if (any_true(logical_not(logical_and(w >= 0, isfinite(w))))) fail<ValueError>("multinomial: a weight is negative or not finite");
  int64_t needed = replacement ? (n > 0) : n;
  if (any_true(to(w > 0, DType::int64).sum(1) < needed))
    fail<ValueError>("multinomial: a row has fewer than ", needed, " positive weights",
                     replacement ? "" : "; draw with replacement");
  AnyTensor y = empty({rows, n}, DType::int64, w.device());
  Draw draw = take(g, replacement ? rows * n : rows * classes, true);
  if (y.numel() > 0) kernel("multinomial", &KernelTable::multinomial, y)(array(y), array(w), draw, replacement);
  return Tensor<int64_t>(weights.dim() == 1 ? squeeze(y, 0) : y);
}

AnyTensor rand_like(const AnyTensor& x, Generator& g) {
  check_float("rand_like", x);
  AnyTensor y = empty_like(x);
  return uniform_(y, 0, 1, g);
}
AnyTensor randn_like(const AnyTensor& x, Generator& g) {
  check_float("randn_like", x);
  AnyTensor y = empty_like(x);
  return normal_(y, 0, 1, g);
}
AnyTensor randint_like(const AnyTensor& x, int64_t low, int64_t high, Generator& g) {
  check_defined("randint_like", x);
  AnyTensor y = empty_like(x);
  draw_into(y, g, true, integers_into("randint_like", low, high, y));
  return y;
}
AnyTensor bernoulli_like(const AnyTensor& x, double p, Generator& g) {
  check_defined("bernoulli_like", x);
  check_probability("bernoulli_like", p);
  AnyTensor y = empty_like(x);
  return bernoulli_(y, p, g);
}

AnyTensor& uniform_(AnyTensor& x, double low, double high, Generator& g) {
  check_float("uniform_", x);
  check_range("uniform_", low, high);
  return redraw("uniform", x, g, is_wide(x), uniform_into(low, high, x));
}
AnyTensor& normal_(AnyTensor& x, double mean, double deviation, Generator& g) {
  check_float("normal_", x);
  check_deviation("normal_", deviation);
  return redraw("normal", x, g, is_wide(x), normal_into(mean, deviation, x));
}
AnyTensor& bernoulli_(AnyTensor& x, double p, Generator& g) {
  check_defined("bernoulli_", x);
  check_probability("bernoulli_", p);
  return redraw("bernoulli", x, g, false, bernoulli_into(p, x));
}
AnyTensor& exponential_(AnyTensor& x, double rate, Generator& g) {
  check_float("exponential_", x);
  check_rate("exponential_", rate);
  uniform_(x, 0, 1, g);
  NoGrad no_grad;
  return div_scalar_(log1p_(neg_(x)), -rate);  // 1 - u is never 0
}
AnyTensor& random_(AnyTensor& x, int64_t low, int64_t high, Generator& g) {
  check_defined("random_", x);
  return redraw("random", x, g, true, integers_into("random_", low, high, x));
}
AnyTensor& random_(AnyTensor& x, Generator& g) {
  check_defined("random_", x);
  static constexpr int kDigits[kDTypes] = {24, 53, 11, 8, 7, 15, 31, 63, 8, 1};  // of the integers that each dtype has without gaps
  int digits = kDigits[int(x.dtype())];
  int64_t high = digits == 63 ? INT64_MAX : (int64_t(1) << digits) + is_float(x.dtype());
  return random_(x, 0, high, g);
}

}  // namespace gradus
