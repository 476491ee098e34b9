#include "gradus/nn/pad.h"

namespace gradus::nn::detail {

PadLayer::PadLayer(const char* name, PadMode mode, size_t axes, std::vector<int64_t> list, double value)
    : amounts(std::move(list)), value(value), mode_(mode) {
  if (amounts.size() != 2 * axes)
    throw ValueError(std::string(name) + ": got " + std::to_string(amounts.size()) + " amounts; " + std::to_string(2 * axes) +
                     " are needed, before and after each axis from the last");
}

}  // namespace gradus::nn::detail
