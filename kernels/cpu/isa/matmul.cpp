// Products of matrices, one or a batch: brings the operands to one product or a batch with one stride, and chooses who computes it.
#include "kernels/cpu/isa/gemm.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

// Multiplications below which this library's own product is faster than a call of oneDNN, and per thread of a batch worth sharing.
constexpr int64_t kLibrary = 1 << 16;
constexpr int64_t kShareBatch = 1 << 15;
constexpr int64_t kDepthAtOnce = 1024;
constexpr int64_t kSkinny = 4;  // rows or columns up to which a product only reads its larger operand once

/// Batches of matrices whose outer axes are merged as far as strides allow.
struct Batch {
  int rank = 0;  // axes of the batch that are left
  int64_t size[kMaxRank], count = 1;
  int64_t a[kMaxRank], b[kMaxRank];  // strides; y is dense
  int64_t m, n, k;
  int64_t a_row, a_col, b_row, b_col;
};

Batch merged(const Array& y, const Array& a, const Array& b) {
  Batch p;
  p.m = y.size(-2), p.n = y.size(-1), p.k = a.size(-1);
  p.a_row = a.step(-2), p.a_col = a.step(-1), p.b_row = b.step(-2), p.b_col = b.step(-1);
  for (int d = 0; d < y.rank - 2; ++d) {
    int64_t size = y.size(d), sa = a.size(d) == 1 ? 0 : a.step(d), sb = b.size(d) == 1 ? 0 : b.step(d);
    p.count *= size;
    if (size == 1) continue;
    int last = p.rank - 1;
    if (last >= 0 && p.a[last] == sa * size && p.b[last] == sb * size) {
      p.size[last] *= size, p.a[last] = sa, p.b[last] = sb;
    } else {
      p.size[p.rank] = size, p.a[p.rank] = sa, p.b[p.rank] = sb, ++p.rank;
    }
  }
  if (p.rank == 1 && p.b[0] == 0 && (p.a[0] == p.m * p.a_row || p.m == 1)) {  // one matrix b for all: the rows of a go on
    if (p.m == 1) p.a_row = p.a[0];
    p.m *= p.size[0];
    p.rank = 0, p.count = 1;
  }
  return p;
}

bool offer_to_onednn(const Batch& p, const Array& y, const Array& a, const Array& b, const Array& bias, double alpha,
                     bool accumulate) {
  if (p.rank > 1 || p.m <= kSkinny || p.n <= kSkinny || p.k < 2 || p.count * p.m * p.n * p.k < kLibrary) return false;
  // Strides as oneDNN knows them: positive, and of an axis of size one as if it were longer.
  int64_t shape[3][3], stride[3][3];
  auto view = [&](int i, const Array& x, int64_t batch_stride, int64_t rows, int64_t columns, int64_t row, int64_t column) {
    int at = 1 - p.rank;
    shape[i][0] = p.rank && batch_stride ? p.size[0] : 1, shape[i][1] = rows, shape[i][2] = columns;
    stride[i][0] = batch_stride ? batch_stride : rows * columns, stride[i][1] = row, stride[i][2] = column;
    return Array{x.data, x.dtype, false, 3 - at, 0, shape[i] + at, stride[i] + at};
  };
  Array vy = view(0, y, p.m * p.n, p.m, p.n, p.n, 1);
  Array va = view(1, a, p.rank ? p.a[0] : 0, p.m, p.k, p.a_row, p.a_col);
  Array vb = view(2, b, p.rank ? p.b[0] : 0, p.k, p.n, p.b_row, p.b_col);
  // Along a long depth with a transposed, oneDNN would share the depth of small results among threads. Part by part it does not, and the
  // result does not depend on how many there are.
  if (p.a_col == 1 || p.k <= kDepthAtOnce) return onednn_matmul(vy, va, vb, bias, alpha, accumulate);
  if (p.rank > 0 || y.dtype != DType::float32) return false;
  for (int64_t at = 0; at < p.k; at += kDepthAtOnce) {
    shape[1][2] = shape[2][1] = at + kDepthAtOnce < p.k ? kDepthAtOnce : p.k - at;
    va.data = a.as<float>() + at * p.a_col, vb.data = b.as<float>() + at * p.b_row;
    if (onednn_matmul(vy, va, vb, at == 0 ? bias : Array{}, alpha, accumulate || at > 0)) continue;
    if (at == 0) return false;
    gemm(Product<float>{p.m, p.n, shape[1][2], va.as<float>(), p.a_row, p.a_col, vb.as<float>(), p.b_row, p.b_col, y.as<float>(),
                        p.n, float(alpha), true});
  }
  return true;
}

template <class F> void each_of_batch(const Batch& p, int64_t begin, int64_t end, F&& f) {
  for (int64_t i = begin; i < end; ++i) {
    int64_t rest = i, a = 0, b = 0;
    for (int d = p.rank - 1; d >= 0; --d) {
      int64_t at = rest % p.size[d];
      rest /= p.size[d];
      a += at * p.a[d], b += at * p.b[d];
    }
    f(i, a, b);
  }
}

template <class T>
void float_batch(const Batch& p, const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate) {
  auto run = [&](int64_t begin, int64_t end) {
    each_of_batch(p, begin, end, [&](int64_t i, int64_t at_a, int64_t at_b) {
      gemm(Product<T>{p.m, p.n, p.k, a.as<T>() + at_a, p.a_row, p.a_col, b.as<T>() + at_b, p.b_row, p.b_col,
                      y.as<T>() + i * p.m * p.n, p.n, accumulate_t<T>(alpha), accumulate, bias.as<T>()});
    });
  };
  int64_t work = p.m * p.n * p.k + 1;
  if (p.count > 3 || work < kShareBatch) return parallel_for_throwing(p.count, kShareBatch / work + 1, run);
  run(0, p.count);  // few and large: each is shared by all threads
}

/// Wraps around on overflow, as integers of the machine do.
template <class T> void integer_batch(const Batch& p, const Array& y, const Array& a, const Array& b, const Array& bias,
                                      double alpha, bool accumulate) {
  using U = std::make_unsigned_t<T>;
  U scale = U(int64_t(alpha));
  parallel_for(p.count * p.m, kShareBatch / (p.n * p.k + 1) + 1, [&](int64_t begin, int64_t end) {
    each_of_batch(p, begin / p.m, (end + p.m - 1) / p.m, [&](int64_t i, int64_t at_a, int64_t at_b) {
      int64_t first = i * p.m;
      for (int64_t r = begin > first ? begin - first : 0; r < p.m && first + r < end; ++r) {
        U* c = y.as<U>() + (first + r) * p.n;
        for (int64_t j = 0; j < p.n; ++j) c[j] = (accumulate ? c[j] : U(0)) + (bias ? bias.as<U>()[j] : U(0));
        for (int64_t k = 0; k < p.k; ++k) {
          U x = scale * a.as<U>()[at_a + r * p.a_row + k * p.a_col];
          const U* row = b.as<U>() + at_b + k * p.b_row;
          for (int64_t j = 0; j < p.n; ++j) c[j] += x * row[j * p.b_col];
        }
      }
    });
  });
}

}  // namespace

void matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate) {
  if (y.count == 0) return;
  Batch p = merged(y, a, b);
  if (is_float(y.dtype)) {
    if (offer_to_onednn(p, y, a, b, bias, alpha, accumulate)) return;
    dispatch_float("matmul", y.dtype, [&]<class T>() { float_batch<T>(p, y, a, b, bias, alpha, accumulate); });
  } else {
    dispatch_integer("matmul", y.dtype, [&]<class T>() { integer_batch<T>(p, y, a, b, bias, alpha, accumulate); });
  }
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
