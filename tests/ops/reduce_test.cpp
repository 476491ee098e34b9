// Reductions against plain loops in double, over all layouts, axes and dtypes; gradients of both orders; ties, zeros, NaN, nothing;
// the accuracy of long sums; the same bits for any number of threads.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
using Fold = std::function<double(const std::vector<double>&)>;

/// f over the elements that fall together, in row-major order.
AnyTensor expected(const AnyTensor& x, const std::vector<int64_t>& over, bool keepdim, const Fold& f) {
  std::vector<double> v = values(x);
  std::vector<bool> gone(size_t(x.dim()), over.empty());
  for (int64_t d : over) gone[size_t(d < 0 ? d + x.dim() : d)] = true;
  Shape shape;
  int64_t results = 1;
  for (int d = 0; d < x.dim(); ++d) {
    if (!gone[size_t(d)]) shape.push_back(x.shape()[d]), results *= x.shape()[d];
    if (gone[size_t(d)] && keepdim) shape.push_back(1);
  }
  // Plain arrays: this is what the test spends its time on where nothing is optimised.
  int64_t step[Shape::kMaxRank] = {}, index[Shape::kMaxRank] = {}, product = 1, at = 0;
  for (int d = x.dim() - 1; d >= 0; --d)
    if (!gone[size_t(d)]) step[d] = product, product *= x.shape()[d];
  std::vector<std::vector<double>> groups(static_cast<size_t>(results), std::vector<double>(v.size() / size_t(results)));
  std::vector<double*> ends;
  for (auto& group : groups) ends.push_back(group.data());
  double** end = ends.data();
  const Shape shape_of_x = x.shape();
  for (const double *from = v.data(), *last = from + v.size(); from != last; ++from) {
    *end[at]++ = *from;
    for (int d = x.dim() - 1; d >= 0; --d) {
      at += step[d];
      if (++index[d] < shape_of_x.size[d]) break;
      at -= step[d] * index[d], index[d] = 0;
    }
  }
  AnyTensor y = empty(shape, DType::float64, kCPU);
  for (int64_t i = 0; i < results; ++i) static_cast<double*>(y.raw_data())[i] = f(groups[size_t(i)]);
  return placed(y);
}

double sum_of(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double product_of(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); }
double mean_of(const std::vector<double>& v) { return sum_of(v) / double(v.size()); }
double var_of(const std::vector<double>& v, double correction) {
  double m = mean_of(v), s = 0;
  for (double x : v) s += (x - m) * (x - m);
  return s / (double(v.size()) - correction);
}
double norm_of(const std::vector<double>& v, double p) {
  double s = 0, least = kInf, most = 0;
  for (double x : v) {
    s += p == 0 ? x != 0 : std::pow(std::abs(x), p);
    least = std::min(least, std::abs(x)), most = std::max(most, std::abs(x));
  }
  return p == kInf ? most : p == -kInf ? least : p == 0 ? s : std::pow(s, 1 / p);
}
double logsumexp_of(const std::vector<double>& v) {
  double m = *std::max_element(v.begin(), v.end()), s = 0;
  for (double x : v) s += std::exp(x - m);
  return m + std::log(s);
}
double max_of(const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }
double min_of(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }

struct Case {
  const char* name;
  AnyTensor x;
  std::vector<std::vector<int64_t>> axes;
};

/// Every way that the kernels take elements: rows of all lengths, columns narrow and wide, gathered, in parts, on threads.
std::vector<Case> layouts(DType type, double low, double high) {
  auto of = [&](const Shape& shape) { return draw(shape, low, high, 3, type); };
  std::vector<std::vector<int64_t>> of2 = {{}, {0}, {1}}, of3 = {{}, {0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}};
  std::vector<std::vector<int64_t>> of4 = {{}, {0}, {1}, {0, 2, 3}, {2, 3}, {-1}, {1, 3}};
  // Few results are cut into parts from 65536 elements of a row, or twice as many of columns, on; a GPU's from 8193 and from 128 rows on,
  // and it joins up to 32 parts, up to 64 and more in three ways.
  const bool gpu = device_of_tests().type == DeviceType::cuda;
  return {
      {"scalar", of({}), {{}}},
      {"one", of({1, 1}), of2},
      {"vector", of({37}), {{}, {0}}},
      {"short rows", of({50, 3}), of2},
      {"rows of 16", of({33, 16}), of2},
      {"odd rows", of({19, 301}), of2},
      {"long rows", of({3, 9001}), of2},
      {"tall", of({5003, 3}), of2},
      {"tall, 40", of({1500, 40}), of2},
      {"wide", of({7, 2500}), of2},
      {"cube", of({11, 13, 17}), of3},
      {"thin middle", of({40, 2, 60}), of3},
      {"transposed", of({90, 70}).t(), of2},
      {"columns of a slice", of({30, 50}).slice(1, 3, 40), of2},
      {"every third", of({40, 60}).slice(1, 0, 60, 3), of2},
      {"every second row", of({40, 60}).slice(0, 1, 40, 2), of2},
      {"expanded rows", of({1, 33}).expand({21, 33}), of2},
      {"expanded columns", of({33, 1}).expand({33, 21}), of2},
      {"permuted", of({9, 10, 11}).permute({2, 0, 1}), of3},
      {"outer two swapped", of({9, 10, 11}).permute({1, 0, 2}), of3},
      {"channels last", of({3, 5, 7, 20}).permute({0, 3, 1, 2}), of4},
      {"planes", of({4, 6, 9, 2}), of4},
      {"eight axes", of({2, 3, 1, 2, 2, 3, 1, 2}), {{}, {0, 2, 4, 6}, {1, 3, 5, 7}, {7}, {0}, {4, 5}}},
      {"rows in parts", of({2, gpu ? 17001 : 70001}), of2},
      {"narrow columns in parts", of({gpu ? 9001 : 70001, 2}), of2},
      {"columns in parts", of({gpu ? 2200 : 4100, 40}), of2},
      {"blocks of columns in parts", of({130, gpu ? 300 : 2100}), of2},
  };
}
Axes as_axes(const std::vector<int64_t>& axes) { return axes.empty() ? Axes() : Axes(axes); }

using Reducer = std::function<AnyTensor(const AnyTensor&, const Axes&, bool)>;
const double kTolerance[] = {3e-6, 1e-13, 1e-3, 8e-3};  // by float type: a few units of the last place; one for half types

void check_layouts(const char* what, const Reducer& op, const Fold& f, double low = -1, double high = 1,
                   std::vector<DType> types = {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
  for (DType type : types) {
    for (Case& c : layouts(type, low, high)) {
      for (auto& axes : c.axes) {
        bool keepdim = axes.size() % 2;
        AnyTensor want = expected(c.x, axes, keepdim, f), got = op(c.x, as_axes(axes), keepdim);
        if (is_float(got.dtype())) {
          EXPECT_EQ(got.dtype(), type);
        }
        const double least =
            std::string_view(c.name).starts_with("expanded") ? 1 : 1e-4;  // of equal elements: how far they are from their mean
        EXPECT_LT(distance(got, want, least), is_float(type) ? kTolerance[int(type)] : 1e-15)
            << what << " of " << c.name << " " << to_string(c.x.shape()) << " over " << to_string(as_axes(axes).list) << ", "
            << name(type);
      }
    }
  }
}

}  // namespace

#define OP(name) [](const AnyTensor& x, const Axes& axes, bool keepdim) { return name(x, axes, keepdim); }

DEVICE_TEST(Reduce, Sum) { check_layouts("sum", OP(sum), sum_of, 0, 0.4); }
// Behind the last of them begins a page that nobody may read.
TEST(Reduce, EverySecondElementAtTheEndOfMemory) {
  constexpr size_t kPage = 4096, kBytes = size_t(1) << 20;
  auto* memory = static_cast<char*>(mmap(nullptr, kBytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + kBytes, kPage, PROT_NONE), 0);
  for (int64_t n : {1, 511, 512, 1024, 2047, 2048, 2049, 4096, 32768, 34816, 65536, 65537, 131072}) {
    auto* first = reinterpret_cast<float*>(memory + kBytes) - (2 * n - 1);
    for (int64_t i = 0; i < 2 * n - 1; ++i) first[i] = i % 2 ? float(kNaN) : float(i % 1021) / 64;
    AnyTensor x = from_blob(first, {n}, {2}, DType::float32);
    EXPECT_EQ(x.sum().item(), x.contiguous().sum().item()) << n;
  }
  munmap(memory, kBytes + kPage);
}

DEVICE_TEST(Reduce, Mean) { check_layouts("mean", OP(mean), mean_of); }
DEVICE_TEST(Reduce, Nansum) {
  check_layouts("nansum", OP(nansum), sum_of, 0, 1, {DType::float64, DType::float32, DType::bfloat16});
}
DEVICE_TEST(Reduce, Nanmean) { check_layouts("nanmean", OP(nanmean), mean_of, -1, 1, {DType::float64, DType::float32}); }
DEVICE_TEST(Reduce, Amax) { check_layouts("amax", OP(amax), max_of); }
DEVICE_TEST(Reduce, Amin) { check_layouts("amin", OP(amin), min_of); }
DEVICE_TEST(Reduce, Logsumexp) { check_layouts("logsumexp", OP(logsumexp), logsumexp_of, -5, 5); }
DEVICE_TEST(Reduce, Prod) {
  // Factors near 1: the product of a hundred thousand is still a number. Each multiplication may be off by half a unit.
  for (DType type : {DType::float64, DType::float32}) {
    const double unit = type == DType::float64 ? 0x1p-53 : 0x1p-24;
    for (Case& c : layouts(type, 0.9999, 1.0001)) {
      for (auto& axes : c.axes) {
        AnyTensor got = prod(c.x, as_axes(axes));
        EXPECT_LT(distance(got, expected(c.x, axes, false, product_of)), (2 + double(c.x.numel() / got.numel())) * unit) << c.name;
      }
    }
  }
}
DEVICE_TEST(Reduce, VarAndStd) {
  auto biased = [](const AnyTensor& x, const Axes& axes, bool keepdim) { return var(x, axes, keepdim, 0); };
  auto root = [](const AnyTensor& x, const Axes& axes, bool keepdim) { return gradus::std(x, axes, keepdim, 0.5); };
  check_layouts("var", biased, [](auto& v) { return var_of(v, 0); });
  check_layouts("std", root, [](auto& v) { return std::sqrt(var_of(v, 0.5)); });
  EXPECT_NEAR(var(draw({100})).item(), var_of(values(draw({100})), 1), 1e-14);
  auto [spread, middle] = var_mean(draw({9, 10}), 1, true);
  EXPECT_LT(distance(middle, mean(draw({9, 10}), 1, true)), 1e-15);
  EXPECT_LT(distance(spread, var(draw({9, 10}), 1, true)), 1e-15);
  // Far from zero nothing cancels; one element has no spread.
  EXPECT_NEAR(var(draw({1000}).to(DType::float32) + 1000).item(), var(draw({1000})).item(), 1e-4);
  EXPECT_TRUE(std::isnan(var(draw({1})).item()));
  EXPECT_EQ(var(draw({1}), {}, false, 0).item(), 0);
}
DEVICE_TEST(Reduce, Norm) {
  for (double p : {2.0, 1.0, 3.0, 0.5, -1.5, 0.0, kInf, -kInf}) {
    bool wide = p == 2 || p == 1 || p == kInf;
    std::vector<DType> types = {DType::float64};
    if (wide) types = {DType::float64, DType::float32, DType::bfloat16};
    check_layouts(
        "norm", [p](const AnyTensor& x, const Axes& axes, bool keepdim) { return norm(x, p, axes, keepdim); },
        [p](auto& v) { return norm_of(v, p); }, 0.1, 2, types);
  }
  EXPECT_NEAR(norm(draw({40})).item(), norm_of(values(draw({40})), 2), 1e-14);
}
DEVICE_TEST(Reduce, CountAllAny) {
  std::vector<DType> types = {DType::float32, DType::bfloat16, DType::int16, DType::int64, DType::boolean};
  auto count = [](auto& v) { return double(std::count_if(v.begin(), v.end(), [](double x) { return x != 0; })); };
  check_layouts("count_nonzero", OP(count_nonzero), count, 0, 3, types);
  check_layouts(
      "all", OP(all), [&](auto& v) { return double(count(v) == double(v.size())); }, 0, 3, types);
  check_layouts(
      "any", OP(any), [&](auto& v) { return double(count(v) > 0); }, 0, 1.01, types);
  EXPECT_EQ(all(draw({3})).dtype(), DType::boolean);
  EXPECT_EQ(count_nonzero(draw({3})).dtype(), DType::int64);
  EXPECT_EQ(any(full({2}, kNaN, DType::float32)).item(), 1) << "NaN is other than zero";
}
DEVICE_TEST(Reduce, Integers) {
  std::vector<DType> types = {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8, DType::boolean};
  check_layouts("sum", OP(sum), sum_of, 0, 100, types);
  check_layouts("amax", OP(amax), max_of, 0, 100, types);
  check_layouts("amin", OP(amin), min_of, 0, 100, types);
  EXPECT_EQ(sum(full({300}, 200, DType::uint8)).dtype(), DType::int64);
  EXPECT_EQ(sum(full({300}, 200, DType::uint8)).item(), 60000);
  EXPECT_EQ(amin(full({300}, -100, DType::int8)).dtype(), DType::int8);
  EXPECT_EQ(amin(full({300}, -100, DType::int8)).item(), -100);
  EXPECT_EQ(prod(full({10}, 3, DType::int32)).item(), 59049);
  EXPECT_EQ(prod(full({40}, -1, DType::int8).slice(0, 0, 39)).item(), -1);
  Tensor<int64_t> large = {int64_t(1) << 60, 3, -(int64_t(1) << 60)};
  EXPECT_EQ(sum(large).item(), 3) << "no detour through floating point";
  EXPECT_EQ(max(large).item(), int64_t(1) << 60);
}

DEVICE_TEST(Reduce, TypedResults) {
  Tensor<float> x = {{1, 2}, {3, 4}};
  static_assert(std::is_same_v<decltype(sum(Tensor<bool>())), Tensor<int64_t>>);
  static_assert(std::is_same_v<decltype(argmax(x, 1)), Tensor<int64_t>>);
  static_assert(std::is_same_v<decltype(all(x)), Tensor<bool>>);
  static_assert(std::is_same_v<decltype(max(x)), Tensor<float>>);
  auto [values, indices] = max(x, 1);
  static_assert(std::is_same_v<decltype(values), Tensor<float>> && std::is_same_v<decltype(indices), Tensor<int64_t>>);
  EXPECT_EQ(values.vector(), (std::vector<float>{2, 4}));
  EXPECT_EQ(indices.vector(), (std::vector<int64_t>{1, 1}));
  auto [low, high] = aminmax(x);
  EXPECT_EQ(low.item() + high.item(), 5.0f);
  EXPECT_EQ(gradus::std(x, 0).vector(), (std::vector<float>{std::sqrt(2.0f), std::sqrt(2.0f)}));
  EXPECT_EQ(norm(Tensor<double>{3, 4}).item(), 5);
}

// ------------------------------------------------------------------ where the extremes are
DEVICE_TEST(Extreme, ValuesAndIndicesOfEveryLayoutAndType) {
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16, DType::int32, DType::int8, DType::int64}) {
    for (Case& c : layouts(type, is_float(type) ? -1 : -100, is_float(type) ? 1 : 100)) {
      for (int64_t axis = 0; axis < c.x.dim(); ++axis) {
        for (bool greatest : {true, false}) {
          auto place = [&](auto& v) {
            auto it = greatest ? std::max_element(v.begin(), v.end()) : std::min_element(v.begin(), v.end());  // the first
            return double(it - v.begin());
          };
          auto [values, indices] = greatest ? max(c.x, axis) : min(c.x, axis);
          EXPECT_EQ(distance(values, expected(c.x, {axis}, false, greatest ? max_of : min_of)), 0) << c.name << name(type);
          AnyTensor want = expected(c.x, {axis}, true, place);
          EXPECT_EQ(distance(greatest ? argmax(c.x, axis, true) : argmin(c.x, axis, true), want), 0) << c.name << name(type);
          EXPECT_EQ(distance(indices, want.squeeze(axis)), 0) << c.name << name(type);
        }
      }
      std::vector<double> all = gradus::testing::values(c.x);
      EXPECT_EQ(argmax(c.x).item(), double(std::max_element(all.begin(), all.end()) - all.begin()))
          << c.name << ": in row-major order, whatever the strides";
    }
  }
}
DEVICE_TEST(Extreme, FirstAtTiesAndNaNBeyondAll) {
  Tensor<float> x = {3, 5, 5, 1, 1};
  EXPECT_EQ(argmax(x).item(), 1);
  EXPECT_EQ(argmin(x).item(), 3);
  for (int64_t n : {5, 40, 3000, 100000}) {  // one packet, a short run, blocks, parts
    for (bool greatest : {true, false}) {
      AnyTensor v = zeros({n}, DType::float32);
      put(v, n - 2, greatest ? 1 : -1);
      put(v, n - 1, greatest ? 1 : -1);
      auto arg = [&](const AnyTensor& t) { return (greatest ? argmax(t) : argmin(t)).item(); };
      EXPECT_EQ(arg(v), double(n - 2));
      EXPECT_EQ(arg(v.reshape({n, 1}).expand({n, 20}).contiguous().select(1, 7)), double(n - 2)) << "gathered";
      AnyTensor columns = v.reshape({n, 1}).expand({n, 20}).contiguous();
      EXPECT_EQ(values(greatest ? argmax(columns, 0) : argmin(columns, 0)), std::vector<double>(20, double(n - 2)));
      put(v, n / 2, kNaN);
      put(v, n / 2 + 1, kNaN);
      EXPECT_EQ(arg(v), double(n / 2));
      EXPECT_TRUE(std::isnan((greatest ? amax(v) : amin(v)).item()));
      columns = v.reshape({n, 1}).expand({n, 20}).contiguous();
      EXPECT_EQ(values(greatest ? argmax(columns, 0) : argmin(columns, 0)), std::vector<double>(20, double(n / 2)));
      EXPECT_TRUE(std::isnan((greatest ? max(v, 0) : min(v, 0)).values.item()));
    }
  }
  EXPECT_EQ(argmax(full({7}, -kInf, DType::float32)).item(), 0) << "minus infinity is an element like others";
  EXPECT_EQ(amax(full({7}, -kInf, DType::float32)).item(), -kInf);
  EXPECT_EQ(argmax(full({}, 3, DType::float32)).item(), 0);
  EXPECT_EQ(to_string(argmax(draw({2, 3}), {}, true).shape()), "[1, 1]");
  EXPECT_TRUE(std::signbit(max(Tensor<float>{-0.0f, 0.0f}, 0).values.item())) << "the first of the equal ones";
}

// ------------------------------------------------------------------ special values
DEVICE_TEST(Reduce, OfNothing) {
  AnyTensor x = draw({0, 3});
  EXPECT_EQ(distance(sum(x, 0), zeros({3}, DType::float64)), 0);
  EXPECT_EQ(to_string(sum(x, 1).shape()), "[0]");
  EXPECT_EQ(distance(prod(x, 0), ones({3}, DType::float64)), 0);
  EXPECT_EQ(distance(mean(x, 0), full({3}, kNaN, DType::float64)), 0);
  EXPECT_EQ(distance(var(x, 0), full({3}, kNaN, DType::float64)), 0);
  EXPECT_EQ(distance(norm(x, 2, 0), zeros({3}, DType::float64)), 0);
  EXPECT_EQ(distance(logsumexp(x, 0), full({3}, -kInf, DType::float64)), 0);
  EXPECT_EQ(sum(x).item(), 0);
  EXPECT_EQ(all(x).item(), 1);
  EXPECT_EQ(any(x).item(), 0);
  EXPECT_EQ(count_nonzero(x).item(), 0);
  EXPECT_EQ(to_string(amax(x, 1).shape()), "[0]") << "nothing is asked for";
  EXPECT_EQ(message_of<ValueError>([&] { amax(x, 0); }),
            "amax: x of shape [0, 3] has no elements to choose from; reduce over axes that are not empty");
  message_of<ValueError>([&] { max(x); });
  message_of<ValueError>([&] { argmin(x); });
  message_of<ValueError>([&] { min(x, 0); });
  message_of<ValueError>([&] { norm(x, -kInf, 0); });
}
DEVICE_TEST(Reduce, SpecialValues) {
  Tensor<float> x = {1, float(kNaN), 3};
  EXPECT_TRUE(std::isnan(sum(x).item()) && std::isnan(mean(x).item()) && std::isnan(norm(x).item()) && std::isnan(amax(x).item()));
  EXPECT_EQ(nansum(x).item(), 4);
  EXPECT_EQ(nanmean(x).item(), 2);
  EXPECT_TRUE(std::isnan(logsumexp(x).item()));
  Tensor<float> infinite = {1, float(kInf), 3}, nothing = {float(-kInf), float(-kInf)};
  EXPECT_EQ(logsumexp(infinite).item(), kInf);
  EXPECT_EQ(logsumexp(nothing).item(), -kInf);
  EXPECT_NEAR(logsumexp(Tensor<float>{1000, 1000}).item(), 1000 + std::log(2.0), 1e-4);
  // A half's sum of squares and of many may leave its range where the result does not.
  EXPECT_EQ(mean(full({1000}, 1000, DType::float16)).item(), 1000);
  EXPECT_NEAR(norm(full({100}, 1000, DType::float16)).item(), 10000, 8);
  EXPECT_EQ(sum(full({5000}, 1, DType::bfloat16)).item(), 4992) << "summed in float, rounded once";
}

/// Pairs of blocks, not one long chain: the error of a sum of n random numbers stays near that of a few dozen additions.
DEVICE_TEST(Reduce, LongSumsAreAccurate) {
  AnyTensor x = draw({1 << 22}, 0, 1, 5, DType::float32);
  double exact = sum_of(values(x));
  EXPECT_LT(std::abs(sum(x).item() - exact) / exact, 4e-7);
  EXPECT_LT(distance(sum(x.reshape({1 << 20, 4}), 0) / float(1 << 20), expected(x.reshape({1 << 20, 4}), {0}, false, mean_of)),
            2e-7);
  EXPECT_LT(distance(mean(x.reshape({2, 1 << 14, 128}), {0, 1}), expected(x.reshape({2, 1 << 14, 128}), {0, 1}, false, mean_of)),
            2e-7);
}

TEST(Reduce, WidthsAndDepthsAroundTheBlocks) {
  // Small integers: every order of adding gives the same sum. Nothing may be counted twice or read from beyond the last element.
  for (int64_t n : {1, 2, 3, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 2047, 2048, 2049, 4097}) {
    for (DType type : {DType::float32, DType::float64, DType::int64}) {
      AnyTensor x = full({2 * n - 1}, 1000, type);
      AnyTensor every_second = x.slice(0, 0, 2 * n - 1, 2);
      every_second.copy_(remainder(arange(n), 7).to(type));
      EXPECT_EQ(sum(every_second).item(), sum(every_second.contiguous().to(DType::int64)).item()) << n << " of " << name(type);
    }
  }
  for (int64_t width : {16, 100, 2047, 2049, 4100}) {
    for (int64_t depth : {1, 2, 3, 4, 5, 7, 255, 257, 260, 521}) {
      AnyTensor x = remainder(arange(3 * depth * width), 11).to(DType::float32).view({3, depth, width});
      AnyTensor by_row = full({width}, 0, DType::float32);  // the middle axis is cut, so that two axes cannot be one
      AnyTensor part = depth > 4 ? x.slice(1, 2, depth) : x;
      for (int64_t i = 0; i < 3; ++i)
        for (int64_t k = 0; k < part.size(1); ++k) by_row += part.select(0, i).select(0, k);
      EXPECT_TRUE(equal(sum(part, {0, 1}), by_row)) << width << " wide, " << depth << " deep";
    }
  }
}
TEST(Reduce, SameBitsForAnyNumberOfThreads) {
  AnyTensor x = draw({1 << 21}, -1, 1, 9, DType::float32);
  std::vector<AnyTensor> views = {x,
                                  x.reshape({1 << 11, 1 << 10}),
                                  x.reshape({1 << 16, 32}),
                                  x.reshape({8, 1 << 12, 64}),
                                  x.reshape({16, 32, 64, 64}).permute({0, 3, 1, 2}),
                                  x.slice(0, 0, 96 * 20000).reshape({96, -1}).t()};
  auto run = [&](int threads) {
    ThreadLimit limit(threads);
    std::vector<AnyTensor> all;
    for (const AnyTensor& v : views)
      for (const Axes& axes : {Axes(), Axes(0), Axes(-1)})
        all.push_back(sum(v, axes)), all.push_back(gradus::std(v, axes)), all.push_back(logsumexp(v, axes)),
            all.push_back(norm(v, 3, axes));
    return all;
  };
  std::vector<AnyTensor> one = run(1);
  for (int threads : {2, 3, 5}) {
    std::vector<AnyTensor> many = run(threads);
    for (size_t i = 0; i < one.size(); ++i)
      EXPECT_EQ(std::memcmp(one[i].raw_data(), many[i].raw_data(), size_t(one[i].numel()) * 4), 0)
          << i << ", " << threads << " threads";
  }
}

// ------------------------------------------------------------------ gradients
DEVICE_TEST(ReduceGradient, OfEveryReduction) {
  AnyTensor x = draw({3, 4, 5}, 0.3, 2).requires_grad_();
  std::vector<std::pair<const char*, std::function<AnyTensor(const AnyTensor&, const Axes&)>>> ops = {
      {"sum", [](auto& x, auto& axes) { return sum(x, axes); }},
      {"mean", [](auto& x, auto& axes) { return mean(x, axes, true); }},
      {"prod", [](auto& x, auto& axes) { return prod(x, axes); }},
      {"nansum", [](auto& x, auto& axes) { return nansum(x, axes); }},
      {"nanmean", [](auto& x, auto& axes) { return nanmean(x, axes); }},
      {"amax", [](auto& x, auto& axes) { return amax(x, axes); }},
      {"amin", [](auto& x, auto& axes) { return amin(x, axes, true); }},
      {"var", [](auto& x, auto& axes) { return var(x, axes); }},
      {"var, biased", [](auto& x, auto& axes) { return var(x, axes, true, 0); }},
      {"std", [](auto& x, auto& axes) { return gradus::std(x, axes); }},
      {"var_mean",
       [](auto& x, auto& axes) {
         auto r = var_mean(x, axes);
         return r.var * r.mean;
       }},
      {"aminmax",
       [](auto& x, auto& axes) {
         auto r = aminmax(x, axes);
         return r.min * r.max;
       }},
      {"logsumexp", [](auto& x, auto& axes) { return logsumexp(x, axes); }},
      {"norm 2", [](auto& x, auto& axes) { return norm(x, 2, axes); }},
      {"norm 1", [](auto& x, auto& axes) { return norm(x, 1, axes, true); }},
      {"norm 3", [](auto& x, auto& axes) { return norm(x, 3, axes); }},
      {"norm 1.5", [](auto& x, auto& axes) { return norm(x, 1.5, axes); }},
      {"norm 0.5", [](auto& x, auto& axes) { return norm(x, 0.5, axes); }},
      {"norm -2", [](auto& x, auto& axes) { return norm(x, -2, axes); }},
      {"norm inf", [](auto& x, auto& axes) { return norm(x, kInf, axes); }},
      {"norm -inf", [](auto& x, auto& axes) { return norm(x, -kInf, axes); }},
      {"norm 0", [](auto& x, auto& axes) { return norm(x, 0, axes) * sum(x, axes); }},
  };
  for (auto& [what, op] : ops)
    for (const Axes& axes : {Axes(), Axes(0), Axes(-1), Axes{0, 2}, Axes{1, -1}})
      EXPECT_EQ(gradcheck([&, &op = op](auto& in) { return op(in[0], axes); }, {x}), "")
          << what << " over " << to_string(axes.list);
  AnyTensor scalar = draw({}).requires_grad_();
  for (auto& [what, op] : ops)
    if (std::string(what).find("var") != 0 && std::string(what) != "std") {  // these have no value for one element
      EXPECT_EQ(gradcheck([&, &op = op](auto& in) { return op(in[0], {}); }, {scalar}), "") << what << " of a scalar";
    }
}
DEVICE_TEST(ReduceGradient, OfMaxAndMinAlongAnAxis) {
  AnyTensor x = draw({3, 4, 5}).requires_grad_();
  for (int64_t axis : {0, 1, -1}) {
    EXPECT_EQ(gradcheck([&](auto& in) { return square(max(in[0], axis).values); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(min(in[0], axis, true).values); }, {x}), "");
  }
  EXPECT_EQ(gradcheck([&](auto& in) { return max(in[0]) * min(in[0]); }, {x}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return max(in[0], 0).values; }, {draw({}).requires_grad_()}), "");
  // At ties amax shares, max along an axis chooses the first.
  AnyTensor ties = AnyTensor(Tensor<double>{{1, 3, 3}, {2, 2, 2}}).requires_grad_();
  AnyTensor ones_of_rows = ones({2}, DType::float64);
  EXPECT_EQ(values(grad({amax(ties, 1)}, {ties}, {ones_of_rows})[0]), (std::vector<double>{0, 0.5, 0.5, 1. / 3, 1. / 3, 1. / 3}));
  EXPECT_EQ(values(grad({max(ties, 1).values}, {ties}, {ones_of_rows})[0]), (std::vector<double>{0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(values(grad({max(ties)}, {ties})[0]), (std::vector<double>{0, 0.5, 0.5, 0, 0, 0}));
  EXPECT_EQ(values(grad({norm(ties, kInf)}, {ties})[0]), (std::vector<double>{0, 0.5, 0.5, 0, 0, 0}));
}
DEVICE_TEST(ReduceGradient, OfProductsWithZeros) {
  for (std::vector<double> v : {std::vector<double>{2, 0, 3, 4, 5, 6}, {2, 0, 3, 0, 5, 6}, {0, 0, 0, 4, 5, 6}}) {
    AnyTensor x = AnyTensor(Tensor<double>(std::span<const double>(v), {2, 3})).requires_grad_();
    for (const Axes& axes : {Axes(), Axes(0), Axes(1)}) EXPECT_EQ(gradcheck([&](auto& in) { return prod(in[0], axes); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return prod(in[0].t(), {0, 1}, true); }, {x}), "");
  }
}
DEVICE_TEST(ReduceGradient, AtTheKinks) {
  AnyTensor x = zeros({3}, DType::float64).requires_grad_();
  for (double p : {2.0, 1.0, 1.5, 3.0}) EXPECT_EQ(values(grad({norm(x, p)}, {x})[0]), (std::vector<double>{0, 0, 0})) << p;
  AnyTensor some = AnyTensor(Tensor<double>{0, 3, 4}).requires_grad_();
  for (double p : {-1.0, -2.0, -0.5}) EXPECT_EQ(values(grad({norm(some, p)}, {some})[0]), (std::vector<double>{0, 0, 0})) << p;
  EXPECT_LT(distance(grad({norm(some)}, {some})[0], Tensor<double>{0, 0.6, 0.8}), 1e-15);
  AnyTensor same = full({4}, 2, DType::float64).requires_grad_();
  EXPECT_EQ(values(grad({gradus::std(same)}, {same})[0]), (std::vector<double>{0, 0, 0, 0}));
  AnyTensor nothing = full({2}, -kInf, DType::float64).requires_grad_();
  EXPECT_EQ(values(grad({logsumexp(nothing)}, {nothing})[0]), (std::vector<double>{0, 0}));
  AnyTensor holes = AnyTensor(Tensor<double>{1, kNaN, 3}).requires_grad_();
  EXPECT_EQ(values(grad({nanmean(holes)}, {holes})[0]), (std::vector<double>{0.5, 0, 0.5}));
}
DEVICE_TEST(ReduceGradient, InNarrowTypes) {
  for (DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    AnyTensor wide = draw({6, 50}, 0.5, 1.5, 4).to(type).to(DType::float64).requires_grad_();
    AnyTensor x = wide.detach().to(type).requires_grad_(), v = draw({6}, -1, 1, 5).to(type);
    for (auto op : {Reducer(OP(sum)), Reducer(OP(mean)), Reducer(OP(amax)), Reducer(OP(var)), Reducer(OP(logsumexp))}) {
      AnyTensor g = grad({op(x, 1, false)}, {x}, {v})[0], want = grad({op(wide, 1, false)}, {wide}, {v.to(DType::float64)})[0];
      EXPECT_EQ(g.dtype(), type);
      EXPECT_LT(distance(g, want), 3 * kTolerance[int(type)]) << name(type);
    }
  }
}

DEVICE_TEST(Reduce, Messages) {
  AnyTensor x = draw({2, 3}), n = full({2, 3}, 1, DType::int32);
  EXPECT_EQ(message_of<ShapeError>([&] { sum(x, 2); }), "sum: axis 2 is out of range for 2 dimensions; valid are -2 to 1");
  EXPECT_EQ(message_of<ShapeError>([&] { amax(x, {0, -2}); }), "amax: axis -2 is named twice in [0, -2]");
  EXPECT_EQ(message_of<DTypeError>([&] { mean(n); }), "mean: needs a floating point tensor, got int32; cast with to<float>()");
  for (auto f :
       std::initializer_list<std::function<void()>>{[&] { var(n); }, [&] { norm(n); }, [&] { logsumexp(n); }, [&] { nansum(n); }})
    message_of<DTypeError>(f);
  EXPECT_EQ(message_of<ShapeError>([&] { argmax(x, 5); }), "argmax: axis 5 is out of range for 2 dimensions; valid are -2 to 1");
  EXPECT_EQ(message_of<ValueError>([&] { sum(AnyTensor()); }), "sum: got an undefined tensor");
  EXPECT_EQ(message_of<ValueError>([&] { norm(x, kNaN); }), "norm: p is NaN; use a number or an infinity");
}

DEVICE_TEST(ReduceHarness, CatchesAWrongGradient) {
  AnyTensor x = draw({2, 5}).requires_grad_();
  // The gradient of max given to the least element instead.
  auto wrong_max = custom_function(
      "wrong_max",
      [](FunctionContext& c, const std::vector<AnyTensor>& in) {
        c.save({in[0]});
        return std::vector{amax(in[0], 1)};
      },
      [](FunctionContext& c, const std::vector<AnyTensor>& g) {
        AnyTensor x = c.saved()[0];
        return std::vector{(x == amin(x, 1, true)).to(DType::float64) * g[0].unsqueeze(1)};
      });
  EXPECT_NE(gradcheck([&](auto& in) { return wrong_max(in)[0]; }, {x}), "");
}

DEVICE_TEST(Reduce, OfNothingOverSeveralAxes) {
  EXPECT_EQ(values(sum(draw({0, 3, 4}), {0, 2})), std::vector<double>(3, 0));
  EXPECT_EQ(values(sum(draw({4, 0, 3}).transpose(0, 2), {0, 1})), std::vector<double>(4, 0));
  EXPECT_EQ(sum_to(draw({3, 2, 0}).permute({2, 0, 1}), {}).item(), 0);
}
