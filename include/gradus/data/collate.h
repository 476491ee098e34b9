// Samples to batches: tensors are stacked, numbers become a tensor, pairs and structs are taken apart member by member.
#pragma once
#include <iterator>
#include <span>
#include <tuple>
#include <vector>

#include "gradus/core/tensor.h"

namespace gradus::data {

namespace detail {

/// (N, ...) from N tensors of one shape and dtype on the CPU. Throws ShapeError, DTypeError.
AnyTensor stack_samples(std::span<const AnyTensor> samples);
/// The rows `indices` of x, copied. Throws IndexError.
AnyTensor gather_rows(const AnyTensor& x, std::span<const int64_t> indices);
AnyTensor numbers(const void* values, int64_t count, DType dtype);

template <class S> inline constexpr bool is_tensor = std::is_base_of_v<AnyTensor, S>;
template <class S> concept TupleLike = requires { std::tuple_size<S>::value; };

// How many members a plain struct has: the largest number of initialisers that it takes.
struct Anything {
  template <class T> operator T() const;
};
template <class S, class... A> constexpr int member_count() {
  if constexpr (requires { S{A{}..., Anything{}}; })
    return member_count<S, A..., Anything>();
  else
    return sizeof...(A);
}
template <class S> auto members(S&& s) {
  constexpr int n = member_count<std::remove_cvref_t<S>>();
  static_assert(n >= 1 && n <= 5, "a sample that is a struct has one to five members; else give the loader a collate function");
  if constexpr (n == 1) {
    auto&& [a] = s;
    return std::make_tuple(std::move(a));
  } else if constexpr (n == 2) {
    auto&& [a, b] = s;
    return std::make_tuple(std::move(a), std::move(b));
  } else if constexpr (n == 3) {
    auto&& [a, b, c] = s;
    return std::make_tuple(std::move(a), std::move(b), std::move(c));
  } else if constexpr (n == 4) {
    auto&& [a, b, c, d] = s;
    return std::make_tuple(std::move(a), std::move(b), std::move(c), std::move(d));
  } else {
    auto&& [a, b, c, d, e] = s;
    return std::make_tuple(std::move(a), std::move(b), std::move(c), std::move(d), std::move(e));
  }
}

// The element type of the tensor that numbers of type S become.
template <class S> struct NumberType { using type = S; };
template <class S>
requires(std::is_integral_v<S> && !Element<S>) struct NumberType<S> {
  using type = int64_t;
};

}  // namespace detail

/// The default: Tensor<T> of shape S to Tensor<T> of shape (N, S...); numbers to a tensor (N), unsigned ones as int64; pairs and
/// tuples to pairs and tuples, plain structs to tuples; anything else (strings) to a std::vector. Throws ShapeError where tensors
/// differ in shape.
struct Collate {
  template <class S> auto operator()(std::vector<S> samples) const {
    if constexpr (detail::is_tensor<S>) {
      std::vector<AnyTensor> tensors(std::make_move_iterator(samples.begin()), std::make_move_iterator(samples.end()));
      return S(detail::stack_samples(tensors));
    } else if constexpr (std::is_arithmetic_v<S> || Element<S>) {
      using T = typename detail::NumberType<S>::type;
      std::vector<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>> values(samples.begin(), samples.end());
      return Tensor<T>(detail::numbers(values.data(), int64_t(values.size()), dtype_of<T>));
    } else if constexpr (detail::TupleLike<S>) {
      return columns(samples, std::make_index_sequence<std::tuple_size_v<S>>());
    } else if constexpr (std::is_aggregate_v<S>) {
      std::vector<decltype(detail::members(std::declval<S>()))> tuples;
      tuples.reserve(samples.size());
      for (S& sample : samples) tuples.push_back(detail::members(std::move(sample)));
      return (*this)(std::move(tuples));
    } else {
      return samples;
    }
  }

 private:
  template <class S, size_t... k> auto columns(std::vector<S>& samples, std::index_sequence<k...>) const {
    auto column = [&]<size_t at>(std::integral_constant<size_t, at>) {
      std::vector<std::remove_cvref_t<std::tuple_element_t<at, S>>> values;
      values.reserve(samples.size());
      for (S& sample : samples) values.push_back(std::move(std::get<at>(sample)));
      return (*this)(std::move(values));
    };
    if constexpr (requires(S s) { s.first, s.second; })
      return std::pair(column(std::integral_constant<size_t, k>())...);
    else
      return std::tuple(column(std::integral_constant<size_t, k>())...);
  }
};

}  // namespace gradus::data
