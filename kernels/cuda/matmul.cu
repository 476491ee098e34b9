// Products of matrices in any layout: 64 x 64 results a block, 4 x 4 a thread, sums in float for half types and always in the same order.
// The plain kernel that serves every type; it uses no tensor cores.
#include "kernels/cuda/elementwise.cuh"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int kTile = 64, kDepth = 16, kEach = 4;  // results a side, terms a step, results a thread and side

struct Operand {
  const void* data;
  int64_t row, column;               // steps in elements
  int64_t batch_step[kMaxRank - 2];  // 0 along an axis that is broadcast
};
struct Product {
  void* y;
  const void* bias;
  Operand a, b;
  int64_t rows, columns, inner, batches;
  int batch_rank;
  int64_t batch_size[kMaxRank - 2];
  double alpha;
  bool accumulate;
};

template <class T> __device__ const T* matrix_of(const Operand& o, const Product& p, int64_t batch) {
  const T* at = static_cast<const T*>(o.data);
  for (int d = p.batch_rank - 1; d >= 0; --d) {
    at += batch % p.batch_size[d] * o.batch_step[d];
    batch /= p.batch_size[d];
  }
  return at;
}

template <class T> __global__ void __launch_bounds__(kThreads) multiply(const __grid_constant__ Product p) {
  using A = accumulate_t<T>;
  __shared__ A left[kDepth][kTile + 1], right[kDepth][kTile + 1];
  const int64_t first_row = int64_t(blockIdx.x) * kTile, first_column = int64_t(blockIdx.y) * kTile;
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  for (int64_t batch = blockIdx.z; batch < p.batches; batch += gridDim.z) {
    const T *a = matrix_of<T>(p.a, p, batch), *b = matrix_of<T>(p.b, p, batch);
    A sum[kEach][kEach] = {};
    for (int64_t k = 0; k < p.inner; k += kDepth) {
      __syncthreads();  // what was there before has been used
      for (int i = threadIdx.x; i < kTile * kDepth; i += kThreads) {
        // Neighbouring threads read neighbouring elements, whichever axis these lie along.
        const int ak = p.a.column == 1 ? i % kDepth : i / kTile, ar = p.a.column == 1 ? i / kDepth : i % kTile;
        const int bk = p.b.row == 1 ? i % kDepth : i / kTile, bc = p.b.row == 1 ? i / kDepth : i % kTile;
        left[ak][ar] =
            first_row + ar < p.rows && k + ak < p.inner ? A(widen(a[(first_row + ar) * p.a.row + (k + ak) * p.a.column])) : A(0);
        right[bk][bc] = first_column + bc < p.columns && k + bk < p.inner
                            ? A(widen(b[(k + bk) * p.b.row + (first_column + bc) * p.b.column]))
                            : A(0);
      }
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        A l[kEach], r[kEach];
#pragma unroll
        for (int j = 0; j < kEach; ++j) l[j] = left[d][row + 16 * j], r[j] = right[d][column + 16 * j];
#pragma unroll
        for (int i = 0; i < kEach; ++i) {
#pragma unroll
          for (int j = 0; j < kEach; ++j) sum[i][j] += l[i] * r[j];
        }
      }
    }
    T* y = static_cast<T*>(p.y) + batch * p.rows * p.columns;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const int64_t r = first_row + row + 16 * i, c = first_column + column + 16 * j;
        if (r >= p.rows || c >= p.columns) continue;
        A v = A(A(p.alpha) * sum[i][j]);
        if (p.bias) v += widen(static_cast<const T*>(p.bias)[c]);
        if (p.accumulate) v += widen(y[r * p.columns + c]);
        y[r * p.columns + c] = narrow<T>(v);
      }
    }
  }
}

Operand operand_of(const Array& x, const Array& y) {
  Operand o{x.data, x.step(-2), x.step(-1), {}};
  for (int d = 0; d + 2 < x.rank; ++d) o.batch_step[d] = x.shape[d] == 1 && y.shape[d] != 1 ? 0 : x.stride[d];
  return o;
}

}  // namespace

void matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate) {
  Product p{y.data, bias.data, operand_of(a, y), operand_of(b, y), y.size(-2), y.size(-1), a.size(-1), 1, y.rank - 2,
            {},     alpha,     accumulate};
  for (int d = 0; d + 2 < y.rank; ++d) p.batch_size[d] = y.shape[d], p.batches *= y.shape[d];
  if (p.rows == 0 || p.columns == 0 || p.batches == 0) return;
  const int64_t row_tiles = (p.rows + kTile - 1) / kTile, column_tiles = (p.columns + kTile - 1) / kTile;
  if (column_tiles > 65535) throw Error("matmul: " + std::to_string(p.columns) + " columns are too many for one call");
  const dim3 grid(unsigned(row_tiles), unsigned(column_tiles), unsigned(p.batches < 65535 ? p.batches : 65535));
  dispatch_number("matmul", y.dtype, [&]<class T>() { multiply<T><<<grid, kThreads, 0, stream()>>>(p); });
  check_launch("matmul", {&y, &a, &b});
}

}  // namespace gradus::cuda
