// New tensors: values, dtypes, edges and errors.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
}  // namespace

DEVICE_TEST(Lists, OfAnyDepth) {
  Tensor<float> x = {{1, 2}, {3, 4}};
  EXPECT_EQ(x.shape(), (Shape{2, 2}));
  EXPECT_EQ(values(x), (V{1, 2, 3, 4}));
  Tensor<int64_t> y = {{{1, 2, 3}, {4, 5, 6}}, {{7, 8, 9}, {10, 11, 12}}};
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values(y)[7], 8);
  EXPECT_EQ((Tensor<double>{{1}, {2}, {3}}.shape()), (Shape{3, 1}));
  EXPECT_EQ((Tensor<double>{{1, 2, 3}}.shape()), (Shape{1, 3}));
  EXPECT_EQ((Tensor<double>{7}.shape()), (Shape{1}));
  EXPECT_EQ((Tensor<bool>{true, false, true}.vector()), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(values(Tensor<half>{0.5, -2}), (V{0.5, -2}));
  EXPECT_EQ(values(Tensor<bfloat16>{{0.5f}, {3.f}}), (V{0.5, 3}));
  EXPECT_EQ(values(Tensor<uint8_t>{0, 255}), (V{0, 255}));
}

DEVICE_TEST(Lists, Empty) {
  Tensor<float> none = {{}};
  EXPECT_EQ(none.shape(), (Shape{1, 0}));
  Tensor<float> rows = {{}, {}};
  EXPECT_EQ(rows.shape(), (Shape{2, 0}));
  EXPECT_FALSE(Tensor<float>{}.defined());
}

DEVICE_TEST(Lists, Ragged) {
  EXPECT_TRUE(has(message_of<ShapeError>([] { Tensor<float>{{1, 2}, {3}}; }), "different lengths"));
  message_of<ShapeError>([] { Tensor<float>{{1}, {3, 4}}; });
  message_of<ShapeError>([] { Tensor<float>{{1, 2}, 3}; });
  message_of<ShapeError>([] { Tensor<float>{1, {2, 3}}; });
  message_of<ShapeError>([] { Tensor<float>{{{1}, {2}}, {{3}, {4, 5}}}; });
  message_of<ShapeError>([] { Tensor<float>{{{1}, {2}}, {3, 4}}; });
  message_of<ShapeError>([] { Tensor<float>{{1}, {}}; });
}

DEVICE_TEST(Values, FromVectorsAndSpans) {
  std::vector<float> v = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(tensor(v).shape(), (Shape{6}));
  EXPECT_EQ(tensor(v, {2, 3}).shape(), (Shape{2, 3}));
  Tensor<float> x(std::span<const float>(v), {3, 2});
  v[0] = 9;
  EXPECT_EQ(values(x), (V{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { tensor(v, {4, 2}); }), "6 values"));
}

DEVICE_TEST(Arange, ValuesAndDtypes) {
  EXPECT_EQ(values(arange(5)), (V{0, 1, 2, 3, 4}));
  EXPECT_EQ(arange(5).dtype(), DType::int64);
  EXPECT_EQ(values(arange(2, 11, 3)), (V{2, 5, 8}));
  EXPECT_EQ(values(arange(5, 0, -2)), (V{5, 3, 1}));
  EXPECT_EQ(values(arange<double>(0, 1, 0.25)), (V{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(values(arange(0, 3, 1, DType::float16)), (V{0, 1, 2}));
  EXPECT_EQ(values(arange(300, DType::int16))[299], 299);
  EXPECT_EQ(arange(0).numel(), 0);
  EXPECT_EQ(arange(INT64_MAX - 2, INT64_MAX).vector(), (std::vector<int64_t>{INT64_MAX - 2, INT64_MAX - 1}));
  EXPECT_EQ(values(arange<float>(0, 100000, 0.1)).back(), double(float(999999 * 0.1)));
  EXPECT_TRUE(has(message_of<ValueError>([] { arange(0, 5, -1); }), "away"));
  EXPECT_TRUE(has(message_of<ValueError>([] { arange(0, 5, 0); }), "step"));
  EXPECT_TRUE(has(message_of<DTypeError>([] { arange(0, 1, 0.1); }), "arange<float>"));
  message_of<ValueError>([] { arange<float>(0, INFINITY, 1); });
}

DEVICE_TEST(Linspace, EndsAreExact) {
  EXPECT_EQ(values(linspace<double>(0, 1, 5)), (V{0, 0.25, 0.5, 0.75, 1}));
  Tensor<float> x = linspace(-3, 0.1, 1000);
  EXPECT_EQ(x.vector()[0], -3);
  EXPECT_EQ(x.vector()[999], 0.1f);
  EXPECT_EQ(values(linspace(2, 5, 1)), V{2});
  EXPECT_EQ(linspace(2, 5, 0).numel(), 0);
  EXPECT_EQ(values(linspace(1, 4, 4, DType::int32)), (V{1, 2, 3, 4}));
  EXPECT_LT(distance(logspace<double>(-1, 2, 4), Tensor<double>{0.1, 1, 10, 100}), 1e-14);
  EXPECT_LT(distance(logspace(0, 3, 4, 2), Tensor<float>{1, 2, 4, 8}), 1e-7);
  EXPECT_TRUE(has(message_of<ValueError>([] { linspace(0, 1, -2); }), "-2"));
}

DEVICE_TEST(Eye, AndTriangles) {
  EXPECT_EQ(values(eye(2)), (V{1, 0, 0, 1}));
  EXPECT_EQ(values(eye(2, 3)), (V{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(values(eye(3, 2, DType::boolean)), (V{1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(eye(0).shape(), (Shape{0, 0}));
  EXPECT_EQ(values(tril_indices(2, 3)), (V{0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(values(triu_indices(2, 3, 1)), (V{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(values(tril_indices(3, 3, -1)), (V{1, 2, 2, 0, 0, 1}));
  EXPECT_EQ(tril_indices(0, 3).shape(), (Shape{2, 0}));
  message_of<ShapeError>([] { triu_indices(-1, 2); });
  message_of<ShapeError>([] { eye(-3); });
}

DEVICE_TEST(Full, EveryDtypeAndLike) {
  for (int t = 0; t < kDTypes; ++t) {
    EXPECT_EQ(values(full({2}, 1, DType(t))), (V{1, 1})) << name(DType(t));
    EXPECT_EQ(values(zeros({1, 2}, DType(t))), (V{0, 0}));
  }
  AnyTensor last = empty_channels_last({2, 3, 2, 2}, DType::float32);
  EXPECT_EQ(full_like(last, 3).stride(), last.stride());
  EXPECT_EQ(ones_like(Tensor<int64_t>{1, 2}).vector(), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(full<int64_t>({2}, INT64_MAX).vector()[1], INT64_MAX);
}

TEST(FromBlob, BorrowsAndGivesBack) {
  float memory[6] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  {
    Tensor<float> x = from_blob(memory, {2, 3}, [&](void* p) { released += p == memory; });
    AnyTensor row = x.select(0, 1);
    x = {};
    EXPECT_EQ(released, 0);
    memory[3] = 40;
    EXPECT_EQ(values(row), (V{40, 5, 6}));
    row.mul_(2.0);
    EXPECT_EQ(memory[3], 80);
  }
  EXPECT_EQ(released, 1);
  AnyTensor columns = from_blob(memory, {3, 2}, {1, 3}, DType::float32);
  EXPECT_EQ(values(columns), (V{1, 80, 2, 10, 3, 12}));
  EXPECT_TRUE(has(message_of<ValueError>([] { from_blob(nullptr, {2}, DType::float32); }), "null"));
  message_of<ShapeError>([&] { from_blob(memory, {-2}); });
  message_of<ValueError>([&] { from_blob(memory, {2}, {-1}, DType::float32); });
  message_of<ShapeError>([&] { from_blob(memory, {2}, {1, 1}, DType::float32); });
  message_of<ShapeError>([&] { from_blob(memory, {3}, {INT64_MAX}, DType::float32); });
}
