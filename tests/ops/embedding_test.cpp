// Rows of a table by number, one by one and in bags.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
AnyTensor numbers(const Shape& shape, int64_t n, uint64_t seed) { return draw(shape, 0, double(n), seed).to(DType::int64); }
}  // namespace

DEVICE_TEST(Embedding, TakesRows) {
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16})
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{4, 3}, Shape{2, 0}, Shape{70, 50}}) {
      AnyTensor w = draw({11, 37}, -1, 1, 3).to(type), i = numbers(shape, 11, 4);
      AnyTensor y = embedding(i, w);
      Shape expected = shape;
      expected.push_back(37);
      ASSERT_EQ(y.shape(), expected);
      EXPECT_EQ(distance(y, index_select(w, 0, i.reshape({-1})).reshape(expected)), 0);
      EXPECT_EQ(distance(embedding(i.to(DType::int32), w), y), 0);
      EXPECT_EQ(distance(embedding(i, w.t().contiguous().t()), y), 0);
    }
}

DEVICE_TEST(Embedding, Gradients) {
  AnyTensor w = draw({6, 4}, -1, 1, 3).requires_grad_(), i = numbers({3, 5}, 6, 4);
  EXPECT_EQ(gradcheck([&](const auto& in) { return embedding(i, in[0]); }, {w}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return embedding(i, in[0].t().contiguous().t()); }, {w}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return square(embedding(numbers({0}, 6, 4), in[0])); }, {w}), "");
}

DEVICE_TEST(Embedding, TheGradientAddsUpInOrderAndSkipsPadding) {
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    AnyTensor w = draw({50, 300}, -1, 1, 3).to(type).requires_grad_(), i = numbers({700}, 50, 4);
    AnyTensor g = draw({700, 300}, -1, 1, 5).to(type);
    for (int64_t padding : {-100, 3, -1}) {
      EmbeddingOptions o;
      if (padding != -100) o.padding_idx = padding;
      AnyTensor dw = grad({embedding(i, w, o)}, {w}, {g})[0];
      std::vector<double> expected(50 * 300), v = values(g), at = values(i);
      for (int k = 0; k < 700; ++k)
        for (int c = 0; c < 300; ++c)
          if (padding == -100 || at[k] != (padding + 50) % 50) expected[size_t(at[k]) * 300 + c] += v[k * 300 + c];
      AnyTensor e = Tensor<double>(std::span<const double>(expected), {50, 300});
      double tolerance = type == DType::float64 ? 1e-14 : type == DType::float32 ? 1e-5 : type == DType::float16 ? 1e-3 : 8e-3;
      EXPECT_LT(distance(dw, e), tolerance) << name(type) << padding;  // half types are rounded once
    }
  }
  // The gradient with a graph skips the padding too, in both directions.
  AnyTensor w = draw({4, 2}).requires_grad_(), g = draw({3, 2}).requires_grad_(), i = Tensor<int64_t>{1, 2, 1};
  AnyTensor dw = grad({embedding(i, w, {.padding_idx = 1})}, {w}, {g}, {.create_graph = true})[0];
  AnyTensor back = grad({dw}, {g}, {ones({4, 2}, DType::float64)})[0];
  EXPECT_EQ(values(back), (std::vector<double>{0, 0, 1, 1, 0, 0}));
}

TEST(Embedding, SameBitsForAnyNumberOfThreads) {
  AnyTensor w = draw({500, 100}, -1, 1, 3, DType::float32).requires_grad_(), i = numbers({3000}, 500, 4);
  AnyTensor g = draw({3000, 100}, -1, 1, 5, DType::float32);
  auto run = [&] { return grad({embedding(i, w)}, {w}, {g})[0]; };
  AnyTensor before = run();
  int threads = get_num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_EQ(distance(run(), before), 0);
  set_num_threads(threads);
}

DEVICE_TEST(EmbeddingBag, IsTheReductionOfEmbedding) {
  AnyTensor w = draw({10, 5}, -1, 1, 3), i = numbers({4, 6}, 10, 4), flat = i.reshape({24});
  AnyTensor offsets = Tensor<int64_t>{0, 6, 12, 18}, e = embedding(i, w), psw = draw({4, 6}, 0, 1, 5);
  EXPECT_LT(distance(embedding_bag(i, w, {.mode = BagMode::sum}), sum(e, 1)), 1e-14);
  EXPECT_LT(distance(embedding_bag(flat, w, {.mode = BagMode::mean, .offsets = offsets}), mean(e, 1)), 1e-14);
  EXPECT_LT(distance(embedding_bag(i, w, {.mode = BagMode::sum, .per_sample_weights = psw}), sum(e * psw.unsqueeze(-1), 1)), 1e-14);
  AnyTensor top = e.select(1, 0);
  for (int k = 1; k < 6; ++k) top = maximum(top, e.select(1, k));
  EXPECT_EQ(distance(embedding_bag(i, w, {.mode = BagMode::max}), top), 0);
  // Empty bags are zeros; padding is left out.
  AnyTensor y = embedding_bag(Tensor<int64_t>{1, 2, 2}, w, {.offsets = Tensor<int64_t>{0, 0, 2, 3}, .padding_idx = 1});
  EXPECT_LT(distance(y, index_select(w, 0, Tensor<int64_t>{0, 2, 2, 0}) * Tensor<double>{{0}, {1}, {1}, {0}}), 1e-15);
}

DEVICE_TEST(EmbeddingBag, Gradients) {
  AnyTensor w = draw({6, 3}, -1, 1, 3).requires_grad_(), i = numbers({2, 4}, 6, 4), psw = draw({2, 4}, 0.1, 1, 5).requires_grad_();
  for (BagMode mode : {BagMode::sum, BagMode::mean, BagMode::max})
    EXPECT_EQ(gradcheck([&](const auto& in) { return embedding_bag(i, in[0], {.mode = mode}); }, {w}), "") << int(mode);
  EXPECT_EQ(gradcheck([&](const auto& in) { return embedding_bag(i, in[0], {.mode = BagMode::sum, .per_sample_weights = in[1]}); },
                      {w, psw}),
            "");
}

DEVICE_TEST(Embedding, ErrorsNameIndexAndPlace) {
  AnyTensor w = draw({10, 4}), i = Tensor<int64_t>{{1, 2, 3}, {4, 10, 5}};
  EXPECT_EQ(message_of<IndexError>([&] { embedding(i, w); }), "embedding: index 10 at [1, 1] is outside axis 0 of size 10");
  EXPECT_EQ(message_of<IndexError>([&] { embedding(Tensor<int64_t>{-1}, w); }),
            "embedding: index -1 at [0] is outside axis 0 of size 10");
  EXPECT_EQ(message_of<DTypeError>([&] { embedding(w, w); }),
            "embedding: the index is float64, not integer; cast it with to<int64_t>()");
  EXPECT_EQ(message_of<ShapeError>([&] { embedding(i, draw({3})); }), "embedding: weight has shape [3]; 2 dimensions are needed");
  EXPECT_EQ(message_of<IndexError>([&] { embedding(Tensor<int64_t>{1}, w, {.padding_idx = 10}); }),
            "embedding: padding_idx 10 is outside the 10 rows of weight");
  EXPECT_EQ(message_of<IndexError>([&] {
              embedding_bag(Tensor<int64_t>{1, 2}, w, {.offsets = Tensor<int64_t>{0, 3}});
            }),
            "embedding_bag: offset 0 at 0 for 2 indices; offsets begin at 0 and do not fall");
  EXPECT_EQ(message_of<ShapeError>([&] {
              embedding_bag(Tensor<int64_t>{1, 2}, w);
            }),
            "embedding_bag: index has shape [2]; a matrix, or a vector with offsets, is needed");
}
