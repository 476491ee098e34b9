// Tensor<T>: AnyTensor with the dtype in the type. No state of its own; every op forwards to the one compiled on AnyTensor.
#pragma once
#include <initializer_list>
#include <span>
#include <vector>

#include "gradus/core/any_tensor.h"

namespace gradus {

namespace detail {
/// A number or a list of such: {{1, 2}, {3, 4}}.
template <class T> struct NestedList {
  T value{};
  const NestedList* children = nullptr;
  size_t count = 0;
  template <class S>
  requires std::is_arithmetic_v<S> NestedList(S s) : value(T(s)) {}
  NestedList(T s) requires(!std::is_arithmetic_v<T>) : value(s) {}
  NestedList(std::initializer_list<NestedList> list) : count(list.size()), is_list(true) {
    children = list.begin();  // lives as long as the expression that the whole list stands in
  }
  bool is_list = false;
};
AnyTensor from_values(const void* values, size_t count, const Shape& shape, DType dtype);
[[noreturn]] void fail_ragged();
[[noreturn]] void fail_dtype(DType wanted, DType got);
}  // namespace detail

template <Element T> class Tensor : public AnyTensor {
 public:
  using value_type = T;
  Tensor() = default;
  /// The same tensor with its dtype in the type. Throws DTypeError where that is another.
  explicit Tensor(AnyTensor x) : AnyTensor(std::move(x)) {
    if (defined() && dtype() != dtype_of<T>) [[unlikely]]
      detail::fail_dtype(dtype_of<T>, dtype());
  }
  /// From values: Tensor<float> x = {{1, 2}, {3, 4}}. Throws ShapeError for rows of different lengths.
  Tensor(std::initializer_list<detail::NestedList<T>> list) : Tensor(from_list(list)) {}
  /// A copy of values, in `shape` or as one row.
  explicit Tensor(std::span<const T> values)
      : Tensor(detail::from_values(values.data(), values.size(), {int64_t(values.size())}, dtype_of<T>)) {}
  Tensor(std::span<const T> values, const Shape& shape)
      : Tensor(detail::from_values(values.data(), values.size(), shape, dtype_of<T>)) {}

  /// The first element. Rows lie behind it only where is_contiguous().
  T* data() const { return static_cast<T*>(raw_data()); }
  /// The only element.
  T item() const {
    if constexpr (std::is_same_v<T, int64_t>)
      return integer_item();
    else
      return T(AnyTensor::item());
  }
  /// All elements in row-major order.
  std::vector<T> vector() const {
    AnyTensor x = detach().to(kCPU).contiguous();
    const T* p = static_cast<const T*>(x.raw_data());
    return std::vector<T>(p, p + x.numel());
  }

  template <class I> Indexed<Tensor> operator[](const I& i);
  template <class I> const Tensor operator[](const I& i) const;
  template <IndexLike... I> Indexed<Tensor> operator()(const I&... i);
  template <IndexLike... I> const Tensor operator()(const I&... i) const;

  template <Element U> Tensor<U> to() const { return Tensor<U>(AnyTensor::to(dtype_of<U>)); }
  Tensor to(Device device) const { return Tensor(AnyTensor::to(device)); }
  AnyTensor to(DType dtype) const { return AnyTensor::to(dtype); }
  Tensor grad() const { return Tensor(AnyTensor::grad()); }
  Tensor& requires_grad_(bool wanted = true) {
    AnyTensor::requires_grad_(wanted);
    return *this;
  }
  Tensor detach() const { return Tensor(AnyTensor::detach()); }
  Tensor clone() const { return Tensor(AnyTensor::clone()); }
  Tensor contiguous() const { return Tensor(AnyTensor::contiguous()); }
  Tensor reshape(const Shape& shape) const { return Tensor(AnyTensor::reshape(shape)); }
  Tensor view(const Shape& shape) const { return Tensor(AnyTensor::view(shape)); }
  Tensor flatten(int64_t start = 0, int64_t end = -1) const { return Tensor(AnyTensor::flatten(start, end)); }
  Tensor squeeze() const { return Tensor(AnyTensor::squeeze()); }
  Tensor squeeze(int64_t axis) const { return Tensor(AnyTensor::squeeze(axis)); }
  Tensor unsqueeze(int64_t axis) const { return Tensor(AnyTensor::unsqueeze(axis)); }
  Tensor transpose(int64_t a, int64_t b) const { return Tensor(AnyTensor::transpose(a, b)); }
  Tensor t() const { return Tensor(AnyTensor::t()); }
  Tensor permute(const Shape& axes) const { return Tensor(AnyTensor::permute(axes)); }
  Tensor expand(const Shape& shape) const { return Tensor(AnyTensor::expand(shape)); }
  Tensor narrow(int64_t axis, int64_t start, int64_t length) const { return Tensor(AnyTensor::narrow(axis, start, length)); }
  Tensor select(int64_t axis, int64_t index) const { return Tensor(AnyTensor::select(axis, index)); }
  Tensor slice(int64_t axis, int64_t start, int64_t end, int64_t step = 1) const {
    return Tensor(AnyTensor::slice(axis, start, end, step));
  }
  auto sum(const Axes& axes = {}, bool keepdim = false) const {
    return Tensor<std::conditional_t<std::is_integral_v<T>, int64_t, T>>(AnyTensor::sum(axes, keepdim));
  }
  Tensor mean(const Axes& axes = {}, bool keepdim = false) const { return Tensor(AnyTensor::mean(axes, keepdim)); }
  Tensor& copy_(const Tensor& source) {
    AnyTensor::copy_(source);
    return *this;
  }
  Tensor& fill_(Scalar value) {
    AnyTensor::fill_(value);
    return *this;
  }
  Tensor& zero_() { return fill_(0); }
  using AnyTensor::add_, AnyTensor::mul_;  // for operands whose dtype only the run shows
  Tensor& add_(const Tensor& other, Scalar alpha = 1) {
    AnyTensor::add_(other, alpha);
    return *this;
  }
  Tensor& mul_(const Tensor& other) {
    AnyTensor::mul_(other);
    return *this;
  }
  Tensor& mul_(Scalar other) {
    AnyTensor::mul_(other);
    return *this;
  }
  template <Element U>
  requires(!std::is_same_v<T, U>) Tensor& add_(const Tensor<U>& other, Scalar alpha = 1) = delete;
  template <Element U>
  requires(!std::is_same_v<T, U>) Tensor& mul_(const Tensor<U>& other) = delete;

 private:
  int64_t integer_item() const;
  static Tensor from_list(std::initializer_list<detail::NestedList<T>> list) {
    Shape shape;
    std::vector<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>> values;
    const detail::NestedList<T>* first = list.begin();
    size_t count = list.size();
    for (bool more = true; more;) {
      shape.push_back(int64_t(count));
      more = count > 0 && first->is_list;
      if (more) count = first->count, first = first->children;
    }
    collect(list.begin(), list.size(), 0, shape, values);
    return Tensor(detail::from_values(values.data(), values.size(), shape, dtype_of<T>));
  }
  template <class V>
  static void collect(const detail::NestedList<T>* list, size_t count, int depth, const Shape& shape, V& values) {
    if (int64_t(count) != shape[depth]) detail::fail_ragged();
    for (size_t i = 0; i < count; ++i) {
      bool last = depth + 1 == shape.rank;
      if (list[i].is_list == last) detail::fail_ragged();
      if (last)
        values.push_back(list[i].value);
      else
        collect(list[i].children, list[i].count, depth + 1, shape, values);
    }
  }
};
static_assert(sizeof(Tensor<float>) == sizeof(AnyTensor) && sizeof(AnyTensor) == sizeof(void*));

template <Element T> int64_t Tensor<T>::integer_item() const {
  AnyTensor::item();  // checks
  return vector()[0];
}

extern template class Tensor<float>;
extern template class Tensor<double>;
extern template class Tensor<half>;
extern template class Tensor<bfloat16>;
extern template class Tensor<int8_t>;
extern template class Tensor<int16_t>;
extern template class Tensor<int32_t>;
extern template class Tensor<int64_t>;
extern template class Tensor<uint8_t>;
extern template class Tensor<bool>;

}  // namespace gradus

#include "gradus/core/index.h"
