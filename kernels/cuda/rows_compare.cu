#define GRADUS_FAMILY GRADUS_FAMILY_COMPARE
#include "kernels/cuda/rows.cuh"
