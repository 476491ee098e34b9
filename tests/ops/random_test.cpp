// Random draws: the published vectors of Philox, the place of each element's words, moments, ranges, and independence of threads and
// layouts.
#include <algorithm>
#include <set>

#include "kernels/philox.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

double mean_of(const AnyTensor& x) { return to(x, DType::float64).mean().item(); }
double variance_of(const AnyTensor& x) {
  AnyTensor d = to(x, DType::float64) - mean_of(x);
  return (d * d).mean().item();
}
}  // namespace

TEST(Philox, KnownAnswers) {
  // From the reference implementation's kat_vectors, for the counters that a 64-bit position can have.
  Philox zero = Philox::at(0, 0);
  EXPECT_EQ(std::vector<uint32_t>(zero.word, zero.word + 4),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

DEVICE_TEST(Random, ElementsTakeTheWordsThatAreTheirs) {
  Generator g(42);
  g.set_state({42, 5});
  Tensor<float> x = rand({11}, g);
  EXPECT_EQ(g.state().offset, 5u + 3);
  Tensor<double> y = rand<double>({11}, g);
  EXPECT_EQ(g.state().offset, 8u + 6);
  Tensor<half> h = rand<half>({5}, g);
  Tensor<int64_t> k = randint(-3, 4, {7}, g);
  EXPECT_EQ(g.state().offset, 14u + 2 + 4);
  const auto xs = x.vector();
  const auto ys = y.vector();
  const auto hs = h.vector();
  const auto ks = k.vector();
  for (int i = 0; i < 11; ++i) {
    EXPECT_EQ(xs[i], uniform_float(Philox::at(42, 5 + i / 4).word[i % 4]));
    Philox block = Philox::at(42, 8 + i / 2);
    EXPECT_EQ(ys[i], uniform_double(block.word[i % 2 * 2], block.word[i % 2 * 2 + 1]));
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(float(hs[i]), float(Philox::at(42, 14 + i / 4).word[i % 4] >> 21) / 2048);
  for (int i = 0; i < 7; ++i) {
    Philox block = Philox::at(42, 16 + i / 2);
    uint64_t word = uint64_t(block.word[i % 2 * 2]) << 32 | block.word[i % 2 * 2 + 1];
    EXPECT_EQ(ks[i], -3 + int64_t((unsigned __int128)(word)*7 >> 64));
  }
}

DEVICE_TEST(Random, UniformNumbersAreRoundedTwiceOnEveryInstructionSet) {
  Generator g(3);
  const std::vector<double> x = values(uniform<float>({500}, 0.1, 0.7, g)), y = values(uniform<double>({500}, -0.3, 1.1, g));
  for (size_t i = 0; i < 500; ++i) {
    const volatile float product = float(0.7 - 0.1) * uniform_float(Philox::at(3, i / 4).word[i % 4]);
    EXPECT_EQ(float(x[i]), 0.1f + product) << i;
    const Philox block = Philox::at(3, 125 + i / 2);
    const volatile double wide = (1.1 - -0.3) * uniform_double(block.word[i % 2 * 2], block.word[i % 2 * 2 + 1]);
    EXPECT_EQ(y[i], -0.3 + wide) << i;
  }
}

DEVICE_TEST(Random, NormalIsBoxAndMullerOfTheSameWords) {
  Generator g(7);
  Tensor<float> x = randn({300}, g);
  Tensor<double> y = randn<double>({300}, g);
  const std::vector<float> xs = x.vector();
  const std::vector<double> ys = y.vector();
  for (int i = 0; i < 300; ++i) {
    Philox b = Philox::at(7, i / 4);
    int pair = i % 4 / 2 * 2;
    double r = std::sqrt(-2 * std::log(1 - double(uniform_float(b.word[pair])))), t = 2 * M_PI * uniform_float(b.word[pair + 1]);
    EXPECT_NEAR(xs[i], r * (i % 2 ? std::sin(t) : std::cos(t)), 3e-6 * (1 + r));
    Philox d = Philox::at(7, 75 + i / 2);
    r = std::sqrt(-2 * std::log(1 - uniform_double(d.word[0], d.word[1]))), t = 2 * M_PI * uniform_double(d.word[2], d.word[3]);
    EXPECT_NEAR(ys[i], r * (i % 2 ? std::sin(t) : std::cos(t)), 1e-14 * (1 + r));
  }
}

DEVICE_TEST(Random, MomentsAreThoseOfTheDistribution) {
  // 400,000 draws: a mean is off by more than 5 deviations / sqrt(n) once in two million runs, and these runs are always the same.
  Generator g(3);
  const Shape shape{400, 1000};
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    double coarse = is_half(t) ? 0.004 : 0;  // a half type's uniform numbers are cut down to 8 or 11 bits
    AnyTensor u = uniform(shape, -1, 3, t, g), n = normal(shape, 2, 0.5, t, g), e = exponential(shape, 2, t, g);
    EXPECT_NEAR(mean_of(u), 1, 0.01 + 4 * coarse) << name(t);
    EXPECT_NEAR(variance_of(u), 16.0 / 12, 0.02) << name(t);
    EXPECT_NEAR(mean_of(n), 2, 0.004) << name(t);
    EXPECT_NEAR(variance_of(n), 0.25, 0.003) << name(t);
    EXPECT_NEAR(mean_of(e), 0.5, 0.004 + coarse) << name(t);
    EXPECT_NEAR(mean_of(bernoulli(shape, 0.3, t, g)), 0.3, 0.004) << name(t);
  }
  AnyTensor k = randint(-5, 5, shape, DType::int32, g);
  EXPECT_NEAR(mean_of(k), -0.5, 0.03);
  EXPECT_NEAR(variance_of(k), 99.0 / 12, 0.1);
}

DEVICE_TEST(Random, RangesHoldInEveryType) {
  Generator g(1);
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    for (auto [low, high] : {std::pair{0.0, 1.0}, {-1.0, 0.0}, {5.0, 5.1}, {1000.0, 1001.0}}) {
      std::vector<double> v = values(uniform({5000}, low, high, t, g));
      // A half type may not have `low` itself: its neighbour is what low rounds to.
      double least = values(full({}, low, t))[0];
      EXPECT_GE(*std::min_element(v.begin(), v.end()), least) << name(t) << low;
      EXPECT_LT(*std::max_element(v.begin(), v.end()), std::max(high, least + 1e-300)) << name(t) << low;
    }
  }
  for (DType t : {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8, DType::float32}) {
    std::vector<double> v = values(randint(3, 9, {5000}, t, g));
    EXPECT_EQ(*std::min_element(v.begin(), v.end()), 3);
    EXPECT_EQ(*std::max_element(v.begin(), v.end()), 8);
  }
  Tensor<int64_t> wide = randint(INT64_MIN, INT64_MAX, {1000}, g);
  std::vector<int64_t> v = wide.vector();
  EXPECT_LT(*std::min_element(v.begin(), v.end()), INT64_MIN / 2);
  EXPECT_GT(*std::max_element(v.begin(), v.end()), INT64_MAX / 2);
}

DEVICE_TEST(Random, APieceOfALargeDrawIsTheSameDrawnAlone) {
  // The large draw is shared among threads and made in chunks; the piece, at a place that is no chunk's begin, is not.
  constexpr int64_t n = 301 * 503, at = 77 * 4, length = 40;
  auto check = [&](const char* what, uint64_t per_block, auto draw) {
    Generator g(5);
    AnyTensor all = draw(Shape{n}, g);
    for (int64_t start : {at, n / 8 * 4 + 4}) {
      g.set_state({5, uint64_t(start) / per_block});
      EXPECT_EQ(distance(all.narrow(0, start, length), draw(Shape{length}, g)), 0) << what;
    }
  };
  check("rand", 4, [](const Shape& s, Generator& g) { return rand(s, DType::float32, g); });
  check("rand in double", 2, [](const Shape& s, Generator& g) { return rand(s, DType::float64, g); });
  check("randn", 4, [](const Shape& s, Generator& g) { return randn(s, DType::float32, g); });
  check("randn in double", 2, [](const Shape& s, Generator& g) { return randn(s, DType::float64, g); });
  check("randn in bfloat16", 4, [](const Shape& s, Generator& g) { return randn(s, DType::bfloat16, g); });
  check("randint", 2, [](const Shape& s, Generator& g) { return randint(0, 99, s, DType::int64, g); });
  check("bernoulli", 4, [](const Shape& s, Generator& g) { return bernoulli(s, 0.4, DType::uint8, g); });
}

DEVICE_TEST(Random, LayoutDoesNotShowInTheNumbers) {
  Generator a(9), b(9);
  AnyTensor last = empty_channels_last({2, 3, 4, 5}, DType::float32);
  uniform_(last, 0, 1, a);
  EXPECT_EQ(distance(last, rand({2, 3, 4, 5}, DType::float32, b)), 0);
  AnyTensor like = randn_like(last, a);
  EXPECT_FALSE(like.is_contiguous());
  EXPECT_EQ(distance(like, randn({2, 3, 4, 5}, DType::float32, b)), 0);
}

DEVICE_TEST(Random, PermutationsArePermutationsAndAllOccur) {
  Generator g(2);
  std::vector<int64_t> p = randperm(1000, g).vector(), sorted = p;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(sorted[size_t(i)], i);
  EXPECT_NE(p, sorted);
  std::set<std::vector<int64_t>> seen;
  for (int i = 0; i < 200; ++i) seen.insert(randperm(4, g).vector());
  EXPECT_EQ(seen.size(), 24u);
  EXPECT_EQ(randperm(0, g).numel(), 0);
}

DEVICE_TEST(Random, BernoulliFollowsItsProbabilities) {
  Generator g(4);
  Tensor<float> p = {0, 0.25, 1};
  AnyTensor x = bernoulli(AnyTensor(p).expand({100000, 3}), g);
  std::vector<double> share = values(x.mean(0));
  EXPECT_EQ(share[0], 0);
  EXPECT_NEAR(share[1], 0.25, 0.01);
  EXPECT_EQ(share[2], 1);
  AnyTensor mask = empty({1000}, DType::boolean);
  bernoulli_(mask, 0.5, g);
  EXPECT_NEAR(mean_of(mask), 0.5, 0.08);
}

DEVICE_TEST(Random, MultinomialFollowsItsWeights) {
  Generator g(6);
  Tensor<double> w = {{1, 0, 3}, {0, 5, 0}};
  AnyTensor drawn = multinomial(w, 40000, true, g);
  EXPECT_EQ(drawn.shape(), (Shape{2, 40000}));
  EXPECT_NEAR(mean_of(drawn.select(0, 0)), 1.5, 0.03);  // 0 once, 2 three times
  EXPECT_EQ(to(drawn.select(0, 0) == 1, DType::int64).sum().item(), 0);
  EXPECT_EQ(mean_of(drawn.select(0, 1)), 1);
  int first[3] = {};
  for (int i = 0; i < 4000; ++i) {
    std::vector<int64_t> order = multinomial(Tensor<float>{1, 2, 1}, 3, false, g).vector();
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 3u);
    ++first[order[0]];
  }
  EXPECT_NEAR(first[1], 2000, 150);
  EXPECT_NEAR(first[0], 1000, 130);
}

DEVICE_TEST(Random, GeneratorsAreStreams) {
  manual_seed(11);
  AnyTensor a = rand({5}), b = rand({5});
  manual_seed(11);
  EXPECT_EQ(distance(rand({5}), a), 0);
  EXPECT_EQ(distance(rand({5}), b), 0);
  EXPECT_NE(distance(a, b), 0);
  Generator one = Generator::named("one"), same = Generator::named("one"), two = Generator::named("two");
  GeneratorState before = one.state();
  AnyTensor x = rand({4}, one);
  EXPECT_EQ(same.state().offset, before.offset + 1);
  EXPECT_NE(distance(x, rand({4}, two)), 0);
}

DEVICE_TEST(Random, ParametersAsTensorsHaveGradients) {
  AnyTensor mean = draw({2, 3}).requires_grad_(), deviation = draw({3}, 0.5, 2, 8).requires_grad_();
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  Generator g(1);
                  return normal(in[0], in[1], g);
                },
                {mean, deviation}),
            "");
}

DEVICE_TEST(Random, WritingInPlaceLeavesTheGraph) {
  AnyTensor x = draw({3}).requires_grad_(), y = x * 2;
  uniform_(y);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_NE(message_of<GraphError>([&] { normal_(x); }).find("NoGrad"), std::string::npos);
  NoGrad no_grad;
  normal_(x, 3, 0);
  EXPECT_EQ(values(x), std::vector<double>(3, 3));
  EXPECT_TRUE(x.requires_grad());
}

DEVICE_TEST(Random, Errors) {
  auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(message_of<ValueError>([] { randint(3, 3, {2}); }), "[3, 3)"));
  EXPECT_TRUE(has(message_of<ValueError>([] { randint<int8_t>(0, 1000, {2}); }), "int8"));
  EXPECT_TRUE(has(message_of<DTypeError>([] { rand({2}, DType::int64); }), "floating point"));
  EXPECT_TRUE(has(message_of<ValueError>([] { bernoulli({2}, 1.5); }), "1.5"));
  EXPECT_TRUE(has(message_of<ValueError>([] { bernoulli(Tensor<float>{0.5, -0.1}); }), "[0, 1]"));
  EXPECT_TRUE(has(message_of<ValueError>([] { normal({2}, 0, -1); }), "-1"));
  EXPECT_TRUE(has(message_of<ValueError>([] { uniform({2}, 1, 0); }), "[1, 0)"));
  EXPECT_TRUE(has(message_of<ValueError>([] { randperm(-1); }), "-1"));
  EXPECT_TRUE(has(message_of<ValueError>([] { multinomial(Tensor<float>{1, 0}, 2); }), "replacement"));
  EXPECT_TRUE(has(message_of<ValueError>([] { multinomial(Tensor<float>{1, -1}, 1); }), "negative"));
  EXPECT_TRUE(has(message_of<ShapeError>([] { multinomial(rand({2, 2, 2}), 1); }), "[2, 2, 2]"));
  EXPECT_TRUE(has(message_of<ShapeError>([] { rand({-1}); }), "negative"));
  EXPECT_TRUE(has(message_of<ValueError>([] { exponential({2}, 0); }), "rate 0"));
  AnyTensor e = rand({1, 3}).expand({2, 3});
  EXPECT_TRUE(has(message_of<ValueError>([&] { uniform_(e); }), "expanded"));
}
