#include "gradus/optim/grad_scaler.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "gradus/autograd/mode.h"
#include "gradus/core/capture.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/optim/optimizer.h"

namespace gradus::optim {
namespace {

template <class E, class... Parts> [[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw E(text.str());
}

void check(const GradScalerOptions& o, double scale) {
  auto refuse = [](const char* what, double value, const char* wanted) {
    fail<ValueError>("GradScaler: ", what, " is ", value, "; it must be ", wanted);
  };
  if (!(scale > 0) || !(scale <= double(std::numeric_limits<float>::max()))) refuse("the scale", scale, "positive and fit a float");
  if (!(o.growth_factor > 1)) refuse("growth_factor", o.growth_factor, "above 1");
  if (!(o.backoff_factor > 0 && o.backoff_factor < 1)) refuse("backoff_factor", o.backoff_factor, "between 0 and 1");
  if (o.growth_interval < 1) refuse("growth_interval", double(o.growth_interval), "at least 1");
}

}  // namespace

/// What is known of one optimizer's gradients since the last update().
struct GradScaler::Seen {
  const Optimizer* optimizer = nullptr;
  bool unscaled = false, stepped = false;
  std::vector<AnyTensor> largest;  // per device: the largest magnitude of a gradient there, NaN where there is one
  bool is_finite() {               // waits for the devices, once
    for (const AnyTensor& x : largest) finite = finite && std::isfinite(x.item());
    largest.clear();
    return finite;
  }
  bool looked = false, finite = true;
};

GradScaler::GradScaler(const GradScalerOptions& options) : options_(options), scale_(float(options.init_scale)) {
  check(options, options.init_scale);
}
GradScaler::~GradScaler() = default;
GradScaler::GradScaler(GradScaler&&) noexcept = default;
GradScaler& GradScaler::operator=(GradScaler&&) noexcept = default;

GradScaler::Seen& GradScaler::seen(const Optimizer& optimizer) {
  for (Seen& s : seen_)
    if (s.optimizer == &optimizer) return s;
  seen_.emplace_back().optimizer = &optimizer;
  return seen_.back();
}

AnyTensor GradScaler::scale(const AnyTensor& loss) const {
  if (!loss.defined()) throw ValueError("GradScaler: got an undefined loss");
  if (options_.enabled) refuse_to_capture("GradScaler::scale", "multiplies by a scale that would stay as it is in every replay");
  AnyTensor x = is_half(loss.dtype()) ? to(loss, DType::float32) : loss;
  return options_.enabled ? x * double(scale_) : x;
}

void GradScaler::unscale_(Optimizer& optimizer) {
  if (!options_.enabled) return;
  Seen& s = seen(optimizer);
  if (s.stepped) throw ValueError("GradScaler: unscale_() after step(); call update() between them");
  if (s.unscaled) throw ValueError("GradScaler: unscale_() was already called for this optimizer since the last update()");
  unscale(optimizer, s);
}

void GradScaler::unscale(Optimizer& optimizer, Seen& s) const {
  refuse_to_capture("GradScaler::unscale_", "divides by a scale that would stay as it is in every replay");
  NoGrad no_grad;
  const double inverse = 1 / double(scale_);
  std::vector<AnyTensor> gradients;
  for (size_t group = 0; group < optimizer.group_count(); ++group)
    for (const AnyTensor& p : optimizer.parameters(group)) {
      AnyTensor g = p.requires_grad() ? p.grad() : AnyTensor();
      if (!g.defined()) continue;
      if (g.dtype() == DType::float16)
        throw DTypeError(
            "GradScaler: a gradient is float16; keep the weights in float32 and give the module activations of half "
            "(net(x.to<half>()))");
      gradients.push_back(g.detach());
    }
  Updates updates;
  for (AnyTensor& g : gradients) {
    s.looked = true;
    if (g.numel() == 0) continue;
    AnyTensor here = to(norm(g, INFINITY), DType::float32), *before = nullptr;
    for (AnyTensor& x : s.largest)
      if (x.device() == g.device()) before = &x;
    if (before)
      maximum_(*before, here);
    else
      s.largest.push_back(here);
    if (g.impl()->dense)
      updates.add(g, g, {}, update::rescale{inverse});
    else
      mul_scalar_(g, inverse);
  }
  updates.run();
  s.unscaled = true;
}

bool GradScaler::step(Optimizer& optimizer) {
  if (!options_.enabled) {
    optimizer.step();
    return true;
  }
  Seen& s = seen(optimizer);
  if (s.stepped) throw ValueError("GradScaler: step() was already called for this optimizer since the last update()");
  if (!s.unscaled) unscale(optimizer, s);
  if (!s.looked) throw ValueError("GradScaler: no parameter of the optimizer has a gradient; was backward() called?");
  const bool finite = s.is_finite();
  if (finite) optimizer.step();
  s.stepped = true;
  return finite;
}

void GradScaler::update() {
  if (!options_.enabled) return;
  bool looked = false, finite = true;
  for (Seen& s : seen_) looked = looked || s.looked, finite = s.is_finite() && finite;
  if (!looked) throw ValueError("GradScaler: update() without a step() or unscale_() since the last one");
  if (!finite) {
    scale_ = float(double(scale_) * options_.backoff_factor), growth_tracker_ = 0;
  } else if (++growth_tracker_ == options_.growth_interval) {
    const float larger = float(double(scale_) * options_.growth_factor);
    if (std::isfinite(larger)) scale_ = larger;
    growth_tracker_ = 0;
  }
  seen_.clear();
}

void GradScaler::update(double new_scale) {
  if (!options_.enabled) return;
  check(options_, new_scale);
  scale_ = float(new_scale);
  seen_.clear();
}

double GradScaler::get_scale() const { return options_.enabled ? double(scale_) : 1; }

NamedTensors GradScaler::state() const {
  if (!options_.enabled) return {};
  auto number = [](double x) { return full({}, x, DType::float64, kCPU); };
  auto count = [](int64_t x) { return full({}, x, DType::int64, kCPU); };
  return {{"scale", number(double(scale_))},
          {"growth_factor", number(options_.growth_factor)},
          {"backoff_factor", number(options_.backoff_factor)},
          {"growth_interval", count(options_.growth_interval)},
          {"_growth_tracker", count(growth_tracker_)}};
}

void GradScaler::load_state(const NamedTensors& state) {
  if (!options_.enabled) return;
  GradScalerOptions o = options_;
  double scale = 0, interval = 0, tracker = 0;
  struct {
    const char* name;
    double& to;
    bool found = false;
  } wanted[] = {{"scale", scale},
                {"growth_factor", o.growth_factor},
                {"backoff_factor", o.backoff_factor},
                {"growth_interval", interval},
                {"_growth_tracker", tracker}};
  for (const NamedTensor& t : state) {
    bool known = false;
    for (auto& w : wanted)
      if (t.name == w.name) {
        if (!t.tensor.defined() || t.tensor.numel() != 1)
          fail<ValueError>("GradScaler: the state's ", t.name, " is not one number");
        w.to = t.tensor.item(), w.found = known = true;
      }
    if (!known) fail<ValueError>("GradScaler: the state has ", t.name, ", which a scaler does not know");
  }
  for (auto& w : wanted)
    if (!w.found) fail<ValueError>("GradScaler: the state has no ", w.name, "; was it saved by a scaler that was enabled?");
  auto whole = [](const char* name, double x, double least) {
    if (!(x >= least && x < 0x1p53 && x == std::floor(x)))
      fail<ValueError>("GradScaler: the state's ", name, " is ", x, ", not a whole number from ", least, " on");
    return int64_t(x);
  };
  o.growth_interval = whole("growth_interval", interval, 1);
  const int64_t steps = whole("_growth_tracker", tracker, 0);
  check(o, scale);
  if (steps >= o.growth_interval)
    fail<ValueError>("GradScaler: the state's _growth_tracker is ", steps, ", its growth_interval ", o.growth_interval);
  options_ = o, scale_ = float(scale), growth_tracker_ = steps;
  seen_.clear();
}

}  // namespace gradus::optim
