// A dataset that lies in memory: tensors whose first axis counts the samples.
#pragma once
#include <tuple>

#include "gradus/data/collate.h"
#include "gradus/data/dataset.h"

namespace gradus::data {

namespace detail {
int64_t row_count(const AnyTensor& x);
/// x as batches are gathered from it: on the CPU, row-major, without a graph. Throws ShapeError where x has no first axis or not `size` rows.
AnyTensor rows_of(const AnyTensor& x, int64_t size, size_t number);
}  // namespace detail

/// Sample i is the tuple of every tensor's row i. The tensors are shared, not copied, where they are row-major.
///   data::TensorDataset points(x, y);   // x: (N, 2) of float, y: (N) of int64_t
template <class... T> class TensorDataset {
 public:
  explicit TensorDataset(const Tensor<T>&... tensors) {
    static_assert(sizeof...(T) > 0, "TensorDataset needs at least one tensor");
    const AnyTensor* all[] = {&tensors...};
    size_ = detail::row_count(*all[0]);
    [&]<size_t... k>(std::index_sequence<k...>) { tensors_ = {Tensor<T>(detail::rows_of(tensors, size_, k))...}; }
    (std::index_sequence_for<T...>());
  }
  int64_t size() const { return size_; }
  std::tuple<Tensor<T>...> get(int64_t i) const {
    detail::check_index("TensorDataset", i, size_);
    return std::apply([&](const auto&... tensor) { return std::tuple(tensor.select(0, i)...); }, tensors_);
  }
  std::tuple<Tensor<T>...> get_batch(std::span<const int64_t> indices) const {
    return std::apply([&](const auto&... tensor) { return std::tuple(Tensor<T>(detail::gather_rows(tensor, indices))...); },
                      tensors_);
  }

 private:
  std::tuple<Tensor<T>...> tensors_;
  int64_t size_ = 0;
};

}  // namespace gradus::data
