// Products of matrices in any layout: 64 x 64 results a block, 4 x 4 a thread, sums in float for half types and always in the same order.
// The plain kernel that serves every type, where cuBLASLt does not; it uses no tensor cores.
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cublas_lt.h"
#include "kernels/cuda/tile.cuh"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int kTile = 64;  // results a side

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
  __shared__ typename Square<kTile, A>::Slab left[kDepth], right[kDepth];
  const int64_t first_row = int64_t(blockIdx.x) * kTile, first_column = int64_t(blockIdx.y) * kTile;
  for (int64_t batch = blockIdx.z; batch < p.batches; batch += gridDim.z) {
    const T *a = matrix_of<T>(p.a, p, batch), *b = matrix_of<T>(p.b, p, batch);
    Square<kTile, A> square;
    square.clear();
    for (int64_t k = 0; k < p.inner; k += kDepth) {
      __syncthreads();  // what was there before has been used
      fill_slab<kTile>(left, p.a.column == 1, [&](int d, int i, int) {
        const int64_t row = first_row + i, at = k + d;
        return row < p.rows && at < p.inner ? A(widen(a[row * p.a.row + at * p.a.column])) : A(0);
      });
      fill_slab<kTile>(right, p.b.row == 1, [&](int d, int i, int) {
        const int64_t column = first_column + i, at = k + d;
        return column < p.columns && at < p.inner ? A(widen(b[at * p.b.row + column * p.b.column])) : A(0);
      });
      __syncthreads();
      square.add_product(left, right);
    }
    T* y = static_cast<T*>(p.y) + batch * p.rows * p.columns;
    square.for_each([&](int i, int j, A sum) {
      const int64_t row = first_row + i, column = first_column + j;
      if (row >= p.rows || column >= p.columns) return;
      A v = A(converted<A>(p.alpha) * sum);
      if (p.bias) v += widen(static_cast<const T*>(p.bias)[column]);
      if (p.accumulate) v += widen(y[row * p.columns + column]);
      y[row * p.columns + column] = narrow<T>(v);
    });
  }
}

Operand operand_of(const Array& x, const Array& y) {
  Operand o{x.data, x.step(-2), x.step(-1), {}};
  for (int d = 0; d + 2 < x.rank; ++d) o.batch_step[d] = x.shape[d] == 1 && y.shape[d] != 1 ? 0 : x.stride[d];
  return o;
}

}  // namespace

void multiply_matrices(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate,
                       Float32Precision precision) {
  Product p{y.data, bias.data, operand_of(a, y), operand_of(b, y), y.size(-2), y.size(-1), a.size(-1), 1, y.rank - 2,
            {},     alpha,     accumulate};
  for (int d = 0; d + 2 < y.rank; ++d) p.batch_size[d] = y.shape[d], p.batches *= y.shape[d];
  if (p.rows == 0 || p.columns == 0 || p.batches == 0) return;
  if (cublas_lt_matmul(y, a, b, {bias ? Epilogue::bias : Epilogue::none, bias}, alpha, accumulate, precision)) return;
  if (bias && !is_half(y.dtype) &&
      cublas_lt_matmul(y, a, b, {}, alpha, accumulate, precision)) {  // it has none of double; halfs would round twice
    const Scalar none[2];
    return table().add(call_over("add", y.dtype, 1, {&y, &y, &bias}, none));
  }
  const int64_t row_tiles = (p.rows + kTile - 1) / kTile, column_tiles = (p.columns + kTile - 1) / kTile;
  if (column_tiles > 65535) throw Error("matmul: " + std::to_string(p.columns) + " columns are too many for one call");
  const dim3 grid(unsigned(row_tiles), unsigned(column_tiles), unsigned(p.batches < 65535 ? p.batches : 65535));
  dispatch_number("matmul", y.dtype, [&]<class T>() { multiply<T><<<grid, kThreads, 0, stream()>>>(p); });
  check_launch("matmul", {&y, &a, &b});
}

void matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate) {
  multiply_matrices(y, a, b, bias, alpha, accumulate, float32_matmul_precision());
}

}  // namespace gradus::cuda
