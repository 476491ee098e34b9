// Indexing with tensors and masks against plain loops, with gradients; places that are named twice; every dtype.
#include "gradus/ops/index.h"

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
AnyTensor leaf(const Shape& shape, uint64_t seed = 7) { return draw(shape, -1, 1, seed).requires_grad_(); }
AnyTensor ints(const Tensor<int64_t>& x) { return x; }
/// The element at the coordinates.
double at(const AnyTensor& x, std::vector<int64_t> place) {
  AnyTensor y = x.detach();
  for (int64_t i : place) y = y.select(0, i);
  return y.item();
}

}  // namespace

DEVICE_TEST(Index, OneTensorAnywhere) {
  AnyTensor x = draw({4, 5, 6}), i = ints({3, 0, -1, 3});
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<AnyTensor> indices(3);
    indices[size_t(axis)] = i;
    AnyTensor y = index(x, indices);
    Shape expected = x.shape();
    expected[axis] = 4;
    ASSERT_EQ(y.shape(), expected);
    int64_t n = x.shape()[axis];
    int64_t rows[] = {3, 0, n - 1, 3};
    for (int k = 0; k < 4; ++k) EXPECT_EQ(distance(y.select(axis, k), x.select(axis, rows[k])), 0);
  }
}

DEVICE_TEST(Index, SeveralTensorsBroadcastAndStandWhereNumpyPutsThem) {
  AnyTensor x = draw({4, 5, 6, 3}), i = ints({{0}, {3}}), j = ints({1, 4, 2});
  AnyTensor y = index(x, {{}, j, ints({{5}, {-6}})});  // neighbours: (4, [2, 3], 3)
  ASSERT_EQ(y.shape(), (Shape{4, 2, 3, 3}));
  AnyTensor z = index(x, {i, {}, j});  // a whole axis between: ([2, 3], 5, 3)
  ASSERT_EQ(z.shape(), (Shape{2, 3, 5, 3}));
  const int64_t js[] = {1, 4, 2}, is[] = {0, 3}, ks[] = {5, 0};
  for (int64_t a = 0; a < 2; ++a)
    for (int64_t b = 0; b < 3; ++b)
      for (int64_t c = 0; c < 3; ++c) {
        for (int64_t d = 0; d < 4; ++d) EXPECT_EQ(at(y, {d, a, b, c}), at(x, {d, js[b], ks[a], c}));
        for (int64_t d = 0; d < 5; ++d) EXPECT_EQ(at(z, {a, b, d, c}), at(x, {is[a], d, js[b], c}));
      }
}

DEVICE_TEST(Index, MasksGiveTheirPlaces) {
  Tensor<float> x = {{1, 2, 3}, {4, 5, 6}};
  EXPECT_EQ(values(index(x, {x > 2})), (V{3, 4, 5, 6}));
  EXPECT_EQ(values(index(x, {Tensor<bool>{false, true}})), (V{4, 5, 6}));
  EXPECT_EQ(values(index(x, {{}, Tensor<bool>{true, false, true}})), (V{1, 3, 4, 6}));
  EXPECT_EQ(values(index(x, {ints({1, 0}), Tensor<bool>{true, false, true}})), (V{4, 3}));
  EXPECT_EQ(index(x, {x > 100}).shape(), (Shape{0}));
}

DEVICE_TEST(Index, AnyStridesAndEmptyOnes) {
  AnyTensor x = draw({6, 5, 4}).permute({2, 0, 1}).slice(1, 1, 6, 2);  // (4, 3, 5)
  AnyTensor y = index(x, {{}, ints({2, 0})});
  EXPECT_EQ(distance(y.select(1, 1), x.select(1, 0)), 0);
  EXPECT_EQ(index(x, {AnyTensor(zeros<int64_t>({0}))}).shape(), (Shape{0, 3, 5}));
  EXPECT_EQ(index(zeros({3, 0}), {ints({1, 1})}).shape(), (Shape{2, 0}));
  EXPECT_EQ(distance(index(x, {}), x), 0);
  AnyTensor scalar = index(x, {full({}, 1, DType::int64), full({}, -1, DType::int32), full({}, 3, DType::uint8)});
  EXPECT_EQ(scalar.shape(), Shape{});
  EXPECT_EQ(scalar.item(), at(x, {1, 2, 3}));
}

DEVICE_TEST(Index, EveryDtypeMoves) {
  for (int t = 0; t < kDTypes; ++t) {
    AnyTensor x = to(arange(6).reshape({3, 2}), DType(t)), i = ints({2, 2, 0});
    V all = values(x), expected = {all[4], all[5], all[4], all[5], all[0], all[1]};
    EXPECT_EQ(values(index(x, {i})), expected) << name(DType(t));
    EXPECT_EQ(values(index_put(x, {ints({1})}, x.select(0, 2)))[2], all[4]) << name(DType(t));
  }
}

DEVICE_TEST(Index, Gradients) {
  AnyTensor x = leaf({4, 3, 5}), i = ints({1, 3, 1}), j = ints({{0}, {2}});
  EXPECT_EQ(gradcheck([&](const auto& in) { return index(in[0], {i}); }, {x}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return index(in[0] * in[0], {i, {}, j}); }, {x}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return index(in[0].transpose(0, 2), {{}, j, i}); }, {x}), "");
  AnyTensor mask = x.detach() > 0;
  EXPECT_EQ(gradcheck([&](const auto& in) { return index(in[0], {mask}); }, {x}), "");
}

DEVICE_TEST(Index, LargeOnesAreTheSameInParts) {
  // Large enough to be shared among threads; the sums of a gradient come in the order of the indices.
  Generator chance(1);
  AnyTensor x = draw({1000, 64}), i = randint(0, 1000, {3000}, DType::int64, chance);
  AnyTensor y = index(x, {i});
  std::vector<int64_t> rows = Tensor<int64_t>(i).vector();
  for (int64_t k : {0, 1499, 2999}) EXPECT_EQ(distance(y.select(0, k), x.select(0, rows[size_t(k)])), 0);
  AnyTensor v = draw({3000, 64}, -1, 1, 5), sums = index_put(zeros_like(x), {i}, v, true), expected = zeros_like(x);
  for (int64_t k = 0; k < 3000; ++k) {
    AnyTensor row = expected.select(0, rows[size_t(k)]);
    row.add_(v.select(0, k));
  }
  EXPECT_EQ(distance(sums, expected), 0);
  AnyTensor columns = index(x.t(), {{}, i});
  EXPECT_EQ(distance(columns.t(), y), 0);
  AnyTensor last = index_put(zeros_like(x), {i}, v);
  EXPECT_EQ(distance(last.select(0, rows[2999]), v.select(0, 2999)), 0);
}

DEVICE_TEST(Index, HalfTypesAddUpInFloat) {
  // 4096 ones: in half, adding stops at 2048.
  AnyTensor i = zeros({4096}, DType::int64), v = ones({4096}, DType::float16);
  EXPECT_EQ(index_put(zeros({2}, DType::float16), {i}, v, true).select(0, 0).item(), 4096);
  AnyTensor x = zeros({2}, DType::float16).requires_grad_();
  EXPECT_EQ(values(grad({index(x, {i})}, {x}, {v})[0]), (V{4096, 0}));
}

DEVICE_TEST(IndexPut, ValuesBroadcastAndTheLastStays) {
  AnyTensor x = zeros({3, 2}, DType::float64);
  EXPECT_EQ(values(index_put(x, {ints({2, 0})}, Tensor<double>{{1}, {2}})), (V{2, 2, 0, 0, 1, 1}));
  EXPECT_EQ(values(index_put(x, {ints({1, 1, 1})}, Tensor<double>{{1}, {2}, {3}})), (V{0, 0, 3, 3, 0, 0}));
  EXPECT_EQ(values(index_put(x, {ints({1, 1, 1})}, Tensor<double>{{1}, {2}, {3}}, true)), (V{0, 0, 6, 6, 0, 0}));
  EXPECT_EQ(values(index_put(x, {ints({0}), ints({1})}, full({}, 5, DType::float64))), (V{0, 5, 0, 0, 0, 0}));
}

DEVICE_TEST(IndexPut, Gradients) {
  AnyTensor x = leaf({4, 3}), v = leaf({3, 3}, 8), i = ints({1, 3, 1});
  for (bool accumulate : {false, true}) {
    EXPECT_EQ(gradcheck([&](const auto& in) { return index_put(in[0] * in[0], {i}, in[1] * in[1], accumulate); }, {x, v}), "");
    EXPECT_EQ(gradcheck(
                  [&](const auto& in) {
                    return index_put(in[0], {{}, i.narrow(0, 0, 1)}, in[1].select(0, 0).unsqueeze(0).expand({4, 3}).narrow(1, 0, 1),
                                     accumulate);
                  },
                  {x, v}),
              "");
    AnyTensor one = leaf({1, 3}, 9);  // broadcast
    EXPECT_EQ(gradcheck([&](const auto& in) { return index_put(in[0], {i}, in[1], accumulate); }, {x, one}), "");
    EXPECT_EQ(gradcheck(
                  [&](const auto& in) {
                    AnyTensor y = in[0] * 2;
                    index_put_(y, {i}, in[1], accumulate);
                    return y * y;
                  },
                  {x, v}),
              "");
  }
}

DEVICE_TEST(IndexPut, InPlace) {
  AnyTensor x = arange(6, DType::float32).reshape({3, 2}), column = x.select(1, 1);
  index_put_(column, {ints({0, 2})}, full({}, -1, DType::float32));
  EXPECT_EQ(values(x), (V{0, -1, 2, 3, 4, -1}));
  index_put_(x, {ints({0, 1, 2})}, x.slice(0, 0, 1), true);  // values from x itself
  EXPECT_EQ(values(x), (V{0, -2, 2, 2, 4, -2}));
  AnyTensor p = leaf({3});
  EXPECT_TRUE(has(message_of<GraphError>([&] { index_put_(p, {ints({0})}, ones({1}, DType::float64)); }), "NoGrad"));
  AnyTensor e = zeros({1, 2}, DType::float32).expand({3, 2});
  EXPECT_TRUE(has(message_of<ValueError>([&] { index_put_(e, {ints({0})}, ones({2}, DType::float32)); }), "expanded"));
}

DEVICE_TEST(Slices, SelectAddCopyFill) {
  AnyTensor x = draw({3, 4}), i = ints({2, 0}), s = draw({3, 2}, -1, 1, 8);
  AnyTensor picked = index_select(x, 1, i);
  EXPECT_EQ(distance(picked.select(1, 0), x.select(1, 2)), 0);
  EXPECT_EQ(distance(index_add(x, -1, i, s, 2).select(1, 0), x.select(1, 0) + s.select(1, 1) * 2), 0);
  EXPECT_EQ(distance(index_copy(x, 1, i, s).select(1, 2), s.select(1, 0)), 0);
  EXPECT_EQ(values(index_fill(x, 0, ints({1}), 7).select(0, 1)), V(4, 7));
  AnyTensor y = x.clone();
  index_add_(y, 1, i, s), index_copy_(y, 1, ints({1, 3}), s), index_fill_(y, 0, ints({0}), 0);
  EXPECT_EQ(values(y.select(0, 0)), V(4, 0));
  EXPECT_EQ(distance(y.select(1, 3).narrow(0, 1, 2), s.select(1, 1).narrow(0, 1, 2)), 0);
  EXPECT_EQ(index_select(full({}, 3, DType::float32), 0, ints({0})).shape(), Shape{});
}

DEVICE_TEST(Slices, Gradients) {
  AnyTensor x = leaf({3, 4}), s = leaf({3, 2}, 8), value = leaf({}, 9), i = ints({2, 2});
  EXPECT_EQ(gradcheck([&](const auto& in) { return index_select(in[0], 1, i); }, {x}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return index_add(in[0], 1, i, in[1], 0.5); }, {x, s}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return index_copy(in[0], 1, i, in[1]); }, {x, s}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return index_fill(in[0], 1, i, in[1]); }, {x, value}), "");
}

DEVICE_TEST(Take, AndPut) {
  AnyTensor x = arange(6, DType::float64).reshape({2, 3}), i = ints({{5, 0}, {-1, 2}});
  EXPECT_EQ(values(take(x.t(), i)), (V{5, 0, 5, 1}));
  EXPECT_EQ(values(put(x, ints({-1, 0}), Tensor<double>{9, 8})), (V{8, 1, 2, 3, 4, 9}));
  AnyTensor leaf_x = leaf({2, 3}), source = leaf({2, 2}, 8);
  EXPECT_EQ(gradcheck([&](const auto& in) { return take(in[0], i); }, {leaf_x}), "");
  for (bool accumulate : {false, true})
    EXPECT_EQ(gradcheck([&](const auto& in) { return put(in[0], i, in[1], accumulate); }, {leaf_x, source}), "");
}

DEVICE_TEST(Masked, FillSelectScatter) {
  Tensor<double> x = {{1, 2}, {3, 4}};
  Tensor<bool> mask = {{true, false}, {false, true}}, row = {false, true};
  EXPECT_EQ(values(masked_fill(x, row, -1)), (V{1, -1, 3, -1}));
  EXPECT_EQ(values(masked_select(x, mask)), (V{1, 4}));
  EXPECT_EQ(values(masked_select(x, row)), (V{2, 4}));
  EXPECT_EQ(values(masked_select(Tensor<double>{{1}, {2}}, row)), (V{1, 2}));
  EXPECT_EQ(values(masked_scatter(x, mask, Tensor<double>{7, 8, 9})), (V{7, 2, 3, 8}));
  masked_fill_(x, mask, 0);
  EXPECT_EQ(values(x), (V{0, 2, 3, 0}));
  AnyTensor a = leaf({2, 2}), value = leaf({}, 8), source = leaf({4}, 9);
  EXPECT_EQ(gradcheck([&](const auto& in) { return masked_fill(in[0], mask, in[1]); }, {a, value}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return masked_select(in[0], row); }, {a}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return masked_scatter(in[0], mask, in[1]); }, {a, source}), "");
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  AnyTensor y = in[0] * in[0];
                  return masked_fill_(y, mask, 3) * 2;
                },
                {a}),
            "");
}

DEVICE_TEST(Nonzero, PlacesInOrder) {
  Tensor<float> x = {{0, 2, -0.0f}, {NAN, 0, 5}};
  EXPECT_EQ(values(nonzero(x)), (V{0, 1, 1, 0, 1, 2}));
  EXPECT_EQ(values(nonzero(x.t())), (V{0, 1, 1, 0, 2, 1}));
  std::vector<Tensor<int64_t>> places = where(x == 5);
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[1].item(), 2);
  EXPECT_EQ(nonzero(zeros({3, 0})).shape(), (Shape{0, 2}));
  EXPECT_EQ(nonzero(full({}, 2, DType::int32)).shape(), (Shape{1, 0}));
  for (int t = 0; t < kDTypes; ++t) EXPECT_EQ(values(nonzero(to(Tensor<int64_t>{0, 1, 1}, DType(t)))), (V{1, 2})) << name(DType(t));
  Generator chance(1);
  AnyTensor large = bernoulli({100000}, 0.3, DType::boolean, chance);
  Tensor<int64_t> all = nonzero(large);
  EXPECT_EQ(double(all.numel()), to(large, DType::int64).sum().item());
  EXPECT_EQ(distance(index_put(zeros_like(large), {all.select(1, 0)}, full({}, true, DType::boolean)), large), 0);
}

DEVICE_TEST(Counts, OneHotBincountHistc) {
  EXPECT_EQ(values(one_hot(ints({2, 0}))), (V{0, 0, 1, 1, 0, 0}));
  EXPECT_EQ(one_hot(ints({{2, 0}}), 4).shape(), (Shape{1, 2, 4}));
  EXPECT_EQ(values(bincount(ints({3, 1, 1}))), (V{0, 2, 0, 1}));
  EXPECT_EQ(values(bincount(ints({1}), 4)), (V{0, 1, 0, 0}));
  EXPECT_EQ(values(bincount(ints({1, 1}), AnyTensor(Tensor<float>{0.5, 2}))), (V{0, 2.5}));
  EXPECT_EQ(bincount(zeros<int64_t>({0})).numel(), 0);
  EXPECT_EQ(values(histc(Tensor<float>{1, 2, 1}, 4, 0, 3)), (V{0, 2, 1, 0}));
  EXPECT_EQ(values(histc(Tensor<float>{0, 1, 3, 9}, 3, 0, 3)), (V{1, 1, 1}));
  EXPECT_EQ(values(histc(Tensor<double>{1, 2, 4}, 3)), (V{1, 1, 1}));
}

DEVICE_TEST(Index, Errors) {
  AnyTensor x = zeros({3, 4}, DType::float32);
  EXPECT_TRUE(has(message_of<IndexError>([&] { index(x, {ints({0, 3})}); }), "index 3 at [1] is outside axis 0 of size 3"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { index(x, {{}, ints({{0}, {-5}})}); }), "-5 at [1, 0]"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { index(x, {ints({0, 1}), ints({0, 1, 2})}); }), "do not broadcast"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { index(x, {Tensor<bool>{true, false}}); }), "[2]"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { index(x, {ints({0}), ints({0}), ints({0})}); }), "3 indices"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { index(x, {zeros({1}, DType::float32)}); }), "float32"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { index_put(x, {ints({0})}, zeros({3}, DType::float32)); }), "[1, 4]"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { index_put(x, {ints({0})}, zeros({4}, DType::float64)); }), "float64"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { index_select(x, 0, ints({-1})); }), "index_select: index -1"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { index_select(x, 0, ints({{0}})); }), "one dimension"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { index_add(x, 0, ints({0}), zeros({2, 4}, DType::float32)); }), "[1, 4]"));
  message_of<ShapeError>([&] { index_select(x, 2, ints({0})); });
  EXPECT_TRUE(has(message_of<IndexError>([&] { take(x, ints({12})); }), "size 12"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { masked_select(x, zeros({3, 4}, DType::uint8)); }), "uint8"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { masked_scatter(x, x == 0, zeros({3}, DType::float32)); }), "12 places"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { one_hot(ints({5}), 3); }), "index 5"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { bincount(ints({-2})); }), "-2"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { one_hot(zeros<int64_t>({0})); }), "pass it"));
  Tensor<int64_t> i = {0};
  AnyTensor y = index(x.requires_grad_(), {i});
  i.fill_(1);
  EXPECT_TRUE(has(message_of<GraphError>([&] { y.sum().backward(); }), "written in place"));
}
