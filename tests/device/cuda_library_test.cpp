// What stands between CUDA's libraries and kernels, without a GPU: how a product becomes calls of a library that stores columns, carried out by
// its definition, how libraries are loaded that may not be there, and that no kernel is missing.
#include "tests/check.h"

#if GRADUS_WITH_CUDA
#include <random>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/product.h"

using namespace gradus;
using cuda::Factor;
using cuda::ProductPlan;

namespace {

/// A view of numbers whose axes lie in any order, with gaps, and repeat where that is asked for.
struct Sample {
  std::vector<int64_t> shape, stride;
  std::vector<double> numbers;
  Array array;
  Sample(std::vector<int64_t> sizes, const std::vector<int>& order, int gap, std::vector<bool> repeats, int seed)
      : shape(std::move(sizes)), stride(shape.size()) {
    int64_t reach = 1;
    for (size_t i = order.size(); i-- > 0;) {
      const auto d = size_t(order[i]);
      stride[d] = repeats[d] ? 0 : reach;
      if (!repeats[d]) reach = reach * shape[d] + (i % 2 ? gap : 0);
    }
    std::mt19937 random(seed);
    for (int64_t i = 0; i < reach; ++i) numbers.push_back(double(random() % 19) - 9);
    array = {numbers.data(), DType::float64, false, int(shape.size()), 1, shape.data(), stride.data()};
    for (int64_t size : shape) array.count *= size;
  }
};

/// How the library reads a factor: `size` neighbours, `count` times.
double element(const double* x, const Factor& f, int64_t row, int64_t column) {
  EXPECT_GE(f.leading, f.size);
  return f.columns ? x[column * f.leading + row] : x[row * f.leading + column];
}

/// y by the plan, whose copies are made as it asks.
std::vector<double> carried_out(const ProductPlan& p, const Array& y, Array a, Array b) {
  std::vector<double> copies[2], result(size_t(y.count), NAN);
  Array* factors[2] = {&a, &b};
  for (int f = 0; f < 2; ++f) {
    if (!(f ? p.b : p.a).copied) continue;
    cuda::Unrepeated u(*factors[f]);
    copies[f].resize(size_t(u.to.count));
    for (int64_t i = 0; i < u.to.count; ++i) {
      int64_t rest = i, from = 0;
      for (int d = u.from.rank - 1; d >= 0; --d) from += rest % u.from.shape[d] * u.from.stride[d], rest /= u.from.shape[d];
      copies[f][size_t(i)] = u.from.as<double>()[from];
    }
    factors[f]->data = copies[f].data();
  }
  int64_t calls = 1;
  for (int d = 0; d < p.calls_rank; ++d) calls *= p.calls[d].size;
  for (int64_t call = 0; call < calls; ++call) {
    int64_t rest = call, at_y = 0, at_a = 0, at_b = 0;
    for (int d = 0; d < p.calls_rank; ++d) {
      const int64_t at = rest % p.calls[d].size;
      rest /= p.calls[d].size;
      at_y += at * p.calls[d].y, at_a += at * p.calls[d].a, at_b += at * p.calls[d].b;
    }
    for (int64_t i = 0; i < p.batches; ++i)
      for (int64_t r = 0; r < p.rows; ++r)
        for (int64_t c = 0; c < p.columns; ++c) {
          double sum = 0;
          for (int64_t k = 0; k < p.inner; ++k)
            sum +=
                element(a.as<double>() + at_a + i * p.a.step, p.a, r, k) * element(b.as<double>() + at_b + i * p.b.step, p.b, k, c);
          double& to = result[size_t(at_y + i * p.y_step + r * p.columns + c)];
          EXPECT_TRUE(std::isnan(to)) << "written twice";
          to = sum;
        }
  }
  return result;
}

std::vector<double> by_definition(const Array& y, const Array& a, const Array& b) {
  std::vector<double> result;
  for (int64_t i = 0; i < y.count; ++i) {
    int64_t rest = i / y.size(-1) / y.size(-2), at_a = i / y.size(-1) % y.size(-2) * a.step(-2), at_b = i % y.size(-1) * b.step(-1);
    for (int d = y.rank - 3; d >= 0; --d) {
      const int64_t at = rest % y.shape[d];
      rest /= y.shape[d];
      at_a += a.shape[d] == 1 ? 0 : at * a.stride[d], at_b += b.shape[d] == 1 ? 0 : at * b.stride[d];
    }
    double sum = 0;
    for (int64_t k = 0; k < a.size(-1); ++k) sum += a.as<double>()[at_a + k * a.step(-1)] * b.as<double>()[at_b + k * b.step(-2)];
    result.push_back(sum);
  }
  return result;
}

struct Dense : Sample {
  static std::vector<int> order(size_t rank, bool turned) {
    std::vector<int> o(rank);
    for (size_t d = 0; d < rank; ++d) o[d] = int(d);
    if (turned) std::swap(o[rank - 1], o[rank - 2]);
    return o;
  }
  explicit Dense(const std::vector<int64_t>& sizes, bool turned = false)
      : Sample(sizes, order(sizes.size(), turned), 0, std::vector<bool>(sizes.size()), 1) {}
};

TEST(CudaProduct, EveryLayoutIsTheProductByItsDefinition) {
  std::mt19937 random(3);
  int copies = 0, folded = 0, strided = 0, several = 0;
  for (int round = 0; round < 4000; ++round) {
    const int rank = 2 + int(random() % 4);
    auto size = [&] { return int64_t(1 + random() % 4); };
    std::vector<int64_t> y, a, b;
    for (int d = 0; d + 2 < rank; ++d) {
      y.push_back(size());
      a.push_back(random() % 4 ? y.back() : 1), b.push_back(random() % 3 ? y.back() : 1);
      if (a.back() == 1 && b.back() == 1) y.back() = 1;
    }
    const int64_t rows = size(), columns = size(), inner = size();
    y.insert(y.end(), {rows, columns}), a.insert(a.end(), {rows, inner}), b.insert(b.end(), {inner, columns});
    auto sample = [&](const std::vector<int64_t>& sizes, int seed) {
      std::vector<int> order = Dense::order(sizes.size(), random() % 2);
      if (random() % 3 == 0) std::shuffle(order.begin(), order.end(), random);
      std::vector<bool> repeats(sizes.size());
      for (size_t d = 0; d < sizes.size(); ++d) repeats[d] = random() % 8 == 0;
      return Sample(sizes, order, random() % 3 == 0 ? 2 : 0, repeats, seed);
    };
    const Sample left = sample(a, round), right = sample(b, round + 9999);
    const Dense result(y);
    const ProductPlan p = cuda::plan_product(result.array, left.array, right.array);
    ASSERT_EQ(carried_out(p, result.array, left.array, right.array), by_definition(result.array, left.array, right.array)) << round;
    copies += p.a.copied || p.b.copied, folded += p.rows > rows, strided += p.batches > 1, several += p.calls_rank > 0;
  }
  EXPECT_GT(std::min(std::min(copies, folded), std::min(strided, several)), 100) << "all ways are gone";
}

TEST(CudaProduct, TakesAsFewCallsAsLayoutsAllow) {
  auto plan = [](const std::vector<int64_t>& y, const Sample& a, const Sample& b) {
    return cuda::plan_product(Dense(y).array, a.array, b.array);
  };
  // A layer: one matrix for all rows of the batch, which lies as (out, in).
  ProductPlan p = plan({8, 16, 5}, Dense({8, 16, 3}), Dense({1, 3, 5}, true));
  EXPECT_EQ(p.rows, 128);
  EXPECT_EQ(p.batches, 1);
  EXPECT_FALSE(p.a.columns);
  EXPECT_TRUE(p.b.columns);
  EXPECT_EQ(p.b.leading, 3);
  // Two axes of a batch are one; a matrix for all of it is not moved from.
  p = plan({2, 3, 4, 5}, Dense({1, 1, 4, 6}), Dense({2, 3, 6, 5}));
  EXPECT_EQ(p.batches, 6);
  EXPECT_EQ(p.a.step, 0);
  EXPECT_EQ(p.b.step, 30);
  EXPECT_EQ(p.y_step, 20);
  EXPECT_EQ(p.calls_rank, 0);
  // Each of the two is repeated along another axis: the longer one goes in one call.
  p = plan({7, 2, 4, 5}, Dense({7, 1, 4, 6}, true), Dense({1, 2, 6, 5}));
  EXPECT_EQ(p.batches, 7);
  EXPECT_EQ(p.calls_rank, 1);
  EXPECT_EQ(p.calls[0].size, 2);
  // A vector whose numbers lie apart is a matrix of one column, and needs no copy; rows that repeat do.
  p = plan({4, 1}, Dense({4, 6}), Sample({6, 1}, {0, 1}, 3, {false, false}, 1));
  EXPECT_FALSE(p.b.copied);
  EXPECT_EQ(p.b.leading, 4);
  EXPECT_TRUE(plan({4, 5}, Sample({4, 6}, {0, 1}, 0, {true, false}, 1), Dense({6, 5})).a.copied);
}

TEST(CudaProduct, StepsAfterItAreTheLibrarysWhereItCanDoThem) {
  using cuda::Epilogue;
  alignas(16) float numbers[32] = {};
  auto at = [&](int i) { return Array{numbers + i}; };
  const ProductPlan one = cuda::plan_product(Dense({4, 16}).array, Dense({4, 3}).array, Dense({3, 16}, true).array);
  const ProductPlan odd = cuda::plan_product(Dense({4, 12}).array, Dense({4, 3}).array, Dense({3, 12}).array);
  const ProductPlan batch = cuda::plan_product(Dense({2, 4, 16}).array, Dense({2, 4, 3}).array, Dense({2, 3, 16}).array);
  const ProductPlan several = cuda::plan_product(Dense({2, 2, 4, 16}).array, Dense({2, 1, 4, 3}).array, Dense({1, 2, 3, 16}).array);
  auto fits = [](const ProductPlan& p, const cuda::After& after, DType t = DType::bfloat16) { return cuda::fits(p, t, after); };
  for (const ProductPlan* p : {&one, &odd, &batch, &several}) {
    EXPECT_TRUE(fits(*p, {}));
    EXPECT_TRUE(fits(*p, {Epilogue::bias, at(1)})) << "a bias is brought to where it has to be";
  }
  EXPECT_TRUE(fits(one, {Epilogue::gelu, at(4), at(8)}));
  EXPECT_TRUE(fits(one, {Epilogue::gelu, {}, at(8)}));
  EXPECT_TRUE(fits(one, {Epilogue::gelu_backward, at(4), at(0)}));
  EXPECT_TRUE(fits(one, {Epilogue::sums, at(4)}));
  EXPECT_TRUE(fits(one, {Epilogue::sums, at(4)}, DType::float32));
  EXPECT_TRUE(fits(one, {Epilogue::gelu, at(4), at(8)}, DType::float16));
  EXPECT_FALSE(fits(one, {Epilogue::gelu, at(4), at(8)}, DType::float32)) << "gelu as exact as float";
  EXPECT_FALSE(fits(one, {Epilogue::gelu_backward, at(4), at(8)}, DType::float32));
  EXPECT_FALSE(fits(one, {Epilogue::gelu, at(4), at(1)}));
  EXPECT_FALSE(fits(one, {Epilogue::gelu_backward, at(2), at(8)}));
  EXPECT_FALSE(fits(one, {Epilogue::sums, at(3)}));
  EXPECT_FALSE(fits(odd, {Epilogue::gelu, at(4), at(8)})) << "rows of h of 12";
  EXPECT_TRUE(fits(odd, {Epilogue::gelu, at(4)})) << "which nobody asked for";
  EXPECT_TRUE(fits(odd, {Epilogue::sums, at(4)}));
  for (const ProductPlan* p : {&batch, &several})
    for (Epilogue what : {Epilogue::gelu, Epilogue::gelu_backward, Epilogue::sums}) EXPECT_FALSE(fits(*p, {what, at(4), at(8)}));
}

TEST(CudaTable, OffersEveryKernel) {
  const KernelTable& table = cuda::table();
#define GRADUS_KERNEL(name, parameters) EXPECT_NE(table.name, nullptr) << #name;
#include "gradus/ops/kernels.def"
}

struct Mathematics : cuda::Library {
  Mathematics(const char* file, const char* name) : Library(file), cosine(find<double (*)(double)>(name)) {}
  double (*cosine)(double);
};

TEST(CudaLibrary, IsLoadedOrSaysWhatIsMissing) {
  const Mathematics there("libm.so.6", "cos");
  EXPECT_EQ(there.missing(), "");
  ASSERT_TRUE(there);
  EXPECT_EQ(there.cosine(0), 1);

  const Mathematics nobody("libnobody.so.6", "cos");
  EXPECT_FALSE(nobody);
  EXPECT_EQ(nobody.missing().find("libnobody.so.6"), 0u) << nobody.missing();
  EXPECT_EQ(Mathematics("libm.so.6", "cosinus").missing(), "libm.so.6 has no cosinus");
}

}  // namespace
#endif
