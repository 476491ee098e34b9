// Optimizers' steps: a launch does as many parameters as its arguments have room for, and a block 4096 elements of one.
#include "kernels/cuda/entries.cuh"
#include "kernels/cuda/row.cuh"
#include "kernels/dispatch.h"
#include "kernels/update_rules.h"

namespace gradus::cuda {
namespace {

constexpr int kMostParameters = 24;  // arguments have 4 KiB
constexpr int64_t kBlockItems = 16 * kThreads;

struct Step {
  void* parameter;
  const void* gradient;
  void* state[kMaxStates];
  int64_t count;
  double rates[kMaxRates];
  const double* rates_there;
};
struct Steps {
  int count = 0;
  uint32_t first[kMostParameters + 1] = {};  // the number of each parameter's first block
  Step step[kMostParameters];
};
static_assert(sizeof(Steps) <= 4000);

template <class Rule, class T> __global__ void __launch_bounds__(kThreads) step_all(const __grid_constant__ Steps all) {
  using Acc = accumulate_t<T>;
  using N = Number<Acc, 1>;
  constexpr int kStates = Rule::kStates, kSlots = kStates ? kStates : 1;
  const int which = entry_of(blockIdx.x, all.first, all.count);
  const Step& s = all.step[which];
  T* p = static_cast<T*>(s.parameter);
  const T* g = static_cast<const T*>(s.gradient);
  N rate[Rule::kRates];
#pragma unroll
  for (int k = 0; k < Rule::kRates; ++k) rate[k].v = Acc(s.rates_there ? s.rates_there[k] : s.rates[k]);
  const int64_t begin = int64_t(blockIdx.x - all.first[which]) * kBlockItems;
  const int64_t end = begin + kBlockItems < s.count ? begin + kBlockItems : s.count;
  auto take = [&](int64_t i, auto count) {
    T x[count], d[count];
    Acc state[kSlots][count];
    load_items(x, p + i), load_items(d, g + i);
#pragma unroll
    for (int k = 0; k < kStates; ++k) load_items(state[k], static_cast<const Acc*>(s.state[k]) + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      N at, slope, kept[kSlots];
      at.v = widen(x[j]), slope.v = widen(d[j]);
#pragma unroll
      for (int k = 0; k < kStates; ++k) kept[k].v = state[k][j];
      Rule::step(at, slope, kept, rate);
      x[j] = narrow<T>(at.v);
#pragma unroll
      for (int k = 0; k < kStates; ++k) state[k][j] = kept[k].v;
    }
    store_items(p + i, x);
#pragma unroll
    for (int k = 0; k < kStates; ++k) store_items(static_cast<Acc*>(s.state[k]) + i, state[k]);
  };
  constexpr int kPack = kItemsOf<Acc>;
  const int64_t whole = begin + (end - begin) / kPack * kPack;
  for (int64_t i = begin + threadIdx.x * kPack; i < whole; i += kThreads * kPack) take(i, std::integral_constant<int, kPack>());
  if (whole + threadIdx.x < end) take(whole + threadIdx.x, std::integral_constant<int, 1>());
}

using LaunchSteps = void (*)(const Steps&);
template <class Rule> LaunchSteps launch_for(DType t) {
  return dispatch_float("update", t, [&]<class T>() -> LaunchSteps {
    return [](const Steps& all) { step_all<Rule, T><<<all.first[all.count], kThreads, 0, stream()>>>(all); };
  });
}
LaunchSteps launch_for(const Update& u) {
  switch (u.rule) {
#define GRADUS_UPDATE_STATELESS(name, ...) \
  case UpdateRule::name:                   \
    return launch_for<name##_rule>(u.dtype);
#define GRADUS_UPDATE(name, ...) GRADUS_UPDATE_STATELESS(name)
#include "gradus/ops/updates.def"
  }
  return nullptr;
}

}  // namespace

void update(const Update* list, int64_t count) {
  for (int64_t i = 0; i < count;) {
    const int64_t begin = i;
    const Update& like = list[i];
    Steps all;
    for (; i < count && all.count < kMostParameters && list[i].rule == like.rule && list[i].dtype == like.dtype; ++i) {
      const Update& u = list[i];
      if (u.count == 0) continue;
      const int64_t blocks = (u.count + kBlockItems - 1) / kBlockItems;
      if (all.first[all.count] + blocks > INT32_MAX) break;
      Step& s = all.step[all.count];
      s.parameter = u.parameter, s.gradient = u.gradient, s.count = u.count;
      for (int k = 0; k < kMaxStates; ++k) s.state[k] = u.state[k];
      for (int k = 0; k < kMaxRates; ++k) s.rates[k] = u.rates[k];
      s.rates_there = u.rates_there;
      all.first[all.count + 1] = all.first[all.count] + uint32_t(blocks);
      ++all.count;
    }
    if (all.count == 0) continue;
    launch_for(like)(all);
    check_launch(list + begin, i - begin);
  }
}

}  // namespace gradus::cuda
