// Sums of powers, and sums about a center: norms, variances, logarithms of sums of exponentials.
#include "kernels/cpu/isa/fold.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

struct AddMagnitudes : Add {
  template <class P> GRADUS_FN static P take(P x, P, P) { return abs(x); }
};
struct AddSquares : Add {
  template <class P> GRADUS_FN static P take(P x, P, P) { return x * x; }
};
struct AddPowers : Add {
  template <class P> GRADUS_FN static P take(P x, P, P p) { return pow(abs(x), p); }
};
struct AddSquaresAbout : Add {
  static constexpr bool kCentered = true;
  template <class P> GRADUS_FN static P take(P x, P center, P) { return (x - center) * (x - center); }
};
struct AddExponentialsAbout : Add {
  static constexpr bool kCentered = true;
  template <class P> GRADUS_FN static P take(P x, P center, P) { return exp(x - where(center - center == P(0), center, P(0))); }
};

}  // namespace

const Fold& norm_fold(ReduceKind kind, DType x, double p) {
  if (kind == ReduceKind::logsumexp) return GRADUS_FLOAT_FOLD(AddExponentialsAbout, x);
  if (kind != ReduceKind::norm) return GRADUS_FLOAT_FOLD(AddSquaresAbout, x);
  if (p == 1) return GRADUS_FLOAT_FOLD(AddMagnitudes, x);
  if (p == 2) return GRADUS_FLOAT_FOLD(AddSquares, x);
  return GRADUS_FLOAT_FOLD(AddPowers, x);
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
