// Module: what a network is made of. Members are listed once; names, parameters, files, devices and modes come from the list.
//
//   struct Net : nn::Module {
//     nn::Linear fc1{784, 128}, fc2{128, 10};
//     GRADUS_MEMBERS(fc1, fc2)
//     template <class T> Tensor<T> forward(const Tensor<T>& x) { return fc2(relu(fc1(x))); }
//   };
//
// Modules are values. A copy has parameters of its own; a module may be moved and kept in containers.
//
// Threads: several may call forward on one module at once while it is in eval mode and nobody writes its parameters, buffers or mode.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "gradus/core/named_tensor.h"
#include "gradus/nn/parameter.h"

namespace gradus::nn {

class Module;

/// What a walk over a module's members calls; names are full ones ("layers.0.weight"), "" for the module that is walked.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void parameter(const std::string&, Parameter&) {}
  virtual void buffer(const std::string&, Buffer&) {}
  /// Before the members of a module.
  virtual void enter(const std::string&, Module&) {}
  /// After them.
  virtual void leave(const std::string&, Module&) {}
};

class Module {
 public:
  Module() { detail::track(this, detail::Tracked::module); }
  Module(const Module& o) : training_(o.training_) { detail::track(this, detail::Tracked::module); }
  Module(Module&& o) noexcept : training_(o.training_) { detail::track(this, detail::Tracked::module); }
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() { detail::untrack(this); }

  /// Members one level down, under `prefix` ("" or "layers."). GRADUS_MEMBERS defines it.
  virtual void visit_members(Visitor& visitor, const std::string& prefix) = 0;
  /// This module and all below it.
  void visit(Visitor& visitor, const std::string& prefix = "");

  // Listed in the order of the members; a parameter that is reached twice is listed once.
  std::vector<AnyTensor> parameters() const;
  NamedTensors named_parameters() const;
  NamedTensors named_buffers() const;
  /// What a file of this module holds: parameters and persistent buffers, under PyTorch's names. Handles, not copies.
  NamedTensors state() const;
  /// The names of state().
  std::vector<std::string> names() const;
  /// How many numbers are learned; those that are frozen count only where asked for.
  int64_t num_parameters(bool frozen_too = true) const;

  struct Child {
    std::string name;
    Module* module;
  };
  /// The modules one level down.
  std::vector<Child> children();
  /// All modules, this one first under the name "".
  std::vector<Child> modules();
  /// Calls f with every module, those below before those above.
  Module& apply(const std::function<void(Module&)>& f);

  /// Training is how Dropout and BatchNorm behave; it does not switch gradients off (NoGrad does).
  Module& train(bool on = true);
  Module& eval() { return train(false); }
  bool training() const { return training_; }
  /// The mode of this module alone.
  void set_training(bool on) { training_ = on; }
  /// Freezes or thaws all parameters.
  Module& requires_grad_(bool wanted = true);
  void zero_grad();
  /// Floating point parameters and buffers in another dtype, in place: optimizers and other handles follow.
  Module& to(DType dtype);
  template <class T> Module& to() { return to(dtype_of<T>); }
  Module& to(Device device);
  /// Copies the values of `state` into the tensors of those names, converting dtypes. Nothing is written unless all fits. Strict: throws
  /// ValueError where a name is missing on either side. Throws ShapeError where shapes differ. Returns what had no counterpart.
  struct Unmatched {
    std::vector<std::string> missing;     // in the module, not in `state`
    std::vector<std::string> unexpected;  // in `state`, not in the module
  };
  Unmatched load_state(const NamedTensors& state, bool strict = true);

 private:
  bool training_ = true;
};

/// The name of a module's type, without namespaces: "Conv2d".
std::string type_name(const Module& module);

namespace detail {

/// While one lives, each call of a module on this thread is reported with its result. summary() is built on it.
class CallObserver {
 public:
  CallObserver();
  virtual ~CallObserver();
  CallObserver(const CallObserver&) = delete;
  virtual void before(Module&) {}
  virtual void after(Module& module, const AnyTensor& output) = 0;

 private:
  CallObserver* outer_;
};
inline thread_local constinit CallObserver* call_observer = nullptr;

/// The tensor that a module's result shows: itself, or the first of a tuple's.
template <class A> AnyTensor shown(const A& x) {
  if constexpr (std::is_base_of_v<AnyTensor, A>)
    return x;
  else if constexpr (requires { x.output; })
    return shown(x.output);
  else if constexpr (requires { x.first; })
    return shown(x.first);
  else if constexpr (requires { x[0]; })
    return shown(x[0]);
  else
    return {};
}

// What an observer is told, apart from the types of modules: all of them share it.
void observe_call(const Module& module);
void observe_result(const Module& module, const AnyTensor& output);

template <class M, class... Args> auto call(M& module, Args&&... args) -> decltype(module.forward(std::forward<Args>(args)...)) {
  using Result = decltype(module.forward(std::forward<Args>(args)...));
  if constexpr (!std::is_void_v<Result>) {
    if (call_observer) [[unlikely]]
      observe_call(module);
    Result y = module.forward(std::forward<Args>(args)...);
    if (call_observer) [[unlikely]] {
      if constexpr (std::is_convertible_v<Result&, const AnyTensor&>)
        observe_result(module, y);
      else
        observe_result(module, shown(y));
    }
    if constexpr (std::is_reference_v<Result>)
      return static_cast<Result>(y);
    else
      return y;
  } else {
    return module.forward(std::forward<Args>(args)...);
  }
}

}  // namespace detail

/// One entry of a list of members: where it is, how large, and how to walk it.
class Member {
 public:
  Member() = default;
  Member(Parameter& p) : Member(&p, sizeof p, visit_parameter) {}
  Member(Buffer& b) : Member(&b, sizeof b, visit_buffer) {}
  template <class M>
  requires std::is_base_of_v<Module, M> Member(M& module) : Member(&module, sizeof module, visit_module<M>) {}
  /// Several of anything that can be a member: "blocks.0", "blocks.1", ...
  template <class M> Member(std::vector<M>& list) : Member(&list, sizeof list, visit_list<M>) {}
  template <class M> Member(std::optional<M>& maybe) : Member(&maybe, sizeof maybe, visit_held<std::optional<M>>) {}
  template <class M> Member(std::unique_ptr<M>& owner) : Member(&owner, sizeof owner, visit_held<std::unique_ptr<M>>) {}

  const void* address = nullptr;
  size_t size = 0;
  const char* name = nullptr;  // where it is not the member's own
  void (*visit)(const void*, Visitor&, const std::string& name) = nullptr;

 private:
  Member(const void* address, size_t size, void (*visit)(const void*, Visitor&, const std::string&))
      : address(address), size(size), visit(visit) {}
  static void visit_parameter(const void* p, Visitor& visitor, const std::string& name);
  static void visit_buffer(const void* b, Visitor& visitor, const std::string& name);
  static void walk(Module& module, Visitor& visitor, const std::string& name);
  template <class M> static void visit_module(const void* m, Visitor& visitor, const std::string& name) {
    walk(*static_cast<M*>(const_cast<void*>(m)), visitor, name);
  }
  template <class M> static void visit_list(const void* list, Visitor& visitor, const std::string& name) {
    size_t i = 0;
    for (M& m : *static_cast<std::vector<M>*>(const_cast<void*>(list))) {
      Member member(m);
      member.visit(member.address, visitor, name + "." + std::to_string(i++));
    }
  }
  template <class P> static void visit_held(const void* p, Visitor& visitor, const std::string& name) {
    if (auto& held = *static_cast<P*>(const_cast<void*>(p))) {
      Member member(*held);
      member.visit(member.address, visitor, name);
    }
  }
};
/// A member under another name than its own, such as one that C++ does not allow: GRADUS_MEMBERS(nn::named("0", first), ...).
template <class M> Member named(const char* name, M& m) {
  Member member(m);
  member.name = name;
  return member;
}

namespace detail {
/// `names` is the text of the list, `members` begins with an empty entry. With `check`, throws ValueError for a parameter, buffer or
/// module that lives within the `bytes` at `whole`, the module's most derived object, and is not in the list.
void visit_list(Module& module, const void* whole, size_t bytes, bool check, const char* names, const Member* members, size_t count,
                Visitor& visitor, const std::string& prefix);
#ifdef NDEBUG
inline constexpr bool kCheckMembers = false;
#else
inline constexpr bool kCheckMembers = true;
#endif
}  // namespace detail

/// Every module's parameters, buffers and modules, once. Makes the module callable: net(x) is net.forward(x). In debug builds a member
/// that is left out raises an error at the first walk.
#define GRADUS_MEMBERS(...)                                                                                                  \
  void visit_members(::gradus::nn::Visitor& visitor, const ::std::string& prefix) override {                                 \
    const ::gradus::nn::Member members[] = {::gradus::nn::Member() __VA_OPT__(, ) __VA_ARGS__};                              \
    ::gradus::nn::detail::visit_list(*this, this, sizeof(*this), ::gradus::nn::detail::kCheckMembers, #__VA_ARGS__, members, \
                                     sizeof(members) / sizeof(*members), visitor, prefix);                                   \
  }                                                                                                                          \
  template <class... GradusArgs> decltype(auto) operator()(GradusArgs&&... args) {                                           \
    return ::gradus::nn::detail::call(*this, static_cast<GradusArgs&&>(args)...);                                            \
  }                                                                                                                          \
  template <class... GradusArgs> decltype(auto) operator()(GradusArgs&&... args) const {                                     \
    return ::gradus::nn::detail::call(*this, static_cast<GradusArgs&&>(args)...);                                            \
  }

}  // namespace gradus::nn
