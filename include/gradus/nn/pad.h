// Edges around rows (.., L), images (.., H, W) and volumes (.., D, H, W).
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/shape_ops.h"

namespace gradus::nn {

namespace detail {
/// What all have in common: pad() with the amounts that it was made with.
class PadLayer : public Module {
 public:
  std::vector<int64_t> amounts;  // before and after each axis from the last; negative ones cut off
  double value = 0;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return pad(x, amounts, mode_, value); }
  GRADUS_TYPED_FORWARD

 protected:
  PadLayer(PadMode mode, size_t axes, int64_t each, double value = 0) : amounts(2 * axes, each), value(value), mode_(mode) {}
  /// Throws ValueError, naming the layer, unless there are two amounts for each axis.
  PadLayer(const char* name, PadMode mode, size_t axes, std::vector<int64_t> amounts, double value = 0);

 private:
  PadMode mode_;
};
}  // namespace detail

/// The same amount at each side, or before and after each axis from the last: nn::ReflectionPad2d(1), nn::ZeroPad2d({left, right, top,
/// bottom}). What the added elements are, pad() says.
#define GRADUS_PAD(Name, mode, axes)                                                                 \
  struct Name : detail::PadLayer {                                                                   \
    explicit Name(int64_t each) : PadLayer(mode, axes, each) {}                                      \
    explicit Name(std::vector<int64_t> amounts) : PadLayer(#Name, mode, axes, std::move(amounts)) {} \
  };
GRADUS_PAD(ZeroPad1d, PadMode::constant, 1)
GRADUS_PAD(ZeroPad2d, PadMode::constant, 2)
GRADUS_PAD(ZeroPad3d, PadMode::constant, 3)
GRADUS_PAD(ReflectionPad1d, PadMode::reflect, 1)
GRADUS_PAD(ReflectionPad2d, PadMode::reflect, 2)
GRADUS_PAD(ReflectionPad3d, PadMode::reflect, 3)
GRADUS_PAD(ReplicationPad1d, PadMode::replicate, 1)
GRADUS_PAD(ReplicationPad2d, PadMode::replicate, 2)
GRADUS_PAD(ReplicationPad3d, PadMode::replicate, 3)
GRADUS_PAD(CircularPad1d, PadMode::circular, 1)
GRADUS_PAD(CircularPad2d, PadMode::circular, 2)
GRADUS_PAD(CircularPad3d, PadMode::circular, 3)
#undef GRADUS_PAD

/// With any number: nn::ConstantPad1d(2, -1.5).
#define GRADUS_CONSTANT_PAD(Name, axes)                                                                                       \
  struct Name : detail::PadLayer {                                                                                            \
    Name(int64_t each, double value) : PadLayer(PadMode::constant, axes, each, value) {}                                      \
    Name(std::vector<int64_t> amounts, double value) : PadLayer(#Name, PadMode::constant, axes, std::move(amounts), value) {} \
  };
GRADUS_CONSTANT_PAD(ConstantPad1d, 1)
GRADUS_CONSTANT_PAD(ConstantPad2d, 2)
GRADUS_CONSTANT_PAD(ConstantPad3d, 3)
#undef GRADUS_CONSTANT_PAD

}  // namespace gradus::nn
