#include "gradus/ops/update.h"

#include <vector>

#include "gradus/core/capture.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "src/ops/op.h"

namespace gradus {

struct Updates::List {
  std::vector<Update> steps;
  std::vector<AnyTensor> held;  // keeps what the steps point to
  std::vector<AnyTensor> parameters;
  bool only_rates = false;
  void clear() { steps.clear(), held.clear(), parameters.clear(), only_rates = false; }
};

Updates::Updates() : list_(std::make_unique<List>()) {}
Updates::~Updates() = default;
Updates::Updates(Updates&&) noexcept = default;
Updates& Updates::operator=(Updates&&) noexcept = default;

namespace {

DType accumulates_in(DType t) { return is_half(t) ? DType::float32 : t; }

bool same_order(const AnyTensor& a, const AnyTensor& b) {
  return (a.is_contiguous() && b.is_contiguous()) || (b.impl()->dense && a.stride() == b.stride());
}

/// The gradient as the kernel reads it: beside the parameter, element by element, or as an outer product where it is one.
void set_gradient(const char* name, Update& u, const AnyTensor& p, const Gradient& gradient, std::vector<AnyTensor>& held) {
  const AnyTensor &column = gradient.column(), &row = gradient.row();
  if (column && p.is_contiguous() && p.device() == kCPU && p.dtype() == row.dtype() &&
      p.shape() == Shape{column.numel(), row.numel()}) {
    u.gradient_column = column.raw_data(), u.gradient_row = row.raw_data(), u.row_size = row.numel();
    held.push_back(column), held.push_back(row);
    return;
  }
  AnyTensor g = gradient;
  check_same(name, p, g);
  if (!(p.shape() == g.shape())) fail<ShapeError>(name, ": the parameter has shape ", p.shape(), ", its gradient ", g.shape());
  if (!same_order(p, g)) {
    g = empty_like(p);
    g.copy_(gradient);
  }
  u.gradient = g.raw_data();
  held.push_back(std::move(g));
}

Update step_of(const char* name, UpdateRule rule, const AnyTensor& p, const Gradient& g, std::initializer_list<AnyTensor> states,
               const double* rates, size_t rate_count, bool only_rates, std::vector<AnyTensor>& held) {
  Update u;
  u.rule = rule;
  for (size_t i = 0; i < rate_count; ++i) u.rates[i] = rates[i];
  if (only_rates) return u;
  check_float(name, p);
  if (!p.impl()->dense) fail<ShapeError>(name, ": a parameter of shape ", p.shape(), " with gaps in memory; make it contiguous()");
  u.dtype = p.dtype(), u.count = p.numel(), u.parameter = p.raw_data();
  set_gradient(name, u, p, g, held);
  int k = 0;
  for (const AnyTensor& s : states) {
    check_dtype(name, "a state", s, accumulates_in(p.dtype()));
    if (s.device() != p.device()) fail<DeviceError>(name, ": the parameter is on ", p.device(), ", a state on ", s.device());
    if (!(s.shape() == p.shape()) || !same_order(p, s))
      fail<ShapeError>(name, ": a state of shape ", s.shape(), " does not lie in memory as the parameter of shape ", p.shape());
    u.state[k++] = s.raw_data();
    held.push_back(s);
  }
  return u;
}

}  // namespace

// The kernel counts on as many states as its rule has: the row says how many, and a call with another number is refused.
#define GRADUS_LIST(...) __VA_ARGS__
#define GRADUS_ADD(name, count)                                                                                                  \
  void Updates::add(const AnyTensor& p, const Gradient& g, std::initializer_list<AnyTensor> states, const update::name& rates) { \
    constexpr size_t kRates = sizeof rates / sizeof(double);                                                                     \
    if (states.size() != (count)) fail<ValueError>(#name, ": needs ", size_t(count), " states, got ", states.size());            \
    NoGrad no_grad;                                                                                                              \
    double values[kRates];                                                                                                       \
    __builtin_memcpy(values, &rates, sizeof rates);                                                                              \
    list_->steps.push_back(step_of(#name, UpdateRule::name, p, g, states, values, kRates, list_->only_rates, list_->held));      \
    list_->parameters.push_back(p);                                                                                              \
  }
#define GRADUS_UPDATE_STATELESS(name, ...) GRADUS_ADD(name, 0u)
#define GRADUS_UPDATE(name, states, ...) \
  namespace {                            \
  struct name##_states {                 \
    char GRADUS_LIST states;             \
  };                                     \
  }                                      \
  GRADUS_ADD(name, sizeof(name##_states))
#include "gradus/ops/updates.def"

void Updates::scale(const AnyTensor& x, const AnyTensor& factor) {
  check_dtype("scale", "the factor", factor, DType::float64);
  if (factor.numel() != 1) fail<ShapeError>("scale: the factor has shape ", factor.shape(), ", not one element");
  if (factor.device() != x.device()) fail<DeviceError>("scale: x is on ", x.device(), ", the factor on ", factor.device());
  if (x.device() == kCPU) return add(x, x, {}, update::rescale{factor.item()});
  if (!x.impl()->dense) {
    AnyTensor y = x;
    NoGrad no_grad;
    mul_(y, to(factor, x.dtype()));
    return;
  }
  add(x, x, {}, update::rescale{});
  list_->steps.back().rates_there = static_cast<const double*>(factor.raw_data());
  list_->held.push_back(factor);
}

size_t Updates::size() const { return list_->steps.size(); }

void Updates::run() {
  for (const Update& u : list_->steps)
    if (!u.rates_there)
      refuse_to_capture("update", "has rates that would stay as they are in every replay (derive from optim::Optimizer)");
  take_steps();
}

void Updates::take_steps() {
  List& list = *list_;
  // One call per device; nearly always there is one.
  for (size_t begin = 0; begin < list.steps.size();) {
    size_t end = begin + 1;
    while (end < list.steps.size() && list.parameters[end].device() == list.parameters[begin].device()) ++end;
    kernel("update", &KernelTable::update, list.parameters[begin])(&list.steps[begin], int64_t(end - begin));
    begin = end;
  }
  NoGrad no_grad;
  for (AnyTensor& p : list.parameters) written_in_place(p);
  list.clear();
}

void Updates::clear() { list_->clear(); }

std::function<void()> Updates::record() {
  StepRecording* recording = StepRecording::current();
  if (!recording) fail<Error>("update: record() where no step is captured");
  std::vector<size_t> places;
  for (Update& u : list_->steps) u.rates_there = recording->rates(u.rates, kMaxRates, places.emplace_back());
  take_steps();
  return [recording, list = list_.get(), places = std::move(places)] {
    if (list->steps.size() != places.size())
      fail<Error>("update: a replay has ", list->steps.size(), " steps of parameters, ", places.size(), " were recorded");
    for (size_t i = 0; i < places.size(); ++i) recording->set(places[i], list->steps[i].rates, kMaxRates);
    list->clear();
  };
}

void Updates::begin_renewal() { list_->only_rates = true; }

AnyTensor state_like(const AnyTensor& parameter, double value) {
  check_float("state_like", parameter);
  AnyTensor s = empty_like(parameter, accumulates_in(parameter.dtype()));
  return s.fill_(value);
}

AnyTensor sum_of_squares(const std::vector<AnyTensor>& tensors) {
  const Device device = tensors.empty() ? kCPU : tensors.front().device();
  AnyTensor sum = empty({}, DType::float64, device);
  std::vector<AnyTensor> held;
  std::vector<Stretch> list;
  for (const AnyTensor& x : tensors) {
    check_float("sum_of_squares", x);
    if (x.device() != device) fail<DeviceError>("sum_of_squares: the first tensor is on ", device, ", another on ", x.device());
    const AnyTensor& y = held.emplace_back(x.impl()->dense ? x.detach() : dense(x.detach()));
    list.push_back({y.raw_data(), y.numel(), y.dtype()});
  }
  kernel("sum_of_squares", &KernelTable::sum_of_squares, sum)(array(sum), list.data(), int64_t(list.size()));
  record_without_gradient("sum_of_squares", sum, tensors);
  return sum;
}

}  // namespace gradus
