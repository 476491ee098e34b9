#define GRADUS_FAMILY GRADUS_FAMILY_ARITHMETIC
#define GRADUS_FAMILY_MOVES
#include "kernels/cuda/rows.cuh"
