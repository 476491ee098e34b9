// What every op needs: checks that name the op, tensors as kernels see them, and the way to a kernel.
#pragma once
#include "gradus/autograd/node.h"
#include "gradus/core/any_tensor.h"
#include "kernels/table.h"
#include "src/core/message.h"
#include "src/core/recording.h"

namespace gradus {

/// The dtype that kernels compute in.
inline DType accumulate_dtype(DType t) { return is_half(t) ? DType::float32 : t; }

/// f of the tensors, for half types in float: a sum whose terms nearly cancel would keep the rounding of what it was made of.
template <class F, class... Xs> AnyTensor in_float(const F& f, const AnyTensor& x, const Xs&... xs) {
  if (!is_half(x.dtype())) return f(x, xs...);
  return f(x.to(DType::float32), xs.to(DType::float32)...).to(x.dtype());
}

/// x as a kernel sees it; valid while x lives. An undefined tensor is an absent operand.
inline Array array(const AnyTensor& x) {
  if (!x.defined()) return {};
  const Impl& i = *x.impl();
  return {i.data, i.dtype, i.contiguous, i.shape.rank, i.count, i.shape.size, i.stride.size};
}

/// The kernel of x's device; an error that names op, device and dtype where the backend has none.
template <class F> F* kernel(const char* op, F* KernelTable::*member, const AnyTensor& x) {
  if (Recording::current()) [[unlikely]]
    note_op(op, x.device());
  F* f = kernels(x.device()).*member;
  if (!f) fail<DeviceError>(op, ": no ", x.device(), " kernel for ", x.dtype(), "; move the tensors with to(Device(\"cpu\"))");
  return f;
}

// Checks. Each throws an error that begins with the op's name and says the way out.
inline void check_defined(const char* op, const AnyTensor& x) {
  if (!x.defined()) [[unlikely]]
    fail<ValueError>(op, ": got an undefined tensor");
}
/// All defined ones on one device and of one dtype.
void check_same(const char* op, const AnyTensor& a, const AnyTensor& b);
void check_float(const char* op, const AnyTensor& x);
void check_dtype(const char* op, const char* what, const AnyTensor& x, DType wanted);
void check_rank(const char* op, const char* what, const AnyTensor& x, int rank);
/// The axis counted from the front. Throws ShapeError outside [-rank, rank). A scalar counts as having one axis.
int axis_of(const char* op, int64_t axis, int rank);
/// As flags per axis. Throws ShapeError for an axis out of range or named twice.
struct AxisSet {
  bool has[Shape::kMaxRank] = {};
  int count = 0;
};
AxisSet axes_of(const char* op, const Axes& axes, int rank);
/// The shape of a reduction's result.
Shape reduced_shape(const Shape& shape, const AxisSet& axes, bool keepdim);

/// Records an op that has no gradient: backward that reaches its output raises, naming it. `op` is a literal.
void record_without_gradient(const char* op, AnyTensor& output, const Inputs& inputs);

/// x itself if row-major without gaps, else a copy; not recorded.
AnyTensor dense(const AnyTensor& x);
/// x with the order of axes in memory of `like`, which has its shape and is dense: itself or a copy; not recorded.
AnyTensor laid_out_as(const AnyTensor& x, const AnyTensor& like);

}  // namespace gradus
