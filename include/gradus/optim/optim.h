// Optimizers.
#pragma once
#include "gradus/optim/adam.h"
#include "gradus/optim/more.h"
#include "gradus/optim/rms.h"
#include "gradus/optim/sgd.h"
