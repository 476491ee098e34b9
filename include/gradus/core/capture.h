// A training step that a GPU records once and then does again with a single call: nothing of the host's work for each op is left.
//
//   auto step = capture([&](Tensor<float> x, Tensor<int64_t> y) {
//     Tensor<float> loss = cross_entropy(net(x), y);
//     optimizer.zero_grad();
//     loss.backward();
//     optimizer.step();
//     return loss;
//   });
//   for (auto [x, y] : loader) total += step(x, y);   // inputs are brought to the device
//
// The first call runs the step as it is, so that states and caches exist; the second one records it. From then on a call copies its inputs
// into place and replays: the numbers are those that the step would have given. Rates of optimizers, their counts of steps and random
// numbers go on as if the step had run; everything else that the host works out in the step (a learning rate's schedule, a scalar, an `if`)
// stays as it was recorded. What needs the host's answer within the step (item(), nonzero(), a copy to the host) or what
// its replays would not repeat (GradScaler, another stream) throws an Error that names the op. On a CPU, each call runs the step.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/tensor.h"

namespace gradus {

// For host code that is part of steps, such as an optimizer's.
/// Whether this thread records a step now.
bool is_recording();
/// The number of the recording that this thread makes now, or 0. What was computed under one number is not there under another.
uint64_t recording_number();
/// Throws Error("op: why ...") where it does.
void refuse_to_capture(const char* op, const char* why);
/// While it does: x, which the step has not read, lives until the recording is done. What else the step gives up of the memory that was there
/// before it stays with the recording, since its replays may read it.
void drop_after_recording(AnyTensor x);
/// While it does: before_replay is called before each replay, put_back when the recording is done, which has not done the step.
void on_replay(std::function<void()> before_replay, std::function<void()> put_back);

namespace detail {

/// The step without its types.
class CapturedStep {
 public:
  using Tensors = std::vector<AnyTensor>;
  using Body = std::function<Tensors(const Tensors&)>;
  explicit CapturedStep(Device device);
  ~CapturedStep();
  CapturedStep(CapturedStep&&) noexcept;
  CapturedStep& operator=(CapturedStep&&) noexcept;
  Tensors run(const Tensors& inputs, const Body& body);
  bool is_recorded() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// How a step's result becomes a list of tensors, and comes back.
template <class R> struct StepResult {
  static_assert(std::is_base_of_v<AnyTensor, R>, "a captured step returns nothing, a tensor, or a pair or tuple of tensors");
  static CapturedStep::Tensors list(R r) { return {std::move(r)}; }
  static R value(CapturedStep::Tensors& list) { return R(std::move(list[0])); }
};
template <template <class...> class Several, class... T> struct StepResult<Several<T...>> {
  using R = Several<T...>;
  static CapturedStep::Tensors list(R r) {
    return std::apply([](auto&... t) { return CapturedStep::Tensors{std::move(t)...}; }, r);
  }
  static R value(CapturedStep::Tensors& list) {
    return [&]<size_t... i>(std::index_sequence<i...>) { return R{T(std::move(list[i]))...}; }
    (std::index_sequence_for<T...>());
  }
};
template <class T> struct StepResult<Tensor<T>> {
  static CapturedStep::Tensors list(Tensor<T> r) { return {std::move(r)}; }
  static Tensor<T> value(CapturedStep::Tensors& list) { return Tensor<T>(std::move(list[0])); }
};

}  // namespace detail

/// A step that capture() made. It may move; it must not outlive what the step refers to.
template <class Step> class Captured {
 public:
  Captured(Step step, Device device) : step_(std::move(step)), captured_(device) {}

  /// One step on tensors of the shapes and dtypes of the first call, from any device; results are copies, outside of any graph. Throws
  /// ShapeError, DTypeError or ValueError where inputs are not as they were, Error where the step cannot be recorded (parameters,
  /// gradients and counts are then as before the call), and IndexError where an index was outside its range, which a later call
  /// than the guilty one may find.
  template <class... Inputs> auto operator()(const Inputs&... inputs) {
    static_assert((std::is_base_of_v<AnyTensor, Inputs> && ...), "a captured step takes tensors");
    using R = std::invoke_result_t<Step&, Inputs...>;
    return call<R, Inputs...>({inputs...}, std::index_sequence_for<Inputs...>());
  }
  /// Calls replay from here on.
  bool is_recorded() const { return captured_.is_recorded(); }

 private:
  template <class R, class... Inputs, size_t... i> R call(const detail::CapturedStep::Tensors& inputs, std::index_sequence<i...>) {
    auto body = [this](const detail::CapturedStep::Tensors& x) -> detail::CapturedStep::Tensors {
      if constexpr (std::is_void_v<R>) {
        step_(Inputs(x[i])...);
        return {};
      } else {
        return detail::StepResult<R>::list(step_(Inputs(x[i])...));
      }
    };
    auto results = captured_.run(inputs, body);
    if constexpr (!std::is_void_v<R>) return detail::StepResult<R>::value(results);
  }
  Step step_;
  detail::CapturedStep captured_;
};

/// A step, a function of tensors, to be recorded on the device at its second call.
template <class Step> Captured<Step> capture(Step step, Device device = best_device()) { return {std::move(step), device}; }

}  // namespace gradus
