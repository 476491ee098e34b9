// Dropout with a given draw: for those who must make the same mask twice.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// Takes the words for n elements, one each.
Draw take_words(Generator& g, int64_t n);
/// x / (1 - p) or 0, by the draw's word of an element's place in memory; stride (dense) is the layout that place is counted in. Recorded.
AnyTensor dropped(const AnyTensor& x, Draw draw, double p, const Shape& stride);

}  // namespace gradus
