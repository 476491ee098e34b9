#define GRADUS_FAMILY GRADUS_FAMILY_TRIGONOMETRY
#include "kernels/cuda/rows.cuh"
