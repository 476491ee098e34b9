// What decompositions share: small kernels around the library's.
#pragma once
#include "kernels/matrices.h"

namespace gradus::cuda {

/// The i-th matrix of a batch.
inline void* matrix(const Array& x, int64_t i) { return x.as<char>() + i * x.size(-2) * x.size(-1) * int64_t(item_size(x.dtype)); }

/// Ones on the diagonals, zeros elsewhere.
void fill_identity(const char* op, const Array& matrices);
/// Where the matrices of a batch begin, on the device.
void list_matrices(const char* op, void** places, const Array& matrices);
/// A matrix with a value that is infinite or NaN becomes zeros, which all of the library's iterations come to an end with; with others they may
/// fail, or write beyond their memory. `largest` gets a number for each matrix, which is not finite for one like that.
void clear_unfinite(const char* op, void* largest, const Array& matrices);
/// Where the library found nothing wrong but a value is infinite or NaN, info becomes its number, counted from 1. The k-th value of matrix i is
/// at i * matrix_step + k * step.
void note_unfinite(const char* op, const Array& info, const Array& values, int64_t count, int64_t matrix_step, int64_t step);
/// Pivots in 32 bits, of as many that the library wrote in 64 for matrices of m rows. It says nothing of those of a column without a number:
/// such a row stays where it is.
void take_pivots(const char* op, const Array& pivots, const int64_t* rows, int64_t m);

}  // namespace gradus::cuda
