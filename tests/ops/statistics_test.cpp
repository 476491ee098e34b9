// Covariances and quantiles against their definitions.
#include <algorithm>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double quantile_by_hand(std::vector<double> v, double q, Quantile how) {
  std::sort(v.begin(), v.end());
  double place = q * double(v.size() - 1), low = std::floor(place), high = std::ceil(place);
  auto at = [&](double i) { return v[size_t(i)]; };
  switch (how) {
    case Quantile::lower: return at(low);
    case Quantile::higher: return at(high);
    case Quantile::nearest: return at(std::nearbyint(place));
    case Quantile::midpoint: return (at(low) + at(high)) / 2;
    default: return at(low) + (at(high) - at(low)) * (place - low);
  }
}

}  // namespace

DEVICE_TEST(Statistics, Covariances) {
  AnyTensor x = draw({3, 6}).requires_grad_();
  std::vector<double> v = values(x), got = values(cov(x)), loose = values(cov(x, {.correction = 0}));
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) {
      double mi = 0, mj = 0, total = 0;
      for (size_t k = 0; k < 6; ++k) mi += v[i * 6 + k] / 6, mj += v[j * 6 + k] / 6;
      for (size_t k = 0; k < 6; ++k) total += (v[i * 6 + k] - mi) * (v[j * 6 + k] - mj);
      EXPECT_NEAR(got[i * 3 + j], total / 5, 1e-15);
      EXPECT_NEAR(loose[i * 3 + j], total / 6, 1e-15);
    }
  EXPECT_NEAR(cov(x.select(0, 1)).item(), var(x.select(0, 1)).item(), 1e-15);
  Tensor<int64_t> often{1, 2, 0, 1, 3, 1};
  AnyTensor repeated = repeat_interleave(x.detach(), often, 1), weights = draw({6}, 0.2, 1, 5).requires_grad_();
  EXPECT_LT(distance(cov(x, {.fweights = often}), cov(repeated)), 1e-14);
  EXPECT_LT(distance(cov(x, {.fweights = often, .aweights = weights}),
                     cov(repeated, {.aweights = repeat_interleave(weights.detach(), often, 0)})),
            1e-14);
  EXPECT_LT(distance(cov(x, {.aweights = ones({6}, DType::float64)}), cov(x)), 1e-15);
  EXPECT_EQ(gradcheck([](const auto& in) { return cov(in[0], {.aweights = in[1]}); }, {x, weights}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return cov(in[0], {.correction = 2}); }, {x}), "");

  AnyTensor c = corrcoef(x), deviation = gradus::std(x, 1);
  EXPECT_LT(distance(c, cov(x) / deviation.unsqueeze(1) / deviation), 1e-14);
  EXPECT_LT(distance(diagonal(c), ones({3}, DType::float64)), 1e-15);
  auto beside_diagonal = [](const auto& in) { return triu(corrcoef(in[0]), 1); };  // on it, the bound of 1 has no slope
  EXPECT_EQ(gradcheck(beside_diagonal, {x}), "");
  EXPECT_EQ(corrcoef(x.select(0, 0)).item(), 1);
  auto [s, m] = std_mean(x, 1, true, 0);
  EXPECT_EQ(distance(s, gradus::std(x, 1, true, 0)), 0);
  EXPECT_EQ(distance(m, mean(x, 1, true)), 0);

  message_of<ShapeError>([&] { cov(draw({2, 2, 2})); });
  message_of<ShapeError>([&] { cov(x, {.aweights = draw({5})}); });
  message_of<DTypeError>([&] { cov(x, {.fweights = draw({6})}); });
  message_of<DTypeError>([&] { cov(arange(4)); });
  EXPECT_NE(message_of<ShapeError>([&] { std_mean(x, 2); }).find("std_mean"), std::string::npos);
}

DEVICE_TEST(Statistics, Quantiles) {
  AnyTensor x = draw({3, 7}).requires_grad_();
  std::vector<double> v = values(x);
  for (Quantile how : {Quantile::linear, Quantile::lower, Quantile::higher, Quantile::midpoint, Quantile::nearest}) {
    AnyTensor several = Tensor<double>{0, 0.35, 0.5, 1};
    std::vector<double> q = values(several), all = values(quantile(x, several, {.interpolation = how})),
                        rows = values(quantile(x, several, {.axis = 1, .interpolation = how}));
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_NEAR(all[k], quantile_by_hand(v, q[k], how), 1e-15);
      for (size_t r = 0; r < 3; ++r)
        EXPECT_NEAR(rows[k * 3 + r], quantile_by_hand({v.begin() + int(r) * 7, v.begin() + int(r + 1) * 7}, q[k], how), 1e-15);
    }
    EXPECT_EQ(gradcheck([&](const auto& in) { return quantile(in[0], several, {.axis = 1, .interpolation = how}); }, {x}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return nanquantile(in[0], 0.3, {.axis = 0, .interpolation = how}); }, {x}), "");
  }
  AnyTensor share = Tensor<double>{0.3, 0.6}.requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return quantile(in[0], in[1], {.axis = 0}); }, {x, share}), "");
  EXPECT_EQ(to_string(quantile(x, 0.5, {.axis = 0, .keepdim = true}).shape()), "[1, 7]");
  EXPECT_EQ(to_string(quantile(x, share, {.axis = 1, .keepdim = true}).shape()), "[2, 3, 1]");
  EXPECT_EQ(to_string(quantile(x, share, {.keepdim = true}).shape()), "[2, 1, 1]");
  EXPECT_EQ(quantile(draw({}, 3, 3), 0.2).item(), 3);
  EXPECT_EQ(quantile(median(x, 1).values, 0.5).item(), median(median(x, 1).values).item());

  AnyTensor holes = Tensor<double>{{4, kNaN, 1, 3}, {kNaN, kNaN, kNaN, kNaN}, {2, 1, 4, 3}};
  std::vector<double> plain = values(quantile(holes, 0.5, {.axis = 1})), rest = values(nanquantile(holes, 0.5, {.axis = 1}));
  EXPECT_TRUE(std::isnan(plain[0]) && std::isnan(plain[1]) && std::isnan(rest[1]));
  EXPECT_EQ(plain[2], 2.5);
  EXPECT_EQ(rest[0], 3);
  EXPECT_EQ(rest[2], 2.5);
  EXPECT_EQ(quantile(arange(0, 4001, 1, DType::float16), 0.25).item(), 1000);

  EXPECT_EQ(message_of<ValueError>([&] { quantile(x, 1.5); }), "quantile: q must be between 0 and 1");
  message_of<ShapeError>([&] { quantile(x, 0.5, {.axis = 2}); });
  message_of<ShapeError>([&] { quantile(x, draw({2, 2}, 0, 1)); });
  message_of<ValueError>([&] { nanquantile(zeros({0}, DType::float64), 0.5); });
  message_of<DTypeError>([&] { quantile(arange(3), 0.5); });
}
