// Broadcasting and strides against a reference that indexes one element at a time; layouts that ops keep.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

double& slot(const AnyTensor& x, const Shape& index) {  // `index` is of the broadcast result
  int64_t offset = 0;
  int missing = index.rank - x.dim();
  for (int d = 0; d < x.dim(); ++d)
    if (x.shape().size[d] != 1) offset += index.size[d + missing] * x.stride().size[d];
  return static_cast<double*>(x.raw_data())[offset];
}
template <class F> void each(const Shape& shape, F f) {
  int64_t count = shape.numel();
  for (int64_t i = 0; i < count; ++i) {
    Shape index = shape;
    for (int64_t d = shape.rank - 1, rest = i; d >= 0; --d) index.size[d] = rest % shape.size[d], rest /= shape.size[d];
    f(index);
  }
}

void check(const AnyTensor& a, const AnyTensor& b) {
  SCOPED_TRACE(to_string(a.shape()) + " and " + to_string(b.shape()));
  AnyTensor p = a.detach().requires_grad_(), q = b.detach().requires_grad_(), y = p / q + q * 2, reversed = q - p;
  AnyTensor v = draw(y.shape()), da = zeros(a.shape(), DType::float64), db = zeros(b.shape(), DType::float64);
  each(y.shape(), [&](const Shape& index) {
    double m = slot(a, index), n = slot(b, index), g = slot(v, index);
    EXPECT_NEAR(slot(y, index), m / n + n * 2, 1e-12);
    EXPECT_EQ(slot(reversed, index), n - m);
    slot(da, index) += g / n, slot(db, index) += g * (2 - m / n / n);
  });
  for (bool create_graph : {false, true}) {
    auto grads = grad({y}, {p, q}, {v}, {.retain_graph = true, .create_graph = create_graph});
    EXPECT_LT(distance(grads[0], da), 1e-10);
    EXPECT_LT(distance(grads[1], db), 1e-10);
  }
}

AnyTensor from_one_on(const Shape& shape) { return draw(shape, 1, 2); }

}  // namespace

TEST(Layout, BroadcastTransposedSlicedExpandedEmptyScalar) {
  AnyTensor m = from_one_on({7, 19}), cube = from_one_on({4, 5, 6});
  for (const AnyTensor& other :
       {m, m.slice(0, 3, 4), m.slice(1, 2, 3), from_one_on({19, 7}).t(), from_one_on({19}), from_one_on({}), from_one_on({1, 1}),
        from_one_on({3, 7, 19}), from_one_on({3, 1, 19}), from_one_on({7, 1}).expand({7, 19}), from_one_on({7, 40}).slice(1, 5, 24),
        from_one_on({7, 40}).slice(1, 1, 39, 2)}) {
    check(m, other), check(other, m), check(m.t().t(), other);
  }
  check(cube.transpose(0, 2), cube.transpose(0, 2));
  check(cube.transpose(0, 1), from_one_on({4, 6}));
  check(cube.transpose(1, 2), from_one_on({6, 1}));
  check(cube.permute({2, 0, 1}), from_one_on({6, 4, 5}));
  check(from_one_on({0}), from_one_on({1}));
  check(from_one_on({0, 3}), from_one_on({3}));
  check(from_one_on({}), from_one_on({}));
  check(from_one_on({1, 2, 1, 3, 1, 2, 1, 2}), from_one_on({2, 1, 3}).slice(0, 0, 1).slice(2, 1, 3));
}

TEST(Layout, SharedAmongThreads) {
  AnyTensor big = from_one_on({300, 700});
  check(big, from_one_on({700})), check(big, from_one_on({700, 300}).t()), check(big, from_one_on({300, 1}));
}

TEST(Layout, DenseOrdersAreKept) {
  AnyTensor x = empty_channels_last({2, 3, 4, 5}, DType::float64).copy_(draw({2, 3, 4, 5}));
  EXPECT_FALSE(x.is_contiguous());
  EXPECT_TRUE(x.impl()->dense);
  for (const AnyTensor& y :
       {relu(x), x + x, x * 2.0, x + draw({3, 1, 1}), x.clone(), zeros_like(x), x.to(DType::float32), where(x < 0, x, 0.0)})
    EXPECT_EQ(y.stride(), x.stride());
  EXPECT_EQ(distance(relu(x), relu(x.contiguous())), 0);
  EXPECT_EQ(distance(x + x.contiguous(), x.contiguous() * 2.0), 0);
  EXPECT_EQ(distance(x.contiguous() + x, x * 2.0), 0);
  AnyTensor t = draw({6, 9}).t();
  EXPECT_EQ(exp(t).stride(), t.stride());
  EXPECT_TRUE(exp(draw({6, 9}).slice(1, 0, 4)).is_contiguous());
}

TEST(Layout, ErrorsNameTheShapes) {
  AnyTensor m = from_one_on({7, 19}), cube = from_one_on({4, 5, 6});
  EXPECT_EQ(message_of<ShapeError>([&] { add(m, cube); }), "add: shapes [7, 19] and [4, 5, 6] do not broadcast");
  EXPECT_EQ(message_of<DTypeError>([&] { add(m, m.to(DType::float32)); }),
            "add: dtypes float64 and float32 differ; cast one with to()");
}

TEST(Views, ReshapeFollowsStridesWhereItCan) {
  AnyTensor x = draw({4, 6, 5});
  for (const AnyTensor& y : {x, x.transpose(0, 1), x.slice(2, 1, 4), x.slice(0, 0, 4, 2), x.permute({2, 1, 0}), x.select(1, 3),
                             x.unsqueeze(1).expand({4, 3, 6, 5})}) {
    for (const Shape& shape : {Shape{-1}, Shape{2, -1}, Shape{1, -1, 1}, Shape{y.shape()[0], -1}, Shape{-1, y.shape()[-1]}}) {
      AnyTensor z = y.reshape(shape);
      EXPECT_EQ(values(z), values(y)) << to_string(y.shape()) << to_string(shape);
    }
  }
  EXPECT_EQ(x.view({24, 5}).raw_data(), x.raw_data());
  EXPECT_EQ(x.transpose(0, 1).reshape({6, 4, 5, 1}).raw_data(), x.raw_data());
  EXPECT_NE(message_of<ShapeError>([&] { x.transpose(0, 1).view({24, 5}); }).find("reshape"), std::string::npos);
  message_of<ShapeError>([&] { x.reshape({7, -1}); });
  message_of<ShapeError>([&] { x.reshape({-1, -1}); });
  EXPECT_EQ(draw({0, 3}).reshape({3, 0}).shape(), (Shape{3, 0}));
}

TEST(Views, GradientsOfAll) {
  AnyTensor x = draw({3, 4, 5}).requires_grad_();
  auto ok = [&](const char* what, auto f) {
    EXPECT_EQ(gradcheck([&](const auto& in) { return f(in[0]) * f(in[0]); }, {x}), "") << what;
  };
  ok("reshape", [](const AnyTensor& x) { return x.reshape({5, 12}); });
  ok("reshape of a transpose", [](const AnyTensor& x) { return x.transpose(0, 2).reshape({4, 15}); });
  ok("permute", [](const AnyTensor& x) { return x.permute({2, 0, 1}); });
  ok("slice", [](const AnyTensor& x) { return x.slice(1, 1, 4, 2); });
  ok("select", [](const AnyTensor& x) { return x.select(-1, -2); });
  ok("narrow", [](const AnyTensor& x) { return x.narrow(2, 1, 3); });
  ok("expand", [](const AnyTensor& x) { return x.unsqueeze(1).expand({3, 2, 4, 5}); });
  ok("squeeze", [](const AnyTensor& x) { return x.slice(0, 1, 2).squeeze(); });
  ok("flatten", [](const AnyTensor& x) { return x.flatten(1); });
}
