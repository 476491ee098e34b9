// einsum against loops over all letters, with gradients.
#include "gradus/ops/einsum.h"

#include "gradus/ops/matmul.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// The definition: for every value of every letter, the product of the operands added to its place.
AnyTensor looped(const std::vector<std::string>& terms, const std::string& out, const std::vector<AnyTensor>& operands) {
  std::string letters;
  std::vector<int64_t> sizes;
  std::vector<AnyTensor> here;
  for (const AnyTensor& x : operands) here.push_back(x.detach().to(kCPU));
  for (size_t k = 0; k < terms.size(); ++k)
    for (size_t d = 0; d < terms[k].size(); ++d)
      if (letters.find(terms[k][d]) == std::string::npos) letters += terms[k][d], sizes.push_back(operands[k].shape()[int(d)]);
  Shape shape;
  for (char c : out) shape.push_back(sizes[letters.find(c)]);
  AnyTensor y = zeros(shape, DType::float64, kCPU);
  int64_t total = 1;
  for (int64_t n : sizes) total *= n;
  for (int64_t flat = 0; flat < total; ++flat) {
    std::vector<int64_t> at(sizes.size());
    int64_t rest = flat;
    for (size_t d = sizes.size(); d-- > 0;) at[d] = rest % sizes[d], rest /= sizes[d];
    auto cell = [&](const AnyTensor& x, const std::string& term) -> double& {
      int64_t offset = 0;
      for (size_t d = 0; d < term.size(); ++d) offset += at[letters.find(term[d])] * x.stride()[int(d)];
      return static_cast<double*>(x.raw_data())[offset];
    };
    double product = 1;
    for (size_t k = 0; k < terms.size(); ++k) product *= cell(here[k], terms[k]);
    cell(y, out) += product;
  }
  return y;
}

void check(const std::string& left, const std::string& out, const std::vector<Shape>& shapes) {
  std::vector<std::string> terms(1);
  for (char c : left)
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  std::vector<AnyTensor> operands;
  for (size_t k = 0; k < shapes.size(); ++k) operands.push_back(draw(shapes[k], -1, 1, 7 + k).requires_grad_());
  std::string equation = left + "->" + out;
  EXPECT_LT(distance(einsum(equation, operands), looped(terms, out, operands)), 1e-13) << equation;
  EXPECT_EQ(gradcheck([&](const auto& in) { return einsum(equation, in); }, operands), "") << equation;
}

}  // namespace

DEVICE_TEST(Einsum, OneTensor) {
  check("ij", "ji", {{2, 3}});
  check("ij", "", {{2, 3}});
  check("ij", "j", {{2, 3}});
  check("ii", "i", {{3, 3}});
  check("ii", "", {{3, 3}});
  check("iijj", "ji", {{2, 2, 3, 3}});
  check("iii", "i", {{2, 2, 2}});
}

DEVICE_TEST(Einsum, Products) {
  check("ij,jk", "ik", {{2, 3}, {3, 4}});
  check("ij,jk", "ki", {{2, 3}, {3, 4}});
  check("bij,bjk", "bik", {{2, 2, 3}, {2, 3, 2}});
  check("bij,bkj", "kbi", {{2, 2, 3}, {2, 2, 3}});
  check("i,j", "ij", {{2}, {3}});
  check("i,i", "", {{3}, {3}});
  check("ij,ij", "ij", {{2, 3}, {2, 3}});
  check("ij,ij", "i", {{2, 3}, {2, 3}});
  check("ijk,jkl", "il", {{2, 3, 2}, {3, 2, 2}});
  check("ik,j", "j", {{2, 3}, {2}});
  check("ii,ij", "j", {{3, 3}, {3, 2}});
  check("i,ij,j", "", {{2}, {2, 3}, {3}});
  check("ij,jk,kl", "il", {{2, 3}, {3, 2}, {2, 2}});
  check("bn,anm,bm", "ba", {{2, 3}, {2, 3, 2}, {2, 2}});
}

DEVICE_TEST(Einsum, DotsAndImplicitResults) {
  AnyTensor a = draw({2, 3, 4}), b = draw({2, 4, 5}, -1, 1, 8), m = draw({4, 5}, -1, 1, 9), v = draw({4}, -1, 1, 10);
  EXPECT_LT(distance(einsum("...ij,...jk->...ik", {a, b}), matmul(a, b)), 1e-14);
  EXPECT_LT(distance(einsum("...ij,jk", {a, m}), matmul(a, m)), 1e-14);
  EXPECT_LT(distance(einsum("...i,i->...", {a, v}), matmul(a, v)), 1e-14);
  EXPECT_LT(distance(einsum("i...->...", {a}), sum(a, 0)), 1e-14);
  EXPECT_LT(distance(einsum("ij,jk", {a.select(0, 0), m}), matmul(a.select(0, 0), m)), 1e-14);
  EXPECT_LT(distance(einsum("ba", {m}), m.t()), 1e-14);
  EXPECT_LT(distance(einsum(" i j , j k -> i k ", {a.select(0, 0), m}), matmul(a.select(0, 0), m)), 1e-14);
  EXPECT_LT(distance(einsum("...i,...i->...", {a, draw({1, 3, 4}, -1, 1, 8)}), sum(a * draw({1, 3, 4}, -1, 1, 8), -1)), 1e-14);
  EXPECT_LT(distance(einsum("bij,bjk->bik", {a.narrow(0, 0, 1), b}), matmul(a.narrow(0, 0, 1), b)), 1e-14);  // a size of 1
  EXPECT_EQ(einsum("ij,jk->ik", {zeros({2, 0}, DType::float32), zeros({0, 3}, DType::float32)}).shape(), (Shape{2, 3}));
  Tensor<float> p = {{1, 2}}, q = {{3}, {4}};
  Tensor<float> typed = einsum("ij,jk->ik", {p, q});
  EXPECT_EQ(typed.item(), 11);
  EXPECT_EQ(values(einsum("ij->j", {AnyTensor(Tensor<int64_t>{{1, 2}, {3, 4}})})), (std::vector<double>{4, 6}));
}

DEVICE_TEST(Einsum, Errors) {
  AnyTensor a = zeros({2, 3}, DType::float32);
  EXPECT_TRUE(has(message_of<ValueError>([&] { einsum("ij,jk->ik", {a}); }), "2 terms for 1"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { einsum("ij,jk->ik", {a, a}); }), "j has sizes 3 and 2"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { einsum("ijk->i", {a}); }), "ijk"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { einsum("i->i", {a}); }), "[2, 3]"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] { einsum("ii->i", {a}); }), "i"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { einsum("ij->k", {a}); }), "stands in no term"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { einsum("ij->ii", {a}); }), "twice"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { einsum("i1->i", {a}); }), "i1"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { einsum("", {}); }), "0 tensors"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { einsum("ij,ij->", {a, a.to(DType::float64)}); }), "float64"));
}
