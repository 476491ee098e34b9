// gather, scatter and its reductions along every axis against plain loops, with gradients.
#include "gradus/ops/gather.h"

#include <algorithm>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
AnyTensor leaf(const Shape& shape, uint64_t seed = 7) { return draw(shape, -1, 1, seed).requires_grad_(); }
AnyTensor ints(const Tensor<int64_t>& x) { return x; }
AnyTensor places(const Shape& shape, int64_t size, uint64_t seed = 3) {
  Generator g(seed);
  return randint(0, size, shape, DType::int64, g);
}

/// scatter as loops: f(old, value, first) for every element of the index in order.
template <class F> AnyTensor looped(const AnyTensor& x, int axis, const AnyTensor& index, const AnyTensor& source, F f) {
  AnyTensor y = x.clone().contiguous().to(kCPU), from_here = source.detach().to(kCPU);
  std::vector<int64_t> where_to = Tensor<int64_t>(index).vector();
  std::vector<bool> touched(size_t(y.numel()), false);
  for (int64_t flat = 0; flat < index.numel(); ++flat) {
    int64_t rest = flat, to = 0, from = 0;
    for (int d = index.dim() - 1; d >= 0; --d) {
      int64_t at = rest % index.shape()[d];
      rest /= index.shape()[d];
      from += at * from_here.stride()[d];
      to += (d == axis ? where_to[size_t(flat)] : at) * y.stride()[d];
    }
    double& cell = static_cast<double*>(y.raw_data())[to];
    cell = f(cell, static_cast<double*>(from_here.raw_data())[from], !touched[size_t(to)]);
    touched[size_t(to)] = true;
  }
  return placed(y);
}

}  // namespace

DEVICE_TEST(Gather, AlongEveryAxis) {
  AnyTensor x = draw({4, 5, 6}).permute({1, 2, 0});  // (5, 6, 4)
  for (int axis = 0; axis < 3; ++axis) {
    Shape shape = {3, 5, 2};
    shape[axis] = 9;
    AnyTensor i = places(shape, x.shape()[axis]), y = gather(x, axis, i);
    ASSERT_EQ(y.shape(), shape);
    std::vector<int64_t> which = Tensor<int64_t>(i).vector();
    V got = values(y);
    AnyTensor here = x.to(kCPU);
    for (int64_t flat = 0; flat < y.numel(); ++flat) {
      int64_t rest = flat, from = 0;
      for (int d = 2; d >= 0; --d) from += (d == axis ? which[size_t(flat)] : rest % shape[d]) * here.stride()[d], rest /= shape[d];
      EXPECT_EQ(got[size_t(flat)], static_cast<double*>(here.raw_data())[from]);
    }
  }
}

DEVICE_TEST(Gather, EdgesAndDtypes) {
  EXPECT_EQ(gather(draw({5}), 0, zeros({2, 0}, DType::int64)).shape(), Shape({2, 0})) << "nothing has any rank";
  EXPECT_EQ(gather(zeros({3, 0}), 0, zeros<int64_t>({2, 0})).shape(), (Shape{2, 0}));
  EXPECT_EQ(gather(full({}, 5, DType::float32), 0, full({}, 0, DType::int64)).shape(), Shape{});
  for (int t = 0; t < kDTypes; ++t) {
    AnyTensor x = to(Tensor<int64_t>{{1, 0}, {0, 1}}, DType(t));
    EXPECT_EQ(values(gather(x, 1, ints({{1}, {1}}))), (V{0, 1})) << name(DType(t));
    EXPECT_EQ(values(scatter(x, 1, ints({{1}, {0}}), 1)), (V{1, 1, 1, 1})) << name(DType(t));
  }
  EXPECT_EQ(values(gather(Tensor<float>{1, 2, 3}, 0, to(ints({2, 0}), DType::int32))), (V{3, 1}));
}

DEVICE_TEST(Gather, Gradients) {
  AnyTensor x = leaf({4, 3});
  for (int axis : {0, 1}) {
    AnyTensor i = places({3, 3}, 3, uint64_t(axis));
    EXPECT_EQ(gradcheck([&](const auto& in) { return gather(in[0] * in[0], axis, i); }, {x}), "");
  }
}

DEVICE_TEST(Scatter, AllModesAlongEveryAxis) {
  AnyTensor x = draw({5, 6, 4}), source = draw({6, 7, 7}, -1, 1, 8);
  for (int axis = 0; axis < 3; ++axis) {
    AnyTensor i = places({5, 6, 4}, x.shape()[axis]);
    auto check = [&](const AnyTensor& got, auto f) { EXPECT_LT(distance(got, looped(x, axis, i, source, f)), 1e-15); };
    check(scatter(x, axis, i, source), [](double, double v, bool) { return v; });
    check(scatter_add(x, axis, i, source), [](double old, double v, bool) { return old + v; });
    check(scatter(x, axis, i, 7), [](double, double, bool) { return 7.0; });
    using R = ScatterReduction;
    for (bool self : {true, false}) {
      check(scatter_reduce(x, axis, i, source, R::sum, self),
            [=](double o, double v, bool first) { return first && !self ? v : o + v; });
      check(scatter_reduce(x, axis, i, source, R::prod, self),
            [=](double o, double v, bool first) { return first && !self ? v : o * v; });
      check(scatter_reduce(x, axis, i, source, R::amax, self),
            [=](double o, double v, bool first) { return first && !self ? v : std::max(o, v); });
      check(scatter_reduce(x, axis, i, source, R::amin, self),
            [=](double o, double v, bool first) { return first && !self ? v : std::min(o, v); });
    }
    AnyTensor y = x.clone().permute({2, 1, 0}).contiguous().permute({2, 1, 0});  // another layout
    EXPECT_EQ(distance(scatter_(y, axis, i, source), scatter(x, axis, i, source)), 0);
    AnyTensor z = x.clone();
    EXPECT_EQ(distance(scatter_add_(z, axis, i, source), scatter_add(x, axis, i, source)), 0);
    EXPECT_EQ(values(scatter_(z, axis, i, 1)), values(scatter(scatter_add(x, axis, i, source), axis, i, 1)));
  }
}

DEVICE_TEST(Scatter, MeanCountsWhatMeets) {
  Tensor<double> x = {6, 10, 1}, source = {3, 6, 2};
  AnyTensor i = ints({0, 0, 1});
  EXPECT_EQ(values(scatter_reduce(x, 0, i, source, ScatterReduction::mean)), (V{5, 6, 1}));
  EXPECT_EQ(values(scatter_reduce(x, 0, i, source, ScatterReduction::mean, false)), (V{4.5, 2, 1}));
  EXPECT_EQ(values(scatter_reduce(Tensor<int64_t>{6, 10, 1}, 0, i, Tensor<int64_t>{3, 6, 2}, ScatterReduction::mean, false)),
            (V{4, 2, 1}));
  EXPECT_EQ(
      values(index_reduce(Tensor<double>{{1, 1}, {2, 2}}, 0, ints({1, 1}), Tensor<double>{{3, 0}, {5, 1}}, ScatterReduction::amax)),
      (V{1, 1, 5, 2}));
}

DEVICE_TEST(Scatter, Gradients) {
  AnyTensor x = leaf({4, 3}), source = leaf({5, 3}, 8);
  for (int axis : {0, 1}) {
    AnyTensor i = places({4, 3}, 3, uint64_t(axis));
    EXPECT_EQ(gradcheck([&](const auto& in) { return scatter(in[0], axis, i, in[1]); }, {x, source}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return scatter(in[0], axis, i, 2); }, {x}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return scatter_add(in[0], axis, i, in[1]); }, {x, source}), "");
    EXPECT_EQ(gradcheck(
                  [&](const auto& in) {
                    AnyTensor y = in[0] * in[0];
                    scatter_add_(y, axis, i, in[1]);
                    return scatter_(y, axis, i, in[1] * in[1]);
                  },
                  {x, source}),
              "");
    for (bool self : {true, false})
      for (auto reduction :
           {ScatterReduction::sum, ScatterReduction::prod, ScatterReduction::mean, ScatterReduction::amax, ScatterReduction::amin})
        EXPECT_EQ(gradcheck([&](const auto& in) { return scatter_reduce(in[0], axis, i, in[1], reduction, self); }, {x, source}),
                  "")
            << axis << int(reduction) << self;
  }
}

DEVICE_TEST(Scatter, GradientsOfProductsWithZeros) {
  AnyTensor x = AnyTensor(Tensor<double>{2, 0, 3}).requires_grad_(), s = AnyTensor(Tensor<double>{0, 5, 4, 0, 0}).requires_grad_();
  AnyTensor i = ints({0, 0, 1, 2, 2});
  EXPECT_EQ(gradcheck([&](const auto& in) { return scatter_reduce(in[0], 0, i, in[1], ScatterReduction::prod); }, {x, s},
                      {.second = false}),
            "");
}

DEVICE_TEST(Scatter, TiesShareTheGradient) {
  AnyTensor x = AnyTensor(Tensor<double>{3, 1}).requires_grad_(), s = AnyTensor(Tensor<double>{3, 2, 3}).requires_grad_();
  auto g = grad({scatter_reduce(x, 0, ints({0, 1, 0}), s, ScatterReduction::amax)}, {x, s}, {Tensor<double>{6, 5}});
  EXPECT_EQ(values(g[0]), (V{2, 0}));
  EXPECT_EQ(values(g[1]), (V{2, 5, 2}));
}

DEVICE_TEST(Scatter, HalfTypesAddUpInFloat) {
  AnyTensor x = zeros({1}, DType::bfloat16), i = zeros({1000}, DType::int64), s = ones({1000}, DType::bfloat16);
  EXPECT_EQ(scatter_add(x, 0, i, s).item(), 1000);
  EXPECT_EQ(scatter_add_(x, 0, i, s).item(), 1000);
}

DEVICE_TEST(TakeAlong, BroadcastsAndCountsFromTheEnd) {
  AnyTensor x = draw({3, 4}), y = take_along_dim(x, ints({{-1, 0}}), 1);
  ASSERT_EQ(y.shape(), (Shape{3, 2}));
  EXPECT_EQ(distance(y.select(1, 0), x.select(1, 3)), 0);
  EXPECT_EQ(gradcheck([](const auto& in) { return take_along_dim(in[0], ints({{-1, 0}}), 1); }, {leaf({3, 4})}), "");
}

DEVICE_TEST(Gather, Errors) {
  AnyTensor x = zeros({3, 4}, DType::float32);
  EXPECT_TRUE(has(message_of<IndexError>([&] {
                    gather(x, 1, ints({{0, 4}}));
                  }),
                  "gather: index 4 at [0, 1] is outside axis 1 of size 4"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { gather(x, 0, ints({{-1}})); }), "-1"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { gather(x, 0, ints({0})); }), "as many dimensions"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { gather(x, 0, zeros<int64_t>({1, 5})); }), "larger than x"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { gather(x, 0, x); }), "float32"));
  message_of<ShapeError>([&] { gather(x, 2, zeros<int64_t>({1, 1})); });
  EXPECT_TRUE(has(message_of<ShapeError>([&] { scatter(x, 0, zeros<int64_t>({2, 2}), zeros({1, 2}, DType::float32)); }), "source"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] {
                    scatter_add(x, 0, zeros<int64_t>({1, 1}), zeros({1, 1}, DType::float64));
                  }),
                  "float64"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { scatter(zeros<int64_t>({2}), 0, ints({0}), 0.5); }), "0.5"));
  AnyTensor p = leaf({2});
  EXPECT_TRUE(has(message_of<GraphError>([&] { scatter_(p, 0, ints({0}), 1); }), "NoGrad"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { take_along_dim(x, ints({{-4}}), 0); }), "-4"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] {
                    scatter_reduce(x == 0, 0, zeros<int64_t>({1, 1}), x == 0, ScatterReduction::sum);
                  }),
                  "bool"));
}
