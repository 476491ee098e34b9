#define GRADUS_FAMILY GRADUS_FAMILY_COMPARE
#define GRADUS_FAMILY_MOVES
#include "kernels/cuda/rows.cuh"
