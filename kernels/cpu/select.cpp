// The one place that asks the processor what it can do.
#include <cstdlib>
#include <string_view>

#include "kernels/cpu/tables.h"

namespace gradus::cpu {

const KernelTable& best_table() {
  static const KernelTable& chosen = []() -> const KernelTable& {
#if GRADUS_WITH_X86
    const char* wish = std::getenv("GRADUS_CPU");
    std::string_view at_most = wish ? wish : "avx512";
    auto has = [](auto... feature) { return (feature && ...); };
    __builtin_cpu_init();
    // Every processor with AVX2 has F16C, which clang 14 cannot be asked about.
    [[maybe_unused]] bool avx2_ok = has(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"));
    [[maybe_unused]] bool avx512_ok = has(avx2_ok, __builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
                                          __builtin_cpu_supports("avx512vl"), __builtin_cpu_supports("avx512dq"));
#if GRADUS_WITH_AVX512
    if (avx512_ok && at_most == "avx512") return avx512::table;
#endif
#if GRADUS_WITH_AVX2
    if (avx2_ok && at_most != "baseline") return avx2::table;
#endif
#endif
    return baseline::table;
  }();
  return chosen;
}

}  // namespace gradus::cpu
