// Functions of mathematics.
#include "tests/conformance/ops.h"

namespace conformance {

using namespace gradus;

void add_special(Registry& ops) {
  OP("lgamma", special::lgamma(c[0]));
  OP("digamma", special::digamma(c[0]));
  // Recorded with the tensor first; the tail of the name is the order of another recording.
  for (const char* name : {"polygamma.polygamma_n_0", "polygamma.polygamma_n_1", "polygamma.polygamma_n_2",
                           "polygamma.polygamma_n_3", "polygamma.polygamma_n_4", "special.polygamma.special_polygamma_n_0"})
    OP(name, special::polygamma(c.i(1, "n"), c[0])).loose();
  for (const char* name : {"mvlgamma.mvlgamma_p_1", "mvlgamma.mvlgamma_p_3", "mvlgamma.mvlgamma_p_5"})
    OP(name, special::multigammaln(c[0], c.i(1, "p")));
  OP("special.zeta", special::zeta(c[0], c.t(1)));
  OP("erfinv", special::erfinv(c[0]));
  OP("special.erfcx", special::erfcx(c[0]));
  OP("special.ndtri", special::ndtri(c[0]));
  OP("special.log_ndtr", special::log_ndtr(c[0]));
  for (const char* name : {"i0", "special.modified_bessel_i0"}) OP(name, special::i0(c[0]));
  for (const char* name : {"special.i1", "special.modified_bessel_i1"}) OP(name, special::i1(c[0]));
  OP("special.i0e", special::i0e(c[0]));
  OP("special.i1e", special::i1e(c[0]));
  using special::Polynomial;
  const std::pair<const char*, Polynomial> families[] = {
      {"chebyshev_polynomial_t", Polynomial::chebyshev_t}, {"chebyshev_polynomial_u", Polynomial::chebyshev_u},
      {"chebyshev_polynomial_v", Polynomial::chebyshev_v}, {"chebyshev_polynomial_w", Polynomial::chebyshev_w},
      {"hermite_polynomial_h", Polynomial::hermite_h},     {"hermite_polynomial_he", Polynomial::hermite_he},
      {"laguerre_polynomial_l", Polynomial::laguerre_l},   {"legendre_polynomial_p", Polynomial::legendre_p}};
  for (auto [name, family] : families) {
    ops.add(std::string("special.") + name,
            [family = family](Arguments& c) -> Outputs { return special::polynomial(family, c[0], c.t(1)); });
    if (family <= Polynomial::chebyshev_w)
      ops.add(std::string("special.shifted_") + name,
              [family = family](Arguments& c) -> Outputs { return special::polynomial(family, c[0] * 2 - 1, c.t(1)); });
  }
}

}  // namespace conformance
