#define GRADUS_FAMILY GRADUS_FAMILY_ACTIVATION
#include "kernels/cuda/rows.cuh"
