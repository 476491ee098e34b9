// Modules made of modules.
#pragma once
#include <functional>

#include "gradus/nn/layer.h"

namespace gradus::nn {

namespace detail {
/// A module whose type is forgotten: what Sequential holds.
class AnyModule {
 public:
  virtual ~AnyModule() = default;
  virtual AnyTensor call(const AnyTensor& x) = 0;
  virtual std::unique_ptr<AnyModule> clone() const = 0;
  /// Assigns, if the other is of the same type.
  virtual bool assign(const AnyModule& other) = 0;
  virtual Module& module() = 0;
};
[[noreturn]] void no_forward(const Module& module, DType dtype);
[[noreturn]] void undefined(const Module& module);

template <class M> class HeldModule final : public AnyModule {
 public:
  explicit HeldModule(M module) : held(std::move(module)) {}
  AnyTensor call(const AnyTensor& x) override {
    if constexpr (requires { held.forward(x); }) {
      return held(x);
    } else if constexpr (requires { held.forward(Tensor<float>()); }) {  // a template on the type of the activations
      if (!x.defined()) undefined(held);
      switch (x.dtype()) {
        case DType::float32: return held(Tensor<float>(x));
        case DType::float64: return typed<double>(x);
        case DType::float16: return typed<half>(x);
        case DType::bfloat16: return typed<bfloat16>(x);
        default: no_forward(held, x.dtype());
      }
    } else {
      if (!x.defined()) undefined(held);
      return typed<int64_t>(x);
    }
  }
  std::unique_ptr<AnyModule> clone() const override { return std::make_unique<HeldModule>(held); }
  bool assign(const AnyModule& other) override {
    auto* same = dynamic_cast<const HeldModule*>(&other);
    if (same) held = same->held;
    return same;
  }
  Module& module() override { return held; }
  M held;

 private:
  template <class T> AnyTensor typed(const AnyTensor& x) {
    if constexpr (requires { held.forward(Tensor<T>()); })
      return held(Tensor<T>(x));
    else
      no_forward(held, x.dtype());
  }
};
}  // namespace detail

/// One module after the other; parameters are named "0.weight", "2.bias". Modules of any kind: those of this library, and own ones whose
/// forward takes one tensor. A copy has copies of them all.
///   nn::Sequential net(nn::Linear(2, 8), nn::ReLU(), nn::Linear(8, 1));
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class First, class... Rest>
  requires(std::is_base_of_v<Module, First> && (std::is_base_of_v<Module, Rest> && ...) &&
           !(sizeof...(Rest) == 0 && std::is_same_v<First, Sequential>)) explicit Sequential(First first, Rest... rest) {
    push_back(std::move(first));
    (push_back(std::move(rest)), ...);
  }
  Sequential(const Sequential& o);
  Sequential(Sequential&&) = default;
  Sequential& operator=(const Sequential& o);
  Sequential& operator=(Sequential&&) = default;

  template <class M> Sequential& push_back(M module) {
    modules_.push_back(std::make_unique<detail::HeldModule<M>>(std::move(module)));
    return *this;
  }
  size_t size() const { return modules_.size(); }
  /// Throws IndexError.
  Module& operator[](size_t i);
  /// The same with its type, which must be right: net.at<nn::Linear>(0).weight. Throws IndexError, ValueError.
  template <class M> M& at(size_t i) {
    if (M* m = dynamic_cast<M*>(&(*this)[i])) return *m;
    wrong_type(i);
  }

  AnyTensor forward(AnyTensor x) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x) const { return Tensor<T>(forward(static_cast<const AnyTensor&>(x))); }
  void visit_members(Visitor& visitor, const std::string& prefix) override;
  template <class X> auto operator()(const X& x) const { return detail::call(*this, x); }

 private:
  [[noreturn]] void wrong_type(size_t i);
  std::vector<std::unique_ptr<detail::AnyModule>> modules_;
};

/// Several modules of one kind, called one by one by whoever holds them: "blocks.0.weight", ...
///   nn::ModuleList<Block> blocks;
///   for (int i = 0; i < 12; ++i) blocks.emplace_back(width, heads);
template <class M> class ModuleList : public Module {
 public:
  ModuleList() = default;
  ModuleList(std::initializer_list<M> modules) : list_(modules) {}
  template <class... Args> M& emplace_back(Args&&... args) { return list_.emplace_back(std::forward<Args>(args)...); }
  void push_back(M module) { list_.push_back(std::move(module)); }
  size_t size() const { return list_.size(); }
  M& operator[](size_t i) { return list_.at(i); }
  const M& operator[](size_t i) const { return list_.at(i); }
  auto begin() { return list_.begin(); }
  auto end() { return list_.end(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  void visit_members(Visitor& visitor, const std::string& prefix) override {
    size_t i = 0;
    for (M& m : list_) m.visit(visitor, prefix + std::to_string(i++) + ".");
  }

 private:
  std::vector<M> list_;
};

/// A function as a module, for Sequential: nn::Lambda([](const AnyTensor& x) { return x * 2; }).
class Lambda : public Module {
 public:
  explicit Lambda(std::function<AnyTensor(const AnyTensor&)> f) : f_(std::move(f)) {}
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return f_(x); }
  GRADUS_TYPED_FORWARD

 private:
  std::function<AnyTensor(const AnyTensor&)> f_;
};

}  // namespace gradus::nn
