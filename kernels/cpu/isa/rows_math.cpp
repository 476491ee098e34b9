#define GRADUS_FAMILY GRADUS_FAMILY_MATH
#include "rows.h"
