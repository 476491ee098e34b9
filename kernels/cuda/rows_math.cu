#define GRADUS_FAMILY GRADUS_FAMILY_MATH
#include "kernels/cuda/rows.cuh"
