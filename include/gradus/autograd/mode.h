// Whether ops leave a graph behind. The modes belong to a thread.
#pragma once

namespace gradus {

namespace detail {
struct Mode {
  bool grad = true;
  bool inference = false;
};
inline thread_local constinit Mode mode{};
}  // namespace detail

inline bool is_grad_enabled() { return detail::mode.grad; }

/// No op records while it lives: for evaluation and for writing parameters.
class NoGrad {
 public:
  explicit NoGrad(bool off = true) : before_(detail::mode.grad) { detail::mode.grad = !off; }
  ~NoGrad() { detail::mode.grad = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// Ops record again inside a NoGrad.
class EnableGrad : NoGrad {
 public:
  EnableGrad() : NoGrad(false) {}
};

/// NoGrad, and the tensors made in it may never enter a graph: one that tries raises GraphError.
class InferenceMode : NoGrad {
 public:
  InferenceMode() : before_(detail::mode.inference) { detail::mode.inference = true; }
  ~InferenceMode() { detail::mode.inference = before_; }

 private:
  bool before_;
};

}  // namespace gradus
