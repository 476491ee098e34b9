#include "gradus/nn/dropout.h"

namespace gradus::nn::detail {

void check_dropout(const char* module, double p) {
  if (!(p >= 0 && p <= 1)) throw ValueError(std::string(module) + ": p is " + std::to_string(p) + "; it must be between 0 and 1");
}

}  // namespace gradus::nn::detail
