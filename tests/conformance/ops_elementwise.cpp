// Elementwise functions and activations.
#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;

/// A second operand that is a tensor or a number.
#define BINARY(name, f)                                           \
  ops.add(name, [](Arguments& c) -> Outputs {                     \
    if (c.is_tensor(1, "other")) return f(c[0], c.t(1, "other")); \
    return f(c[0], c.s(1, "other"));                              \
  })
#define UNARY(f) OP(#f, f(c[0]))

void add_math(Registry& ops) {
  UNARY(abs), UNARY(neg), UNARY(sign), UNARY(square), UNARY(reciprocal), UNARY(sqrt), UNARY(rsqrt);
  UNARY(exp), UNARY(exp2), UNARY(expm1), UNARY(log), UNARY(log1p), UNARY(log2), UNARY(log10), UNARY(erf), UNARY(erfc);
  UNARY(floor), UNARY(ceil), UNARY(trunc), UNARY(frac), UNARY(round), UNARY(isnan), UNARY(isinf), UNARY(isfinite);
  UNARY(sin), UNARY(cos), UNARY(tan), UNARY(asin), UNARY(acos), UNARY(atan), UNARY(sinh), UNARY(cosh), UNARY(asinh);
  UNARY(acosh), UNARY(atanh), UNARY(tanh), UNARY(sigmoid), UNARY(logical_not), UNARY(bitwise_not);
  OP("sgn", sign(c[0]));
}

void add_arithmetic(Registry& ops) {
  OP("add", add(c[0], mul(c.t(1, "other"), c.s(2, "alpha", 1))));
  OP("sub", sub(c[0], mul(c.t(1, "other"), c.s(2, "alpha", 1))));
  OP("rsub", sub(c.t(1, "other"), mul(c[0], c.s(2, "alpha", 1))));
  BINARY("mul", mul), BINARY("true_divide", div), BINARY("div.no_rounding_mode", div);
  BINARY("fmod", fmod), BINARY("remainder", remainder), BINARY("floor_divide", floor_divide);
  OP("atan2", atan2(c[0], c.t(1, "other")));
  BINARY("maximum", maximum), BINARY("max.binary", maximum), BINARY("minimum", minimum), BINARY("min.binary", minimum);
  ops.add("pow", [](Arguments& c) -> Outputs {
    if (!c.is_tensor(0)) return pow(c.s(0), c.t(1, "exponent"));
    if (c.is_tensor(1, "exponent")) return pow(c[0], c.t(1, "exponent"));
    return pow(c[0], c.s(1, "exponent"));
  });
  OP("where", where(c.t(1, "condition"), c[0], c.t(2, "other")));
  BINARY("eq", eq), BINARY("ne", ne), BINARY("lt", lt), BINARY("le", le), BINARY("gt", gt), BINARY("ge", ge);
  BINARY("logical_and", logical_and), BINARY("logical_or", logical_or), BINARY("logical_xor", logical_xor);
  BINARY("bitwise_and", bitwise_and), BINARY("bitwise_or", bitwise_or), BINARY("bitwise_xor", bitwise_xor);
  BINARY("bitwise_left_shift", bitwise_left_shift), BINARY("bitwise_right_shift", bitwise_right_shift);
  OP("isclose", isclose(c[0], c.t(1, "other"), c.d(2, "rtol", 1e-5), c.d(3, "atol", 1e-8), c.b(4, "equal_nan", false)));
  OP("allclose", allclose(c[0], c.t(1, "other"), c.d(2, "rtol", 1e-5), c.d(3, "atol", 1e-8), c.b(4, "equal_nan", false)));
  OP("equal", equal(c[0], c.t(1, "other")));
}

std::optional<double> maybe_number(const Arguments& c, int position, const char* name) {
  return c.given(position, name) ? std::optional<double>(c.d(position, name, 0)) : std::nullopt;
}

void add_composed(Registry& ops) {
  OP("lerp", c.is_tensor(2, "weight") ? lerp(c[0], c.t(1), c.t(2, "weight")) : lerp(c[0], c.t(1), c.s(2, "weight")));
  OP("addcmul", addcmul(c[0], c.t(1), c.t(2), c.s(-1, "value", 1)));
  OP("addcdiv", addcdiv(c[0], c.t(1), c.t(2), c.s(-1, "value", 1)));
  OP("nan_to_num", nan_to_num(c[0], c.d(1, "nan", 0), maybe_number(c, 2, "posinf"), maybe_number(c, 3, "neginf")));
  OP("logit", logit(c[0], maybe_number(c, 1, "eps")));
  OP("logaddexp", logaddexp(c[0], c.t(1))), OP("logaddexp2", logaddexp2(c[0], c.t(1))), OP("xlogy", xlogy(c[0], c.t(1)));
  OP("hypot", hypot(c[0], c.t(1))), OP("heaviside", heaviside(c[0], c.t(1))), OP("ldexp", ldexp(c[0], c.t(1)));
  BINARY("copysign", copysign), BINARY("float_power", float_power);
  UNARY(sinc), UNARY(deg2rad), UNARY(rad2deg), UNARY(signbit), UNARY(isposinf), UNARY(isneginf);
}

void add_casts(Registry& ops) {
  OP("bfloat16", c[0].to(DType::bfloat16)), OP("half", c[0].to(DType::float16)), OP("float", c[0].to(DType::float32));
  OP("double", c[0].to(DType::float64)), OP("bool", c[0].to(DType::boolean)), OP("byte", c[0].to(DType::uint8));
  OP("char", c[0].to(DType::int8)), OP("short", c[0].to(DType::int16)), OP("int", c[0].to(DType::int32));
  OP("long", c[0].to(DType::int64));
}

void add_activations(Registry& ops) {
  OP("nn.functional.glu", glu(c[0], c.i(1, "dim", -1)));
  OP("nn.functional.prelu", prelu(c[0], c.t(1, "weight")));
  OP("nn.functional.relu", relu(c[0]));
  OP("nn.functional.relu6", relu6(c[0]));
  OP("nn.functional.silu", silu(c[0]));
  OP("nn.functional.mish", mish(c[0]));
  OP("nn.functional.selu", selu(c[0]));
  OP("nn.functional.softsign", softsign(c[0]));
  OP("nn.functional.logsigmoid", logsigmoid(c[0]));
  OP("nn.functional.hardswish", hardswish(c[0]));
  OP("nn.functional.hardsigmoid", hardsigmoid(c[0]));
  OP("nn.functional.gelu", c.str(1, "approximate", "none") == "tanh" ? gelu_tanh(c[0]) : gelu(c[0]));
  OP("nn.functional.leaky_relu", leaky_relu(c[0], c.s(1, "negative_slope", 0.01)));
  OP("nn.functional.elu", elu(c[0], c.s(1, "alpha", 1)));
  OP("nn.functional.celu", celu(c[0], c.s(1, "alpha", 1)));
  OP("nn.functional.hardshrink", hardshrink(c[0], c.s(1, "lambd", 0.5)));
  OP("nn.functional.softshrink", softshrink(c[0], c.s(1, "lambd", 0.5)));
  OP("nn.functional.hardtanh", hardtanh(c[0], c.s(1, "min_val", -1), c.s(2, "max_val", 1)));
  OP("nn.functional.softplus", softplus(c[0], c.s(1, "beta", 1), c.s(2, "threshold", 20)));
  OP("nn.functional.threshold", threshold(c[0], c.s(1, "threshold"), c.s(2, "value")));
}

}  // namespace

void add_elementwise(Registry& ops) {
  add_math(ops);
  add_arithmetic(ops);
  add_composed(ops);
  add_casts(ops);
  add_activations(ops);
}

}  // namespace conformance
