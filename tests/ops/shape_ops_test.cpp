// Joining, splitting, repeating, reordering, diagonals, padding: values against formulas on numbered elements, gradients to second
// order, layouts, every dtype, errors.
#include "gradus/ops/shape_ops.h"

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
AnyTensor leaf(const Shape& shape, uint64_t seed = 7) { return draw(shape, -1, 1, seed).requires_grad_(); }
AnyTensor count(const Shape& shape) { return arange(0, shape.numel(), 1, DType::float64).reshape(shape); }
AnyTensor ints(const Tensor<int64_t>& x) { return x; }

/// A tensor whose element at each place is f(place).
template <class F> AnyTensor made(const Shape& shape, F f) {
  AnyTensor y = empty(shape, DType::float64, kCPU);
  for (int64_t flat = 0; flat < y.numel(); ++flat) {
    int64_t place[Shape::kMaxRank], rest = flat;
    for (int d = shape.rank - 1; d >= 0; --d) place[d] = rest % shape[d], rest /= shape[d];
    static_cast<double*>(y.raw_data())[flat] = f(place);
  }
  return placed(y);
}
double at(const AnyTensor& there, std::initializer_list<int64_t> place) {
  const AnyTensor x = there.detach().to(kCPU);
  int64_t offset = 0;
  int d = 0;
  for (int64_t i : place) offset += i * x.stride()[d++];
  return static_cast<double*>(x.raw_data())[offset];
}
/// f has one input here; checks gradients for it in three layouts.
void expect_gradients(const Function& f, const Shape& shape) {
  EXPECT_EQ(gradcheck(f, {leaf(shape)}), "");
  if (shape.rank < 2) return;
  EXPECT_EQ(gradcheck([&](const auto& in) { return f({in[0].transpose(0, 1)}); }, {leaf([&] {
                        Shape s = shape;
                        std::swap(s[0], s[1]);
                        return s;
                      }())}),
            "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return f({in[0] * in[0]}); }, {leaf(shape)}), "");
}

}  // namespace

DEVICE_TEST(Join, Cat) {
  AnyTensor a = count({2, 3}), b = count({2, 2}) + 100, c = count({2, 0});
  AnyTensor y = cat({a, b, c}, 1);
  EXPECT_EQ(values(y), (V{0, 1, 2, 100, 101, 3, 4, 5, 102, 103}));
  EXPECT_EQ(values(cat({a, a.t().t()}, -2)), (V{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values(cat({a.t(), b.t()}, 0).t()), values(y));
  EXPECT_EQ(values(cat({empty({0}, DType::float64), a})), values(a));
  Tensor<float> p = {1, 2}, q = {3};
  Tensor<float> typed = cat({p, q});
  EXPECT_EQ(values(typed), (V{1, 2, 3}));
  EXPECT_EQ(values(cat(std::vector<Tensor<float>>{p, q})), (V{1, 2, 3}));
  for (int t = 0; t < kDTypes; ++t)
    EXPECT_EQ(values(cat({to(ints({1, 0}), DType(t)), to(ints({1}), DType(t))})), (V{1, 0, 1})) << name(DType(t));
}

DEVICE_TEST(Join, ChannelsLastStaysSo) {
  AnyTensor a = empty_channels_last({2, 3, 4, 5}, DType::float64), b = empty_channels_last({2, 2, 4, 5}, DType::float64);
  a.copy_(draw({2, 3, 4, 5})), b.copy_(draw({2, 2, 4, 5}, -1, 1, 8));
  for (auto [x, z] : {std::pair{a, b}, {a.contiguous(), b}}) {
    AnyTensor y = cat({x, z}, 1);
    EXPECT_FALSE(y.is_contiguous());
    EXPECT_EQ(y.stride(), empty_channels_last({2, 5, 4, 5}, DType::float64).stride());
    EXPECT_EQ(distance(y, cat({a.contiguous(), b.contiguous()}, 1)), 0);
  }
  AnyTensor padded = pad(a, {1, 1, 2, 0});
  EXPECT_EQ(padded.stride(), empty_channels_last({2, 3, 6, 7}, DType::float64).stride());
  EXPECT_EQ(distance(padded, pad(a.contiguous(), {1, 1, 2, 0})), 0);
}

DEVICE_TEST(Join, StackAndItsKin) {
  AnyTensor a = count({2}), b = count({2}) + 10, m = count({2, 2});
  EXPECT_EQ(values(stack({a, b}, 1)), (V{0, 10, 1, 11}));
  EXPECT_EQ(stack({m, m, m}, -1).shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values(stack({full({}, 1, DType::float32), full({}, 2, DType::float32)})), (V{1, 2}));
  EXPECT_EQ(values(hstack({a, b})), (V{0, 1, 10, 11}));
  EXPECT_EQ(hstack({m, m}).shape(), (Shape{2, 4}));
  EXPECT_EQ(vstack({a, m}).shape(), (Shape{3, 2}));
  EXPECT_EQ(values(dstack({a, b})), (V{0, 10, 1, 11}));
  EXPECT_EQ(values(column_stack({a, m})), (V{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(values(block_diag({a, m})), (V{0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 2, 3}));
  EXPECT_EQ(values(cartesian_prod({a, b})), (V{0, 10, 0, 11, 1, 10, 1, 11}));
  EXPECT_EQ(values(combinations(count({3}))), (V{0, 1, 0, 2, 1, 2}));
  EXPECT_EQ(values(combinations(count({2}), 2, true)), (V{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(combinations(count({2}), 3).shape(), (Shape{0, 3}));
  Tensor<float> typed = stack({Tensor<float>{1}, Tensor<float>{2}});
  EXPECT_EQ(typed.shape(), (Shape{2, 1}));
}

DEVICE_TEST(Join, SequencesOfManyLengths) {
  AnyTensor a = count({1, 2}), b = count({3, 2}) + 10, none = count({0, 2});
  EXPECT_EQ(values(pad_sequence({a, b, none}, {.batch_first = true, .value = -1})),
            (V{0, 1, -1, -1, -1, -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(distance(pad_sequence({a, b}), transpose(pad_sequence({a, b}, {.batch_first = true}), 0, 1)), 0);
  EXPECT_EQ(pad_sequence({none, none}).shape(), (Shape{0, 2, 2}));
  EXPECT_EQ(values(pad_sequence({count({2}), count({3})}, {.batch_first = true})), (V{0, 1, 0, 0, 1, 2}));
  for (DType t : {DType::int64, DType::boolean, DType::bfloat16}) EXPECT_EQ(pad_sequence({a.to(t), b.to(t)}).dtype(), t);
  Tensor<float> typed = pad_sequence({Tensor<float>{1}, Tensor<float>{2, 3}}, {.value = 9});
  EXPECT_EQ(values(typed), (V{1, 2, 9, 3}));
  AnyTensor x = draw({2, 3}).requires_grad_(), y = draw({4, 3}, -1, 1, 8).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return square(pad_sequence({in[0], in[1], in[0]}, {.value = 2})); }, {x, y}), "");
}

DEVICE_TEST(Join, Grids) {
  std::vector<AnyTensor> g = meshgrid({count({2}), count({3})});
  EXPECT_EQ(values(g[0]), (V{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(values(g[1]), (V{0, 1, 2, 0, 1, 2}));
  g = meshgrid({count({2}), count({3})}, MeshOrder::xy);
  EXPECT_EQ(g[0].shape(), (Shape{3, 2}));
  EXPECT_EQ(values(g[0]), (V{0, 1, 0, 1, 0, 1}));
  auto b = broadcast_tensors({count({2, 1}), count({3})});
  EXPECT_EQ(values(b[0]), (V{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(b[1].shape(), (Shape{2, 3}));
}

DEVICE_TEST(Join, Gradients) {
  AnyTensor a = leaf({2, 3}), b = leaf({2, 2}, 8), u = leaf({3}, 9), v = leaf({3}, 10);
  EXPECT_EQ(gradcheck([](const auto& in) { return cat({in[0] * in[0], in[1], in[0]}, 1); }, {a, b}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return cat({in[0].t(), in[1].t() * in[1].t()}); }, {a, b}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return stack({in[0], in[1] * in[0]}, 1); }, {u, v}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return dstack({in[0], in[1] * in[1]}); }, {u, v}), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  return column_stack({in[0], in[1]}) * hstack({in[0], in[1]}).unsqueeze(1).narrow(0, 0, 3);
                },
                {u, v}),
            "");
  EXPECT_EQ(gradcheck([](const auto& in) { return block_diag({in[0], in[1]}); }, {a, b}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return cartesian_prod({in[0], in[1]}); }, {u, v}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return combinations(in[0] * in[0], 2); }, {u}), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  return meshgrid({in[0], in[1]}, MeshOrder::xy)[0] * meshgrid({in[0], in[1]}, MeshOrder::xy)[1];
                },
                {u, v}),
            "");
}

DEVICE_TEST(Split, SizesAndViews) {
  AnyTensor x = count({5, 2});
  auto sizes = [](const std::vector<AnyTensor>& parts, int d = 0) {
    V all;
    for (auto& p : parts) all.push_back(double(p.shape()[d]));
    return all;
  };
  EXPECT_EQ(sizes(split(x, 2)), (V{2, 2, 1}));
  EXPECT_EQ(sizes(split(x, {1, 0, 4})), (V{1, 0, 4}));
  EXPECT_EQ(sizes(tensor_split(x, 3)), (V{2, 2, 1}));
  EXPECT_EQ(sizes(tensor_split(x, 7)), (V{1, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(sizes(tensor_split(x, {1, 3})), (V{1, 2, 2}));
  EXPECT_EQ(sizes(tensor_split(x, {3, 1, 9})), (V{3, 0, 4, 0}));
  EXPECT_EQ(sizes(chunk(x, 4)), (V{2, 2, 1}));
  EXPECT_EQ(sizes(chunk(x, 2, -1), 1), (V{1, 1}));
  EXPECT_EQ(sizes(chunk(zeros({0, 2}, DType::float32), 3)), (V{0, 0, 0}));
  EXPECT_EQ(unbind(x, 1).size(), 2u);
  EXPECT_EQ(values(unbind(x, 1)[1]), (V{1, 3, 5, 7, 9}));
  split(x, 2)[1].fill_(-1);
  EXPECT_EQ(at(x, {2, 0}), -1);
  auto [p, q] = [&] {
    auto parts = chunk(Tensor<float>{1, 2}, 2);
    return std::pair{parts[0].item(), parts[1].item()};
  }();
  EXPECT_EQ(p + q, 3);
}

DEVICE_TEST(Split, Gradients) {
  expect_gradients([](const auto& in) { return split(in[0], 2)[0] * split(in[0], 2)[1]; }, {4, 3});
  expect_gradients(
      [](const auto& in) {
        auto parts = split(in[0], {1, 2, 1}, 1);  // the last one is not used
        return parts[0] * parts[1];
      },
      {3, 4});
  expect_gradients([](const auto& in) { return unbind(in[0], 1)[2] * unbind(in[0], 0)[1]; }, {3, 3});
  expect_gradients([](const auto& in) { return tensor_split(in[0], {2})[1]; }, {4, 2});
  // One part that is all there is.
  expect_gradients([](const auto& in) { return square(split(in[0], 3, 1)[0]); }, {2, 3});
  expect_gradients([](const auto& in) { return square(split(in[0], {2}, 0)[0]); }, {2, 3});
  expect_gradients([](const auto& in) { return square(tensor_split(in[0], 1)[0]); }, {2, 3});
  expect_gradients([](const auto& in) { return square(chunk(in[0], 1)[0]); }, {2, 3});
  expect_gradients([](const auto& in) { return square(unbind(in[0])[0]); }, {1, 3});
  expect_gradients(
      [](const auto& in) {
        auto parts = chunk(in[0], 3, 1);
        return parts[0] * parts[1] + parts[2];
      },
      {2, 6});
}

DEVICE_TEST(Repeat, AnyRank) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(distance(repeat(x, {2, 1, 3}), made({2, 2, 9}, [&](auto* i) { return at(x, {i[1], i[2] % 3}); })), 0);
  EXPECT_EQ(distance(repeat(x, {3, 2}), made({6, 6}, [&](auto* i) { return at(x, {i[0] % 2, i[1] % 3}); })), 0);
  EXPECT_EQ(repeat(x, {0, 2}).shape(), (Shape{0, 6}));
  EXPECT_FALSE(repeat(x, {1, 1}).raw_data() == x.raw_data());
  EXPECT_EQ(distance(tile(x, {2}), repeat(x, {1, 2})), 0);
  AnyTensor deep = draw({1, 2, 1, 2, 1, 2, 1, 2});  // eight axes: none to spare
  AnyTensor y = repeat(deep, {2, 1, 2, 1, 2, 2, 1, 2});
  EXPECT_EQ(distance(y, made(y.shape(), [&](auto* i) { return at(deep, {0, i[1], 0, i[3], 0, i[5] % 2, 0, i[7] % 2}); })), 0);
  AnyTensor six = draw({1, 2, 1, 2, 1, 2});
  y = repeat(six, {2, 3, 2, 2, 1, 2});
  EXPECT_EQ(distance(y, made(y.shape(), [&](auto* i) { return at(six, {0, i[1] % 2, 0, i[3] % 2, 0, i[5] % 2}); })), 0);
  EXPECT_EQ(values(repeat(full({}, 3, DType::int32), {2})), (V{3, 3}));
}

DEVICE_TEST(Repeat, Interleave) {
  AnyTensor x = count({2, 2});
  EXPECT_EQ(values(repeat_interleave(x, 2, 1)), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(values(repeat_interleave(x, 2, 0)), (V{0, 1, 0, 1, 2, 3, 2, 3}));
  EXPECT_EQ(values(repeat_interleave(x, 2)), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(values(repeat_interleave(x, ints({0, 2}), 0)), (V{2, 3, 2, 3}));
  EXPECT_EQ(repeat_interleave(x, 0, 1).shape(), (Shape{2, 0}));
}

DEVICE_TEST(Repeat, Gradients) {
  expect_gradients([](const auto& in) { return repeat(in[0], {2, 1, 3}); }, {2, 3});
  expect_gradients([](const auto& in) { return tile(in[0], {2}); }, {2, 3});
  expect_gradients([](const auto& in) { return repeat_interleave(in[0], 3, 0); }, {2, 2});
  expect_gradients([](const auto& in) { return repeat_interleave(in[0], ints({2, 0, 1}), 1); }, {2, 3});
}

DEVICE_TEST(Reorder, FlipRollTurn) {
  AnyTensor x = draw({3, 4, 2}), t = x.permute({2, 0, 1});
  EXPECT_EQ(distance(flip(x, {0, 2}), made(x.shape(), [&](auto* i) { return at(x, {2 - i[0], i[1], 1 - i[2]}); })), 0);
  EXPECT_EQ(distance(flip(x, 1), made(x.shape(), [&](auto* i) { return at(x, {i[0], 3 - i[1], i[2]}); })), 0);
  EXPECT_EQ(distance(flip(t, {0, 1, 2}), made(t.shape(), [&](auto* i) { return at(t, {1 - i[0], 2 - i[1], 3 - i[2]}); })), 0);
  EXPECT_EQ(distance(flip(flip(t, -1), -1), t), 0);
  EXPECT_EQ(distance(fliplr(x), flip(x, 1)), 0);
  EXPECT_EQ(distance(flipud(x), flip(x, 0)), 0);
  EXPECT_EQ(flip(zeros({0, 2}), 0).shape(), (Shape{0, 2}));
  EXPECT_EQ(values(roll(count({4}), 1)), (V{3, 0, 1, 2}));
  EXPECT_EQ(values(roll(count({4}), -5)), (V{1, 2, 3, 0}));
  EXPECT_EQ(distance(roll(x, {1, -1}, {0, 1}), made(x.shape(),
                                                    [&](auto* i) {
                                                      return at(x, {(i[0] + 2) % 3, (i[1] + 1) % 4, i[2]});
                                                    })),
            0);
  EXPECT_EQ(values(roll(count({2, 2}), 1)), (V{3, 0, 1, 2}));
  AnyTensor m = count({2, 3});
  EXPECT_EQ(values(rot90(m)), (V{2, 5, 1, 4, 0, 3}));
  EXPECT_EQ(distance(rot90(m, 2), flip(m, {0, 1})), 0);
  EXPECT_EQ(distance(rot90(m, 3), rot90(rot90(rot90(m)))), 0);
  EXPECT_EQ(distance(rot90(m, -1), rot90(m, 3)), 0);
  for (int t8 = 0; t8 < kDTypes; ++t8) EXPECT_EQ(values(flip(to(ints({1, 0, 0}), DType(t8)), 0)), (V{0, 0, 1})) << name(DType(t8));
}

DEVICE_TEST(Reorder, AxesMove) {
  AnyTensor x = zeros({2, 3, 4, 5});
  EXPECT_EQ(movedim(x, 1, -1).shape(), (Shape{2, 4, 5, 3}));
  EXPECT_EQ(movedim(x, {0, 1}, {3, 0}).shape(), (Shape{3, 4, 5, 2}));
  EXPECT_EQ(squeeze(zeros({1, 2, 1, 3, 1}), {0, 1, -1}).shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(atleast_1d(full({}, 1, DType::float32)).shape(), (Shape{1}));
  EXPECT_EQ(atleast_2d(zeros({3})).shape(), (Shape{1, 3}));
  EXPECT_EQ(atleast_3d(zeros({3})).shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(atleast_3d(zeros({3, 2})).shape(), (Shape{3, 2, 1}));
}

DEVICE_TEST(Reorder, Windows) {
  AnyTensor x = count({7}), w = unfold(x, 0, 3, 2);
  EXPECT_EQ(values(w), (V{0, 1, 2, 2, 3, 4, 4, 5, 6}));
  EXPECT_EQ(w.raw_data(), x.raw_data());
  AnyTensor m = draw({4, 5});
  EXPECT_EQ(distance(unfold(m, 0, 2, 1), made({3, 5, 2}, [&](auto* i) { return at(m, {i[0] + i[2], i[1]}); })), 0);
  expect_gradients([](const auto& in) { return unfold(in[0], 1, 3, 1); }, {2, 5});
  expect_gradients([](const auto& in) { return unfold(in[0], 0, 2, 2); }, {5, 2});
}

DEVICE_TEST(Reorder, Gradients) {
  expect_gradients([](const auto& in) { return flip(in[0], {0, 1}); }, {3, 2});
  expect_gradients([](const auto& in) { return roll(in[0], {1, 2}, {0, 1}); }, {3, 4});
  expect_gradients([](const auto& in) { return roll(in[0], 2); }, {3, 2});
  expect_gradients([](const auto& in) { return rot90(in[0], 1); }, {3, 2});
  expect_gradients([](const auto& in) { return movedim(in[0], 0, 1) * 2; }, {3, 2});
  expect_gradients([](const auto& in) { return squeeze(in[0].unsqueeze(0), {0}); }, {3, 2});
}

DEVICE_TEST(Triangles, EveryDiagonalLayoutAndDtype) {
  AnyTensor x = draw({2, 3, 4}), t = x.transpose(1, 2);
  for (int64_t k = -5; k <= 5; ++k) {
    EXPECT_EQ(distance(tril(x, k), made(x.shape(),
                                        [&](auto* i) {
                                          return i[2] - i[1] <= k ? at(x, {i[0], i[1], i[2]}) : 0;
                                        })),
              0)
        << k;
    EXPECT_EQ(distance(triu(x, k), made(x.shape(),
                                        [&](auto* i) {
                                          return i[2] - i[1] >= k ? at(x, {i[0], i[1], i[2]}) : 0;
                                        })),
              0)
        << k;
    EXPECT_EQ(distance(triu(t, k), made(t.shape(),
                                        [&](auto* i) {
                                          return i[2] - i[1] >= k ? at(t, {i[0], i[1], i[2]}) : 0;
                                        })),
              0)
        << k;
  }
  for (int d = 0; d < kDTypes; ++d) EXPECT_EQ(values(tril(ones({2, 2}, DType(d)))), (V{1, 0, 1, 1})) << name(DType(d));
  EXPECT_EQ(values(tril(ones({200, 300}, DType::float32), INT64_MAX).sum())[0], 60000);
  EXPECT_EQ(values(triu(ones({200, 300}, DType::float32)).sum())[0], 200 * 300 - 199 * 200 / 2);
  EXPECT_EQ(tril(zeros({0, 3})).shape(), (Shape{0, 3}));
  expect_gradients([](const auto& in) { return tril(in[0], 1); }, {3, 3});
  expect_gradients([](const auto& in) { return triu(in[0]); }, {3, 4});
}

DEVICE_TEST(Diagonals, ViewsEmbeddingsTrace) {
  AnyTensor x = draw({3, 4, 2});
  for (int64_t k = -4; k <= 5; ++k) {
    int64_t n = std::max<int64_t>(0, k >= 0 ? std::min<int64_t>(3, 4 - k) : std::min<int64_t>(3 + k, 4));
    AnyTensor d = diagonal(x, k);
    ASSERT_EQ(d.shape(), (Shape{2, n})) << k;
    EXPECT_EQ(distance(d, made({2, n},
                               [&](auto* i) {
                                 return at(x, {i[1] + std::max<int64_t>(-k, 0), i[1] + std::max<int64_t>(k, 0), i[0]});
                               })),
              0);
  }
  AnyTensor v = count({2, 2}) + 1;
  EXPECT_EQ(values(diag_embed(v)), (V{1, 0, 0, 2, 3, 0, 0, 4}));
  EXPECT_EQ(diag_embed(v, 1, 0, 2).shape(), (Shape{3, 2, 3}));
  EXPECT_EQ(values(diag(count({2}) + 1, -1)), (V{0, 0, 0, 1, 0, 0, 0, 2, 0}));
  EXPECT_EQ(values(diag(count({2, 3}), 1)), (V{1, 5}));
  EXPECT_EQ(values(diagflat(v)).size(), 16u);
  EXPECT_EQ(trace(count({3, 3})).item(), 12);
  EXPECT_EQ(trace(arange(4).reshape({2, 2})).item(), 3);
  expect_gradients([](const auto& in) { return diagonal(in[0], 1); }, {3, 4});
  expect_gradients([](const auto& in) { return diag_embed(in[0], -1); }, {2, 3});
  expect_gradients([](const auto& in) { return trace(in[0] * in[0]); }, {3, 3});
  expect_gradients([](const auto& in) { return diag(in[0]); }, {3, 3});
}

DEVICE_TEST(Diagonals, PartsAreReplaced) {
  AnyTensor x = leaf({3, 4}), row = leaf({4}, 8), piece = leaf({3, 2}, 9), d = leaf({3}, 10);
  EXPECT_EQ(distance(select_scatter(x, row, 0, -1).select(0, 2), row), 0);
  EXPECT_EQ(distance(slice_scatter(x, piece, 1, 0, 4, 2).select(1, 2), piece.select(1, 1)), 0);
  EXPECT_EQ(distance(diagonal_scatter(x, d, 1).select(0, 1).select(0, 2), d.select(0, 1)), 0);
  EXPECT_EQ(distance(slice_scatter(x, piece, 1, 0, 4, 2).select(1, 1), x.select(1, 1)), 0);
  EXPECT_EQ(gradcheck([](const auto& in) { return select_scatter(in[0], in[1] * in[1], 0, 1); }, {x, row}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return slice_scatter(in[0] * in[0], in[1], 1, 1, 4, 2); }, {x, piece}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return diagonal_scatter(in[0], in[1], 1); }, {x, d}), "");
}

DEVICE_TEST(Pad, EveryMode) {
  AnyTensor x = count({3});
  EXPECT_EQ(values(pad(x, {1, 2}, PadMode::constant, 9)), (V{9, 0, 1, 2, 9, 9}));
  EXPECT_EQ(values(pad(x, {2, 1}, PadMode::reflect)), (V{2, 1, 0, 1, 2, 1}));
  EXPECT_EQ(values(pad(x, {1, 2}, PadMode::replicate)), (V{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(values(pad(x, {2, -1}, PadMode::replicate)), (V{0, 0, 0, 1}));
  EXPECT_EQ(values(pad(x, {-3, 4}, PadMode::replicate)), (V{2, 2, 2, 2})) << "all of the axis is cut off first";
  EXPECT_EQ(values(pad(x, {2, 3}, PadMode::circular)), (V{1, 2, 0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(values(pad(x, {-1, 1})), (V{1, 2, 0}));
  EXPECT_EQ(values(pad(x, {1, -2}, PadMode::circular)), (V{0, 0}));
  AnyTensor m = count({2, 2});
  EXPECT_EQ(values(pad(m, {1, 0, 0, 1})), (V{0, 0, 1, 0, 2, 3, 0, 0, 0}));
  EXPECT_EQ(values(pad(m, {1, 1, 1, 0}, PadMode::reflect)), (V{3, 2, 3, 2, 1, 0, 1, 0, 3, 2, 3, 2}));
  EXPECT_EQ(pad(zeros({0, 2}), {1, 1, 1, 1}).shape(), (Shape{2, 4}));
  for (int t = 0; t < kDTypes; ++t) EXPECT_EQ(values(pad(ones({1}, DType(t)), {1, 0})), (V{0, 1})) << name(DType(t));
  expect_gradients([](const auto& in) { return pad(in[0], {1, 2, 0, 1}, PadMode::constant, 3); }, {2, 3});
  expect_gradients([](const auto& in) { return pad(in[0], {-1, 2, 1, -1}); }, {3, 3});
  for (PadMode mode : {PadMode::reflect, PadMode::replicate, PadMode::circular})
    expect_gradients([&](const auto& in) { return pad(in[0], {2, 1, 1, 2}, mode); }, {3, 3});
}

DEVICE_TEST(Products, KronCrossDistances) {
  EXPECT_EQ(values(kron(Tensor<double>{1, 2}, Tensor<double>{{1, 3}})), (V{1, 3, 2, 6}));
  AnyTensor a = draw({2, 3}), b = draw({3, 2}, -1, 1, 8);
  EXPECT_LT(distance(kron(a, b), made({6, 6},
                                      [&](auto* i) {
                                        return at(a, {i[0] / 3, i[1] / 2}) * at(b, {i[0] % 3, i[1] % 2});
                                      })),
            1e-15);
  EXPECT_EQ(values(cross(Tensor<double>{1, 0, 0}, Tensor<double>{0, 1, 0})), (V{0, 0, 1}));
  EXPECT_EQ(cross(draw({3, 4}), draw({3, 1}), 0).shape(), (Shape{3, 4}));
  Tensor<double> p = {{0, 0}, {3, 4}}, q = {{0, 0}, {3, 0}, {6, 8}};
  EXPECT_LT(distance(cdist(p, q), Tensor<double>{{0, 3, 10}, {5, 4, 5}}), 1e-15);
  EXPECT_LT(distance(cdist(p, q, 1), Tensor<double>{{0, 3, 14}, {7, 4, 7}}), 1e-15);
  EXPECT_LT(distance(cdist(p, q, INFINITY), Tensor<double>{{0, 3, 8}, {4, 4, 4}}), 1e-15);
  EXPECT_LT(distance(cdist(p, q, 0), Tensor<double>{{0, 1, 2}, {2, 1, 2}}), 1e-15);
  EXPECT_LT(distance(cdist(p, q, 3).select(0, 1).select(0, 0), full({}, std::cbrt(27 + 64), DType::float64)), 1e-15);
  EXPECT_EQ(gradcheck([](const auto& in) { return kron(in[0], in[1]); }, {leaf({2, 2}), leaf({3}, 8)}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return cross(in[0], in[1]); }, {leaf({2, 3}), leaf({1, 3}, 8)}), "");
  for (double norm : {1.0, 2.0, 3.0, HUGE_VAL})
    EXPECT_EQ(gradcheck([=](const auto& in) { return cdist(in[0], in[1], norm); }, {leaf({2, 3}), leaf({4, 3}, 8)}), "") << norm;
  AnyTensor same = leaf({2, 3});
  EXPECT_EQ(values(grad({cdist(same, same.detach()).select(0, 0).select(0, 0)}, {same})[0]), V(6, 0));
}

DEVICE_TEST(ShapeOps, Errors) {
  AnyTensor x = zeros({2, 3}, DType::float32), y = zeros({2, 4}, DType::float32);
  EXPECT_TRUE(has(message_of<ValueError>([] { cat(std::vector<AnyTensor>{}); }), "empty list"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { cat({x, y}); }), "cat: shapes [2, 3] and [2, 4]"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { cat({x, to(y, DType::float64)}, 1); }), "float64"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { cat({full({}, 1, DType::float32)}); }), "stack()"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { stack({x, y}); }), "cat()"));
  message_of<ShapeError>([&] { stack({x, x}, 4); });
  EXPECT_TRUE(has(message_of<ShapeError>([&] { split(x, {1, 1}, 1); }), "do not make up axis 1"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { split(x, 0); }), "parts of 0"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { split(x, {-1, 4}, 1); }), "-1"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { chunk(x, 0); }), "0 parts"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { tensor_split(x, -2); }), "-2"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { unbind(full({}, 1, DType::float32)); }), "scalar"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { repeat(x, {2}); }), "tile()"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { repeat(x, {2, -1}); }), "negative"));
  message_of<ShapeError>([&] { repeat(x, {INT64_MAX, INT64_MAX}); });
  EXPECT_TRUE(has(message_of<ValueError>([&] { repeat_interleave(x, -1, 0); }), "-1"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { repeat_interleave(x, ints({1, 2, 3}), 0); }), "counts"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { flip(x, {0, 0}); }), "twice"));
  message_of<ShapeError>([&] { flip(x, 2); });
  EXPECT_TRUE(has(message_of<ShapeError>([&] { roll(x, {1}, {0, 1}); }), "roll"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { rot90(x, 1, 1, 1); }), "no turn"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { movedim(x, {0, 0}, {0, 1}); }), "twice"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { unfold(x, 1, 4, 1); }), "windows of 4"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { unfold(x, 1, 2, 0); }), "apart"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { tril(zeros({3})); }), "[3]"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { diagonal(x, 0, 1, 1); }), "not two"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { diag(zeros({1, 1, 1})); }), "neither"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { trace(zeros({3})); }), "2 dimensions"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { select_scatter(x, x, 0, 0); }), "[3]"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { pad(x, {1}); }), "two are needed"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { pad(x, {3, 0}, PadMode::reflect); }), "at most 2"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { pad(x, {-4, 0}); }), "-4"));
  message_of<ShapeError>([&] { pad(zeros({0}), {1, 0}, PadMode::replicate); });
  message_of<ShapeError>([&] { pad(x, {INT64_MAX, 1}); });
  EXPECT_TRUE(has(message_of<DTypeError>([&] { pad(ints({1}), {1, 1}, PadMode::constant, 0.5); }), "0.5"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { cross(x.t(), x.t()); }), "3 elements"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { cdist(x, y); }), "cdist"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { broadcast_tensors({x, y}); }), "do not broadcast"));
}
