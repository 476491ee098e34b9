// Steps of optimizers: one fused pass over a parameter, its gradient and its states; the work of many parameters is shared among
// threads at once. Optimizers are written with it (gradus/optim/); an own one can be too.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "gradus/autograd/gradient.h"

namespace gradus {

/// The rates of each rule, under the names that its row in updates.def gives them.
namespace update {
#define GRADUS_LIST(...) __VA_ARGS__
#define GRADUS_UPDATE_STATELESS(name, rates, ...) \
  struct name {                                   \
    double GRADUS_LIST rates;                     \
  };
#define GRADUS_UPDATE(name, states, rates, ...) GRADUS_UPDATE_STATELESS(name, rates)
#include "gradus/ops/updates.def"
#undef GRADUS_LIST
}  // namespace update

/// Steps that are taken together. add() for each parameter, then run(). Kept from step to step, it allocates nothing.
class Updates {
 public:
  Updates();
  ~Updates();
  Updates(Updates&&) noexcept;
  Updates& operator=(Updates&&) noexcept;

  /// The states are of the type that the parameter accumulates in (state_like makes them). Throws ShapeError, DTypeError or DeviceError
  /// where gradient or states do not fit the parameter.
#define GRADUS_ADD(name)                                                                                  \
  void add(const AnyTensor& parameter, const Gradient& gradient, std::initializer_list<AnyTensor> states, \
           const update::name& rates);
#define GRADUS_UPDATE_STATELESS(name, ...) GRADUS_ADD(name)
#define GRADUS_UPDATE(name, ...) GRADUS_ADD(name)
#include "gradus/ops/updates.def"
#undef GRADUS_ADD
  /// x *= factor, a float64 scalar on x's device, which nobody waits for.
  void scale(const AnyTensor& x, const AnyTensor& factor);
  /// Takes the steps, writes the parameters (their versions move on) and states, and forgets the list.
  void run();
  /// Forgets it.
  void clear();

  size_t size() const;

  // Steps that a captured step takes (gradus/core/capture.h) read their rates on the device, and each replay may give others.
  /// run(), while it is recorded. For each replay: begin_renewal(), add() for the same parameters in the same order, of which only the rates
  /// count, and then the function that this returned; it refers to this list.
  std::function<void()> record();
  void begin_renewal();

 private:
  struct List;
  void take_steps();
  std::unique_ptr<List> list_;
};

/// A state for a parameter: its shape and layout, in the type that it accumulates in.
AnyTensor state_like(const AnyTensor& parameter, double value = 0);

/// The sum of the squares of all elements of all tensors, a float64 scalar on their device, in one pass over them. Squares are added in the type
/// that each tensor accumulates in. Has no gradient. Throws DTypeError where one is not of floating point numbers, DeviceError where
/// they are not on one device.
AnyTensor sum_of_squares(const std::vector<AnyTensor>& tensors);

}  // namespace gradus
