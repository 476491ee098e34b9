// Gradients of leaves that are kept as an outer product.
#include "gradus/autograd/gradient.h"

#include "gradus/ops/create.h"
#include "gradus/ops/matmul.h"
#include "src/autograd/engine.h"
#include "src/core/recording.h"

namespace gradus {
namespace {

constexpr int64_t kWorthwhile = 1 << 14;  // elements: below, two copies cost what one small product does

}  // namespace

AnyTensor& Leaf::multiplied_out() {
  if (column) {
    NoGrad no_grad;
    grad = mm(column, row);
    grad.impl()->inference = column.impl()->inference;  // as backward would have made it, wherever it is read
    column = {}, row = {};
  }
  return grad;
}

Gradient Gradient::of(const AnyTensor& tensor) {
  if (!tensor.requires_grad()) return AnyTensor();
  if (!tensor.is_leaf()) return tensor.grad();
  auto& leaf = static_cast<Leaf&>(*tensor.impl()->node);
  LeafLock lock(leaf);
  if (StepRecording* r = StepRecording::current()) [[unlikely]]
    r->gradients().touch(leaf, RecordedGradients::Touch::read);
  if (leaf.column) return Gradient(tensor, leaf.column, leaf.row);
  return leaf.grad;
}

const AnyTensor& Gradient::tensor() const {
  if (whole_ || !column_) return whole_;
  if (leaf_.requires_grad() && leaf_.is_leaf()) {
    auto& leaf = static_cast<Leaf&>(*leaf_.impl()->node);
    LeafLock lock(leaf);
    if (leaf.column.is_same(column_)) return whole_ = leaf.multiplied_out();
  }
  NoGrad no_grad;  // the leaf has another one by now, or none
  return whole_ = mm(column_, row_);
}

bool give_outer_product(uint32_t input, const AnyTensor& column, const AnyTensor& row) {
  Node& to = *current_walk.node->edges[input].node;
  // Elsewhere than on the CPU a product's launch costs as much as what is saved.
  if (!to.is_leaf() || is_grad_enabled() || current_walk.needed || anomaly_mode.load(std::memory_order_relaxed) ||
      row.device() != kCPU || column.numel() * row.numel() < kWorthwhile)
    return false;
  auto& leaf = static_cast<Leaf&>(to);
  if (leaf.counted) return false;
  LeafLock lock(leaf);
  if (leaf.grad || leaf.column) return false;
  // Copies: the batch may be written before anybody reads the gradient.
  leaf.column = column.reshape({column.numel(), 1}).clone();
  leaf.row = row.reshape({1, row.numel()}).clone();
  return true;
}

}  // namespace gradus
