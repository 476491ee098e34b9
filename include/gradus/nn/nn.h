// Networks: modules and what they are made of.
#pragma once
#include "gradus/nn/module.h"
#include "gradus/nn/parameter.h"
