// Datasets, what adapts them, and how samples become batches.
#include <set>

#include "tests/check.h"

using namespace gradus;
using gradus::testing::message_of;

namespace {

/// Sample i is (i, i squared).
struct Squares {
  int64_t count = 10;
  int64_t size() const { return count; }
  std::pair<Tensor<float>, int64_t> get(int64_t i) const { return {full<float>({2}, float(i)), i * i}; }
};

struct Noise {
  int64_t size() const { return 5; }
  double get(int64_t, Generator& g) const { return g.uniform(); }
};

template <class D> int64_t label(const D& d, int64_t i) { return d.get(i).second; }

static_assert(data::Dataset<Squares> && !data::RandomDataset<Squares> && !data::BatchDataset<Squares>);
static_assert(data::Dataset<Noise> && data::RandomDataset<Noise>);
static_assert(data::BatchDataset<data::TensorDataset<float>> && data::BatchDataset<data::Subset<data::TensorDataset<float>>>);
static_assert(!data::BatchDataset<data::Subset<Squares>> && data::RandomDataset<data::Subset<Noise>>);
static_assert(!data::Dataset<int>);

}  // namespace

TEST(TensorDataset, GivesRowsAndBatches) {
  Tensor<float> x = {{1, 2}, {3, 4}, {5, 6}};
  Tensor<int64_t> y = {7, 8, 9};
  data::TensorDataset points(x, y);
  EXPECT_EQ(points.size(), 3);
  auto [row, label] = points.get(1);
  EXPECT_EQ(row.vector(), (std::vector<float>{3, 4}));
  EXPECT_EQ(label.item(), 8);
  EXPECT_EQ(row.data(), x.data() + 2);  // a view
  const std::vector<int64_t> wanted = {2, 0, 2};
  auto [rows, labels] = points.get_batch(wanted);
  EXPECT_EQ(rows.shape(), (Shape{3, 2}));
  EXPECT_EQ(rows.vector(), (std::vector<float>{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(labels.vector(), (std::vector<int64_t>{9, 7, 9}));
  EXPECT_EQ(message_of<IndexError>([&] { points.get(3); }), "TensorDataset: sample 3 is outside [0, 3)");
  const std::vector<int64_t> wrong = {0, -1};
  EXPECT_EQ(message_of<IndexError>([&] { points.get_batch(wrong); }), "dataset: sample -1 is outside [0, 3)");
}

TEST(TensorDataset, TakesTransposedTensorsAndRowsOfNothing) {
  Tensor<float> x = {{1, 2, 3}, {4, 5, 6}};
  data::TensorDataset columns(x.t());
  EXPECT_EQ(std::get<0>(columns.get(2)).vector(), (std::vector<float>{3, 6}));
  data::TensorDataset nothing(zeros<float>({4, 0}));
  const std::vector<int64_t> all = {0, 3};
  EXPECT_EQ(std::get<0>(nothing.get_batch(all)).shape(), (Shape{2, 0}));
}

TEST(TensorDataset, RefusesTensorsThatDoNotFit) {
  Tensor<float> x = zeros<float>({3, 2}), y = zeros<float>({4}), scalar = zeros<float>({});
  EXPECT_EQ(message_of<ShapeError>([&] { data::TensorDataset d(x, y); }),
            "TensorDataset: tensor 1 has 4 rows, the first one has 3");
  EXPECT_NE(message_of<ShapeError>([&] { data::TensorDataset d(scalar); }).find("has no axis"), std::string::npos);
  EXPECT_EQ(message_of<ValueError>([&] { data::TensorDataset d(x, Tensor<float>()); }), "TensorDataset: tensor 1 is undefined");
  EXPECT_EQ(message_of<ValueError>([&] { data::TensorDataset d{Tensor<float>()}; }), "TensorDataset: tensor 0 is undefined");
}

TEST(Subset, PicksSamplesInOrder) {
  data::Subset some(Squares{}, {4, 1});
  EXPECT_EQ(some.size(), 2);
  EXPECT_EQ(label(some, 0), 16);
  EXPECT_EQ(label(some, 1), 1);
  EXPECT_EQ(message_of<IndexError>([&] { some.get(2); }), "Subset: sample 2 is outside [0, 2)");
  EXPECT_EQ(message_of<IndexError>([&] { data::Subset wrong(Squares{}, {10}); }), "Subset: sample 10 is outside [0, 10)");
}

TEST(Subset, HasItsDatasetsFastPath) {
  data::Subset some(data::TensorDataset(Tensor<int64_t>{5, 6, 7, 8}), {3, 2});
  const std::vector<int64_t> all = {1, 0, 1};
  EXPECT_EQ(std::get<0>(some.get_batch(all)).vector(), (std::vector<int64_t>{7, 8, 7}));
}

TEST(ConcatDataset, GoesFromOneToTheNext) {
  data::ConcatDataset both(std::vector{Squares{3}, Squares{0}, Squares{2}});
  EXPECT_EQ(both.size(), 5);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < both.size(); ++i) labels.push_back(label(both, i));
  EXPECT_EQ(labels, (std::vector<int64_t>{0, 1, 4, 0, 1}));
  EXPECT_EQ(message_of<IndexError>([&] { both.get(5); }), "ConcatDataset: sample 5 is outside [0, 5)");
  EXPECT_EQ(data::ConcatDataset(std::vector<Squares>()).size(), 0);
}

TEST(RandomSplit, GivesDisjointPartsThatTheSeedDecides) {
  Generator g(3), same(3), other(4);
  auto parts = data::random_split(Squares{100}, {70, 30}, g);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].size(), 70);
  std::set<int64_t> seen(parts[0].indices().begin(), parts[0].indices().end());
  seen.insert(parts[1].indices().begin(), parts[1].indices().end());
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(data::random_split(Squares{100}, {70, 30}, same)[1].indices(), parts[1].indices());
  EXPECT_NE(data::random_split(Squares{100}, {70, 30}, other)[1].indices(), parts[1].indices());
  EXPECT_EQ(message_of<ValueError>([&] {
              data::random_split(Squares{}, {5, 6}, g);
            }),
            "random_split: the parts have 11 samples together, the dataset has 10");
  EXPECT_EQ(message_of<ValueError>([&] { data::random_split(Squares{}, {11, -1}, g); }), "random_split: a part of -1 samples");
}

TEST(Map, CallsTheFunctionWithSamplesAndGenerators) {
  auto twice = data::map(Squares{}, [](std::pair<Tensor<float>, int64_t> s) { return 2 * s.second; });
  EXPECT_EQ(twice.get(3), 18);
  auto noisy = data::map(twice, [](int64_t label, Generator& g) { return double(label) + g.uniform(); });
  static_assert(!data::RandomDataset<decltype(twice)> && data::RandomDataset<decltype(noisy)>);
  Generator a(1), b(1);
  const double first = noisy.get(2, a);
  EXPECT_GE(first, 8);
  EXPECT_LT(first, 9);
  EXPECT_EQ(noisy.get(2, b), first);
  EXPECT_NE(noisy.get(2, b), first);
  auto negated = data::map(data::Subset(noisy, {1}), [](double x) { return -x; });  // randomness passes through
  Generator c(1);
  EXPECT_LE(negated.get(0, c), -2);
}

TEST(Collate, StacksTensorsAndGathersNumbers) {
  data::Collate collate;
  Tensor<double> stacked = collate(std::vector{Tensor<double>{1, 2}, Tensor<double>{3, 4}, Tensor<double>{{5, 6}}.select(0, 0)});
  EXPECT_EQ(stacked.shape(), (Shape{3, 2}));
  EXPECT_EQ(stacked.vector(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  Tensor<int64_t> longs = collate(std::vector<unsigned>{1, 4000000000u});
  EXPECT_EQ(longs.vector(), (std::vector<int64_t>{1, 4000000000}));
  Tensor<int32_t> ints = collate(std::vector{1, 2});
  Tensor<bool> bools = collate(std::vector<bool>{true, false, true});
  EXPECT_EQ(bools.shape(), Shape{3});
  EXPECT_EQ(bools.select(0, 1).item(), false);
  EXPECT_EQ(collate(std::vector<std::string>{"a", "b"}), (std::vector<std::string>{"a", "b"}));
}

TEST(Collate, TakesTuplesAndStructsApart) {
  data::Collate collate;
  using Three = std::tuple<float, std::string, Tensor<float>>;
  std::tuple<Tensor<float>, std::vector<std::string>, Tensor<float>> batch =
      collate(std::vector{Three{1, "a", Tensor<float>{1}}, Three{2, "b", Tensor<float>{2}}});
  EXPECT_EQ(std::get<0>(batch).vector(), (std::vector<float>{1, 2}));
  EXPECT_EQ(std::get<2>(batch).shape(), (Shape{2, 1}));

  struct Sample {
    Tensor<float> image;
    int64_t label;
    std::pair<float, bool> rest;
  };
  auto [image, label, rest] =
      collate(std::vector<Sample>{{Tensor<float>{1, 2}, 3, {0.5f, true}}, {Tensor<float>{4, 5}, 6, {1.5f, false}}});
  EXPECT_EQ(image.vector(), (std::vector<float>{1, 2, 4, 5}));
  EXPECT_EQ(label.vector(), (std::vector<int64_t>{3, 6}));
  EXPECT_EQ(rest.first.vector(), (std::vector<float>{0.5f, 1.5f}));
}

TEST(Collate, SaysWhichSampleDoesNotFit) {
  data::Collate collate;
  EXPECT_EQ(
      message_of<ShapeError>([&] {
        collate(std::vector{Tensor<float>{1, 2}, Tensor<float>{1, 2, 3}});
      }),
      "collate: sample 1 of the batch has shape [3], the first has [2]; give the loader a collate function that pads or crops");
  EXPECT_EQ(message_of<DTypeError>([&] {
              collate(std::vector<AnyTensor>{Tensor<float>{1}, Tensor<double>{1}});
            }),
            "collate: sample 1 of the batch is float64, the first is float32");
  EXPECT_EQ(message_of<ValueError>([&] {
              collate(std::vector<AnyTensor>{Tensor<float>{1}, AnyTensor()});
            }),
            "collate: sample 1 of the batch is an undefined tensor");
}

TEST(Generator, SingleNumbersAreTheStreamAndStayInTheirRange) {
  Generator g(5), same(5);
  EXPECT_EQ(g.bits(), same.bits());
  EXPECT_EQ(g.state().offset, 1u);
  std::vector<int> hits(7);
  for (int i = 0; i < 7000; ++i) ++hits.at(size_t(g.below(7)));
  for (int h : hits) EXPECT_NEAR(h, 1000, 150);  // five standard deviations
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const double u = g.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 1000, 0.5, 0.05);
  EXPECT_EQ(g.below(1), 0);
  EXPECT_EQ(message_of<ValueError>([&] { g.below(0); }), "Generator::below: 0; there is no number in [0, 0)");
}
