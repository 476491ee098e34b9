#define GRADUS_FAMILY GRADUS_FAMILY_COMPARE
#include "rows.h"
