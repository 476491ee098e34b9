#include "gradus/nn/parameter.h"

#include "gradus/autograd/node.h"
#include "gradus/core/capture.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"

namespace gradus::nn {
namespace {

/// What outlives a scope of InferenceMode is made outside of it.
struct OrdinaryMode : NoGrad {
  bool before = gradus::detail::mode.inference;
  OrdinaryMode() { gradus::detail::mode.inference = false; }
  ~OrdinaryMode() { gradus::detail::mode.inference = before; }
};

AnyTensor copy_of(const AnyTensor& x) {
  if (!x.defined()) return {};
  OrdinaryMode mode;
  AnyTensor y = clone(x.detach());
  if (x.requires_grad()) y.requires_grad_();
  return y;
}

struct SpinLock {
  explicit SpinLock(std::atomic<bool>& flag) : flag(flag) {
    while (flag.exchange(true, std::memory_order_acquire)) {
    }
  }
  ~SpinLock() { flag.store(false, std::memory_order_release); }
  std::atomic<bool>& flag;
};

}  // namespace

Held::Held(detail::Tracked what, AnyTensor tensor) : AnyTensor(std::move(tensor)) { detail::track(this, what); }
Held::Held(detail::Tracked what, const Held& o) : AnyTensor(copy_of(o)) { detail::track(this, what); }
Held::Held(detail::Tracked what, Held&& o) noexcept : AnyTensor(std::move(o)) { detail::track(this, what); }
Held::~Held() { detail::untrack(this); }

Held& Held::operator=(const Held& o) {
  if (this == &o) return *this;
  bool in_place = defined() && o.defined() && shape() == o.shape() && dtype() == o.dtype() && device() == o.device() && !is_same(o);
  if (in_place) {
    NoGrad no_grad;
    copy_(o.detach());
  } else {
    AnyTensor::operator=(copy_of(o));
  }
  return *this;
}
Held& Held::operator=(Held&& o) noexcept {
  AnyTensor::operator=(std::move(o));
  return *this;
}

void Held::replace(const AnyTensor& values) {
  if (!defined() || !values.defined()) throw ValueError("replace: got an undefined tensor");
  AnyTensor fresh = copy_of(values.detach());
  if (requires_grad()) set_grad({});
  Impl& to = *impl();
  const Impl& from = *fresh.impl();
  // A tensor that a graph saved is this one: the version moves on, so that the graph refuses to read the new values as the old.
  from.storage->version.store(to.storage->version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  to.dtype = from.dtype, to.contiguous = from.contiguous, to.dense = from.dense, to.inference = from.inference;
  to.writes_seen = from.writes_seen, to.count = from.count, to.shape = from.shape, to.stride = from.stride;
  to.data = from.data, to.storage = from.storage;
  if (to.node) to.node->shape = to.shape, to.node->dtype = to.dtype;  // the same leaf: its hooks stay
}

Parameter::Parameter(const AnyTensor& values) : Held(detail::Tracked::parameter, values.defined() ? values.detach() : AnyTensor()) {
  if (defined()) requires_grad_();
}
Parameter::Parameter(const Parameter& o) : Held(detail::Tracked::parameter, static_cast<const Held&>(o)) {}
Parameter::Parameter(Parameter&& o) noexcept
    : Held(detail::Tracked::parameter, static_cast<Held&&>(o)),
      cached_(std::move(o.cached_)),
      cached_version_(o.cached_version_),
      cached_in_(o.cached_in_) {}
Parameter::~Parameter() = default;
Parameter& Parameter::operator=(const Parameter& o) {
  Held::operator=(o);
  cached_ = {};
  return *this;
}
Parameter& Parameter::operator=(Parameter&& o) noexcept {
  Held::operator=(std::move(o));
  cached_ = std::move(o.cached_), cached_version_ = o.cached_version_, cached_in_ = o.cached_in_;
  return *this;
}

AnyTensor Parameter::as(DType wanted) const {
  if (!defined() || wanted == dtype()) return *this;
  AnyTensor values;
  const uint64_t in = recording_number();
  {
    SpinLock lock(locked_);
    if (cached_.defined() && cached_.dtype() == wanted && cached_version_ == version() && cached_in_ == in) values = cached_;
  }
  if (!values.defined()) {
    OrdinaryMode mode;
    uint32_t seen = version();
    values = gradus::to(detach(), wanted);
    SpinLock lock(locked_);
    if (in && cached_in_ != in) drop_after_recording(std::move(cached_));
    cached_ = values, cached_version_ = seen, cached_in_ = in;
  }
  AnyTensor y = values.detach();
  record("as", y, {this}, [own = dtype()](const AnyTensor& g, AnyTensor* grads) { grads[0] = gradus::to(g, own); });
  return y;
}

}  // namespace gradus::nn
