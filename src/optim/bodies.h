// The constructors and the destructor that GRADUS_OPTIMIZER declares.
#pragma once
#include "gradus/optim/optimizer.h"

#define GRADUS_OPTIMIZER_BODIES(Name)                                                                                           \
  Name::Name(std::vector<AnyTensor> parameters, const Options& o) : OptimizerWith(#Name, std::move(parameters), o) { check(); } \
  Name::Name(const std::vector<Group>& groups) : OptimizerWith(#Name, groups) { check(); }                                      \
  Name::~Name() = default;
