// What the layers of this folder are written with.
#pragma once
#include "gradus/nn/module.h"

/// In a layer that declares `AnyTensor forward(const AnyTensor& x) const`: the same for tensors whose dtype is in their type.
#define GRADUS_TYPED_FORWARD \
  template <class T> Tensor<T> forward(const Tensor<T>& x) const { return Tensor<T>(forward(static_cast<const AnyTensor&>(x))); }
