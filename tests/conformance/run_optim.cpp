// The suites of optimizers and schedulers.
#include <cmath>

#include "gradus/optim/optim.h"
#include "tests/conformance/gradients.h"

namespace conformance {
namespace {

using namespace gradus;
using Made = std::unique_ptr<optim::Optimizer>;
using Parameters = std::vector<AnyTensor>;

/// The options that many share, read by PyTorch's names.
template <class O> O options_of(const Arguments& c) {
  O o;
  o.lr = c.d(-1, "lr", o.lr);
  o.maximize = c.b(-1, "maximize", false);
  if constexpr (requires { o.weight_decay; }) o.weight_decay = c.d(-1, "weight_decay", o.weight_decay);
  if constexpr (requires { o.eps; }) o.eps = c.d(-1, "eps", o.eps);
  if constexpr (requires { o.betas; })
    if (const Value& v = c.at(-1, "betas"); v.given()) o.betas = {v.items.at(0).d, v.items.at(1).d};
  if constexpr (requires { o.momentum; }) o.momentum = c.d(-1, "momentum", o.momentum);
  if constexpr (requires { o.amsgrad; }) o.amsgrad = c.b(-1, "amsgrad", o.amsgrad);
  if constexpr (requires { o.momentum_decay; }) o.momentum_decay = c.d(-1, "momentum_decay", o.momentum_decay);
  if constexpr (requires { o.decoupled_weight_decay; }) o.decoupled_weight_decay = c.b(-1, "decoupled_weight_decay", false);
  return o;
}

using Maker = std::function<Made(const Parameters&, const Arguments&)>;
template <class T> Maker plain() {
  return [](const Parameters& p, const Arguments& c) -> Made { return std::make_unique<T>(p, options_of<typename T::Options>(c)); };
}

const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> all = {
      {"SGD",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::SGDOptions>(c);
         o.dampening = c.d(-1, "dampening", 0), o.nesterov = c.b(-1, "nesterov", false);
         return std::make_unique<optim::SGD>(p, o);
       }},
      {"Adam",
       [](const Parameters& p, const Arguments& c) -> Made {
         if (!c.b(-1, "decoupled_weight_decay", false)) return plain<optim::Adam>()(p, c);
         auto o = options_of<optim::AdamWOptions>(c);
         o.weight_decay = c.d(-1, "weight_decay", 0);
         return std::make_unique<optim::AdamW>(p, o);
       }},
      {"AdamW", plain<optim::AdamW>()},
      {"Adamax", plain<optim::Adamax>()},
      {"NAdam", plain<optim::NAdam>()},
      {"RAdam", plain<optim::RAdam>()},
      {"RMSprop",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::RMSpropOptions>(c);
         o.alpha = c.d(-1, "alpha", o.alpha), o.centered = c.b(-1, "centered", false);
         return std::make_unique<optim::RMSprop>(p, o);
       }},
      {"Adagrad",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::AdagradOptions>(c);
         o.lr_decay = c.d(-1, "lr_decay", 0), o.initial_accumulator_value = c.d(-1, "initial_accumulator_value", 0);
         return std::make_unique<optim::Adagrad>(p, o);
       }},
      {"Adadelta",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::AdadeltaOptions>(c);
         o.rho = c.d(-1, "rho", o.rho);
         return std::make_unique<optim::Adadelta>(p, o);
       }},
      {"ASGD",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::ASGDOptions>(c);
         o.lambd = c.d(-1, "lambd", o.lambd), o.alpha = c.d(-1, "alpha", o.alpha), o.t0 = c.d(-1, "t0", o.t0);
         return std::make_unique<optim::ASGD>(p, o);
       }},
      {"Rprop",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::RpropOptions>(c);
         if (const Value& v = c.at(-1, "etas"); v.given()) o.eta_minus = v.items.at(0).d, o.eta_plus = v.items.at(1).d;
         if (const Value& v = c.at(-1, "step_sizes"); v.given()) o.step_min = v.items.at(0).d, o.step_max = v.items.at(1).d;
         return std::make_unique<optim::Rprop>(p, o);
       }},
      {"Lion", plain<optim::Lion>()},
      {"NAdamW", plain<optim::NAdamW>()},
      {"Adan", plain<optim::Adan>()},
      {"AdamP", plain<optim::AdamP>()},
      {"Lamb",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::LambOptions>(c);
         o.trust_clip = c.b(-1, "trust_clip", false), o.always_adapt = c.b(-1, "always_adapt", false);
         o.max_grad_norm = c.d(-1, "max_grad_norm", o.max_grad_norm);
         return std::make_unique<optim::Lamb>(p, o);
       }},
      {"Adafactor",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::AdafactorOptions>(c);
         o.d = c.d(-1, "d", o.d), o.beta2_decay = c.d(-1, "beta2_decay", o.beta2_decay);
         return std::make_unique<optim::Adafactor>(p, o);
       }},
      {"Muon",
       [](const Parameters& p, const Arguments& c) -> Made {
         auto o = options_of<optim::MuonOptions>(c);
         if (const Value& v = c.at(-1, "ns_coefficients"); v.given())
           o.a = v.items.at(0).d, o.b = v.items.at(1).d, o.c = v.items.at(2).d;
         o.nesterov = c.b(-1, "nesterov", o.nesterov);
         return std::make_unique<optim::Muon>(p, o);
       }},
  };
  return all;
}

}  // namespace

CaseResult run_optimizer(Value& line) {
  auto maker = makers().find(line["optimizer"].s);
  if (maker == makers().end()) return {CaseResult::missing, ""};
  Arguments arguments({}, line["kwargs"].entries);
  for (const char* execution : {"foreach", "fused", "capturable", "differentiable"}) arguments.at(-1, execution);  // how, not what
  Parameters parameters;
  for (const AnyTensor& p : tensors_of(line["params"])) parameters.push_back(p.clone().requires_grad_());
  Made optimizer = maker->second(parameters, arguments);
  if (std::string unread = arguments.unread(); !unread.empty()) throw LeftOut("an option that Gradus does not have: " + unread);
  // Muon iterates in bfloat16, where the order of a sum shows.
  const Tolerance tolerance = line["optimizer"].s == "Muon" ? kLoose : kTight;
  const std::vector<Value>&gradients = line["grads"].items, &after = line["after"].items;
  for (size_t step = 0; step < after.size(); ++step) {
    std::vector<AnyTensor> g = tensors_of(gradients.at(step)), wanted = tensors_of(after[step]);
    for (size_t k = 0; k < parameters.size(); ++k) parameters[k].set_grad(g.at(k).defined() ? g[k].clone() : AnyTensor());
    optimizer->step();
    for (size_t k = 0; k < parameters.size(); ++k)
      if (std::string wrong = difference(parameters[k].detach(), wanted.at(k), tolerance); !wrong.empty())
        return failed("parameter " + std::to_string(k) + " after step " + std::to_string(step + 1) + ": " + wrong);
  }
  return {};
}

namespace {

/// Makes the scheduler that the line names; an empty function where there is none.
std::function<void(double)> scheduler_of(const std::string& name, const Arguments& c, optim::Optimizer& optimizer) {
  auto stepping = [](auto scheduler) -> std::function<void(double)> {
    return [s = std::make_shared<decltype(scheduler)>(std::move(scheduler))](double) { s->step(); };
  };
  using namespace optim;
  if (name == "StepLR") return stepping(StepLR(optimizer, {.step_size = c.i(-1, "step_size"), .gamma = c.d(-1, "gamma", 0.1)}));
  if (name == "MultiStepLR")
    return stepping(MultiStepLR(optimizer, {.milestones = c.shape(-1, "milestones").vector(), .gamma = c.d(-1, "gamma", 0.1)}));
  if (name == "ConstantLR")
    return stepping(ConstantLR(optimizer, {.factor = c.d(-1, "factor", 1. / 3), .total_iters = c.i(-1, "total_iters", 5)}));
  if (name == "LinearLR")
    return stepping(LinearLR(optimizer, {.start_factor = c.d(-1, "start_factor", 1. / 3),
                                         .end_factor = c.d(-1, "end_factor", 1),
                                         .total_iters = c.i(-1, "total_iters", 5)}));
  if (name == "ExponentialLR") return stepping(ExponentialLR(optimizer, {.gamma = c.d(-1, "gamma", 0.9)}));
  if (name == "PolynomialLR")
    return stepping(PolynomialLR(optimizer, {.total_iters = c.i(-1, "total_iters", 5), .power = c.d(-1, "power", 1)}));
  if (name == "CosineAnnealingLR")
    return stepping(CosineAnnealingLR(optimizer, {.T_max = c.i(-1, "T_max"), .eta_min = c.d(-1, "eta_min", 0)}));
  if (name == "CosineAnnealingWarmRestarts")
    return stepping(CosineAnnealingWarmRestarts(
        optimizer, {.T_0 = c.i(-1, "T_0"), .T_mult = c.i(-1, "T_mult", 1), .eta_min = c.d(-1, "eta_min", 0)}));
  if (name == "CyclicLR") {
    if (c.b(-1, "cycle_momentum", true)) throw LeftOut("a momentum that cycles");
    std::string mode = c.str(-1, "mode", "triangular");
    CyclicLROptions o{.base_lr = c.d(-1, "base_lr", 0), .max_lr = c.d(-1, "max_lr", 0)};
    o.step_size_up = c.i(-1, "step_size_up", 2000), o.step_size_down = c.i(-1, "step_size_down", 0), o.gamma = c.d(-1, "gamma", 1);
    o.mode = mode == "triangular2" ? Cycle::triangular2 : mode == "exp_range" ? Cycle::exp_range : Cycle::triangular;
    return stepping(CyclicLR(optimizer, o));
  }
  if (name == "OneCycleLR") {
    OneCycleLROptions o{.max_lr = c.d(-1, "max_lr", 0.1)};
    o.total_steps = c.given(-1, "total_steps") ? c.i(-1, "total_steps") : c.i(-1, "epochs", 1) * c.i(-1, "steps_per_epoch", 1);
    o.pct_start = c.d(-1, "pct_start", 0.3), o.cycle_momentum = c.b(-1, "cycle_momentum", true);
    o.anneal = c.str(-1, "anneal_strategy", "cos") == "linear" ? Anneal::linear : Anneal::cosine;
    o.base_momentum = c.d(-1, "base_momentum", 0.85), o.max_momentum = c.d(-1, "max_momentum", 0.95);
    o.div_factor = c.d(-1, "div_factor", 25), o.final_div_factor = c.d(-1, "final_div_factor", 1e4);
    o.three_phase = c.b(-1, "three_phase", false);
    return stepping(OneCycleLR(optimizer, o));
  }
  if (name == "ReduceLROnPlateau") {
    ReduceLROnPlateauOptions o;
    o.maximize = c.str(-1, "mode", "min") == "max", o.factor = c.d(-1, "factor", 0.1), o.patience = c.i(-1, "patience", 10);
    o.threshold = c.d(-1, "threshold", 1e-4), o.relative_threshold = c.str(-1, "threshold_mode", "rel") == "rel";
    o.cooldown = c.i(-1, "cooldown", 0), o.min_lr = c.d(-1, "min_lr", 0), o.eps = c.d(-1, "eps", 1e-8);
    return [s = std::make_shared<ReduceLROnPlateau>(optimizer, o)](double metric) { s->step(metric); };
  }
  return {};
}

}  // namespace

CaseResult run_scheduler(Value& line) {
  AnyTensor parameter = zeros({1}, DType::float32).requires_grad_();
  optim::SGD optimizer({parameter}, {.lr = line["initial_lr"].d});
  Arguments arguments({}, line["kwargs"].entries);
  auto step = scheduler_of(line["scheduler"].s, arguments, optimizer);
  if (!step) return {CaseResult::missing, ""};
  if (std::string unread = arguments.unread(); !unread.empty()) throw LeftOut("an option that Gradus does not have: " + unread);
  const std::vector<Value>&rates = line["lr"].items, &metric = line["metric"].items;
  for (size_t k = 0; k < rates.size(); ++k) {
    if (k > 0) step(metric.empty() ? 0 : metric.at(k - 1).d);
    double got = optimizer.lr(), wanted = rates[k].d;
    if (!(std::abs(got - wanted) <= 1e-9 + 1e-6 * std::abs(wanted)))
      return failed("after " + std::to_string(k) + " steps the rate is " + std::to_string(got) + " instead of " +
                    std::to_string(wanted));
  }
  return {};
}

}  // namespace conformance
