// The order of samples, and the seeds of what is random about them: functions of (seed, epoch, index) alone.
#pragma once
#include <cstdint>
#include <vector>

#include "gradus/core/random.h"

namespace gradus::data {

/// 0 ... n-1 in random order, every order equally likely.
std::vector<int64_t> shuffled(int64_t n, Generator& g);

/// A seed made of three numbers: other numbers, another stream.
uint64_t mix_seed(uint64_t seed, uint64_t epoch, uint64_t index);

}  // namespace gradus::data
