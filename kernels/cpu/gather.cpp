// Elements picked and placed along one axis, by an index for each element.
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/walk.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
namespace {

constexpr int64_t kGrain = kParallel / 8;  // an indexed element costs several plain ones

/// The strides of x without that of the axis, along which the index leads.
struct Beside {
  int64_t stride[kMaxRank];
  Beside(const Array& x, int axis) {
    for (int d = 0; d < x.rank; ++d) stride[d] = d == axis ? 0 : x.stride[d];
  }
};

template <class T, ScatterMode kMode> T combined(T old, T value) {
  using Acc = accumulate_t<T>;
  Acc a = Acc(old), b = Acc(value);
  if constexpr (kMode == ScatterMode::add)
    return T(a + b);
  else if constexpr (kMode == ScatterMode::multiply)
    return T(a * b);
  else if constexpr (kMode == ScatterMode::maximum)
    return a > b || a != a ? old : value;  // NaN stays
  else
    return a < b || a != a ? old : value;
}

/// Elements of one line along the axis may meet in one place, elements of different lines never do. So lines are what is shared among
/// threads, and each place gets its values in the order of the axis.
template <class F> void for_each_line_range(const Array& index, int axis, F&& f) {
  int split = -1;
  for (int d = 0; d < index.rank; ++d)
    if (d != axis && index.size(d) > 1 && (split < 0 || index.size(d) > index.size(split))) split = d;
  if (split < 0 || index.count < kGrain) return f(split, int64_t(0), split < 0 ? int64_t(1) : index.size(split));
  int64_t per_line = index.count / index.size(split);
  parallel_for(index.size(split), std::max<int64_t>(1, kGrain / per_line),
               [&](int64_t begin, int64_t end) { f(split, begin, end); });
}

template <class T, class Put> void scatter_each(const Array& y, const Array& index, const Array& source, int axis, Put put) {
  Beside beside(y, axis);
  for_each_line_range(index, axis, [&](int split, int64_t begin, int64_t end) {
    int64_t shape[kMaxRank], count = 1;
    for (int d = 0; d < index.rank; ++d) count *= shape[d] = d == split ? end - begin : index.shape[d];
    if (count == 0) return;
    const int64_t* from = index.as<int64_t>();
    const T* value = source.as<T>();
    T* to = y.as<T>();
    if (split >= 0) from += begin * index.stride[split], value += begin * source.stride[split], to += begin * y.stride[split];
    View views[] = {{index.rank, shape, index.stride}, {index.rank, shape, source.stride}, {index.rank, shape, beside.stride}};
    Plan plan;
    plan.set(index.rank, shape, views, 3);
    const int64_t *s = plan.stride[0], *v = plan.stride[1], *t = plan.stride[2], along = y.stride[axis];
    const int last = plan.rank - 1;
    walk<3>(plan, 0, count, [&](const int64_t* at, int64_t run) {
      for (int64_t i = 0; i < run; ++i)
        put(to[at[2] + i * t[last] + from[at[0] + i * s[last]] * along], value[at[1] + i * v[last]]);
    });
  });
}

}  // namespace

void gather(const Array& y, const Array& x, const Array& index, int axis) {
  Beside beside(x, axis);
  View views[] = {{y.rank, y.shape, y.stride}, {y.rank, y.shape, index.stride}, {y.rank, y.shape, beside.stride}};
  Plan plan;
  plan.set(y.rank, y.shape, views, 3);
  const int last = plan.rank - 1;
  const int64_t s = plan.stride[0][last], t = plan.stride[1][last], u = plan.stride[2][last], along = x.stride[axis];
  dispatch_size(y.dtype, [&]<class T>() {
    T* to = y.as<T>();
    const T* from = x.as<T>();
    const int64_t* which = index.as<int64_t>();
    parallel_for(plan.count, kGrain, [&](int64_t begin, int64_t end) {
      walk<3>(plan, begin, end - begin, [&](const int64_t* at, int64_t run) {
        for (int64_t i = 0; i < run; ++i) to[at[0] + i * s] = from[at[2] + i * u + which[at[1] + i * t] * along];
      });
    });
  });
}

void scatter(const Array& y, const Array& index, const Array& source, int axis, ScatterMode mode) {
  if (mode == ScatterMode::assign)
    return dispatch_size(y.dtype, [&]<class T>() { scatter_each<T>(y, index, source, axis, [](T& to, T value) { to = value; }); });
  dispatch_number("scatter", y.dtype, [&]<class T>() {
    auto with = [&]<ScatterMode kMode>() {
      scatter_each<T>(y, index, source, axis, [](T& to, T value) { to = combined<T, kMode>(to, value); });
    };
    switch (mode) {
      case ScatterMode::add: return with.template operator()<ScatterMode::add>();
      case ScatterMode::multiply: return with.template operator()<ScatterMode::multiply>();
      case ScatterMode::maximum: return with.template operator()<ScatterMode::maximum>();
      default: return with.template operator()<ScatterMode::minimum>();
    }
  });
}

}  // namespace gradus::cpu
