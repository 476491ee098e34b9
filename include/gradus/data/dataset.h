// What a dataset is: something with a size and samples by number.
#pragma once
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "gradus/core/random.h"

namespace gradus::data {

/// A dataset whose samples are partly random (augmented): get(i, generator) draws from the generator that it is given and from
/// nothing else, so that sample i of an epoch is the same whichever thread makes it.
template <class D> concept RandomDataset = requires(const D& d, int64_t i, Generator& g) { d.get(i, g); };

/// size() and get(i), which gives one sample: a tensor, a number, or a pair, tuple or plain struct of such. Loaders call get from
/// several threads at once.
template <class D> concept Dataset = requires(const D& d, int64_t i) {
  { d.size() } -> std::convertible_to<int64_t>;
  requires RandomDataset<D> || requires { d.get(i); };
};

/// A dataset that can make a whole batch faster than sample by sample; loaders then do not stack samples themselves.
template <class D> concept BatchDataset = Dataset<D> && requires(const D& d, std::span<const int64_t> indices) {
  d.get_batch(indices);
};

/// Sample i, with random numbers from g where the dataset draws any.
template <Dataset D> auto get(const D& dataset, int64_t i, Generator& g) {
  if constexpr (RandomDataset<D>)
    return dataset.get(i, g);
  else
    return dataset.get(i);
}

/// What get gives.
template <Dataset D> using sample_t = decltype(get(std::declval<const D&>(), int64_t{}, std::declval<Generator&>()));

namespace detail {
/// Throws IndexError unless 0 <= i < size.
void check_index(const char* who, int64_t i, int64_t size);
}  // namespace detail

}  // namespace gradus::data
