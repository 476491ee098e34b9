// In cuSOLVER's place on an emulated GPU: its functions by their documentation, computed by LAPACK when the stream comes to them. Memory that they
// may use for themselves holds NaN afterwards, and so does what they are said to destroy.
#include <cusolverDn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "tests/emulator/libraries/stand_in.h"

extern "C" {  // of LAPACK
void spotrf_(const char*, const int*, float*, const int*, int*);
void dpotrf_(const char*, const int*, double*, const int*, int*);
void sgetrf_(const int*, const int*, float*, const int*, int*, int*);
void dgetrf_(const int*, const int*, double*, const int*, int*, int*);
void sgeqrf_(const int*, const int*, float*, const int*, float*, float*, const int*, int*);
void dgeqrf_(const int*, const int*, double*, const int*, double*, double*, const int*, int*);
void sorgqr_(const int*, const int*, const int*, float*, const int*, const float*, float*, const int*, int*);
void dorgqr_(const int*, const int*, const int*, double*, const int*, const double*, double*, const int*, int*);
void ssyevd_(const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*, const int*, int*);
void dsyevd_(const char*, const char*, const int*, double*, const int*, double*, double*, const int*, int*, const int*, int*);
void sgesvd_(const char*, const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*, const int*,
             float*, const int*, int*);
void dgesvd_(const char*, const char*, const int*, const int*, double*, const int*, double*, double*, const int*, double*,
             const int*, double*, const int*, int*);
}

namespace {

struct State {
  cudaStream_t stream = nullptr;
};
State* state_of(cusolverDnHandle_t handle) { return reinterpret_cast<State*>(handle); }

/// LAPACK's function for the type.
template <class T, class S, class D> auto pick(S single, D wide) {
  if constexpr (std::is_same_v<T, float>)
    return single;
  else
    return wide;
}
/// f<T>() for the type that all of `types` are.
template <class F> cusolverStatus_t of_type(std::initializer_list<cudaDataType> types, F f) {
  for (cudaDataType type : types)
    if (type != *types.begin()) return CUSOLVER_STATUS_INVALID_VALUE;
  if (*types.begin() == CUDA_R_64F) return f.template operator()<double>();
  if (*types.begin() == CUDA_R_32F) return f.template operator()<float>();
  return CUSOLVER_STATUS_INVALID_VALUE;
}
size_t size_of(cudaDataType type) { return type == CUDA_R_64F ? 8 : 4; }
char letter(cublasFillMode_t mode) { return mode == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L'; }

/// Memory for a function's own use. What it asks for on the host it uses before it returns.
struct Work {
  void *device, *host;
  size_t device_bytes, host_bytes;
  bool serves(size_t wanted_on_device, size_t wanted_on_host) const {
    if (device_bytes < wanted_on_device || !emulator::is_on_device(device) || !emulator::is_aligned(device, 16)) return false;
    if (host_bytes < wanted_on_host || !host) return false;
    std::memset(host, 0xff, wanted_on_host);
    return true;
  }
};
constexpr size_t kOnHost = 64;
size_t on_device(int64_t rows, int64_t columns, cudaDataType type) { return size_t(rows * columns + 16) * size_of(type); }

bool are_on_device(std::initializer_list<const void*> all) {
  return std::all_of(all.begin(), all.end(), [](const void* p) { return emulator::is_on_device(p); });
}

/// A task that writes over its workspace first.
template <class F> cusolverStatus_t enqueue(cusolverDnHandle_t handle, void* workspace, size_t bytes, F task) {
  emulator::enqueue(state_of(handle)->stream, [=] {
    if (workspace) std::memset(workspace, 0xff, bytes);
    task();
  });
  return CUSOLVER_STATUS_SUCCESS;
}

/// The other triangle, which the function for batches uses as it likes.
template <class T> void spoil_other_triangle(char triangle, int n, T* a, int leading) {
  for (int column = 0; column < n; ++column)
    for (int row = 0; row < n; ++row)
      if (triangle == 'U' ? row > column : row < column) a[size_t(column) * size_t(leading) + size_t(row)] = T(NAN);
}

template <class T> cusolverStatus_t factor_batch(cusolverDnHandle_t handle, cublasFillMode_t mode, int n, T** matrices, int leading,
                                                 int* info, int batch) {
  if (!handle || n < 0 || leading < std::max(1, n) || batch < 0 || !are_on_device({matrices, info}))
    return CUSOLVER_STATUS_INVALID_VALUE;
  return enqueue(handle, nullptr, 0, [=] {
    const char triangle = letter(mode);
    for (int i = 0; i < batch; ++i) {
      pick<T>(spotrf_, dpotrf_)(&triangle, &n, matrices[i], &leading, info + i);
      spoil_other_triangle(triangle, n, matrices[i], leading);
    }
  });
}

template <class T> cusolverStatus_t make_q(cusolverDnHandle_t handle, int m, int n, int k, T* a, int leading, const T* tau, T* work,
                                           int items, int* info) {
  if (!handle || n < 0 || m < n || k < 0 || k > n || leading < std::max(1, m) || items < n * 4)
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (!are_on_device({a, tau, work, info})) return CUSOLVER_STATUS_INVALID_VALUE;
  return enqueue(handle, work, size_t(items) * sizeof(T), [=] {
    std::vector<T> own(size_t(std::max(1, n)) * 64);
    const int count = int(own.size());
    pick<T>(sorgqr_, dorgqr_)(&m, &n, &k, a, &leading, tau, own.data(), &count, info);
  });
}

}  // namespace

extern "C" {

/// GRADUS_EMULATOR_HANDLES=late: there is no memory for the first one.
cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  static int tries = 0;
  const char* when = std::getenv("GRADUS_EMULATOR_HANDLES");
  if (when && std::strcmp(when, "late") == 0 && tries++ == 0) return CUSOLVER_STATUS_ALLOC_FAILED;
  *handle = reinterpret_cast<cusolverDnHandle_t>(new State);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* parameters) {
  static int one;
  *parameters = reinterpret_cast<cusolverDnParams_t>(&one);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  if (!handle) return CUSOLVER_STATUS_NOT_INITIALIZED;
  state_of(handle)->stream = stream;
  return CUSOLVER_STATUS_SUCCESS;
}

// ---- Cholesky: the named triangle alone is read and written ------------------------------------------------------------
cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t parameters, cublasFillMode_t, int64_t n,
                                             cudaDataType type, const void*, int64_t leading, cudaDataType compute, size_t* device,
                                             size_t* host) {
  if (!handle || !parameters || n < 0 || leading < std::max<int64_t>(1, n) || type != compute) return CUSOLVER_STATUS_INVALID_VALUE;
  *device = on_device(n, 8, type), *host = kOnHost;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t parameters, cublasFillMode_t mode, int64_t n,
                                  cudaDataType type, void* a, int64_t leading, cudaDataType compute, void* device,
                                  size_t device_bytes, void* host, size_t host_bytes, int* info) {
  if (!handle || !parameters || n < 0 || leading < std::max<int64_t>(1, n) || !are_on_device({a, info}))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (!Work{device, host, device_bytes, host_bytes}.serves(on_device(n, 8, type), kOnHost)) return CUSOLVER_STATUS_INVALID_VALUE;
  return of_type({type, compute}, [&]<class T>() {
    return enqueue(handle, device, device_bytes, [=] {
      const char triangle = letter(mode);
      const int size = int(n), step = int(leading);
      pick<T>(spotrf_, dpotrf_)(&triangle, &size, static_cast<T*>(a), &step, info);
    });
  });
}
cusolverStatus_t cusolverDnSpotrfBatched(cusolverDnHandle_t handle, cublasFillMode_t mode, int n, float* a[], int leading,
                                         int* info, int batch) {
  return factor_batch(handle, mode, n, a, leading, info, batch);
}
cusolverStatus_t cusolverDnDpotrfBatched(cusolverDnHandle_t handle, cublasFillMode_t mode, int n, double* a[], int leading,
                                         int* info, int batch) {
  return factor_batch(handle, mode, n, a, leading, info, batch);
}

// ---- LU: rows are counted from 1, in 64 bits ---------------------------------------------------------------------------
cusolverStatus_t cusolverDnXgetrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t parameters, int64_t m, int64_t n,
                                             cudaDataType type, const void*, int64_t leading, cudaDataType compute, size_t* device,
                                             size_t* host) {
  if (!handle || !parameters || m < 0 || n < 0 || leading < std::max<int64_t>(1, m) || type != compute)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *device = on_device(m, n, type), *host = kOnHost;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgetrf(cusolverDnHandle_t handle, cusolverDnParams_t parameters, int64_t m, int64_t n, cudaDataType type,
                                  void* a, int64_t leading, int64_t* pivots, cudaDataType compute, void* device,
                                  size_t device_bytes, void* host, size_t host_bytes, int* info) {
  if (!handle || !parameters || m < 0 || n < 0 || leading < std::max<int64_t>(1, m)) return CUSOLVER_STATUS_INVALID_VALUE;
  if (!are_on_device({a, pivots, info})) return CUSOLVER_STATUS_INVALID_VALUE;
  if (!Work{device, host, device_bytes, host_bytes}.serves(on_device(m, n, type), kOnHost)) return CUSOLVER_STATUS_INVALID_VALUE;
  return of_type({type, compute}, [&]<class T>() {
    return enqueue(handle, device, device_bytes, [=] {
      const int rows = int(m), columns = int(n), step = int(leading);
      std::vector<int> chosen(size_t(std::min(m, n)));
      const bool numbers = std::none_of(static_cast<T*>(a), static_cast<T*>(a) + m * n, [](T v) { return std::isnan(v); });
      pick<T>(sgetrf_, dgetrf_)(&rows, &columns, static_cast<T*>(a), &step, chosen.data(), info);
      std::copy(chosen.begin(), chosen.end(), pivots);
      const int64_t anything[] = {-1, 0, m + 1, int64_t(1) << 40};
      for (size_t k = 0; k < chosen.size() && !numbers; ++k) pivots[k] = anything[k % 4];
    });
  });
}

// ---- QR ----------------------------------------------------------------------------------------------------------------
cusolverStatus_t cusolverDnXgeqrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t parameters, int64_t m, int64_t n,
                                             cudaDataType type, const void*, int64_t leading, cudaDataType type_of_tau, const void*,
                                             cudaDataType compute, size_t* device, size_t* host) {
  if (!handle || !parameters || m < 0 || n < 0 || leading < std::max<int64_t>(1, m)) return CUSOLVER_STATUS_INVALID_VALUE;
  if (type != compute || type != type_of_tau) return CUSOLVER_STATUS_INVALID_VALUE;
  *device = on_device(n, 32, type), *host = kOnHost;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgeqrf(cusolverDnHandle_t handle, cusolverDnParams_t parameters, int64_t m, int64_t n, cudaDataType type,
                                  void* a, int64_t leading, cudaDataType type_of_tau, void* tau, cudaDataType compute, void* device,
                                  size_t device_bytes, void* host, size_t host_bytes, int* info) {
  if (!handle || !parameters || m < 0 || n < 0 || leading < std::max<int64_t>(1, m)) return CUSOLVER_STATUS_INVALID_VALUE;
  if (!are_on_device({a, tau, info})) return CUSOLVER_STATUS_INVALID_VALUE;
  if (!Work{device, host, device_bytes, host_bytes}.serves(on_device(n, 32, type), kOnHost)) return CUSOLVER_STATUS_INVALID_VALUE;
  return of_type({type, type_of_tau, compute}, [&]<class T>() {
    return enqueue(handle, device, device_bytes, [=] {
      const int rows = int(m), columns = int(n), step = int(leading), count = std::max(1, columns) * 64;
      std::vector<T> own(size_t(count), T(0));
      pick<T>(sgeqrf_, dgeqrf_)(&rows, &columns, static_cast<T*>(a), &step, static_cast<T*>(tau), own.data(), &count, info);
    });
  });
}
cusolverStatus_t cusolverDnSorgqr_bufferSize(cusolverDnHandle_t handle, int, int n, int, const float*, int, const float*,
                                             int* items) {
  *items = std::max(1, n) * 4;
  return handle ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_NOT_INITIALIZED;
}
cusolverStatus_t cusolverDnDorgqr_bufferSize(cusolverDnHandle_t handle, int, int n, int, const double*, int, const double*,
                                             int* items) {
  *items = std::max(1, n) * 4;
  return handle ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_NOT_INITIALIZED;
}
cusolverStatus_t cusolverDnSorgqr(cusolverDnHandle_t handle, int m, int n, int k, float* a, int leading, const float* tau,
                                  float* work, int items, int* info) {
  return make_q(handle, m, n, k, a, leading, tau, work, items, info);
}
cusolverStatus_t cusolverDnDorgqr(cusolverDnHandle_t handle, int m, int n, int k, double* a, int leading, const double* tau,
                                  double* work, int items, int* info) {
  return make_q(handle, m, n, k, a, leading, tau, work, items, info);
}

// ---- eigenvalues of symmetric matrices: vectors come in the matrix's place, which else is lost -------------------------------
cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t parameters, cusolverEigMode_t,
                                             cublasFillMode_t, int64_t n, cudaDataType type, const void*, int64_t leading,
                                             cudaDataType type_of_w, const void*, cudaDataType compute, size_t* device,
                                             size_t* host) {
  if (!handle || !parameters || n < 0 || leading < std::max<int64_t>(1, n)) return CUSOLVER_STATUS_INVALID_VALUE;
  if (type != compute || type != type_of_w) return CUSOLVER_STATUS_INVALID_VALUE;
  *device = on_device(n, n + 32, type), *host = kOnHost;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t handle, cusolverDnParams_t parameters, cusolverEigMode_t mode,
                                  cublasFillMode_t fill, int64_t n, cudaDataType type, void* a, int64_t leading,
                                  cudaDataType type_of_w, void* w, cudaDataType compute, void* device, size_t device_bytes,
                                  void* host, size_t host_bytes, int* info) {
  if (!handle || !parameters || n < 0 || leading < std::max<int64_t>(1, n) || !are_on_device({a, w, info}))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (!Work{device, host, device_bytes, host_bytes}.serves(on_device(n, n + 32, type), kOnHost))
    return CUSOLVER_STATUS_INVALID_VALUE;
  return of_type({type, type_of_w, compute}, [&]<class T>() {
    return enqueue(handle, device, device_bytes, [=] {
      const bool vectors = mode == CUSOLVER_EIG_MODE_VECTOR;
      const char job = vectors ? 'V' : 'N', triangle = letter(fill);
      const int size = int(n), step = int(leading), numbers = 1 + 6 * size + 2 * size * size, integers = 3 + 5 * size;
      std::vector<T> own(size_t(numbers), T(0));
      std::vector<int> own_integers(size_t(integers), 0);
      T* matrix = static_cast<T*>(a);
      pick<T>(ssyevd_, dsyevd_)(&job, &triangle, &size, matrix, &step, static_cast<T*>(w), own.data(), &numbers,
                                own_integers.data(), &integers, info);
      for (int column = 0; column < size && !vectors; ++column)
        std::fill(matrix + size_t(column) * size_t(step), matrix + size_t(column) * size_t(step) + size, T(NAN));
    });
  });
}

// ---- singular values: of matrices at least as tall as wide, which are lost -----------------------------------------------------
cusolverStatus_t cusolverDnXgesvd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t parameters, signed char, signed char,
                                             int64_t m, int64_t n, cudaDataType type, const void*, int64_t leading,
                                             cudaDataType type_of_s, const void*, cudaDataType type_of_u, const void*, int64_t,
                                             cudaDataType type_of_v, const void*, int64_t, cudaDataType compute, size_t* device,
                                             size_t* host) {
  if (!handle || !parameters || n < 0 || m < n || leading < std::max<int64_t>(1, m)) return CUSOLVER_STATUS_INVALID_VALUE;
  for (cudaDataType other : {type_of_s, type_of_u, type_of_v, compute})
    if (other != type) return CUSOLVER_STATUS_INVALID_VALUE;
  *device = on_device(m + n, 32, type), *host = kOnHost;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgesvd(cusolverDnHandle_t handle, cusolverDnParams_t parameters, signed char job_u, signed char job_v,
                                  int64_t m, int64_t n, cudaDataType type, void* a, int64_t leading, cudaDataType type_of_s,
                                  void* s, cudaDataType type_of_u, void* u, int64_t leading_u, cudaDataType type_of_v, void* v,
                                  int64_t leading_v, cudaDataType compute, void* device, size_t device_bytes, void* host,
                                  size_t host_bytes, int* info) {
  if (!handle || !parameters || n < 0 || m < n || leading < std::max<int64_t>(1, m) || !are_on_device({a, s, info}))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (job_u != 'N' && (leading_u < m || !are_on_device({u}))) return CUSOLVER_STATUS_INVALID_VALUE;
  if (job_v != 'N' && (leading_v < n || !are_on_device({v}))) return CUSOLVER_STATUS_INVALID_VALUE;
  if (!Work{device, host, device_bytes, host_bytes}.serves(on_device(m + n, 32, type), kOnHost))
    return CUSOLVER_STATUS_INVALID_VALUE;
  return of_type({type, type_of_s, type_of_u, type_of_v, compute}, [&]<class T>() {
    return enqueue(handle, device, device_bytes, [=] {
      const char jobs[] = {char(job_u), char(job_v)};
      const int rows = int(m), columns = int(n), step = int(leading), step_u = int(leading_u), step_v = int(leading_v);
      const int count = 64 * (rows + columns);
      std::vector<T> own(size_t(count), T(0));
      T* matrix = static_cast<T*>(a);
      pick<T>(sgesvd_, dgesvd_)(jobs, jobs + 1, &rows, &columns, matrix, &step, static_cast<T*>(s), static_cast<T*>(u), &step_u,
                                static_cast<T*>(v), &step_v, own.data(), &count, info);
      for (int column = 0; column < columns; ++column)
        std::fill(matrix + size_t(column) * size_t(step), matrix + size_t(column) * size_t(step) + rows, T(NAN));
    });
  });
}

}  // extern "C"
