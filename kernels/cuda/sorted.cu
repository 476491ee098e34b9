// The one file that compiles CUB: a radix sort whose keys of 32 or 64 bits serve every dtype, and sums of integers.
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "gradus/core/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sorted.h"

namespace gradus::cuda {
namespace {
void check_cub(const char* op, int64_t n, cudaError_t error) {
  if (error != cudaSuccess) [[unlikely]]
    fail_runtime(described(op, n).c_str(), error);
}
}  // namespace

template <class Key, class Place> void SortedBy<Key, Place>::sort(const char* op, int bits) {
  if (n_ < 2) return;
  cub::DoubleBuffer<Key> keys(keys_[now_], keys_[1 - now_]);
  cub::DoubleBuffer<Place> places(places_[now_], places_[1 - now_]);
  const Place n = Place(n_);  // CUB counts in its type
  size_t bytes = 0;
  check_cub(op, n_, cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, places, n, 0, bits, stream()));
  Scratch work(bytes);
  check_cub(op, n_, cub::DeviceRadixSort::SortPairs(work.as<void>(), bytes, keys, places, n, 0, bits, stream()));
  // Keys and places move together: both buffers are exchanged as often.
  if (keys.Current() != keys_[now_]) now_ = 1 - now_;
}
template class SortedBy<uint64_t, int64_t>;
template class SortedBy<uint64_t, int32_t>;
template class SortedBy<uint32_t, int32_t>;

void add_up(const char* op, int64_t* numbers, int64_t n) {
  // CUB counted in int before it counted in more.
  if (n > INT32_MAX) throw Error(std::string(op) + ": " + std::to_string(n) + " elements are too many for one call");
  size_t bytes = 0;
  check_cub(op, n, cub::DeviceScan::InclusiveSum(nullptr, bytes, numbers, numbers, n, stream()));
  Scratch work(bytes);
  check_cub(op, n, cub::DeviceScan::InclusiveSum(work.as<void>(), bytes, numbers, numbers, n, stream()));
}

}  // namespace gradus::cuda
