// Parts of datasets, datasets one after the other, and datasets cut at random.
#pragma once
#include <memory>
#include <vector>

#include "gradus/data/collate.h"
#include "gradus/data/dataset.h"

namespace gradus::data {

/// The samples `indices` of a dataset, in that order. Throws IndexError for one that the dataset does not have.
template <Dataset D> class Subset {
 public:
  Subset(D dataset, std::vector<int64_t> indices) : Subset(std::make_shared<const D>(std::move(dataset)), std::move(indices)) {}
  Subset(std::shared_ptr<const D> dataset, std::vector<int64_t> indices)
      : dataset_(std::move(dataset)), indices_(std::move(indices)) {
    for (int64_t i : indices_) detail::check_index("Subset", i, dataset_->size());
  }
  int64_t size() const { return int64_t(indices_.size()); }
  const std::vector<int64_t>& indices() const { return indices_; }
  auto get(int64_t i) const requires(!RandomDataset<D>) { return dataset_->get(at(i)); }
  auto get(int64_t i, Generator& g) const requires RandomDataset<D> { return dataset_->get(at(i), g); }
  auto get_batch(std::span<const int64_t> indices) const requires BatchDataset<D> {
    std::vector<int64_t> theirs;
    theirs.reserve(indices.size());
    for (int64_t i : indices) theirs.push_back(at(i));
    return dataset_->get_batch(theirs);
  }

 private:
  int64_t at(int64_t i) const {
    detail::check_index("Subset", i, size());
    return indices_[size_t(i)];
  }
  std::shared_ptr<const D> dataset_;
  std::vector<int64_t> indices_;
};

/// The samples of one dataset, then those of the next. All are of one type.
template <Dataset D> class ConcatDataset {
 public:
  explicit ConcatDataset(std::vector<D> datasets) : datasets_(std::make_shared<const std::vector<D>>(std::move(datasets))) {
    for (const D& dataset : *datasets_) ends_.push_back(size() + dataset.size());
  }
  int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  auto get(int64_t i) const requires(!RandomDataset<D>) {
    size_t k = find(i);
    return (*datasets_)[k].get(i - begin_of(k));
  }
  auto get(int64_t i, Generator& g) const requires RandomDataset<D> {
    size_t k = find(i);
    return (*datasets_)[k].get(i - begin_of(k), g);
  }

 private:
  int64_t begin_of(size_t k) const { return k ? ends_[k - 1] : 0; }
  size_t find(int64_t i) const {
    detail::check_index("ConcatDataset", i, size());
    size_t k = 0;
    while (i >= ends_[k]) ++k;
    return k;
  }
  std::shared_ptr<const std::vector<D>> datasets_;
  std::vector<int64_t> ends_;
};

namespace detail {
/// 0 ... size-1 in random order, cut into stretches of `lengths`. Throws ValueError unless the lengths add up to size.
std::vector<std::vector<int64_t>> random_parts(int64_t size, const std::vector<int64_t>& lengths, Generator& g);
}  // namespace detail

/// Disjoint random parts of a dataset:
///   auto parts = data::random_split(dataset, {50000, 10000}, generator);   // parts[0], parts[1]
template <Dataset D>
std::vector<Subset<D>> random_split(D dataset, const std::vector<int64_t>& lengths, Generator& g = default_generator()) {
  auto shared = std::make_shared<const D>(std::move(dataset));
  std::vector<Subset<D>> parts;
  for (std::vector<int64_t>& indices : detail::random_parts(shared->size(), lengths, g))
    parts.emplace_back(shared, std::move(indices));
  return parts;
}

}  // namespace gradus::data
