// New tensors.
#include "tests/conformance/ops.h"

namespace conformance {

using namespace gradus;

void add_creation(Registry& ops) {
  ops.add("arange", [](Arguments& c) -> Outputs {
    DType t = c.dtype(-1, "dtype", DType::int64);
    if (c.count() == 1) return arange(c.s(0), t);
    return arange(c.s(0), c.s(1), c.s(2, "step", 1), t);
  });
  for (const char* name : {"linspace", "linspace.tensor_overload"})
    OP(name, linspace(c.s(0), c.s(1, "end"), c.i(2, "steps"), c.dtype(-1, "dtype", DType::float32)));
  for (const char* name : {"logspace", "logspace.tensor_overload"})
    OP(name, logspace(c.s(0), c.s(1, "end"), c.i(2, "steps"), c.d(3, "base", 10), c.dtype(-1, "dtype", DType::float32)));
  OP("eye", eye(c.i(0), c.i(1, "m", -1), c.dtype(-1, "dtype", DType::float32)));
  OP("zeros", zeros(c.shape(0), c.dtype(-1, "dtype", DType::float32)));
  OP("ones", ones(c.shape(0), c.dtype(-1, "dtype", DType::float32)));
  OP("full", full(c.shape(0), c.s(1, "fill_value"), c.dtype(-1, "dtype", DType::float32)));
  OP("scalar_tensor", full({}, c.s(0), c.dtype(-1, "dtype", DType::float32)));
  OP("zeros_like", zeros_like(c[0]).to(c.dtype(-1, "dtype", c[0].dtype())));
  OP("ones_like", ones_like(c[0]).to(c.dtype(-1, "dtype", c[0].dtype())));
  OP("full_like", full(c[0].shape(), c.s(1, "fill_value"), c.dtype(-1, "dtype", c[0].dtype())));
  OP("new_zeros", zeros(c.shape(1, "size"), c.dtype(-1, "dtype", c[0].dtype())));
  OP("new_ones", ones(c.shape(1, "size"), c.dtype(-1, "dtype", c[0].dtype())));
  OP("new_full", full(c.shape(1, "size"), c.s(2, "fill_value"), c.dtype(-1, "dtype", c[0].dtype())));
  OP("tril_indices", tril_indices(c.i(0), c.i(1), c.i(2, "offset", 0)).to(c.dtype(-1, "dtype", DType::int64)));
  OP("triu_indices", triu_indices(c.i(0), c.i(1), c.i(2, "offset", 0)).to(c.dtype(-1, "dtype", DType::int64)));
  OP("fill", c[0].clone().fill_(c.s(1, "value")));
  OP("zero_", c[0].clone().zero_());
  OP("item", full({}, c[0].item(), c[0].dtype()));
}

}  // namespace conformance
