// Gradients and their gradients where tests elsewhere stop at the first: where on every side, views and copies of them, pools and
// interpolation of rows, eigenvalues and eigenvectors apart.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Case {
  const char* name;
  std::vector<Shape> inputs;
  Function f;
};
/// The function's result is squared and mixed first: a linear function has no second gradient to be wrong about.
void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<AnyTensor> inputs;
    for (const Shape& shape : c.inputs) inputs.push_back(draw(shape, 0.5, 2, 3 + inputs.size()).requires_grad_());
    EXPECT_EQ(gradcheck(c.f, inputs), "");
    auto curved = [&](const std::vector<AnyTensor>& in) {
      AnyTensor y = c.f(in);
      return y * y * y;
    };
    EXPECT_EQ(gradcheck(curved, inputs), "") << "curved";
  }
}

DEVICE_TEST(SecondGradients, Where) {
  const AnyTensor c = draw({3, 4}, -1, 1, 2) > 0, row = draw({4}, -1, 1, 4) > 0, turned = (draw({4, 3}, -1, 1, 5) > 0).t();
  check({
      {"both tensors", {{3, 4}, {3, 4}}, [=](auto& in) { return where(c, in[0], in[1]); }},
      {"a number first", {{3, 4}}, [=](auto& in) { return where(c, 2, in[0]); }},
      {"a number second", {{3, 4}}, [=](auto& in) { return where(c, in[0], 2); }},
      {"a broadcast condition", {{3, 4}, {3, 4}}, [=](auto& in) { return where(row, in[0], in[1]); }},
      {"broadcast values", {{4}, {3, 1}}, [=](auto& in) { return where(c, in[0], in[1]); }},
      {"a scalar tensor", {{}, {3, 4}}, [=](auto& in) { return where(c, in[0], in[1]); }},
      {"a transposed condition", {{3, 4}, {3, 4}}, [=](auto& in) { return where(turned, in[0], in[1]); }},
      {"transposed values", {{4, 3}, {3, 4}}, [=](auto& in) { return where(c, in[0].t(), in[1]); }},
      {"one tensor twice", {{3, 4}}, [=](auto& in) { return where(c, in[0], in[0] * in[0]); }},
  });
}

DEVICE_TEST(SecondGradients, Views) {
  check({
      {"view",
       {{2, 6}},
       [](auto& in) {
         return view(in[0], {3, 4});
       }},
      {"reshape of a transpose",
       {{2, 6}},
       [](auto& in) {
         return reshape(in[0].t(), {3, 4});
       }},
      {"flatten", {{2, 3, 2}}, [](auto& in) { return flatten(in[0], 1); }},
      {"unflatten",
       {{2, 6}},
       [](auto& in) {
         return unflatten(in[0], 1, {2, -1});
       }},
      {"broadcast_to",
       {{3, 1}},
       [](auto& in) {
         return broadcast_to(in[0], {2, 3, 4});
       }},
      {"expand",
       {{1, 4}},
       [](auto& in) {
         return expand(in[0], {3, -1});
       }},
      {"contiguous of a transpose", {{2, 6}}, [](auto& in) { return contiguous(in[0].t()); }},
      {"clone of a transpose", {{2, 6}}, [](auto& in) { return clone(in[0].t()); }},
      {"squeeze", {{2, 1, 3, 1}}, [](auto& in) { return squeeze(in[0]); }},
      {"squeeze of an axis", {{2, 1, 3}}, [](auto& in) { return squeeze(in[0], 1); }},
      {"squeeze of an axis that stays", {{2, 1, 3}}, [](auto& in) { return squeeze(in[0], 0); }},
      {"unsqueeze", {{2, 3}}, [](auto& in) { return unsqueeze(in[0], -1); }},
      {"transpose", {{2, 3, 4}}, [](auto& in) { return transpose(in[0], 0, -1); }},
      {"permute",
       {{2, 3, 4}},
       [](auto& in) {
         return permute(in[0], {2, 0, 1});
       }},
      {"narrow", {{2, 5}}, [](auto& in) { return narrow(in[0], 1, 1, 3); }},
      {"select", {{2, 5}}, [](auto& in) { return select(in[0], 1, -2); }},
      {"slice with steps", {{2, 7}}, [](auto& in) { return slice(in[0], 1, 1, 7, 3); }},
      {"diagonal", {{3, 4}}, [](auto& in) { return diagonal(in[0], 1); }},
  });
}

DEVICE_TEST(SecondGradients, PoolsAndInterpolationOfRows) {
  check({
      {"max_pool1d", {{2, 3, 8}}, [](auto& in) { return max_pool1d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
      {"avg_pool1d", {{2, 3, 8}}, [](auto& in) { return avg_pool1d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
      {"adaptive_avg_pool1d", {{2, 3, 8}}, [](auto& in) { return adaptive_avg_pool1d(in[0], 3); }},
      {"adaptive_max_pool1d", {{2, 3, 8}}, [](auto& in) { return adaptive_max_pool1d(in[0], 3); }},
      {"max_pool2d", {{1, 2, 5, 6}}, [](auto& in) { return max_pool2d(in[0], {.kernel = 2}); }},
      {"avg_pool2d", {{1, 2, 5, 6}}, [](auto& in) { return avg_pool2d(in[0], {.kernel = 2, .count_include_pad = false}); }},
      {"adaptive_avg_pool2d",
       {{1, 2, 5, 6}},
       [](auto& in) {
         return adaptive_avg_pool2d(in[0], {2, 3});
       }},
      {"interpolate rows",
       {{1, 2, 1, 5}},
       [](auto& in) { return interpolate(in[0], {.size = 8, .mode = InterpolateMode::linear}); }},
      {"interpolate, nearest",
       {{1, 2, 2, 3}},
       [](auto& in) {
         return interpolate(in[0], {.size = Pair{5, 4}});
       }},
      {"max_unpool1d",
       {{1, 2, 4}},
       [](auto& in) {
         AnyTensor i = arange(0, 8, 2, DType::int64, in[0].device());
         return max_unpool1d(in[0], expand(i, {1, 2, 4}), 8);
       }},
  });
}

DEVICE_TEST(SecondGradients, EigenvaluesAndVectorsApart) {
  // Eigenvalues that lie apart, and vectors up to their sign: their squares.
  auto symmetric = [](const AnyTensor& x) {
    AnyTensor apart = diag(placed(Tensor<double>{0.0, 3.0, 7.0}));
    return (x + x.t()) * 0.3 + apart;
  };
  check({
      {"eigh's values", {{3, 3}}, [=](auto& in) { return linalg::eigh(symmetric(in[0])).values; }},
      {"eigvalsh", {{3, 3}}, [=](auto& in) { return linalg::eigvalsh(symmetric(in[0])); }},
      {"eigh's vectors", {{3, 3}}, [=](auto& in) { return square(linalg::eigh(symmetric(in[0])).vectors); }},
      {"svdvals", {{3, 2}}, [=](auto& in) { return linalg::svdvals(in[0] + eye(3, 2, DType::float64, in[0].device()) * 3); }},
  });
}

/// Families that claim every float type: against the result in double of the same numbers, rounded once. Half types are added up in float,
/// so one rounding is all that is lost, unless an op rounds in between: then a few.
TEST(Dtypes, ResultsAreThoseOfDoubleRoundedOnce) {
  struct Op {
    const char* name;
    std::vector<Shape> inputs;
    Function f;
    double roundings = 1;
  };
  const AnyTensor rows = Tensor<int64_t>{2, 0, 2}, mask = draw({4, 6}, -1, 1, 2) > 0;
  const std::vector<Op> ops = {
      {"conv1d", {{2, 3, 8}, {4, 3, 3}, {4}}, [](auto& in) { return conv1d(in[0], in[1], in[2], {.padding = 1}); }},
      {"conv2d", {{2, 3, 6, 6}, {4, 3, 3, 3}, {4}}, [](auto& in) { return conv2d(in[0], in[1], in[2]); }},
      {"conv_transpose1d", {{2, 3, 5}, {3, 4, 3}}, [](auto& in) { return conv_transpose1d(in[0], in[1]); }},
      {"conv_transpose2d",
       {{1, 3, 5, 5}, {3, 4, 3, 3}},
       [](auto& in) { return conv_transpose2d(in[0], in[1], {}, {.stride = 2}); }},
      {"mse_loss", {{4, 6}, {4, 6}}, [](auto& in) { return mse_loss(in[0], in[1]); }, 4},
      {"l1_loss", {{4, 6}, {4, 6}}, [](auto& in) { return l1_loss(in[0], in[1]); }, 4},
      {"huber_loss", {{4, 6}, {4, 6}}, [](auto& in) { return huber_loss(in[0], in[1]); }, 4},
      {"smooth_l1_loss", {{4, 6}, {4, 6}}, [](auto& in) { return smooth_l1_loss(in[0], in[1]); }, 4},
      {"binary_cross_entropy", {{4, 6}, {4, 6}}, [](auto& in) { return binary_cross_entropy(in[0] * 0.5, in[1] * 0.5); }, 4},
      {"cross_entropy", {{3, 6}}, [=](auto& in) { return cross_entropy(in[0], rows); }},
      {"prod", {{4, 6}}, [](auto& in) { return prod(in[0], 1); }},
      {"sum", {{40, 60}}, [](auto& in) { return sum(in[0]); }},
      {"mean", {{40, 60}}, [](auto& in) { return mean(in[0], 0); }},
      {"var", {{40, 6}}, [](auto& in) { return var(in[0], 0); }},
      {"argmax", {{4, 6}}, [](auto& in) { return argmax(in[0], 1); }},
      {"argmin", {{4, 6}}, [](auto& in) { return argmin(in[0]); }},
      {"index_add", {{4, 6}, {3, 6}}, [=](auto& in) { return index_add(in[0], 0, rows, in[1]); }},
      {"index_select", {{4, 6}}, [=](auto& in) { return index_select(in[0], 0, rows); }},
      {"take", {{4, 6}}, [=](auto& in) { return take(in[0], rows); }},
      {"masked_fill", {{4, 6}}, [=](auto& in) { return masked_fill(in[0], mask, 2); }},
      {"masked_select", {{4, 6}}, [=](auto& in) { return masked_select(in[0], mask); }},
      {"masked_scatter", {{4, 6}, {4, 6}}, [=](auto& in) { return masked_scatter(in[0], mask, in[1]); }},
      {"stack",
       {{4, 6}, {4, 6}},
       [](auto& in) {
         return stack({in[0], in[1]}, 1);
       }},
      {"cat",
       {{4, 6}, {2, 6}},
       [](auto& in) {
         return cat({in[0], in[1]});
       }},
      {"split", {{4, 6}}, [](auto& in) { return split(in[0], 4, 1)[1]; }},
      {"chunk", {{4, 6}}, [](auto& in) { return chunk(in[0], 2)[1]; }},
      {"roll", {{4, 6}}, [](auto& in) { return roll(in[0], {1}, {1}); }},
      {"repeat",
       {{2, 3}},
       [](auto& in) {
         return repeat(in[0], {2, 2});
       }},
      {"flip", {{2, 3}}, [](auto& in) { return flip(in[0], {1}); }},
      {"diagonal", {{4, 6}}, [](auto& in) { return diagonal(in[0]); }},
      {"tril", {{4, 6}}, [](auto& in) { return tril(in[0]); }},
      {"pad",
       {{4, 6}},
       [](auto& in) {
         return pad(in[0], {1, 2});
       }},
      {"einsum",
       {{4, 6}, {6, 5}},
       [](auto& in) {
         return einsum("ij,jk->ki", {in[0], in[1]});
       }},
      {"cumsum", {{4, 6}}, [](auto& in) { return cumsum(in[0], 1); }},
      {"sort", {{4, 6}}, [](auto& in) { return sort(in[0]).values; }},
      {"embedding", {{4, 6}}, [=](auto& in) { return embedding(rows, in[0]); }},
      {"softmax", {{4, 6}}, [](auto& in) { return softmax(in[0], 1); }},
      {"matmul", {{4, 6}, {6, 5}}, [](auto& in) { return matmul(in[0], in[1]); }},
      {"linear", {{4, 6}, {5, 6}, {5}}, [](auto& in) { return linear(in[0], in[1], in[2]); }},
  };
  for (DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    // A unit in the last place, and for float the sums' own rounding.
    const double unit = type == DType::float32 ? 4e-6 : type == DType::float16 ? 0x1p-11 : 0x1p-8;
    for (const Op& op : ops) {
      SCOPED_TRACE(std::string(op.name) + " in " + name(type));
      std::vector<AnyTensor> narrow, wide;
      for (const Shape& shape : op.inputs) {
        narrow.push_back(draw(shape, 0.5, 1.5, 3 + narrow.size()).to(type).requires_grad_());
        wide.push_back(narrow.back().detach().to(DType::float64).requires_grad_());
      }
      AnyTensor y = op.f(narrow), expected = op.f(wide);
      const bool differentiable = is_float(y.dtype());
      EXPECT_EQ(y.dtype(), differentiable ? type : expected.dtype());
      EXPECT_LT(distance(y, expected), differentiable ? 1.01 * op.roundings * unit : 1e-300);
      if (!differentiable) continue;
      AnyTensor g = draw(y.shape(), 0.5, 1.5, 11).to(type);
      std::vector<AnyTensor> got = grad({y}, narrow, {g}), of_double = grad({expected}, wide, {g.to(DType::float64)});
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].dtype(), type);
        EXPECT_LT(distance(got[i], of_double[i]), 4 * op.roundings * unit) << "gradient of input " << i;
      }
    }
  }
}

}  // namespace
