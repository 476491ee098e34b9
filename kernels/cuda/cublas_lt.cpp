#include "kernels/cuda/cublas_lt.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>

#include <array>
#include <bit>
#include <cstdio>
#include <limits>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "gradus/core/error.h"
#include "gradus/core/tuning.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/timing.h"

namespace gradus::cuda {

void copy(const Array& y, const Array& x);

namespace {

struct CublasLt : Library {
  CublasLt() : Library("libcublasLt.so." GRADUS_TEXT_OF(CUBLAS_VER_MAJOR)) {}
#define GRADUS_FUNCTION(name) decltype(&::cublasLt##name) name = find<decltype(&::cublasLt##name)>("cublasLt" #name)
  GRADUS_FUNCTION(Create);
  GRADUS_FUNCTION(Matmul);
  GRADUS_FUNCTION(MatmulAlgoGetHeuristic);
  GRADUS_FUNCTION(MatmulDescInit_internal);
  GRADUS_FUNCTION(MatmulDescSetAttribute);
  GRADUS_FUNCTION(MatrixLayoutInit_internal);
  GRADUS_FUNCTION(MatrixLayoutSetAttribute);
  GRADUS_FUNCTION(MatmulPreferenceInit_internal);
  GRADUS_FUNCTION(MatmulPreferenceSetAttribute);
  GRADUS_FUNCTION(GetStatusString);
#undef GRADUS_FUNCTION
};
void say_slower(const std::string& why) {
  std::fprintf(stderr, "gradus: %s: products on CUDA devices are done without cuBLASLt, and are slower\n", why.c_str());
}
const CublasLt& library() {
  static const CublasLt* once = [] {
    const auto* lt = new CublasLt;
    if (!*lt) say_slower(lt->missing());
    return lt;
  }();
  return *once;
}

constexpr size_t kWorkspace = size_t(32) << 20;  // the most that an algorithm may ask for; most ask for nothing
constexpr size_t kMostChoices = 4096;
constexpr int kCandidates = 8;  // of tuning

/// All that a choice depends on. The library calls its left factor A: our b.
struct Question {
  int64_t device, tuned, type, compute, epilogue, accumulate;
  int64_t rows, columns, inner, batches, y_step;
  int64_t a_columns, a_leading, a_step, b_columns, b_leading, b_step;
  int64_t a_alignment, b_alignment, y_alignment, vector_alignment, h_alignment;
  bool operator==(const Question&) const = default;
};
struct Hash {
  size_t operator()(const Question& q) const {
    const auto numbers = std::bit_cast<std::array<uint64_t, sizeof(Question) / 8>>(q);
    uint64_t h = 0;
    for (uint64_t n : numbers) h = (std::rotl(h, 23) ^ n) * 0x9E3779B97F4A7C15u;
    return size_t(h ^ h >> 32);
  }
};
/// Descriptions of a call, which may be copied, and how it is to be done.
struct Choice {
  bool there = false;
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t left, right, result;
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace = 0;
};

cudaDataType type_of(DType t) {
  return t == DType::float64 ? CUDA_R_64F : t == DType::float32 ? CUDA_R_32F : t == DType::float16 ? CUDA_R_16F : CUDA_R_16BF;
}
cublasComputeType_t compute_of(DType t, Float32Precision precision) {
  if (t == DType::float64) return CUBLAS_COMPUTE_64F;
  const bool tf32 = t == DType::float32 && precision == Float32Precision::high;
  return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

cublasLtEpilogue_t epilogue_of(const After& after) {
  const bool vector = bool(after.vector);
  switch (after.what) {
    case Epilogue::bias: return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::gelu:
      if (after.h) return vector ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
      return vector ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    case Epilogue::gelu_backward: return vector ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU;
    case Epilogue::sums: return CUBLASLT_EPILOGUE_BGRADB;  // our a is its B
    default: return CUBLASLT_EPILOGUE_DEFAULT;
  }
}

/// Remembers whether all of several calls went well.
class Steps {
 public:
  explicit Steps(const CublasLt& lt) : lt_(lt) {}
  template <class T> void set(cublasLtMatmulDescOpaque_t& d, cublasLtMatmulDescAttributes_t what, T value) {
    note(lt_.MatmulDescSetAttribute(&d, what, &value, sizeof value));
  }
  template <class T> void set(cublasLtMatmulPreferenceOpaque_t& d, cublasLtMatmulPreferenceAttributes_t what, T value) {
    note(lt_.MatmulPreferenceSetAttribute(&d, what, &value, sizeof value));
  }
  void layout(cublasLtMatrixLayoutOpaque_t& d, cudaDataType type, int64_t size, int64_t count, int64_t leading, int64_t batches,
              int64_t step) {
    note(lt_.MatrixLayoutInit_internal(&d, sizeof d, type, uint64_t(size), uint64_t(count), leading));
    if (batches == 1) return;
    const auto n = int32_t(batches);
    note(lt_.MatrixLayoutSetAttribute(&d, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &n, sizeof n));
    note(lt_.MatrixLayoutSetAttribute(&d, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step));
  }
  /// Where the epilogue's operands lie. When choices are asked for, only their alignment matters.
  void operands(cublasLtMatmulDescOpaque_t& d, const void* vector, const void* h) {
    if (vector) set(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    if (h) set(d, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, h);
  }
  void note(cublasStatus_t status) { well_ &= status == CUBLAS_STATUS_SUCCESS; }
  explicit operator bool() const { return well_; }

 private:
  const CublasLt& lt_;
  bool well_ = true;
};

/// The library's choices, best first, among algorithms that add up in a fixed order and in the type of the sums.
std::vector<Choice> choose(const CublasLt& lt, cublasLtHandle_t handle, DType dtype, const ProductPlan& p, const Question& q,
                           const After& after) {
  Choice c;
  Steps steps(lt);
  const cudaDataType type = type_of(dtype);
  steps.note(lt.MatmulDescInit_internal(&c.product, sizeof c.product, cublasComputeType_t(q.compute),
                                        dtype == DType::float64 ? CUDA_R_64F : CUDA_R_32F));
  // Rows of ours are its columns: a factor whose rows lie whole needs no turning.
  steps.set(c.product, CUBLASLT_MATMUL_DESC_TRANSA, int32_t(p.b.columns ? CUBLAS_OP_T : CUBLAS_OP_N));
  steps.set(c.product, CUBLASLT_MATMUL_DESC_TRANSB, int32_t(p.a.columns ? CUBLAS_OP_T : CUBLAS_OP_N));
  // One element a column of ours is one a row of its own, as it wants them.
  steps.set(c.product, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(q.epilogue));
  steps.operands(c.product, after.vector.data, after.h.data);
  if (after.h) steps.set(c.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.columns);
  steps.layout(c.left, type, p.b.size, p.b.count, p.b.leading, p.batches, p.b.step);
  steps.layout(c.right, type, p.a.size, p.a.count, p.a.leading, p.batches, p.a.step);
  steps.layout(c.result, type, p.columns, p.rows, p.columns, p.batches, p.y_step);

  cublasLtMatmulPreferenceOpaque_t preference;
  steps.note(lt.MatmulPreferenceInit_internal(&preference, sizeof preference));
  steps.set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(kWorkspace));
  steps.set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  steps.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(q.b_alignment));
  steps.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(q.a_alignment));
  steps.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t(q.y_alignment));
  steps.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t(q.y_alignment));
  if (!steps) return {};

  cublasLtMatmulHeuristicResult_t answers[kCandidates] = {};
  int count = 0;
  if (lt.MatmulAlgoGetHeuristic(handle, &c.product, &c.left, &c.right, &c.result, &c.result, &preference, q.tuned ? kCandidates : 1,
                                answers, &count) != CUBLAS_STATUS_SUCCESS)
    return {};
  std::vector<Choice> all;
  for (int i = 0; i < count; ++i) {
    if (answers[i].state != CUBLAS_STATUS_SUCCESS) continue;
    c.there = true, c.algorithm = answers[i].algo, c.workspace = answers[i].workspaceSize;
    all.push_back(c);
  }
  return all;
}

/// Handles, one a device, and what was chosen; shared by all threads, which the library allows.
class Choices {
 public:
  /// Null handle: the device has none. A tuned choice is that of several which takes the least time by measure(choice); where that may not be
  /// found out now, one that is known, or else the library's first.
  template <class Measure> Choice find(const CublasLt& lt, DType dtype, const ProductPlan& p, Question q, const After& after,
                                       bool may_measure, cublasLtHandle_t* handle, Measure measure) {
    std::lock_guard lock(mutex_);
    Device& device = devices_[q.device];
    if (!device.asked) {
      device.asked = true;
      cublasStatus_t status;
      if (!with_room([&] { return (status = lt.Create(&device.handle)) == CUBLAS_STATUS_SUCCESS; }))
        device.handle = nullptr, say_slower(std::string("cuBLASLt: ") + lt.GetStatusString(status));
    }
    *handle = device.handle;
    if (!device.handle) return {};
    auto found = known_.find(q);
    if (found == known_.end() && q.tuned && !may_measure) q.tuned = false, found = known_.find(q);
    if (found != known_.end()) return found->second;
    if (known_.size() >= kMostChoices) known_.clear();
    const std::vector<Choice> all = choose(lt, device.handle, dtype, p, q, after);
    Choice best = all.empty() ? Choice{} : all[0];
    double least = all.size() > 1 ? measure(best) : 0;
    for (size_t i = 1; i < all.size(); ++i)
      if (const double time = measure(all[i]); time < least) least = time, best = all[i];
    return known_.emplace(q, best).first->second;
  }
  void refuse(const Question& q) {
    std::lock_guard lock(mutex_);
    known_[q].there = false;
  }

 private:
  struct Device {
    bool asked = false;
    cublasLtHandle_t handle = nullptr;
  };
  std::mutex mutex_;
  std::unordered_map<int64_t, Device> devices_;
  std::unordered_map<Question, Choice, Hash> known_;
};
Choices& choices() {
  static auto* all = new Choices;  // never destroyed: products may be asked for late
  return *all;
}

/// Bytes that an address is aligned to, up to the 256 beyond which nobody asks.
int64_t alignment(uint64_t address) { return int64_t((address | 256) & (~(address | 256) + 1)); }
int64_t alignment(const void* data) { return alignment(reinterpret_cast<uintptr_t>(data)); }
/// That of all the matrices of a product: of those that one call does, `within` apart, and of those of further calls.
int64_t alignment(const void* data, int item, int64_t within, const ProductPlan& p, int64_t ProductPlan::Axis::*step) {
  uint64_t bits = reinterpret_cast<uintptr_t>(data) | (p.batches > 1 ? uint64_t(within) * uint64_t(item) : 0);
  for (int d = 0; d < p.calls_rank; ++d) bits |= uint64_t(p.calls[d].*step) * uint64_t(item);
  return alignment(bits);
}

/// Memory for a dense copy of x where the library needs one; x then stands for the copy.
struct Copied {
  Array x;
  std::optional<Scratch> memory;
  Copied(const Array& from, bool needed) : x(from) {
    if (!needed) return;
    Unrepeated u(from);
    memory.emplace(size_t(u.to.count) * size_t(item_size(from.dtype)));
    u.to.data = memory->as<void>();
    copy(u.to, u.from);
    x.data = u.to.data;
  }
};

/// A product of the library's, with its operands but for where the batch's outer axes are.
class Product {
 public:
  Product(const CublasLt& lt, DType t, double alpha, bool accumulate, const void* left, const void* right, const After& after)
      : lt_(lt), left_(left), right_(right), after_(after), is_double_(t == DType::float64) {
    scales_[0] = alpha, scales_[1] = accumulate;
    float_scales_[0] = float(alpha), float_scales_[1] = accumulate;
  }
  /// `at`: bytes behind where the factors begin.
  cublasStatus_t run(const Choice& c, int64_t at_left, int64_t at_right, void* to, const std::optional<Scratch>& workspace) const {
    Choice now = c;
    Steps steps(lt_);
    steps.operands(now.product, after_.vector.data, after_.h.data);
    if (!steps) return CUBLAS_STATUS_INVALID_VALUE;
    const void* scales[2] = {is_double_ ? static_cast<const void*>(scales_) : float_scales_,
                             is_double_ ? static_cast<const void*>(scales_ + 1) : float_scales_ + 1};
    return lt_.Matmul(handle, &now.product, scales[0], static_cast<const char*>(left_) + at_left, &now.left,
                      static_cast<const char*>(right_) + at_right, &now.right, scales[1], to, &now.result, to, &now.result,
                      &now.algorithm, workspace ? workspace->as<void>() : nullptr, now.workspace, stream());
  }
  /// Milliseconds; infinite where it cannot be done.
  double measure(const Choice& c, void* to) const {
    std::optional<Scratch> workspace;
    if (c.workspace) workspace.emplace(c.workspace);
    if (run(c, 0, 0, to, workspace) != CUBLAS_STATUS_SUCCESS) return cudaGetLastError(), std::numeric_limits<double>::infinity();
    return milliseconds([&] { run(c, 0, 0, to, workspace); });
  }

  cublasLtHandle_t handle = nullptr;

 private:
  const CublasLt& lt_;
  const void *left_, *right_;
  const After& after_;
  double scales_[2];
  float float_scales_[2];
  bool is_double_;
};

bool multiply(const CublasLt& lt, const Array& y, const Array& a, const Array& b, After after, double alpha, bool accumulate,
              Float32Precision precision) {
  const ProductPlan p = plan_product(y, a, b);
  if (p.batches > INT32_MAX || !fits(p, y.dtype, after)) return false;
  const int item = int(item_size(y.dtype));
  const Copied right(a, p.a.copied), left(b, p.b.copied);  // to the library, whose rows are our columns
  const bool is_bias = after.what == Epilogue::bias;
  const Copied addend(after.vector,
                      is_bias && reinterpret_cast<uintptr_t>(after.vector.data) % 16 != 0);  // it takes them on 16 bytes only
  after.vector = addend.x;
  const Question q{.device = selected_device(),
                   .tuned = kernel_tuning(),
                   .type = int64_t(y.dtype),
                   .compute = compute_of(y.dtype, precision),
                   .epilogue = epilogue_of(after),
                   .accumulate = accumulate,
                   .rows = p.rows,
                   .columns = p.columns,
                   .inner = p.inner,
                   .batches = p.batches,
                   .y_step = p.y_step,
                   .a_columns = p.a.columns,
                   .a_leading = p.a.leading,
                   .a_step = p.a.step,
                   .b_columns = p.b.columns,
                   .b_leading = p.b.leading,
                   .b_step = p.b.step,
                   .a_alignment = alignment(right.x.data, item, p.a.step, p, &ProductPlan::Axis::a),
                   .b_alignment = alignment(left.x.data, item, p.b.step, p, &ProductPlan::Axis::b),
                   .y_alignment = alignment(y.data, item, p.y_step, p, &ProductPlan::Axis::y),
                   .vector_alignment = alignment(after.vector.data),
                   .h_alignment = alignment(after.h.data)};
  Product product(lt, y.dtype, alpha, accumulate, left.x.data, right.x.data, after);
  std::optional<Scratch> result;  // of what is only timed
  const Choice c =
      choices().find(lt, y.dtype, p, q, after, q.tuned && !is_captured(), &product.handle, [&](const Choice& candidate) {
        if (!result) result.emplace(size_t((p.batches - 1) * p.y_step + p.rows * p.columns) * size_t(item));
        return product.measure(candidate, result->as<void>());
      });
  if (!c.there) return false;
  std::optional<Scratch> workspace;
  if (c.workspace) workspace.emplace(c.workspace);

  int64_t calls = 1;
  for (int d = 0; d < p.calls_rank; ++d) calls *= p.calls[d].size;
  for (int64_t i = 0; i < calls; ++i) {
    int64_t rest = i, at_y = 0, at_a = 0, at_b = 0;
    for (int d = 0; d < p.calls_rank; ++d) {
      const int64_t at = rest % p.calls[d].size;
      rest /= p.calls[d].size;
      at_y += at * p.calls[d].y, at_a += at * p.calls[d].a, at_b += at * p.calls[d].b;
    }
    const cublasStatus_t status = product.run(c, at_b * item, at_a * item, y.as<char>() + at_y * item, workspace);
    if (status == CUBLAS_STATUS_SUCCESS) continue;
    if (i == 0) return choices().refuse(q), cudaGetLastError(), false;  // it had answered, and yet will not do it
    throw Error(described("matmul", {&y, &a, &b}) + ": cuBLASLt says: " + lt.GetStatusString(status));
  }
  return true;
}

}  // namespace

bool cublas_lt_matmul(const Array& y, const Array& a, const Array& b, const After& after, double alpha, bool accumulate,
                      Float32Precision precision) {
  if (y.count == 0 || !is_float(y.dtype) || alpha == 0 || a.size(-1) == 0) return false;  // by the library 0 times NaN would be 0
  const CublasLt& lt = library();
  if (!lt) return false;
  try {
    return multiply(lt, y, a, b, after, alpha, accumulate, precision);
  } catch (const OutOfMemory&) {  // all that it takes is taken before it begins
    return false;
  }
}

}  // namespace gradus::cuda

#else  // a toolkit without cuBLASLt

namespace gradus::cuda {
bool cublas_lt_matmul(const Array&, const Array&, const Array&, const After&, double, bool, Float32Precision) { return false; }
}  // namespace gradus::cuda

#endif
