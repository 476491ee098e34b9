// Permutations and draws of classes. Both are orders of random keys, the CPU's, so a sort makes them.
#include "kernels/cuda/places.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/params.h"
#include "kernels/philox.h"

namespace gradus::cuda {
namespace {

__device__ uint64_t word_pair(Draw given, int64_t i) {
  const Draw draw = given.now();
  const Philox block = Philox::at(draw.seed, draw.offset + uint64_t(i / 2));
  return i % 2 ? uint64_t(block.word[2]) << 32 | block.word[3] : uint64_t(block.word[0]) << 32 | block.word[1];
}
__device__ double unit(Draw draw, int64_t i) { return double(word_pair(draw, i) >> 11) * 0x1p-53; }

struct RandomKeys {
  uint64_t* keys;
  int64_t* places;
  Draw draw;
  __device__ void operator()(int64_t i) const { keys[i] = word_pair(draw, i), places[i] = i; }
};

constexpr int64_t kFewClasses = 64;  // up to here a thread adds a row

/// running[c] = the sum of a row's weights up to c, one after the other, as on the CPU; `last`: the last class that can be drawn.
struct AddUp {
  double* running;
  int64_t* last;
  const double* weights;
  int64_t classes;
  __device__ void operator()(int64_t row) const {
    double total = 0;
    int64_t end = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const double weight = weights[row * classes + c];
      running[row * classes + c] = total += weight;
      if (weight > 0) end = c;
    }
    last[row] = end;
  }
};
/// The same of long rows, a block each: all its threads read and write, and the first one adds.
__global__ void __launch_bounds__(kThreads) add_up_rows(double* running, int64_t* last, const double* weights, int64_t classes) {
  constexpr int kOfThread = 8, kStaged = kOfThread * int(kThreads);
  __shared__ double staged[kStaged];
  const int t = threadIdx.x;
  const int64_t from = int64_t(blockIdx.x) * classes;
  double total = 0, own[kOfThread];
  int64_t end = 0;
  auto read = [&](int64_t first) {
#pragma unroll
    for (int k = 0; k < kOfThread; ++k) {
      const int64_t c = first + k * int(kThreads) + t;
      own[k] = c < classes ? weights[from + c] : 0;
    }
  };
  read(0);
  for (int64_t first = 0; first < classes; first += kStaged) {
    const int count = int(classes - first < kStaged ? classes - first : kStaged);
    for (int k = 0; k < kOfThread; ++k) staged[k * int(kThreads) + t] = own[k];
    read(first + kStaged);  // under way while the first thread adds
    __syncthreads();
    if (t == 0) {
#pragma unroll 8
      for (int c = 0; c < count; ++c) {
        const double weight = staged[c];
        staged[c] = total += weight;
        if (weight > 0) end = first + c;
      }
    }
    __syncthreads();
    for (int c = t; c < count; c += int(kThreads)) running[from + first + c] = staged[c];
    __syncthreads();
  }
  if (t == 0) last[blockIdx.x] = end;
}
/// Sample i of the draw inverts the running sum of its row.
struct Invert {
  int64_t* y;
  const double* running;
  const int64_t* last;
  int64_t n, classes;
  Draw draw;
  __device__ void operator()(int64_t i) const {
    const int64_t row = i / n;
    const double* sums = running + row * classes;
    const double at = unit(draw, i) * sums[classes - 1];
    int64_t begin = 0;
    for (int64_t end = classes; begin < end;) {
      const int64_t middle = (begin + end) / 2;
      if (sums[middle] <= at)
        begin = middle + 1;
      else
        end = middle;
    }
    y[i] = begin < last[row] ? begin : last[row];
  }
};

/// Element i of the weights races with an exponential clock. Times are not negative, so their bits compare as they do.
struct Race {
  uint64_t* keys;
  int64_t* places;
  const double* weights;
  Draw draw;
  __device__ void operator()(int64_t i) const {
    const double time = -::log1p(-unit(draw, i));
    keys[i] = __builtin_bit_cast(uint64_t, weights[i] > 0 ? fabs(time / weights[i]) : double(INFINITY)), places[i] = i;
  }
};
struct RowKeys {
  uint64_t* keys;
  const int64_t* places;
  int64_t classes;
  __device__ void operator()(int64_t i) const { keys[i] = uint64_t(places[i] / classes); }
};
struct TakeFirst {
  int64_t* y;
  const int64_t* places;
  int64_t n, classes;
  __device__ void operator()(int64_t i) const { y[i] = places[i / n * classes + i % n] % classes; }
};

}  // namespace

void random_permutation(const Array& y, Draw draw) {
  if (y.count == 0) return;
  Sorted sorted(y.count);
  launch_each("randperm", y.count, {&y}, RandomKeys{sorted.keys(), sorted.places(), draw});
  sorted.sort("randperm", 64);
  check("randperm",
        cudaMemcpyAsync(y.data, sorted.places(), size_t(y.count) * sizeof(int64_t), cudaMemcpyDeviceToDevice, stream()));
}

void multinomial(const Array& y, const Array& weights, Draw draw, bool replacement) {
  const int64_t rows = y.size(0), n = y.size(1), classes = weights.size(1);
  if (y.count == 0 || classes == 0) return;
  if (replacement) {
    Scratch memory(size_t(weights.count) * sizeof(double) + size_t(rows) * sizeof(int64_t));
    double* running = memory.as<double>();
    int64_t* last = memory.as<int64_t>() + weights.count;
    if (classes <= kFewClasses) {
      launch_each("multinomial", rows, {&weights}, AddUp{running, last, weights.as<double>(), classes});
    } else {
      add_up_rows<<<unsigned(rows), kThreads, 0, stream()>>>(running, last, weights.as<double>(), classes);
      check_launch("multinomial", {&weights});
    }
    return launch_each("multinomial", y.count, {&weights}, Invert{y.as<int64_t>(), running, last, n, classes, draw});
  }
  Sorted sorted(weights.count);
  launch_each("multinomial", weights.count, {&weights}, Race{sorted.keys(), sorted.places(), weights.as<double>(), draw});
  sorted.sort("multinomial", 64);
  if (rows > 1) {
    launch_each("multinomial", weights.count, {&weights}, RowKeys{sorted.keys(), sorted.places(), classes});
    sorted.sort("multinomial", bits_below(uint64_t(rows)));
  }
  launch_each("multinomial", y.count, {&weights}, TakeFirst{y.as<int64_t>(), sorted.places(), n, classes});
}

}  // namespace gradus::cuda
