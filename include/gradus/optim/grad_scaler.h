// Training in half: gradients are made from a loss that is scaled up, so that small ones are not lost, and scaled back before the step.
//
//   optim::GradScaler scaler;
//   ...
//   Tensor<float> loss = cross_entropy<float>(net(x.to<half>()), y);
//   optimizer.zero_grad();
//   scaler.scale(loss).backward();
//   scaler.unscale_(optimizer);                                // only where something needs the true gradients, such as
//   optim::clip_grad_norm_(net.parameters(), 1.0);             // clipping
//   scaler.step(optimizer);                                    // unless a gradient is infinite or NaN
//   scaler.update();                                           // the scale falls then, and after a while without such grows
#pragma once
#include "gradus/core/named_tensor.h"
#include "gradus/core/tensor.h"

namespace gradus::optim {

class Optimizer;

struct GradScalerOptions {
  double init_scale = 65536;
  double growth_factor = 2;     // of the scale after growth_interval updates in a row without an infinite gradient
  double backoff_factor = 0.5;  // after an update with one
  int64_t growth_interval = 2000;
  bool enabled = true;  // off: scale() gives its argument, step() steps, nothing else happens
};

/// Names, rules and defaults are those of PyTorch's torch.amp.GradScaler. Weights and their gradients are float or double; bfloat16
/// needs no scaler. It knows optimizers by where they are: they stay there from unscale_() or step() to update().
class GradScaler {
 public:
  explicit GradScaler(const GradScalerOptions& options = {});
  ~GradScaler();
  GradScaler(GradScaler&&) noexcept;
  GradScaler& operator=(GradScaler&&) noexcept;

  /// loss * scale, in float for a loss of half. Such a loss is better made in float: its own gradient is the scale, which half holds up
  /// to 65504 only.
  AnyTensor scale(const AnyTensor& loss) const;
  template <class T> auto scale(const Tensor<T>& loss) const {
    return Tensor<accumulate_t<T>>(scale(static_cast<const AnyTensor&>(loss)));
  }
  /// Divides the gradients of the optimizer's parameters by the scale, and has each device look for infinities and NaNs without waiting
  /// for the answer. Once per optimizer and update(). Throws ValueError the second time, DTypeError for gradients of half.
  void unscale_(Optimizer& optimizer);
  /// optimizer.step(), unless a gradient is infinite or NaN; says whether it was taken. Calls unscale_() where that is still to be done.
  /// Throws ValueError the second time before update(), or where no parameter has a gradient.
  bool step(Optimizer& optimizer);
  /// Changes the scale by what was found since the last update(), or to a given one. Throws ValueError where nothing was looked at.
  void update();
  void update(double new_scale);

  double get_scale() const;  // 1 where it is not enabled
  bool is_enabled() const { return options_.enabled; }
  const GradScalerOptions& options() const { return options_; }
  /// What a run needs to go on as if it had never stopped, under PyTorch's names: "scale", "_growth_tracker", ...
  NamedTensors state() const;
  /// Throws ValueError for names that are missing or unknown and numbers that make no sense; then nothing has changed.
  void load_state(const NamedTensors& state);

 private:
  struct Seen;
  Seen& seen(const Optimizer& optimizer);
  void unscale(Optimizer& optimizer, Seen& seen) const;

  GradScalerOptions options_;
  float scale_;
  int64_t growth_tracker_ = 0;  // updates since the scale last changed
  std::vector<Seen> seen_;      // of optimizers since the last update()
};

}  // namespace gradus::optim
