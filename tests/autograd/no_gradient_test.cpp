// Ops without a gradient: backward that reaches one raises and names it. Never a zero in silence.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Case {
  const char* op;
  std::function<AnyTensor(const AnyTensor&)> call;
};

TEST(WithoutGradient, BackwardThatReachesTheOpNamesIt) {
  const AnyTensor labels = full({4}, 2, DType::int64);
  const std::vector<Case> table = {
      {"geqrf", [](const AnyTensor& x) { return linalg::geqrf(x).a; }},
      {"geqrf", [](const AnyTensor& x) { return linalg::geqrf(x).tau; }},
      {"qr", [](const AnyTensor& x) { return linalg::qr(x, linalg::QrMode::r).r; }},
      {"qr", [](const AnyTensor& x) { return linalg::qr(narrow(x, 1, 0, 2), linalg::QrMode::complete).q; }},
      {"svd", [](const AnyTensor& x) { return linalg::svd(narrow(x, 1, 0, 2)).u; }},
      {"histc", [](const AnyTensor& x) { return histc(x, 4); }},
      {"sum_of_squares",
       [](const AnyTensor& x) {
         return sum_of_squares({x.detach(), x});
       }},
      {"bernoulli", [](const AnyTensor& x) { return bernoulli(x); }},
      {"zeta", [](const AnyTensor& x) { return special::zeta(x + 2, x.detach() + 1); }},
      {"zeta", [](const AnyTensor& x) { return special::zeta(x.detach() + 2, x + 1); }},
      {"unique", [](const AnyTensor& x) { return unique(x).values; }},
      {"unique", [](const AnyTensor& x) { return unique(x, 0).values; }},
      {"unique_consecutive", [](const AnyTensor& x) { return unique_consecutive(x).values; }},
      {"unique_consecutive", [](const AnyTensor& x) { return unique_consecutive(x, 1).values; }},
      {"cross_entropy", [labels](const AnyTensor& x) { return cross_entropy(x.detach(), labels, {.weight = sum(x, 0)}); }},
  };
  for (const Case& c : table) {
    SCOPED_TRACE(c.op);
    AnyTensor x = draw({4, 4}, 0.1, 0.9, 3).requires_grad_(), y = c.call(x * 1);
    ASSERT_TRUE(y.requires_grad()) << "a constant: its gradient would be zero in silence";
    std::string message = message_of<GraphError>([&] { y.backward(ones_like(y.detach())); });
    EXPECT_EQ(message.find(std::string(c.op) + ": "), 0u) << message;
    EXPECT_NE(message.find("no gradient"), std::string::npos) << message;
    EXPECT_FALSE(x.grad().defined());
    NoGrad no_grad;  // the way out
    EXPECT_FALSE(c.call(x).requires_grad());
  }
}

TEST(WithoutGradient, OthersStillHaveOneBesideIt) {
  AnyTensor x = draw({4, 4}).requires_grad_(), labels = full({4}, 2, DType::int64), weight = draw({4}, 1, 2).requires_grad_();
  EXPECT_TRUE(grad({cross_entropy(x, labels, {.weight = weight})}, {x})[0].defined());
  EXPECT_THROW(grad({cross_entropy(x, labels, {.weight = weight})}, {x, weight}), GraphError);
}

}  // namespace
