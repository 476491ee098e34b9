// In cuBLASLt's place on an emulated GPU: products by the descriptions that it is given, with its documented rules about them. What it may be
// told and does not know, it refuses.
#include <cublasLt.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tests/emulator/libraries/stand_in.h"

namespace {

constexpr uint32_t kLive = 0x6c746d61;  // in descriptions that were initialised

struct Layout {
  uint32_t live;
  int32_t type, order, batches;
  uint64_t rows, columns;
  int64_t leading, step;
};
static_assert(sizeof(Layout) <= sizeof(cublasLtMatrixLayoutOpaque_t));

struct Description {
  uint32_t live;
  int32_t compute, scale, pointers, turn[3], epilogue;
  const void* vector;
  void* aux;
  int64_t aux_leading, vector_step, aux_step;
};
static_assert(sizeof(Description) <= sizeof(cublasLtMatmulDescOpaque_t));

struct Preference {
  uint32_t live, reductions;
  uint64_t workspace;
  uint32_t alignment[4];  // of A, B, C, D
};
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));

/// What was chosen, and for what: a call that differs is refused.
struct Algorithm {
  uint32_t live, number;
  uint64_t workspace, asked;
  uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

template <class T, class Opaque> T read(const Opaque* from) {
  T x{};
  if (from) std::memcpy(&x, from, sizeof x);
  return x;
}
template <class T, class Opaque> void write(Opaque* to, const T& x) {
  std::memset(static_cast<void*>(to), 0, sizeof *to);
  std::memcpy(static_cast<void*>(to), &x, sizeof x);
}
template <class T> cublasStatus_t take(T& field, const void* value, size_t bytes) {
  if (!value || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

int item_size(int32_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }
bool has_bias(int32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_BIAS; }
bool has_gelu(int32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_GELU; }
bool has_aux(int32_t epilogue) { return epilogue & 128; }
bool is_backward(int32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_DGELU || epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD; }
bool sums_result(int32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD; }
bool sums_factor(int32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_BGRADA || epilogue == CUBLASLT_EPILOGUE_BGRADB; }
bool has_vector(int32_t epilogue) { return has_bias(epilogue) || sums_result(epilogue) || sums_factor(epilogue); }

/// A call's descriptions, and what it multiplies.
struct Call {
  Description d;
  Layout a, b, c, result;
  uint64_t m, n, k;

  Call(cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t A, cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C,
       cublasLtMatrixLayout_t D)
      : d(read<Description>(description)), a(read<Layout>(A)), b(read<Layout>(B)), c(read<Layout>(C)), result(read<Layout>(D)) {
    m = d.turn[0] ? a.columns : a.rows, k = d.turn[0] ? a.rows : a.columns, n = d.turn[1] ? b.rows : b.columns;
  }

  /// What the documentation asks of descriptions.
  cublasStatus_t verdict() const {
    for (const Layout* x : {&a, &b, &c, &result}) {
      if (x->live != kLive || x->batches < 1 || x->rows == 0 || x->columns == 0) return CUBLAS_STATUS_INVALID_VALUE;
      if (x->leading < int64_t(x->rows)) return CUBLAS_STATUS_INVALID_VALUE;  // columns may not overlap
      if (x->order != CUBLASLT_ORDER_COL) return CUBLAS_STATUS_NOT_SUPPORTED;
      if (x->batches != result.batches) return CUBLAS_STATUS_INVALID_VALUE;
      if (x->type != result.type) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (d.live != kLive) return CUBLAS_STATUS_INVALID_VALUE;
    if ((d.turn[1] ? b.columns : b.rows) != k || result.rows != m || result.columns != n) return CUBLAS_STATUS_INVALID_VALUE;
    if (c.rows != m || c.columns != n) return CUBLAS_STATUS_INVALID_VALUE;
    if (result.batches > 1 && result.step < int64_t(result.columns - 1) * result.leading + int64_t(m))
      return CUBLAS_STATUS_INVALID_VALUE;
    return types_are_known() ? of_epilogue() : CUBLAS_STATUS_NOT_SUPPORTED;
  }
  /// All that an algorithm was chosen for.
  uint64_t asked() const {
    uint64_t h = 14695981039346656037u;
    auto mix = [&](int64_t x) { h = (h ^ uint64_t(x)) * 1099511628211u; };
    for (const Layout* x : {&a, &b, &c, &result})
      for (int64_t number : {int64_t(x->type), int64_t(x->batches), int64_t(x->rows), int64_t(x->columns), x->leading, x->step})
        mix(number);
    for (int64_t number : {int64_t(d.compute), int64_t(d.turn[0]), int64_t(d.turn[1]), int64_t(d.epilogue), d.aux_leading})
      mix(number);
    return h;
  }

 private:
  bool types_are_known() const {
    switch (d.compute) {
      case CUBLAS_COMPUTE_64F: return result.type == CUDA_R_64F && d.scale == CUDA_R_64F;
      case CUBLAS_COMPUTE_32F_FAST_TF32: return result.type == CUDA_R_32F && d.scale == CUDA_R_32F;
      case CUBLAS_COMPUTE_32F:
        return (result.type == CUDA_R_32F || result.type == CUDA_R_16F || result.type == CUDA_R_16BF) && d.scale == CUDA_R_32F;
      default: return false;
    }
  }
  cublasStatus_t of_epilogue() const {
    switch (d.epilogue) {
      case CUBLASLT_EPILOGUE_DEFAULT: return CUBLAS_STATUS_SUCCESS;
      case CUBLASLT_EPILOGUE_BIAS:
      case CUBLASLT_EPILOGUE_GELU:
      case CUBLASLT_EPILOGUE_GELU_BIAS:
      case CUBLASLT_EPILOGUE_GELU_AUX:
      case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
      case CUBLASLT_EPILOGUE_DGELU:
      case CUBLASLT_EPILOGUE_DGELU_BGRAD:
      case CUBLASLT_EPILOGUE_BGRADA:
      case CUBLASLT_EPILOGUE_BGRADB: break;
      default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    // Which of its steps there are for doubles it does not say: here there is the bias, so callers have to have another way.
    if (result.type == CUDA_R_64F && d.epilogue != CUBLASLT_EPILOGUE_BIAS) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (has_vector(d.epilogue)) {
      if (!d.vector) return CUBLAS_STATUS_INVALID_VALUE;
      if (!emulator::is_aligned(d.vector, 16)) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (has_aux(d.epilogue)) {
      if (!d.aux || d.aux_leading < int64_t(m)) return CUBLAS_STATUS_INVALID_VALUE;
      if (d.aux_leading % 8 != 0 || !emulator::is_aligned(d.aux, 16)) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (result.batches > 1 && (sums_factor(d.epilogue) || sums_result(d.epilogue))) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
  }
};

struct BFloat16 {
  uint16_t bits;
  operator float() const {
    const uint32_t wide = uint32_t(bits) << 16;
    float f;
    std::memcpy(&f, &wide, sizeof f);
    return f;
  }
  BFloat16() = default;
  explicit BFloat16(float f) {
    uint32_t u;
    std::memcpy(&u, &f, sizeof u);
    bits = f != f ? uint16_t(0x7fff) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
};

/// 10 bits of mantissa.
float to_tf32(float f) {
  uint32_t u;
  std::memcpy(&u, &f, sizeof u);
  if (std::isfinite(f)) u = (u + 0x1000) & ~uint32_t(0x1fff);
  std::memcpy(&f, &u, sizeof f);
  return f;
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) {
  const double t = std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}

struct Operands {
  double alpha, beta;
  const void *a, *b, *c;
  void *result, *workspace;
  size_t workspace_bytes;
};

/// op(x) of one matrix of the batch, `rows` by `columns`, row-major.
template <class T> std::vector<double> factor(const void* x, const Layout& l, int64_t batch, bool turned, bool tf32) {
  const T* from = static_cast<const T*>(x) + batch * l.step;
  const uint64_t rows = turned ? l.columns : l.rows, columns = turned ? l.rows : l.columns;
  std::vector<double> all(rows * columns);
  for (uint64_t r = 0; r < rows; ++r)
    for (uint64_t c = 0; c < columns; ++c) {
      const T value = turned ? from[r * uint64_t(l.leading) + c] : from[c * uint64_t(l.leading) + r];
      all[r * columns + c] = tf32 ? double(to_tf32(float(value))) : double(value);
    }
  return all;
}

template <class T> void multiply(const Call& call, const Operands& o) {
  const auto [m, n, k] = std::tuple(call.m, call.n, call.k);
  const Description& d = call.d;
  auto rounded = [](double x) { return T(std::conditional_t<sizeof(T) == 8, double, float>(x)); };
  std::vector<double> sums(n);
  for (int64_t i = 0; i < call.result.batches; ++i) {
    const bool tf32 = d.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const std::vector<double> a = factor<T>(o.a, call.a, i, d.turn[0], tf32), b = factor<T>(o.b, call.b, i, d.turn[1], tf32);
    T* result = static_cast<T*>(o.result) + i * call.result.step;
    const T* c = static_cast<const T*>(o.c) + i * call.c.step;
    const T* bias = has_bias(d.epilogue) ? static_cast<const T*>(d.vector) + i * d.vector_step : nullptr;
    T* aux = has_aux(d.epilogue) ? static_cast<T*>(d.aux) + i * d.aux_step : nullptr;
    for (uint64_t row = 0; row < m; ++row) {
      sums.assign(n, 0);
      for (uint64_t in = 0; in < k; ++in)
        for (uint64_t column = 0; column < n; ++column) sums[column] += a[row * k + in] * b[in * n + column];
      double total = 0;
      for (uint64_t column = 0; column < n; ++column) {
        const uint64_t at = column * uint64_t(call.result.leading) + row;
        double y = o.alpha * sums[column];
        if (o.beta != 0) y += o.beta * double(c[column * uint64_t(call.c.leading) + row]);
        if (bias) y += double(bias[row]);
        T* const h = aux ? aux + column * uint64_t(d.aux_leading) + row : nullptr;
        if (h && !is_backward(d.epilogue)) *h = rounded(y);
        if (has_gelu(d.epilogue)) y = gelu(y);
        if (is_backward(d.epilogue)) y *= gelu_slope(double(*h));
        result[at] = rounded(y);
        total += y;
      }
      if (sums_result(d.epilogue)) static_cast<T*>(const_cast<void*>(d.vector))[row] = rounded(total);
    }
    if (!sums_factor(d.epilogue)) continue;
    // Sums over what a product adds up: of each row of op(A), or of each column of op(B).
    const bool of_a = d.epilogue == CUBLASLT_EPILOGUE_BGRADA;
    for (uint64_t at = 0; at < (of_a ? m : n); ++at) {
      double total = 0;
      for (uint64_t in = 0; in < k; ++in) total += of_a ? a[at * k + in] : b[in * n + at];
      static_cast<T*>(const_cast<void*>(d.vector))[at] = rounded(total);
    }
  }
}

void carry_out(const Call& call, const Operands& o) {
  if (o.workspace_bytes) std::memset(o.workspace, 0xff, o.workspace_bytes);  // what lies there is lost
  switch (call.result.type) {
    case CUDA_R_64F: return multiply<double>(call, o);
    case CUDA_R_32F: return multiply<float>(call, o);
    case CUDA_R_16F: return multiply<_Float16>(call, o);
    default: return multiply<BFloat16>(call, o);
  }
}

}  // namespace

extern "C" {

/// GRADUS_EMULATOR_HANDLES=late: there is no memory for the first one.
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static int tries = 0;
  const char* when = std::getenv("GRADUS_EMULATOR_HANDLES");
  if (when && std::strcmp(when, "late") == 0 && tries++ == 0) return CUBLAS_STATUS_ALLOC_FAILED;
  static int one;
  *handle = reinterpret_cast<cublasLtHandle_t>(&one);
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "a status of the stand-in for cuBLASLt";
  }
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t d, size_t size, cublasComputeType_t compute,
                                               cudaDataType_t scale) {
  if (size < sizeof *d) return CUBLAS_STATUS_ALLOC_FAILED;
  write(d, Description{.live = kLive,
                       .compute = compute,
                       .scale = scale,
                       .pointers = CUBLASLT_POINTER_MODE_HOST,
                       .turn = {},
                       .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                       .vector = nullptr,
                       .aux = nullptr,
                       .aux_leading = 0,
                       .vector_step = 0,
                       .aux_step = 0});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t what,
                                              const void* value, size_t bytes) {
  Description d = read<Description>(description);
  if (d.live != kLive) return CUBLAS_STATUS_INVALID_VALUE;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA: status = take(d.turn[0], value, bytes); break;
    case CUBLASLT_MATMUL_DESC_TRANSB: status = take(d.turn[1], value, bytes); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: status = take(d.epilogue, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: status = take(d.vector, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: status = take(d.vector_step, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: status = take(d.aux, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: status = take(d.aux_leading, value, bytes); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: status = take(d.aux_step, value, bytes); break;
    default: break;
  }
  for (int32_t turn : d.turn)
    if (turn != CUBLAS_OP_N && turn != CUBLAS_OP_T) return CUBLAS_STATUS_INVALID_VALUE;
  if (status == CUBLAS_STATUS_SUCCESS) write(description, d);
  return status;
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size, cudaDataType type, uint64_t rows,
                                                 uint64_t columns, int64_t leading) {
  if (size < sizeof *layout) return CUBLAS_STATUS_ALLOC_FAILED;
  write(layout, Layout{kLive, type, CUBLASLT_ORDER_COL, 1, rows, columns, leading, 0});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t what,
                                                const void* value, size_t bytes) {
  Layout l = read<Layout>(layout);
  if (l.live != kLive) return CUBLAS_STATUS_INVALID_VALUE;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  switch (what) {
    case CUBLASLT_MATRIX_LAYOUT_ORDER: status = take(l.order, value, bytes); break;
    case CUBLASLT_MATRIX_LAYOUT_LD: status = take(l.leading, value, bytes); break;
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: status = take(l.batches, value, bytes); break;
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: status = take(l.step, value, bytes); break;
    default: break;
  }
  if (status == CUBLAS_STATUS_SUCCESS) write(layout, l);
  return status;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference, size_t size) {
  if (size < sizeof *preference) return CUBLAS_STATUS_ALLOC_FAILED;
  write(preference, Preference{kLive, CUBLASLT_REDUCTION_SCHEME_MASK, 0, {256, 256, 256, 256}});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t what, const void* value, size_t bytes) {
  Preference p = read<Preference>(preference);
  if (p.live != kLive) return CUBLAS_STATUS_INVALID_VALUE;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  switch (what) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: status = take(p.workspace, value, bytes); break;
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: status = take(p.reductions, value, bytes); break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: status = take(p.alignment[0], value, bytes); break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: status = take(p.alignment[1], value, bytes); break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: status = take(p.alignment[2], value, bytes); break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: status = take(p.alignment[3], value, bytes); break;
    default: break;
  }
  if (status == CUBLAS_STATUS_SUCCESS) write(preference, p);
  return status;
}

/// Up to three ways: the first wants memory to add up long sums in pieces, where it may, the others differ in name only.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t A,
                                              cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C, cublasLtMatrixLayout_t D,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t* answers, int* count) {
  *count = 0;
  const Preference p = read<Preference>(preference);
  if (!handle || p.live != kLive || most < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const Call call(description, A, B, C, D);
  if (const cublasStatus_t status = call.verdict(); status != CUBLAS_STATUS_SUCCESS) return status;
  for (uint32_t alignment : p.alignment)
    if (alignment < uint32_t(item_size(call.result.type))) return CUBLAS_STATUS_NOT_SUPPORTED;
  const uint64_t pieces = uint64_t(call.result.batches) * call.m * call.n * 4 * sizeof(float);
  for (uint32_t number = 0; number < 3 && *count < most; ++number) {
    Algorithm algorithm{kLive, number, 0, call.asked(), {}};
    std::memcpy(algorithm.alignment, p.alignment, sizeof p.alignment);
    if (number == 0) {
      algorithm.workspace = pieces;
      if (call.k < 16 || pieces > p.workspace || !(p.reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) continue;
    }
    cublasLtMatmulHeuristicResult_t& answer = answers[(*count)++];
    answer = {};
    write(&answer.algo, algorithm);
    answer.workspaceSize = algorithm.workspace, answer.state = CUBLAS_STATUS_SUCCESS, answer.wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t A, const void* b, cublasLtMatrixLayout_t B, const void* beta, const void* c,
                              cublasLtMatrixLayout_t C, void* d, cublasLtMatrixLayout_t D, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  const Call call(description, A, B, C, D);
  const Algorithm algorithm = read<Algorithm>(algo);
  if (!handle || !alpha || !beta || algorithm.live != kLive) return CUBLAS_STATUS_INVALID_VALUE;
  if (const cublasStatus_t status = call.verdict(); status != CUBLAS_STATUS_SUCCESS) return status;
  if (algorithm.asked != call.asked()) return CUBLAS_STATUS_INVALID_VALUE;
  const void* const operands[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i)
    if (!emulator::is_on_device(operands[i]) || !emulator::is_aligned(operands[i], algorithm.alignment[i]))
      return CUBLAS_STATUS_INVALID_VALUE;
  // What follows in a batch. Nobody says that the library looks there, so who calls it had better.
  const Layout* const layouts[] = {&call.a, &call.b, &call.c, &call.result};
  for (int i = 0; i < 4; ++i) {
    if (layouts[i]->batches == 1) continue;
    const char* second = static_cast<const char*>(operands[i]) + layouts[i]->step * int64_t(item_size(layouts[i]->type));
    if (emulator::is_aligned(second, algorithm.alignment[i])) continue;
    std::fprintf(stderr, "stand-in for cuBLASLt: matrices %ld numbers apart are not all aligned to %u bytes\n",
                 long(layouts[i]->step), algorithm.alignment[i]);
    std::abort();
  }
  if (algorithm.workspace &&
      (workspace_bytes < algorithm.workspace || !emulator::is_on_device(workspace) || !emulator::is_aligned(workspace, 16)))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (has_vector(call.d.epilogue) && !emulator::is_on_device(call.d.vector)) return CUBLAS_STATUS_INVALID_VALUE;
  if (has_aux(call.d.epilogue) && !emulator::is_on_device(call.d.aux)) return CUBLAS_STATUS_INVALID_VALUE;
  auto number = [&](const void* x) {
    return call.d.scale == CUDA_R_64F ? *static_cast<const double*>(x) : *static_cast<const float*>(x);
  };
  const Operands o{number(alpha), number(beta), a, b, c, d, workspace, algorithm.workspace};
  emulator::enqueue(stream, [=] { carry_out(call, o); });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
