// Networks: modules and what they are made of.
#pragma once
#include "gradus/nn/activation.h"
#include "gradus/nn/container.h"
#include "gradus/nn/conv.h"
#include "gradus/nn/init.h"
#include "gradus/nn/linear.h"
#include "gradus/nn/loss.h"
#include "gradus/nn/module.h"
#include "gradus/nn/norm.h"
#include "gradus/nn/parameter.h"
#include "gradus/nn/pool.h"
#include "gradus/nn/shape.h"
#include "gradus/nn/summary.h"
