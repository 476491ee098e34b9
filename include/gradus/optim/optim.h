// Optimizers, schedules of their rates, bounds on gradients.
#pragma once
#include "gradus/optim/adam.h"
#include "gradus/optim/clip.h"
#include "gradus/optim/grad_scaler.h"
#include "gradus/optim/more.h"
#include "gradus/optim/rms.h"
#include "gradus/optim/scaled.h"
#include "gradus/optim/scheduler.h"
#include "gradus/optim/sgd.h"
