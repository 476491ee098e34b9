// x(...) read and written: views, copies, masks, tensors, and the gradients of assignments.
#include "gradus/core/index.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
AnyTensor leaf(const Shape& shape, uint64_t seed = 7) { return draw(shape, -1, 1, seed).requires_grad_(); }
Tensor<double> count(const Shape& shape) { return arange<double>(shape.numel()).reshape(shape); }

// A variable that holds an indexed tensor cannot be mistaken for a place in x; a const x cannot be written.
template <class X, class V> concept Assignable = requires(X&& x, V v) { std::forward<X>(x) = v; };
using Row = Indexed<Tensor<float>>;
static_assert(Assignable<Row, Tensor<float>> && Assignable<Row, double> && Assignable<Row, Row>);
static_assert(!Assignable<Row&, double> && !Assignable<Row&, Tensor<float>>);
static_assert(!Assignable<Row, Tensor<double>> && !Assignable<Row, AnyTensor>);
static_assert(!Assignable<const Tensor<float>, Tensor<float>>);
static_assert(!IndexLike<double> && !IndexLike<bool> && IndexLike<size_t> && IndexLike<Tensor<bool>>);

}  // namespace

TEST(Indexing, ReadsViews) {
  Tensor<double> x = count({3, 4});
  EXPECT_EQ(x[1][2].item(), 6);
  EXPECT_EQ(x[-1].vector(), (V{8, 9, 10, 11}));
  EXPECT_EQ(x(1, -1).item(), 7);
  auto y = x(1, _);
  EXPECT_EQ(y.shape(), (Shape{4}));
  EXPECT_EQ(y.raw_data(), x.data() + 4);
  EXPECT_EQ(x(_, slice(1, 3)).vector(), (V{1, 2, 5, 6, 9, 10}));
  EXPECT_EQ(x(slice(_, _, 2), slice(2)).vector(), (V{0, 1, 8, 9}));
  EXPECT_EQ(x(slice(-2, _), 0).vector(), (V{4, 8}));
  EXPECT_EQ(x(ellipsis, 0).vector(), (V{0, 4, 8}));
  EXPECT_EQ(x(0, ellipsis, newaxis).shape(), (Shape{4, 1}));
  EXPECT_EQ(x(newaxis, _, newaxis, 1).shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(x(slice(5, 9)).shape(), (Shape{0, 4}));
  EXPECT_EQ(x[slice(2, 1)].shape(), (Shape{0, 4}));
  const Tensor<double>& fixed = x;
  EXPECT_EQ(fixed[0](slice(0, 2)).vector(), (V{0, 1}));
  EXPECT_EQ((x[0] + x[1] * 2).vector(), (V{8, 11, 14, 17}));
}

TEST(Indexing, RangesRunBackwards) {
  Tensor<double> x = count({5});
  EXPECT_EQ(x(slice(_, _, -1)).vector(), (V{4, 3, 2, 1, 0}));
  EXPECT_EQ(x(slice(3, 0, -2)).vector(), (V{3, 1}));
  EXPECT_EQ(x(slice(-1, -4, -1)).vector(), (V{4, 3, 2}));
  EXPECT_EQ(x(slice(9, _, -3)).vector(), (V{4, 1}));
  EXPECT_EQ(x(slice(0, 3, -1)).numel(), 0);
  x(slice(_, _, -2)) = Tensor<double>{10, 20, 30};
  EXPECT_EQ(x.vector(), (V{30, 1, 20, 3, 10}));
}

TEST(Indexing, ReadsByMaskAndTensor) {
  Tensor<double> x = count({3, 4});
  EXPECT_EQ(x(x > 8).vector(), (V{9, 10, 11}));
  EXPECT_EQ((x[Tensor<int64_t>{2, 0}].select(1, 0).vector()), (V{8, 0}));
  EXPECT_EQ(x(Tensor<int64_t>{2, 0}, Tensor<int64_t>{1, 3}).vector(), (V{9, 3}));
  EXPECT_EQ(x(slice(1, _), Tensor<int64_t>{0, -1}).vector(), (V{4, 7, 8, 11}));
  EXPECT_EQ(x(Tensor<bool>{true, false, true}, 1).vector(), (V{1, 9}));
  Tensor<double> z = count({2, 3, 4});
  // Beside tensors a number is a tensor too, and with a whole axis between them theirs come first: (2, 3).
  EXPECT_EQ(z(0, _, Tensor<int64_t>{0, 1}).shape(), (Shape{2, 3}));
  EXPECT_EQ(z(_, 0, Tensor<int64_t>{0, 1}).shape(), (Shape{2, 2}));
  EXPECT_EQ(z(Tensor<int64_t>{{0}, {1}}, newaxis, Tensor<int64_t>{0, 1}).shape(), (Shape{2, 2, 1, 4}));
  Tensor<double> picked = x(Tensor<int64_t>{0});
  EXPECT_NE(picked.raw_data(), x.raw_data());
}

TEST(Indexing, Writes) {
  Tensor<double> x = zeros<double>({3, 4});
  x(0, _) = 1.0;
  x[1] = Tensor<double>{1, 2, 3, 4};
  x[2][3] = 7;
  x(slice(1, 3), 0) += 10;
  EXPECT_EQ(x.vector(), (V{1, 1, 1, 1, 11, 2, 3, 4, 10, 0, 0, 7}));
  x(x > 5) = 0;
  x(Tensor<int64_t>{0, 2}, Tensor<int64_t>{1, 2}) = Tensor<double>{-1, -2};
  EXPECT_EQ(x.vector(), (V{1, -1, 1, 1, 0, 2, 3, 4, 0, 0, -2, 0}));
  x[0] = x[1];
  x(_, slice(0, 2)) = x(_, slice(2, 4));
  EXPECT_EQ(x.vector(), (V{3, 4, 3, 4, 3, 4, 3, 4, -2, 0, -2, 0}));
  x(slice(0, 2))(Tensor<int64_t>{1}, 0) = 9;
  EXPECT_EQ(x[1][0].item(), 9);
}

TEST(Indexing, VariablesAreTensorsOfTheirOwn) {
  Tensor<float> x = {{1, 2}, {3, 4}}, row = x[0];
  row = x[1];
  EXPECT_EQ(values(x), (V{1, 2, 3, 4}));
  auto view = x[0];
  view(1) = 9;  // a view still shares the memory
  EXPECT_EQ(values(x), (V{1, 9, 3, 4}));
}

TEST(Indexing, GradientsOfReading) {
  AnyTensor x = leaf({3, 4, 2});
  EXPECT_EQ(gradcheck([](const auto& in) { return AnyTensor(in[0](1, slice(0, 4, 2), newaxis)); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return AnyTensor(in[0](slice(_, _, -1), _, 1)); }, {x}), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  return AnyTensor(in[0](AnyTensor(Tensor<int64_t>{0, 2, 0}), slice(1, 3), 1));
                },
                {x}),
            "");
}

TEST(Indexing, GradientsOfWriting) {
  AnyTensor x = leaf({3, 4}), v = leaf({4}, 8), pair = leaf({2}, 9);
  auto check = [](auto write, const std::vector<AnyTensor>& inputs) {
    return gradcheck(
        [&](const auto& in) {
          AnyTensor y = in[0] * in[0];
          write(y, in.back() * in.back());
          return y * y;
        },
        inputs);
  };
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(1, _) = w; }, {x, v}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y[1][slice(0, 4)] = w; }, {x, v}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(slice(0, 2)) = w; }, {x, v}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(slice(_, _, -1)) = w; }, {x, v}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(slice(_, _, 2)) *= w; }, {x, v}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(AnyTensor(Tensor<int64_t>{2, 0}), 1) = w; }, {x, pair}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor& w) { y(slice(1, 3))(AnyTensor(Tensor<int64_t>{1, 1}), 1) = w; }, {x, pair}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor&) { y(0, slice(1, 3)) = 2; }, {x}), "");
  EXPECT_EQ(check([](auto& y, const AnyTensor&) { y(y.detach() > 0.3) = 0; }, {x}), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {  // only the value is in the graph
                  AnyTensor y = zeros({3, 4}, DType::float64);
                  y(slice(0, 2)) = in[0] * in[0];
                  y[0] = y[1] * 2;
                  return y;
                },
                {v}),
            "");
}

TEST(Indexing, Errors) {
  Tensor<float> x = zeros({3, 4});
  EXPECT_TRUE(has(message_of<IndexError>([&] { x[3]; }), "3 is outside an axis of size 3"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { x(0, -5); }), "-5"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { x(0, 0, 0); }), "3 indices"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { x(ellipsis, ellipsis); }), "ellipsis"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { x(slice(_, _, 0)); }), "step 0"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { x(Tensor<bool>{true}); }), "mask"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { x[0] = zeros({3}); }), "[3] does not broadcast to [4]"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { x(x == 0) = zeros({3}); }), "12"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] {
                    AnyTensor y = x;
                    y[0] = zeros({4}, DType::float64);
                  }),
                  "float64"));
  Tensor<int64_t> i = {1, 2};
  EXPECT_TRUE(has(message_of<DTypeError>([&] { i[0] = 0.5; }), "0.5"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { x(Tensor<int64_t>{0, 1})[0] = 1; }), "copy"));
  message_of<ValueError>([&] { x(slice(_, _, -1), 3)(0) = 5.0; });
  AnyTensor p = leaf({2});
  EXPECT_TRUE(has(message_of<GraphError>([&] { p[0] = 1; }), "NoGrad"));
  EXPECT_TRUE(has(message_of<IndexError>([&] { full({}, 1, DType::float32)[0]; }), "1 indices"));
}
