// What a module holds: parameters, which are learned, and buffers, which are not. Both are values: a copy has a tensor of its own.
// Optimizers, hooks and files hold the tensor (`AnyTensor w = net.fc.weight;` is a handle on it), so a module may move.
#pragma once
#include <atomic>

#include "gradus/core/tensor.h"

namespace gradus::nn {

namespace detail {
enum class Tracked : uint8_t { parameter, buffer, module };
/// Remembers where parameters, buffers and modules live, so that one left out of GRADUS_MEMBERS is found. Thread-safe.
void track(const void* address, Tracked what) noexcept;
void untrack(const void* address) noexcept;
}  // namespace detail

/// A tensor that belongs to one module. Copying copies the values; assigning from a copy writes them into the tensor that is already
/// there where it has the same shape, dtype and device, so that an optimizer that holds it goes on; moving hands the tensor over.
class Held : public AnyTensor {
 public:
  /// Puts other values in the place of these, of any shape, dtype and device. All handles follow; what a graph saved of the old values
  /// may no longer be read. The gradient goes.
  void replace(const AnyTensor& values);

 protected:
  explicit Held(detail::Tracked what, AnyTensor tensor = {});
  Held(detail::Tracked what, const Held& o);
  Held(detail::Tracked what, Held&& o) noexcept;
  Held(const Held& o) = delete;
  Held& operator=(const Held& o);
  Held& operator=(Held&& o) noexcept;
  ~Held();
};

/// A leaf that is learned. Its dtype is its own (float unless said otherwise), and it is read in that of the activations with as<T>().
/// A default-made one is absent: the bias of a layer without bias.
///
/// Threads: any number may call as() on one parameter, as long as none writes it.
class Parameter : public Held {
 public:
  Parameter() : Held(detail::Tracked::parameter) {}
  /// Takes the tensor, detached from whatever made it, as a leaf that requires a gradient. Throws DTypeError unless floating point.
  explicit Parameter(const AnyTensor& values);
  Parameter(const Parameter& o);
  Parameter(Parameter&& o) noexcept;
  Parameter& operator=(const Parameter& o);
  Parameter& operator=(Parameter&& o) noexcept;
  ~Parameter();

  /// The parameter in another dtype: a differentiable cast. Its values are kept until the parameter is written; every call has a node of
  /// its own, so that each use belongs to the graph that it is used in.
  AnyTensor as(DType dtype) const;
  /// In the dtype of x. Of an undefined x it is the parameter itself: the op that both are given to says what is wrong.
  AnyTensor as(const AnyTensor& x) const { return x.defined() ? as(x.dtype()) : AnyTensor(*this); }
  template <class T> Tensor<T> as() const { return Tensor<T>(as(dtype_of<T>)); }

 private:
  mutable std::atomic<bool> locked_{false};  // guards what follows, for the moment of a look
  mutable AnyTensor cached_;
  mutable uint32_t cached_version_ = 0;
  mutable uint64_t cached_in_ = 0;  // the number of a recording, whose replays alone make it
};

/// A tensor that is part of a module's state but not learned, such as a running mean. One that is not persistent is left out of files.
class Buffer : public Held {
 public:
  Buffer() : Held(detail::Tracked::buffer) {}
  explicit Buffer(AnyTensor values, bool persistent = true)
      : Held(detail::Tracked::buffer, std::move(values)), persistent_(persistent) {}
  Buffer(const Buffer& o) : Held(detail::Tracked::buffer, static_cast<const Held&>(o)), persistent_(o.persistent_) {}
  Buffer(Buffer&& o) noexcept : Held(detail::Tracked::buffer, static_cast<Held&&>(o)), persistent_(o.persistent_) {}
  Buffer& operator=(const Buffer& o) = default;
  Buffer& operator=(Buffer&& o) noexcept = default;
  bool persistent() const { return persistent_; }

 private:
  bool persistent_ = true;
};

}  // namespace gradus::nn
