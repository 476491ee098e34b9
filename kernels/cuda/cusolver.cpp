// Decompositions through cuSOLVER, a matrix at a time. It stores columns: a row-major matrix is to it the transposed one, which serves as it
// lies where the matrix is symmetric or where both of a pair of factors are asked for; the others are turned on their way.
#include "gradus/core/error.h"
#include "kernels/cuda/linalg.h"

#if __has_include(<cusolverDn.h>)
#include <cusolverDn.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "gradus/core/scalar.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/scratch.h"
#include "kernels/recording.h"
#include "kernels/table.h"

namespace gradus::cuda {

void copy(const Array& y, const Array& x);
void fill(const Array& y, Scalar value);
void triangle(const Array& y, const Array& x, int64_t diagonal, bool upper);

namespace {

struct CuSolver : Library {
  CuSolver() : Library("libcusolver.so." GRADUS_TEXT_OF(CUSOLVER_VER_MAJOR)) {}
#define GRADUS_FUNCTION(name) decltype(&::cusolverDn##name) name = find<decltype(&::cusolverDn##name)>("cusolverDn" #name)
  GRADUS_FUNCTION(Create);
  GRADUS_FUNCTION(CreateParams);
  GRADUS_FUNCTION(SetStream);
  GRADUS_FUNCTION(Xpotrf_bufferSize);
  GRADUS_FUNCTION(Xpotrf);
  GRADUS_FUNCTION(SpotrfBatched);
  GRADUS_FUNCTION(DpotrfBatched);
  GRADUS_FUNCTION(Xgetrf_bufferSize);
  GRADUS_FUNCTION(Xgetrf);
  GRADUS_FUNCTION(Xgeqrf_bufferSize);
  GRADUS_FUNCTION(Xgeqrf);
  GRADUS_FUNCTION(Sorgqr_bufferSize);
  GRADUS_FUNCTION(Sorgqr);
  GRADUS_FUNCTION(Dorgqr_bufferSize);
  GRADUS_FUNCTION(Dorgqr);
  GRADUS_FUNCTION(Xsyevd_bufferSize);
  GRADUS_FUNCTION(Xsyevd);
  GRADUS_FUNCTION(Xgesvd_bufferSize);
  GRADUS_FUNCTION(Xgesvd);
#undef GRADUS_FUNCTION
};

constexpr int64_t kSmall = 512;           // matrices that leave most of a GPU idle when they come one by one
constexpr int64_t kMostAtOnce = 1 << 16;  // of them

struct Handle {
  cusolverDnHandle_t library = nullptr;
  cusolverDnParams_t parameters = nullptr;
};

/// The library for the time of one op: a handle has one stream, so threads take turns.
class Solver {
 public:
  Solver(const char* op, const Array& x)
      : lib(library(op)), type(x.dtype == DType::float64 ? CUDA_R_64F : CUDA_R_32F), op_(op), x_(x), lock_(mutex()) {
    if (Recording* r = Recording::current()) r->op = op;  // not the copy before it
    refuse_while_recording("decomposes matrices by cuSOLVER, whose calls may wait for the GPU");
    static std::unordered_map<int, Handle> handles;
    Handle& h = handles[selected_device()];
    if (!h.library) {
      cusolverStatus_t status;
      if (!with_room([&] { return (status = lib.Create(&h.library)) == CUSOLVER_STATUS_SUCCESS; }))
        h.library = nullptr, check(status);
    }
    if (!h.parameters) check(lib.CreateParams(&h.parameters));
    check(lib.SetStream(h.library, stream()));
    handle = h.library, parameters = h.parameters;
  }
  /// run(i, memory on the device, its bytes, on the host, its bytes) for each matrix; size(&device bytes, &host bytes) comes first.
  template <class Size, class Run> void each(int64_t batch, Size size, Run run) {
    size_t on_device = 0, on_host = 0;
    check(size(&on_device, &on_host));
    const Scratch device(std::max<size_t>(on_device, 1));
    std::vector<char> host(std::max<size_t>(on_host, 1));
    for (int64_t i = 0; i < batch; ++i) check(run(i, device.as<void>(), on_device, host.data(), on_host));
  }
  void check(cusolverStatus_t status) const {
    if (status != CUSOLVER_STATUS_SUCCESS)
      throw Error(described(op_, {&x_}) + ": cuSOLVER fails with status " + std::to_string(status));
  }

  const CuSolver& lib;
  const cudaDataType type;
  cusolverDnHandle_t handle;
  cusolverDnParams_t parameters;

 private:
  static const CuSolver& library(const char* op) {
    static const CuSolver once;
    if (!once) throw Error(std::string(op) + ": " + once.missing() + "; move the tensors with to(Device(\"cpu\"))");
    return once;
  }
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  const char* op_;
  const Array& x_;
  std::lock_guard<std::mutex> lock_;
};

/// Matrices of x's batch with memory of their own, by rows or by columns.
struct Batch {
  int64_t shape[kMaxRank], stride[kMaxRank];
  std::optional<Scratch> memory;
  Array view;
  Batch(const Array& x, int64_t rows, int64_t columns, bool by_columns)
      : view{nullptr, x.dtype, !by_columns, x.rank, 1, shape, stride} {
    std::copy(x.shape, x.shape + x.rank, shape);
    shape[x.rank - 2] = rows, shape[x.rank - 1] = columns;
    for (int d = x.rank - 1; d >= 0; --d) stride[d] = view.count, view.count *= shape[d];
    if (by_columns) turn();
    memory.emplace(std::max<size_t>(size_t(view.count), 1) * item_size(x.dtype));
    view.data = memory->as<void>();
  }
  Batch(const Batch&) = delete;
  /// The same memory, its rows for columns; of square ones.
  void turn() { stride[view.rank - 2] = 1, stride[view.rank - 1] = shape[view.rank - 2], view.contiguous = false; }
};

/// A number for each matrix of x.
struct Largest {
  const Scratch memory;
  const Array view;
  Largest(const Array& x, int64_t batch)
      : memory(size_t(batch) * item_size(x.dtype)), view{memory.as<void>(), x.dtype, true, 1, batch, nullptr, nullptr} {}
};

void* at(const Array& x, int64_t i, int64_t count) { return x.as<char>() + i * count * int64_t(item_size(x.dtype)); }

}  // namespace

/// A lower triangle by rows is an upper one by columns.
void linalg_cholesky(const Array& l, const Array& info, const Array& a) {
  const int64_t n = a.size(-1), batch = batch_of(a, 2);
  if (l.count == 0) return fill(info, 0);
  triangle(l, a, 0, false);
  Solver s("cholesky", a);
  if (batch > 1 && n <= kSmall) {
    const Scratch places(size_t(batch) * sizeof(void*));
    list_matrices("cholesky", places.as<void*>(), l);
    for (int64_t at = 0; at < batch; at += kMostAtOnce) {
      const int size = int(n), count = int(std::min(batch - at, kMostAtOnce));
      int* failed = info.as<int32_t>() + at;
      s.check(a.dtype == DType::float64
                  ? s.lib.DpotrfBatched(s.handle, CUBLAS_FILL_MODE_UPPER, size, places.as<double*>() + at, size, failed, count)
                  : s.lib.SpotrfBatched(s.handle, CUBLAS_FILL_MODE_UPPER, size, places.as<float*>() + at, size, failed, count));
    }
  } else {
    s.each(
        batch,
        [&](size_t* device, size_t* host) {
          return s.lib.Xpotrf_bufferSize(s.handle, s.parameters, CUBLAS_FILL_MODE_UPPER, n, s.type, l.data, n, s.type, device,
                                         host);
        },
        [&](int64_t i, void* device, size_t bytes, void* host, size_t host_bytes) {
          return s.lib.Xpotrf(s.handle, s.parameters, CUBLAS_FILL_MODE_UPPER, n, s.type, matrix(l, i), n, s.type, device, bytes,
                              host, host_bytes, info.as<int32_t>() + i);
        });
  }
  triangle(l, l, 0, false);  // the library may have used what lies beyond the factor
  note_unfinite("cholesky", info, l, n, n * n, n + 1);
}

void linalg_lu(const Array& lu, const Array& pivots, const Array& info, const Array& a) {
  const int64_t m = a.size(-2), n = a.size(-1), count = std::min(m, n), batch = batch_of(a, 2);
  if (lu.count == 0) return fill(info, 0);
  const Batch by_columns(a, m, n, true);
  const Scratch wide(size_t(batch * count) * sizeof(int64_t));
  copy(by_columns.view, a);
  {
    Solver s("lu_factor", a);
    s.each(
        batch,
        [&](size_t* device, size_t* host) {
          return s.lib.Xgetrf_bufferSize(s.handle, s.parameters, m, n, s.type, by_columns.view.data, m, s.type, device, host);
        },
        [&](int64_t i, void* device, size_t bytes, void* host, size_t host_bytes) {
          return s.lib.Xgetrf(s.handle, s.parameters, m, n, s.type, matrix(by_columns.view, i), m, wide.as<int64_t>() + i * count,
                              s.type, device, bytes, host, host_bytes, info.as<int32_t>() + i);
        });
  }
  copy(lu, by_columns.view);
  take_pivots("lu_factor", pivots, wide.as<int64_t>(), m);
}

void linalg_geqrf(const Array& qr, const Array& tau, const Array& a) {
  const int64_t m = a.size(-2), n = a.size(-1), count = std::min(m, n), batch = batch_of(a, 2);
  if (qr.count == 0) return;
  const Batch by_columns(a, m, n, true);
  const Scratch info(sizeof(int32_t));
  copy(by_columns.view, a);
  {
    Solver s("qr", a);
    s.each(
        batch,
        [&](size_t* device, size_t* host) {
          return s.lib.Xgeqrf_bufferSize(s.handle, s.parameters, m, n, s.type, by_columns.view.data, m, s.type, tau.data, s.type,
                                         device, host);
        },
        [&](int64_t i, void* device, size_t bytes, void* host, size_t host_bytes) {
          return s.lib.Xgeqrf(s.handle, s.parameters, m, n, s.type, matrix(by_columns.view, i), m, s.type, at(tau, i, count),
                              s.type, device, bytes, host, host_bytes, info.as<int32_t>());
        });
  }
  copy(qr, by_columns.view);
}

void linalg_orgqr(const Array& q, const Array& qr, const Array& tau) {
  const int64_t m = q.size(-2), n = q.size(-1), count = tau.size(-1), batch = batch_of(q, 2);
  if (q.count == 0) return;
  if (count == 0) return fill_identity("qr", q);
  const Batch by_columns(q, m, n, true);
  const Scratch info(sizeof(int32_t));
  // The reflectors; what stands in the columns beyond them is written only.
  int64_t tails[kMaxRank];
  std::copy(q.shape, q.shape + q.rank, tails);
  tails[q.rank - 1] = count;
  const int64_t items = batch * m * count;
  const Array to{by_columns.view.data, q.dtype, false, q.rank, items, tails, by_columns.stride};
  const Array from{qr.data, q.dtype, false, q.rank, items, tails, qr.stride};
  copy(to, from);
  {
    Solver s("qr", q);
    dispatch_real("qr", q.dtype, [&]<class T>() {
      constexpr bool kDouble = sizeof(T) == 8;
      s.each(
          batch,
          [&](size_t* device, size_t*) {
            int items = 0;
            cusolverStatus_t status;
            const T* reflectors = by_columns.view.as<T>();
            if constexpr (kDouble)
              status = s.lib.Dorgqr_bufferSize(s.handle, int(m), int(n), int(count), reflectors, int(m), tau.as<T>(), &items);
            else
              status = s.lib.Sorgqr_bufferSize(s.handle, int(m), int(n), int(count), reflectors, int(m), tau.as<T>(), &items);
            *device = size_t(items) * sizeof(T);
            return status;
          },
          [&](int64_t i, void* device, size_t bytes, void*, size_t) {
            T *matrix_i = by_columns.view.as<T>() + i * m * n, *work = static_cast<T*>(device);
            const T* scales = tau.as<T>() + i * count;
            const int items = int(bytes / sizeof(T));
            if constexpr (kDouble)
              return s.lib.Dorgqr(s.handle, int(m), int(n), int(count), matrix_i, int(m), scales, work, items, info.as<int32_t>());
            else
              return s.lib.Sorgqr(s.handle, int(m), int(n), int(count), matrix_i, int(m), scales, work, items, info.as<int32_t>());
          });
    });
  }
  copy(q, by_columns.view);
}

/// Vectors lie in its columns, which are rows of ours until they are turned.
void linalg_eigh(const Array& w, const Array& v, const Array& info, const Array& a) {
  const int64_t n = a.size(-1), batch = batch_of(a, 2);
  if (a.count == 0) return fill(info, 0);
  Batch vectors(a, n, n, false);
  copy(vectors.view, a);
  const Largest largest(a, batch);
  clear_unfinite("eigh", largest.view.data, vectors.view);
  const cusolverEigMode_t mode = v ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
  {
    Solver s("eigh", a);
    s.each(
        batch,
        [&](size_t* device, size_t* host) {
          return s.lib.Xsyevd_bufferSize(s.handle, s.parameters, mode, CUBLAS_FILL_MODE_UPPER, n, s.type, vectors.view.data, n,
                                         s.type, w.data, s.type, device, host);
        },
        [&](int64_t i, void* device, size_t bytes, void* host, size_t host_bytes) {
          return s.lib.Xsyevd(s.handle, s.parameters, mode, CUBLAS_FILL_MODE_UPPER, n, s.type, matrix(vectors.view, i), n, s.type,
                              at(w, i, n), s.type, device, bytes, host, host_bytes, info.as<int32_t>() + i);
        });
  }
  note_unfinite("eigh", info, w, n, n, 1), note_unfinite("eigh", info, largest.view, 1, 1, 1);
  vectors.turn();
  if (v) copy(v, vectors.view);
}

/// It takes matrices at least as tall as wide. A wide one is to it the transposed one, whose U and V' are our V' and U as they lie.
void linalg_svd(const Array& u, const Array& s, const Array& vh, const Array& info, const Array& a) {
  const int64_t m = a.size(-2), n = a.size(-1), count = std::min(m, n), tall = std::max(m, n), batch = batch_of(a, 2);
  if (count == 0) {
    if (u) fill_identity("svd", u), fill_identity("svd", vh);
    return fill(info, 0);
  }
  if (a.count == 0) return;
  const bool wide = m <= n;
  const int64_t left_columns = !u ? 0 : wide ? vh.size(-2) : u.size(-1);
  const signed char job = !u ? 'N' : left_columns > count ? 'A' : 'S';
  const Batch in(a, m, n, !wide);
  copy(in.view, a);
  const Largest largest(a, batch);
  clear_unfinite("svd", largest.view.data, in.view);
  std::optional<Batch> left, right;
  if (u && !wide) left.emplace(a, tall, left_columns, true), right.emplace(a, count, count, true);
  const Array its_u = wide ? vh : u ? left->view : Array{}, its_v = wide ? u : u ? right->view : Array{};
  {
    Solver solver("svd", a);
    solver.each(
        batch,
        [&](size_t* device, size_t* host) {
          return solver.lib.Xgesvd_bufferSize(solver.handle, solver.parameters, job, job, tall, count, solver.type, in.view.data,
                                              tall, solver.type, s.data, solver.type, its_u.data, tall, solver.type, its_v.data,
                                              count, solver.type, device, host);
        },
        [&](int64_t i, void* device, size_t bytes, void* host, size_t host_bytes) {
          void *u_i = u ? matrix(its_u, i) : nullptr, *v_i = u ? matrix(its_v, i) : nullptr;
          return solver.lib.Xgesvd(solver.handle, solver.parameters, job, job, tall, count, solver.type, matrix(in.view, i), tall,
                                   solver.type, at(s, i, count), solver.type, u_i, tall, solver.type, v_i, count, solver.type,
                                   device, bytes, host, host_bytes, info.as<int32_t>() + i);
        });
  }
  note_unfinite("svd", info, s, count, count, 1), note_unfinite("svd", info, largest.view, 1, 1, 1);
  if (left) copy(u, left->view), copy(vh, right->view);
}

}  // namespace gradus::cuda

#else  // a toolkit without cuSOLVER

namespace gradus::cuda {
namespace {
[[noreturn]] void absent(const char* op) {
  throw Error(std::string(op) + ": this build of Gradus has no cuSOLVER; move the tensors with to(Device(\"cpu\"))");
}
}  // namespace
void linalg_cholesky(const Array&, const Array&, const Array&) { absent("cholesky"); }
void linalg_lu(const Array&, const Array&, const Array&, const Array&) { absent("lu_factor"); }
void linalg_geqrf(const Array&, const Array&, const Array&) { absent("qr"); }
void linalg_orgqr(const Array&, const Array&, const Array&) { absent("qr"); }
void linalg_eigh(const Array&, const Array&, const Array&, const Array&) { absent("eigh"); }
void linalg_svd(const Array&, const Array&, const Array&, const Array&, const Array&) { absent("svd"); }
}  // namespace gradus::cuda

#endif
