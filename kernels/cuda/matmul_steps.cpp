// Products with a step before or after: one call of the library where it has one, else step by step. Where kernels are tuned, whichever takes less
// time.
#include "kernels/matmul_steps.h"

#include <array>
#include <map>
#include <mutex>

#include "gradus/core/tuning.h"
#include "kernels/cuda/cublas_lt.h"
#include "kernels/cuda/timing.h"

namespace gradus::cuda {
namespace {

/// All that decides which way is the faster one, but for alignment.
using Key = std::array<int64_t, 13>;
Key key_of(const Array& y, const Array& a, const Array& b, const After& after) {
  return {selected_device(), int64_t(after.what), bool(after.vector),
          bool(after.h),     int64_t(y.dtype),    int64_t(float32_matmul_precision()),
          y.size(0),         y.size(1),           a.size(1),
          a.step(0),         a.step(1),           b.step(0),
          b.step(1)};
}

/// What was found out; shared by all threads.
class Tried {
 public:
  /// Null: nothing yet.
  const bool* at_once_is_faster(const Key& key) {
    std::lock_guard lock(mutex_);
    auto found = known_.find(key);
    return found == known_.end() ? nullptr : &found->second;
  }
  void keep(const Key& key, bool at_once_is_faster) {
    std::lock_guard lock(mutex_);
    if (known_.size() < kMost) known_.emplace(key, at_once_is_faster);
  }

 private:
  static constexpr size_t kMost = 4096;
  std::mutex mutex_;
  std::map<Key, bool> known_;  // nothing ever leaves it
};
Tried& tried() {
  static auto* all = new Tried;  // never destroyed: products may be asked for late
  return *all;
}

/// y = a b with what comes after it, by the library or by `steps`.
template <class Steps> void multiply(const Array& y, const Array& a, const Array& b, const After& after, Steps steps) {
  auto at_once = [&] { return cublas_lt_matmul(y, a, b, after, 1, false, float32_matmul_precision()); };
  const bool* faster = nullptr;
  const Key key = kernel_tuning() ? key_of(y, a, b, after) : Key{};
  if (kernel_tuning()) faster = tried().at_once_is_faster(key);
  if (faster && !*faster) return steps();
  if (!at_once()) return steps();
  if (faster || !kernel_tuning() || is_captured()) return;
  const double once = milliseconds(at_once);
  steps();
  const bool is_faster = once <= milliseconds(steps);
  tried().keep(key, is_faster);
  if (is_faster) at_once();  // this call's result is like those to come
}

}  // namespace

void matmul_sums(const Array& y, const Array& sums, const Array& a, const Array& b) {
  multiply(y, a, b, {Epilogue::sums, sums}, [&] { steps::matmul_sums(table(), y, sums, a, b); });
}

void matmul_gelu(const Array& y, const Array& h, const Array& a, const Array& b, const Array& bias) {
  multiply(y, a, b, {Epilogue::gelu, bias, h}, [&] { steps::matmul_gelu(table(), y, h, a, b, bias); });
}

void matmul_gelu_backward(const Array& y, const Array& sums, const Array& a, const Array& b, const Array& h) {
  auto without_sums = [&] {
    multiply(y, a, b, {Epilogue::gelu_backward, {}, h}, [&] { steps::matmul_gelu_backward(table(), y, {}, a, b, h); });
  };
  if (!sums) return without_sums();
  multiply(y, a, b, {Epilogue::gelu_backward, sums, h}, [&] { without_sums(), steps::sum_columns(table(), sums, y); });
}

}  // namespace gradus::cuda
