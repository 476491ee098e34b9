// The parameters of structured kernels, as plain numbers.
#pragma once
#include <cstdint>

#include "gradus/core/scalar.h"
#include "kernels/array.h"
