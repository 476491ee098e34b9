// Reductions.
#include <algorithm>
#include <vector>

#include "kernels/array.h"
#include "kernels/dispatch.h"
#include "kernels/packet.h"
#include "kernels/plan.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

/// y has the rank of x or fewer dimensions; the axes that y lacks or has as 1 are summed. Half types are summed in float.
void sum(const Array& y, const Array& x) {
  Plan plan;
  View views[] = {{x.rank, x.shape, x.stride}, {y.rank, y.shape, y.stride}};
  plan.set(x.rank, x.shape, views, 2);
  const int last = plan.rank - 1;
  dispatch_number("sum", x.dtype, [&]<class T>() {
    using Acc = accumulate_t<T>;
    std::vector<Acc> sums;
    if (!std::is_same_v<T, Acc>)
      sums.assign(y.count, Acc(0));
    else
      std::fill_n(y.as<T>(), y.count, T(0));
    Acc* out = sums.empty() ? reinterpret_cast<Acc*>(y.data) : sums.data();
    int64_t at[kMaxRank] = {}, from_step = plan.stride[0][last], to_step = plan.stride[1][last], n = plan.size[last];
    const T* from = x.as<T>();
    for (int64_t rest = plan.count; rest > 0; rest -= n) {
      if (to_step == 0 || plan.count == 1) {
        Acc lane[8] = {};  // eight sums in step: an order that is fixed, and that the compiler can vectorise
        int64_t i = 0;
        for (; i + 8 <= n; i += 8)
          for (int k = 0; k < 8; ++k) lane[k] += Acc(from[(i + k) * from_step]);
        for (; i < n; ++i) lane[i % 8] += Acc(from[i * from_step]);
        for (Acc v : lane) *out += v;
      } else {
        for (int64_t i = 0; i < n; ++i) out[i * to_step] += Acc(from[i * from_step]);
      }
      for (int d = last - 1; d >= 0; --d) {
        from += plan.stride[0][d], out += plan.stride[1][d];
        if (++at[d] < plan.size[d]) break;
        from -= plan.stride[0][d] * at[d], out -= plan.stride[1][d] * at[d], at[d] = 0;
      }
    }
    for (int64_t i = 0; i < int64_t(sums.size()); ++i) y.as<T>()[i] = T(sums[i]);
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
