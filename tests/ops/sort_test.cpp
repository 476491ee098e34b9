// Sorting and selecting against std::stable_sort on values read as double; ties, NaN, both signs of zero; gradients.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

/// NaN is greater than all else.
bool less(double a, double b) { return std::isnan(a) ? false : std::isnan(b) ? true : a < b; }

/// The order of each line along the axis, as indices of the same shape.
std::vector<int64_t> order_of(const std::vector<double>& line, bool descending) {
  std::vector<int64_t> order(line.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    double x = line[size_t(a)], y = line[size_t(b)];
    return descending ? less(y, x) : less(x, y);
  });
  return order;
}
std::vector<double> line_of(const AnyTensor& x, int axis, int64_t number) {
  AnyTensor lines = x.dim() ? x.detach().transpose(axis, -1).contiguous() : x.detach();
  std::vector<double> v = values(lines);
  int64_t n = x.dim() ? x.shape()[axis] : 1;
  return {v.begin() + number * n, v.begin() + (number + 1) * n};
}

/// Values from few enough that many are equal.
AnyTensor some(const Shape& shape, DType type, uint64_t seed = 3) {
  AnyTensor x = floor(draw(shape, is_float(type) || type == DType::int8 ? -20 : 0, 20, seed));
  return (is_float(type) ? x * 0.5 : x).to(type);
}
std::vector<AnyTensor> layouts(DType type) {
  return {some({}, type),
          some({1}, type),
          some({17}, type),
          some({700}, type),
          some({30000}, type),
          some({9, 40}, type),
          some({40, 9}, type).t(),
          some({600, 3}, type),
          some({6, 5, 8}, type).permute({2, 0, 1}),
          some({20, 30}, type).slice(1, 1, 30, 3),
          some({0, 3}, type),
          some({64, 128}, type)};
}

}  // namespace

DEVICE_TEST(Sort, EveryLayoutAndType) {
  for (int t = 0; t < kDTypes; ++t) {
    for (const AnyTensor& x : layouts(DType(t))) {
      for (int axis = 0; axis < std::max(1, x.dim()); ++axis) {
        for (bool descending : {false, true}) {
          auto [sorted, index] = sort(x, axis, descending);
          ASSERT_EQ(sorted.dtype(), x.dtype());
          EXPECT_EQ(distance(argsort(x, axis, descending), index), 0);
          int64_t n = x.dim() ? x.shape()[axis] : 1, lines = n ? x.numel() / n : 0;
          for (int64_t i = 0; i < lines; ++i) {
            std::vector<double> line = line_of(x, axis, i), got = line_of(sorted, axis, i), places = line_of(index, axis, i);
            std::vector<int64_t> order = order_of(line, descending);
            ASSERT_EQ(places, std::vector<double>(order.begin(), order.end())) << name(DType(t)) << to_string(x.shape());
            for (size_t k = 0; k < line.size(); ++k) ASSERT_EQ(got[k], line[size_t(order[k])]);
          }
          for (int64_t k : {int64_t(0), int64_t(1), n / 2, n}) {
            if (k > n) continue;
            auto [top, where] = topk(x, k, axis, descending);
            EXPECT_EQ(distance(top, x.dim() ? sorted.slice(axis, 0, k) : sorted), 0) << to_string(x.shape()) << k;
            EXPECT_EQ(distance(where, x.dim() ? index.slice(axis, 0, k) : index), 0) << to_string(x.shape()) << k;
          }
          for (int64_t k : {int64_t(1), n / 2 + 1, n}) {
            if (descending || n == 0 || x.dim() == 0) continue;
            auto [value, where] = kthvalue(x, k, axis, true);
            EXPECT_EQ(distance(value, sorted.slice(axis, k - 1, k)), 0);
            EXPECT_EQ(distance(where, index.slice(axis, k - 1, k)), 0);
          }
        }
      }
    }
  }
}
DEVICE_TEST(Sort, NaNZerosAndInfinities) {
  for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    AnyTensor x = AnyTensor(Tensor<double>{3, kNaN, -0.0, kInf, 0.0, -kInf, kNaN, -1}).to(type);
    auto [up, at] = sort(x);
    EXPECT_EQ(Tensor<int64_t>(at).vector(), (std::vector<int64_t>{5, 7, 2, 4, 0, 3, 1, 6})) << name(type);
    EXPECT_TRUE(std::signbit(values(up)[2]) && !std::signbit(values(up)[3])) << "zeros are equal and keep their signs";
    EXPECT_EQ(argsort(x, -1, true).vector(), (std::vector<int64_t>{1, 6, 3, 0, 2, 4, 7, 5}));
    EXPECT_EQ(Tensor<int64_t>(topk(x, 3).indices).vector(), (std::vector<int64_t>{1, 6, 3}));
  }
  EXPECT_EQ(sort(Tensor<int64_t>{INT64_MAX, INT64_MIN, 0, -1}).values.vector(),
            (std::vector<int64_t>{INT64_MIN, -1, 0, INT64_MAX}));
  EXPECT_EQ(msort(Tensor<float>{{3, 1}, {1, 2}}).vector(), (std::vector<float>{1, 1, 3, 2}));
}
DEVICE_TEST(Sort, Medians) {
  EXPECT_EQ(median(Tensor<float>{4, 1, 3, 2}).item(), 2) << "the lower of the two";
  EXPECT_EQ(median(Tensor<int32_t>{5, 1, 3}).item(), 3);
  Tensor<float> holes = {{float(kNaN), 1, 3, 2}, {4, 2, 3, 1}};
  EXPECT_TRUE(std::isnan(median(holes).item()));
  EXPECT_EQ(nanmedian(holes).item(), 2);
  auto [middle, at] = nanmedian(holes, 1);
  EXPECT_EQ(middle.vector(), (std::vector<float>{2, 2}));
  EXPECT_EQ(at.vector(), (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(median(holes, 1).indices.vector(), (std::vector<int64_t>{0, 1}));
  EXPECT_TRUE(std::isnan(nanmedian(full({3}, kNaN, DType::float32)).item()));
  EXPECT_EQ(to_string(median(holes, 0, true).values.shape()), "[1, 4]");
}
DEVICE_TEST(Sort, Unique) {
  auto [different, inverse, counts] = unique(placed(Tensor<int32_t>{{3, 1}, {3, 2}}));
  EXPECT_EQ(different.vector(), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(inverse.vector(), (std::vector<int64_t>{2, 0, 2, 1}));
  EXPECT_EQ(counts.vector(), (std::vector<int64_t>{1, 1, 2}));
  EXPECT_EQ(to_string(inverse.shape()), "[2, 2]");
  auto runs = unique_consecutive(placed(Tensor<float>{1, 1, 2, 2, 1}));
  EXPECT_EQ(runs.values.vector(), (std::vector<float>{1, 2, 1}));
  EXPECT_EQ(runs.counts.vector(), (std::vector<int64_t>{2, 2, 1}));
  EXPECT_EQ(unique(placed(Tensor<float>{float(kNaN), float(kNaN)})).values.numel(), 2) << "NaN is equal to nothing";
  EXPECT_EQ(unique(placed(zeros({0}, DType::float32))).values.numel(), 0);
  AnyTensor x = placed(some({5000}, DType::float32));
  AnyUnique u = unique(x);
  EXPECT_EQ(distance(gather(u.values, 0, u.inverse), x), 0);
  EXPECT_EQ(sum(u.counts).item(), 5000);
}
DEVICE_TEST(Sort, UniqueSlices) {
  Tensor<int64_t> x = placed(Tensor<int64_t>{{2, 1}, {0, 5}, {2, 1}, {2, 0}, {2, 0}});
  auto [rows, inverse, counts] = unique(x, 0);
  EXPECT_EQ(rows.vector(), (std::vector<int64_t>{0, 5, 2, 0, 2, 1}));
  EXPECT_EQ(inverse.vector(), (std::vector<int64_t>{2, 0, 2, 1, 1}));
  EXPECT_EQ(counts.vector(), (std::vector<int64_t>{1, 2, 2}));
  auto runs = unique_consecutive(x, 0);
  EXPECT_EQ(runs.values.vector(), (std::vector<int64_t>{2, 1, 0, 5, 2, 1, 2, 0}));
  EXPECT_EQ(runs.inverse.vector(), (std::vector<int64_t>{0, 1, 2, 3, 3}));
  EXPECT_EQ(runs.counts.vector(), (std::vector<int64_t>{1, 1, 1, 2}));
  EXPECT_EQ(distance(unique(AnyTensor(x.t()), -1).values, rows.t()), 0) << "columns";
  EXPECT_EQ(unique(x.t().contiguous().view({2, 5, 1}), 1).counts.vector(), (std::vector<int64_t>{1, 2, 2}));
  EXPECT_EQ(to_string(unique(placed(zeros({4, 0}, DType::float32)), 0).values.shape()), "[1, 0]");
  EXPECT_EQ(to_string(unique(placed(zeros({0, 4}, DType::float32)), 0).values.shape()), "[0, 4]");
  Tensor<float> holes = placed(Tensor<float>{{float(kNaN), 1}, {float(kNaN), 1}, {0, 1}, {0, 1}});
  EXPECT_EQ(unique(holes, 0).counts.vector(), (std::vector<int64_t>{2, 1, 1})) << "NaN is equal to nothing";
  EXPECT_EQ(unique_consecutive(holes, 0).counts.vector(), (std::vector<int64_t>{1, 1, 2}));
  AnyTensor many = placed(AnyTensor(randint<int64_t>(0, 3, {400, 3})));
  AnyUnique u = unique(many, 0);
  EXPECT_EQ(u.values.shape()[0], 27);
  EXPECT_EQ(distance(index_select(u.values, 0, u.inverse), many), 0);
  EXPECT_EQ(distance(unique(matmul(u.values, placed(AnyTensor(Tensor<int64_t>{9, 3, 1})))).values, arange(27)), 0) << "in order";
}
DEVICE_TEST(Sort, TopInNoOrder) {
  AnyTensor x = draw({3, 50});
  for (bool largest : {false, true}) {
    auto [top, where] = topk(x, 7, 1, largest, false);
    EXPECT_EQ(distance(gather(x, 1, where), top), 0);
    EXPECT_EQ(distance(sort(top, 1, largest).values, topk(x, 7, 1, largest).values), 0);
  }
}
DEVICE_TEST(Sort, Searchsorted) {
  Tensor<float> sequence = {1, 3, 3, 5};
  EXPECT_EQ(searchsorted(sequence, Tensor<float>{0, 1, 3, 4, 6}).vector(), (std::vector<int64_t>{0, 0, 1, 3, 4}));
  EXPECT_EQ(searchsorted(sequence, Tensor<float>{0, 1, 3, 4, 6}, true).vector(), (std::vector<int64_t>{0, 1, 3, 3, 4}));
  EXPECT_EQ(searchsorted(Tensor<int64_t>{{1, 3}, {10, 20}}, Tensor<int64_t>{{2, 3, 4}, {5, 15, 25}}).vector(),
            (std::vector<int64_t>{1, 1, 2, 0, 1, 2}));
  EXPECT_EQ(to_string(bucketize(draw({2, 3}), draw({5})).shape()), "[2, 3]");
  EXPECT_EQ(bucketize(draw({}, 5, 6), draw({5})).item(), 5);
  EXPECT_EQ(
      message_of<ShapeError>([] {
        searchsorted(draw({2, 3}), draw({3, 3}));
      }),
      "searchsorted: sequences of shape [2, 3] for values of shape [3, 3]; the sequence must be a vector, or both must agree but "
      "for the last axis");
  message_of<DTypeError>([] { searchsorted(draw({3}), draw({3}, 0, 1, 1, DType::float32)); });
  message_of<ShapeError>([] { bucketize(draw({3}), draw({3, 3})); });
}
DEVICE_TEST(Sort, Gradients) {
  AnyTensor x = draw({4, 5, 3}).requires_grad_();
  for (int64_t axis : {0, 1, -1}) {
    EXPECT_EQ(gradcheck([&](auto& in) { return square(sort(in[0], axis, true).values); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(topk(in[0], 2, axis).values); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(kthvalue(in[0], 2, axis).values); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(median(in[0], axis, true).values); }, {x}), "");
  }
  EXPECT_EQ(gradcheck([&](auto& in) { return square(median(in[0])) * nanmedian(in[0]); }, {x}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return square(msort(in[0])); }, {x}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return square(sort(in[0]).values); }, {draw({}).requires_grad_()}), "");
}
DEVICE_TEST(Sort, Messages) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(message_of<ValueError>([&] { topk(x, 4); }), "topk: k is 4, axis -1 of [2, 3] has 3 elements; k may be 0 to 3");
  EXPECT_EQ(message_of<ValueError>([&] { kthvalue(x, 0); }), "kthvalue: k is 0, axis -1 of [2, 3] has 3 elements, counted from 1");
  EXPECT_EQ(message_of<ShapeError>([&] { sort(x, 2); }), "sort: axis 2 is out of range for 2 dimensions; valid are -2 to 1");
  message_of<ValueError>([&] { topk(x, -1); });
  message_of<ValueError>([&] { median(draw({0})); });
  message_of<ValueError>([&] { argsort(AnyTensor()); });
}
