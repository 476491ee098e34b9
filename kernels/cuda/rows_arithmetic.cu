#define GRADUS_FAMILY GRADUS_FAMILY_ARITHMETIC
#include "kernels/cuda/rows.cuh"
