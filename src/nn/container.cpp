#include "gradus/nn/container.h"

namespace gradus::nn {

namespace detail {
void no_forward(const Module& module, DType dtype) {
  throw DTypeError(type_name(module) + ": its forward does not take " + gradus::name(dtype));
}
void undefined(const Module& module) { throw ValueError(type_name(module) + ": got an undefined tensor"); }
}  // namespace detail

Sequential::Sequential(const Sequential& o) : Module(o) {
  for (auto& m : o.modules_) modules_.push_back(m->clone());
}
Sequential& Sequential::operator=(const Sequential& o) {
  if (this == &o) return *this;
  Module::operator=(o);
  // Member by member, so that values are written where they are: what holds this network's tensors goes on.
  modules_.resize(o.modules_.size());
  for (size_t i = 0; i < modules_.size(); ++i)
    if (!modules_[i] || !modules_[i]->assign(*o.modules_[i])) modules_[i] = o.modules_[i]->clone();
  return *this;
}

Module& Sequential::operator[](size_t i) {
  if (i >= modules_.size()) throw IndexError("Sequential: module " + std::to_string(i) + " of " + std::to_string(modules_.size()));
  return modules_[i]->module();
}
void Sequential::wrong_type(size_t i) {
  throw ValueError("Sequential: module " + std::to_string(i) + " is a " + type_name((*this)[i]) + ", not what was asked for");
}
AnyTensor Sequential::forward(AnyTensor x) const {
  for (auto& m : modules_) x = m->call(x);
  return x;
}
void Sequential::visit_members(Visitor& visitor, const std::string& prefix) {
  for (size_t i = 0; i < modules_.size(); ++i) modules_[i]->module().visit(visitor, prefix + std::to_string(i) + ".");
}

}  // namespace gradus::nn
