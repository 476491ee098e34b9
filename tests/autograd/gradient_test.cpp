// Gradients that a leaf keeps as column x row: nobody can tell, whatever is done with them, but by the time that a step takes.
#include "gradus/autograd/gradient.h"

#include "tests/check.h"

namespace gradus {
namespace {

using testing::draw;
using testing::values;

constexpr int64_t kOut = 131, kIn = 129;  // large enough to be kept so, and no multiple of any packet

struct Product {
  AnyTensor weight, x, cotangent;
  explicit Product(DType dtype = DType::float64, int64_t in = kIn)
      : weight(draw({kOut, in}, -1, 1, 1, dtype).requires_grad_()),
        x(draw({1, in}, -1, 1, 2, dtype)),
        cotangent(draw({1, kOut}, -1, 1, 3, dtype)) {}
  void backward(const BackwardOptions& o = {}) const { linear(x, weight).backward(cotangent, o); }
  AnyTensor expected() const { return mm(cotangent.t(), x); }
};

bool kept_as_vectors(const AnyTensor& leaf) { return Gradient::of(leaf).column().defined(); }

TEST(Gradient, OfOneRowIsKeptAsVectorsUntilItIsRead) {
  for (DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    Product p(dtype);
    p.backward();
    ASSERT_TRUE(kept_as_vectors(p.weight)) << name(dtype);
    EXPECT_TRUE(equal(p.weight.grad(), p.expected())) << name(dtype);
    EXPECT_FALSE(kept_as_vectors(p.weight));
    EXPECT_TRUE(p.weight.grad().is_same(p.weight.grad()));
  }
}

DEVICE_TEST(Gradient, IsATensorWhereVectorsWouldNotDo) {
  Product p;
  linear(draw({2, kIn}), p.weight).backward(draw({2, kOut}));
  EXPECT_FALSE(kept_as_vectors(p.weight)) << "two rows";

  Product hooked;
  int calls = 0;
  register_hook(hooked.weight, [&](const AnyTensor& g) { return ++calls, g * 2; });
  hooked.backward();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(equal(hooked.weight.grad(), hooked.expected() * 2));

  Product second;
  AnyTensor y = linear(second.x, second.weight);
  second.cotangent.requires_grad_();
  AnyTensor g = grad({sum(square(y))}, {second.weight})[0];
  EXPECT_FALSE(second.weight.grad().defined()) << "grad() leaves leaves alone";
  EXPECT_LT(testing::distance(g, mm((y * 2).t(), second.x)), 1e-14);

  Product graph;
  graph.x.requires_grad_();
  graph.backward({.create_graph = true});
  EXPECT_TRUE(graph.weight.grad().requires_grad());
  graph.weight.set_grad({}), graph.x.set_grad({});  // a gradient with a graph holds the leaf that holds it

  Product small;
  small.weight = draw({3, kIn}).requires_grad_();
  linear(small.x, small.weight).backward(draw({1, 3}));
  EXPECT_FALSE(kept_as_vectors(small.weight));
}

DEVICE_TEST(Gradient, GathersWhatComesLater) {
  Product p;
  p.backward();
  p.backward();
  EXPECT_TRUE(equal(p.weight.grad(), p.expected() * 2));
  p.weight.set_grad({});
  EXPECT_FALSE(p.weight.grad().defined());
  p.backward();
  EXPECT_TRUE(equal(p.weight.grad(), p.expected()));
  p.weight.set_grad(zeros_like(p.weight));
  EXPECT_TRUE(equal(p.weight.grad(), zeros_like(p.weight)));

  Product twice;  // used twice in one graph
  AnyTensor more = draw({1, kIn}, -1, 1, 9);
  (linear(twice.x, twice.weight) + linear(more, twice.weight)).backward(twice.cotangent);
  EXPECT_LT(testing::distance(twice.weight.grad(), twice.expected() + mm(twice.cotangent.t(), more)), 1e-15);
}

DEVICE_TEST(Gradient, DoesNotFollowTheBatch) {
  Product p;
  AnyTensor expected = p.expected();
  p.backward();
  p.x.fill_(7), p.cotangent.fill_(7);
  EXPECT_TRUE(equal(p.weight.grad(), expected));
}

DEVICE_TEST(Gradient, TakenBeforeTheNextOneStaysWhatItWas) {
  Product p;
  AnyTensor expected = p.expected();
  p.backward();
  Gradient taken = Gradient::of(p.weight);
  p.weight.set_grad({});
  p.x.fill_(0.5);
  p.backward();
  EXPECT_TRUE(equal(taken, expected));
  EXPECT_TRUE(equal(p.weight.grad(), p.expected()));
}

DEVICE_TEST(Gradient, OutlivesWhatItWasTakenFrom) {
  Product p;
  AnyTensor expected = p.expected();
  p.backward();
  Gradient taken = Gradient::of(p.weight);
  p.weight.requires_grad_(false);
  EXPECT_TRUE(equal(taken, expected));
}

DEVICE_TEST(Gradient, ReadUnderInferenceModeMayEnterAGraph) {
  Product p;
  p.backward();
  {
    InferenceMode inference;
    EXPECT_TRUE(p.weight.grad().defined());
  }
  AnyTensor scale = draw({}).requires_grad_();
  EXPECT_NO_THROW(sum(p.weight.grad() * scale).backward());
}

DEVICE_TEST(Gradient, OfViewsAndTransposedWeights) {
  Product p;
  AnyTensor stored = draw({kIn, kOut}, -1, 1, 4).requires_grad_(), wide = draw({kIn, 3}, -1, 1, 5);
  AnyTensor x = wide.t().narrow(0, 1, 1);  // one row with strides
  linear(x, stored.t()).backward(p.cotangent);
  EXPECT_TRUE(equal(stored.grad(), mm(p.cotangent.t(), x).t()));

  AnyTensor turned = draw({kIn, kOut}, -1, 1, 4).t();
  AnyTensor start = turned.clone(), weight = turned.requires_grad_();  // a leaf that is not row-major
  optim::SGD sgd({weight}, {.lr = 0.5});
  linear(p.x, weight).backward(p.cotangent);
  sgd.step();
  EXPECT_LT(testing::distance(weight, start - p.expected() * 0.5), 1e-15);
}

template <class Optimizer> void steps_alike(DType dtype, int64_t in, const typename Optimizer::Options& options) {
  AnyTensor results[2];
  for (bool read : {false, true}) {
    Product p(dtype, in);
    Optimizer optimizer({p.weight}, options);
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      p.backward();
      if (read) {
        EXPECT_TRUE(p.weight.grad().defined());
      }
      ASSERT_EQ(kept_as_vectors(p.weight), !read && p.x.device() == kCPU);  // a GPU has a tensor at once
      optimizer.step();
      NoGrad no_grad;
      p.x.mul_(0.9);
    }
    results[read] = p.weight.detach();
  }
  EXPECT_TRUE(equal(results[0], results[1])) << name(dtype);
}

DEVICE_TEST(Gradient, OptimizersStepAlikeWithVectorsAndTensor) {
  for (DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    for (int64_t in : {kIn, int64_t(144)}) {  // ragged rows, and rows of whole packets
      steps_alike<optim::SGD>(dtype, in, {.lr = 0.1, .weight_decay = 0.01});
      steps_alike<optim::SGD>(dtype, in, {.lr = 0.1, .momentum = 0.9, .nesterov = true});
      steps_alike<optim::AdamW>(dtype, in, {.lr = 0.1});
      steps_alike<optim::Adafactor>(dtype, in, {.lr = 0.1});  // one that computes with tensors
    }
  }
}

DEVICE_TEST(Gradient, ClippingSeesIt) {
  Product p;
  p.backward();
  double before = norm(p.expected()).item();
  EXPECT_NEAR(optim::clip_grad_norm_({p.weight}, 1), before, 1e-12 * before);
  EXPECT_NEAR(norm(p.weight.grad()).item(), 1, 1e-6);  // clipping divides by the norm plus 1e-6
}

}  // namespace
}  // namespace gradus
