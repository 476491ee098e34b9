// Indexing as in NumPy, for reading and for writing:
//     x[0]                      the first along axis 0; x[-1] the last
//     x(0, _, slice(1, 3))      an index, a whole axis, a range; slice(_, _, 2) every second; slice(_, _, -1) reversed
//     x(ellipsis, newaxis)      as many whole axes as there are; a new axis of size 1
//     x(x > 0)                  where a mask is true
//     x(rows, columns)          by integer tensors, which broadcast
//     x(0, _) = 1;  x(mask) = 0;  x[2] += y;
// Numbers, ranges and new axes read as views; masks, index tensors and reversed ranges read as copies. An assignment writes into x
// itself and is recorded there. Variables are tensors of their own: `Tensor<float> row = x[0]; row = y;` leaves x as it was.
#pragma once
#include <memory>

#include "gradus/core/tensor.h"

namespace gradus {

/// A whole axis, or an end of a range that is left open.
struct All {};
inline constexpr All _{};
struct Ellipsis {};
inline constexpr Ellipsis ellipsis{};
struct NewAxis {};
inline constexpr NewAxis newaxis{};

/// One end of a range.
struct Bound {
  bool given = false;
  int64_t at = 0;
  constexpr Bound(All) {}
  template <class I>
  requires(std::is_integral_v<I> && !std::is_same_v<I, bool>) constexpr Bound(I i) : given(true), at(int64_t(i)) {}
};
struct Slice {
  Bound start = _, end = _;
  int64_t step = 1;
};
constexpr Slice slice(Bound end) { return {_, end, 1}; }
constexpr Slice slice(Bound start, Bound end, int64_t step = 1) { return {start, end, step}; }

/// Anything that an axis can be indexed with.
struct Index {
  enum class Kind : uint8_t { number, range, ellipsis, newaxis, tensor } kind;
  int64_t number = 0;
  Slice range;
  AnyTensor tensor;
  template <class I>
  requires(std::is_integral_v<I> && !std::is_same_v<I, bool>) Index(I i) : kind(Kind::number), number(int64_t(i)) {}
  Index(All) : kind(Kind::range) {}
  Index(Slice s) : kind(Kind::range), range(s) {}
  Index(Ellipsis) : kind(Kind::ellipsis) {}
  Index(NewAxis) : kind(Kind::newaxis) {}
  Index(const AnyTensor& x) : kind(Kind::tensor), tensor(x) {}
};

namespace detail {
struct Place;  // where an indexed tensor lies in the one that is written
struct Taken {
  AnyTensor value;
  std::shared_ptr<const Place> place;
};
AnyTensor read_index(const AnyTensor& x, const Index* list, size_t count);
/// `outer`: where x lies itself, if it is a temporary; may be null.
Taken take_index(const AnyTensor& x, const std::shared_ptr<const Place>& outer, const Index* list, size_t count);
void assign_index(const Place& place, const AnyTensor& value);
void assign_index(const Place& place, Scalar value);
}  // namespace detail

/// What indexing gives: a tensor, which while it has no name can also be assigned to.
template <class Base> class Indexed : public Base {
 public:
  explicit Indexed(detail::Taken taken) : Base(std::move(taken.value)), place_(std::move(taken.place)) {}
  Indexed(const Indexed&) = default;
  Indexed(Indexed&&) = default;

  // Only for x(...) itself. A variable is no place in x: give it the type Tensor<T> to assign to it.
  void operator=(const Base& value) && { detail::assign_index(*place_, value); }
  void operator=(const Indexed& value) && { detail::assign_index(*place_, value); }
  void operator=(Indexed&& value) && { detail::assign_index(*place_, value); }
  void operator=(Scalar value) && { detail::assign_index(*place_, value); }
  template <class U>
  requires(!std::is_base_of_v<Tensor<U>, Base> && !std::is_same_v<Base, AnyTensor>) void operator=(const Tensor<U>&) && = delete;
  // A gradient may read what was there before: hence the clone.
#define GRADUS_INDEXED_OPERATOR(symbol)                                                                       \
  void operator symbol##=(const Base& value)&& { detail::assign_index(*place_, this->clone() symbol value); } \
  void operator symbol##=(Scalar value)&& { detail::assign_index(*place_, this->clone() symbol value); }
  GRADUS_INDEXED_OPERATOR(+)
  GRADUS_INDEXED_OPERATOR(-)
  GRADUS_INDEXED_OPERATOR(*)
  GRADUS_INDEXED_OPERATOR(/)
#undef GRADUS_INDEXED_OPERATOR

  template <class I> Indexed operator[](const I& i) && {
    const Index list[] = {Index(i)};
    return Indexed(detail::take_index(*this, place_, list, 1));
  }
  template <class... I> Indexed operator()(const I&... i) && {
    const Index list[] = {Index(i)...};
    return Indexed(detail::take_index(*this, place_, list, sizeof...(i)));
  }
  template <class I> Indexed operator[](const I& i) & { return static_cast<Base&>(*this)[i]; }
  template <class... I> Indexed operator()(const I&... i) & { return static_cast<Base&>(*this)(i...); }
  template <class I> const Base operator[](const I& i) const& { return static_cast<const Base&>(*this)[i]; }
  template <class... I> const Base operator()(const I&... i) const& { return static_cast<const Base&>(*this)(i...); }

 private:
  std::shared_ptr<const detail::Place> place_;
};

template <class I> Indexed<AnyTensor> AnyTensor::operator[](const I& i) {
  const Index list[] = {Index(i)};
  return Indexed<AnyTensor>(detail::take_index(*this, nullptr, list, 1));
}
template <class I> const AnyTensor AnyTensor::operator[](const I& i) const {
  const Index list[] = {Index(i)};
  return detail::read_index(*this, list, 1);
}
template <IndexLike... I> Indexed<AnyTensor> AnyTensor::operator()(const I&... i) {
  const Index list[] = {Index(i)...};
  return Indexed<AnyTensor>(detail::take_index(*this, nullptr, list, sizeof...(i)));
}
template <IndexLike... I> const AnyTensor AnyTensor::operator()(const I&... i) const {
  const Index list[] = {Index(i)...};
  return detail::read_index(*this, list, sizeof...(i));
}
template <Element T> template <class I> Indexed<Tensor<T>> Tensor<T>::operator[](const I& i) {
  const Index list[] = {Index(i)};
  return Indexed<Tensor>(detail::take_index(*this, nullptr, list, 1));
}
template <Element T> template <class I> const Tensor<T> Tensor<T>::operator[](const I& i) const {
  const Index list[] = {Index(i)};
  return Tensor(detail::read_index(*this, list, 1));
}
template <Element T> template <IndexLike... I> Indexed<Tensor<T>> Tensor<T>::operator()(const I&... i) {
  const Index list[] = {Index(i)...};
  return Indexed<Tensor>(detail::take_index(*this, nullptr, list, sizeof...(i)));
}
template <Element T> template <IndexLike... I> const Tensor<T> Tensor<T>::operator()(const I&... i) const {
  const Index list[] = {Index(i)...};
  return Tensor(detail::read_index(*this, list, sizeof...(i)));
}

}  // namespace gradus
