// The tensors that one call joins or multiplies: cat({a, b, c}).
#pragma once
#include <type_traits>
#include <vector>

#include "gradus/core/tensor.h"

namespace gradus {

namespace detail {
/// A tensor's T, void of an AnyTensor, which goes with all: whether it should is found out in the call.
template <class X> struct ElementOf { using type = void; };
template <class X>
requires requires { typename X::value_type; }
struct ElementOf<X> {
  using type = typename X::value_type;
};
template <class T, class U> inline constexpr bool kMeet = std::is_void_v<T> || std::is_void_v<U> || std::is_same_v<T, U>;
/// Whether all those of X... whose T is known have the same one.
template <class First = void> constexpr bool one_dtype() { return true; }
template <class First, class Second, class... X> constexpr bool one_dtype() {
  using T = std::conditional_t<std::is_void_v<First>, Second, First>;
  return kMeet<First, Second> && one_dtype<T, X...>();
}
template <class... X> concept Tensors = sizeof...(X) > 0 && (std::is_convertible_v<const X&, AnyTensor> && ...);
template <class... X> concept OfOneDType = Tensors<X...> && one_dtype<typename ElementOf<X>::type...>();
}  // namespace detail

/// What functions of several tensors take, for the time of the call: tensors in braces, or a vector. Typed ones of two dtypes do not compile.
class TensorList {
 public:
  TensorList() : list_(own_) {}
  TensorList(const std::vector<AnyTensor>& list) : list_(list) {}
  template <class... X>
  requires detail::OfOneDType<X...> TensorList(const X&... tensors) : own_{tensors...}, list_(own_) {}
  template <class... X>
  requires(detail::Tensors<X...> && !detail::OfOneDType<X...>) TensorList(const X&... of_two_dtypes)
  = delete;
  TensorList(const TensorList&) = delete;

  operator const std::vector<AnyTensor>&() const { return list_; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  const AnyTensor& operator[](size_t i) const { return list_[i]; }

 private:
  std::vector<AnyTensor> own_;
  const std::vector<AnyTensor>& list_;
};

}  // namespace gradus
