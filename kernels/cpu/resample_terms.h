// The weights of averages over windows and of interpolation: for each output along an axis, the inputs that it is made of.
#pragma once
#include "kernels/cpu/scratch.h"
#include "kernels/params.h"

namespace gradus::cpu {

/// Output o is made of the terms [first[o], first[o + 1]).
struct Terms {
  int64_t outputs, count = 0;
  Scratch memory;
  int64_t *first, *index;
  double* weight;
  Terms(int64_t outputs, int64_t room);
  /// The adjoint of `o`: inputs and outputs change places. The terms of an input stand in the order of the outputs.
  struct Transposed {};
  Terms(Transposed, const Terms& o, int64_t inputs);
  void add(int64_t i, double w);
  void next(int64_t o);
};

/// Room for the terms of an average, and the terms themselves.
int64_t average_room(int64_t in, int64_t out, const PoolParams& p, int axis);
void average(Terms& terms, int64_t in, const PoolParams& p, int axis);
/// Of interpolation there are at most four an output.
void interpolation(Terms& terms, int64_t in, const InterpolateParams& p, int axis);

}  // namespace gradus::cpu
