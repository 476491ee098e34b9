// A dataset seen through a function: preprocessing and augmentation.
#pragma once
#include "gradus/data/dataset.h"

namespace gradus::data {

/// Sample i is f(sample i of the dataset). f is called from several threads at once.
template <Dataset D, class F> class Map {
  using Sample = sample_t<D>;
  static constexpr bool kRandom = !std::is_invocable_v<const F&, Sample>;  // f(sample, generator)
  static_assert(std::is_invocable_v<const F&, Sample> || std::is_invocable_v<const F&, Sample, Generator&>,
                "map: f must take a sample, or a sample and a Generator&, and be callable where it is const");

 public:
  Map(D dataset, F f) : dataset_(std::move(dataset)), f_(std::move(f)) {}
  int64_t size() const { return dataset_.size(); }
  auto get(int64_t i) const requires(!kRandom && !RandomDataset<D>) { return f_(dataset_.get(i)); }
  auto get(int64_t i, Generator& g) const requires(kRandom || RandomDataset<D>) {
    if constexpr (kRandom)
      return f_(data::get(dataset_, i, g), g);
    else
      return f_(data::get(dataset_, i, g));
  }

 private:
  D dataset_;
  F f_;
};

/// map(dataset, f): f takes a sample, or a sample and the generator to draw from (seeded by the loader's seed, the epoch and the
/// sample's number, so that batches do not depend on the workers):
///   auto noisy = data::map(mnist, [](auto sample, Generator& g) {
///     if (g.uniform() < 0.5) sample.first = -sample.first;
///     return sample;
///   });
template <Dataset D, class F> Map<D, F> map(D dataset, F f) { return {std::move(dataset), std::move(f)}; }

}  // namespace gradus::data
