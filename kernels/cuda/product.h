// How a batch of products in any layout becomes calls of a library whose matrices lie by columns. Nothing of CUDA stands here: it is tested on
// the CPU.
#pragma once
#include "gradus/core/precision.h"
#include "kernels/array.h"

namespace gradus::cuda {

/// A factor as it lies in memory: `count` vectors of `size` numbers each, `leading` apart.
struct Factor {
  bool copied = false;   // no layout that the library knows: to be brought into rows without gaps first
  bool columns = false;  // the vectors are the matrix's columns, not its rows
  int64_t size = 0, count = 0, leading = 0;
  int64_t step = 0;  // between neighbours of a batch; 0: one matrix for all
};

/// y = a b. Rows of ours are columns of the library's, so it multiplies y' = b' a'; no number moves for that.
struct ProductPlan {
  int64_t rows = 0, columns = 0, inner = 0;  // of one product; rows of a batch with one b have been put together
  Factor a, b;
  int64_t batches = 1, y_step = 0;  // that one call does
  int calls_rank = 0;               // axes of the batch that are left: a call for each of their elements
  struct Axis {
    int64_t size, y, a, b;  // and steps, in elements
  } calls[kMaxRank] = {};
};

/// The shapes are those of the row `matmul`: equal ranks of at least 2, batch axes broadcast, y row-major.
ProductPlan plan_product(const Array& y, const Array& a, const Array& b);

/// What the library does with a product on its way to y, or with a factor on its way in; else y is the product alone.
enum class Epilogue : uint8_t {
  none,
  bias,           // + vector, which has an element a column
  gelu,           // the same, which goes to h, then gelu_tanh; both may be absent
  gelu_backward,  // times the slope of gelu_tanh at h; its columns' sums go to the vector, which may be absent
  sums,           // the sums of a's rows go to the vector
};
struct After {
  Epilogue what = Epilogue::none;
  Array vector = {}, h = {};  // dense, and h of y's shape
};
/// Whether the library is asked for it in a call of that plan: it wants one product, addresses of 16 bytes and rows of h of 8 numbers; and gelu
/// is left to it in half types alone, since nobody says how exact its tanh is.
bool fits(const ProductPlan& p, DType type, const After& after);

/// The row `matmul` with a precision of the caller's.
void multiply_matrices(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate,
                       Float32Precision precision);

/// What plan_product calls a copy: the axes of x along which it does not repeat, row-major.
struct Unrepeated {
  int64_t shape[kMaxRank], dense[kMaxRank];
  Array from, to;  // `to` has no memory yet
  explicit Unrepeated(const Array& x);
  Unrepeated(const Unrepeated&) = delete;
};

}  // namespace gradus::cuda
