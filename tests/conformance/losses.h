// Options of losses, which functions take after their tensors and modules when they are made: in the same order and by the same names,
// the first of them at position `at`.
#pragma once
#include "gradus/loss/loss.h"
#include "tests/conformance/ops.h"

namespace conformance {

using gradus::Reduction;

inline Reduction reduction_of(const Arguments& c) {
  std::string name = c.str(-1, "reduction", "mean");
  if (name == "none") return Reduction::none;
  if (name == "sum") return Reduction::sum;
  if (name == "mean" || name == "batchmean") return Reduction::mean;
  throw std::runtime_error("runner: a reduction named " + name);
}
/// Labels that are recorded as integers, in the dtype of x: Gradus wants the cast said.
inline AnyTensor labels(const Arguments& c, int position) { return c.t(position, "target").to(c[0].dtype()); }
inline gradus::LossOptions plain_loss(const Arguments& c, int) { return {.reduction = reduction_of(c)}; }
inline gradus::CrossEntropyOptions cross_entropy_of(const Arguments& c, int at) {
  return {.weight = c.maybe(at, "weight"),
          .ignore_index = c.i(-1, "ignore_index", -100),
          .reduction = reduction_of(c),
          .label_smoothing = c.d(-1, "label_smoothing", 0)};
}
inline gradus::NllLossOptions nll_of(const Arguments& c, int at) {
  return {.weight = c.maybe(at, "weight"), .ignore_index = c.i(-1, "ignore_index", -100), .reduction = reduction_of(c)};
}
inline gradus::SmoothL1LossOptions smooth_l1_of(const Arguments& c, int) {
  return {.beta = c.d(-1, "beta", 1), .reduction = reduction_of(c)};
}
inline gradus::HuberLossOptions huber_of(const Arguments& c, int) {
  return {.delta = c.d(-1, "delta", 1), .reduction = reduction_of(c)};
}
inline gradus::BinaryCrossEntropyOptions binary_of(const Arguments& c, int at) {
  return {.weight = c.maybe(at, "weight"), .reduction = reduction_of(c)};
}
inline gradus::BinaryCrossEntropyWithLogitsOptions logits_of(const Arguments& c, int at) {
  return {.weight = c.maybe(at, "weight"), .pos_weight = c.maybe(-1, "pos_weight"), .reduction = reduction_of(c)};
}
inline gradus::KlDivOptions kl_div_of(const Arguments& c, int) {
  return {.log_target = c.b(-1, "log_target", false),
          .batchmean = c.str(-1, "reduction", "mean") == "batchmean",
          .reduction = reduction_of(c)};
}
inline gradus::MarginOptions margin_of(const Arguments& c, int at, double otherwise) {
  return {.margin = c.d(at, "margin", otherwise), .reduction = reduction_of(c)};
}
inline gradus::TripletMarginOptions triplet_of(const Arguments& c, int at) {
  return {.margin = c.d(at, "margin", 1),
          .p = c.d(at + 1, "p", 2),
          .eps = c.d(at + 2, "eps", 1e-6),
          .swap = c.b(at + 3, "swap", false),
          .reduction = reduction_of(c)};
}
inline gradus::MultiMarginOptions multi_margin_of(const Arguments& c, int at) {
  return {
      .p = c.i(at, "p", 1), .margin = c.d(at + 1, "margin", 1), .weight = c.maybe(at + 2, "weight"), .reduction = reduction_of(c)};
}
inline gradus::MultiLabelSoftMarginOptions soft_margins_of(const Arguments& c, int at) {
  return {.weight = c.maybe(at, "weight"), .reduction = reduction_of(c)};
}
inline gradus::PoissonNllLossOptions poisson_of(const Arguments& c, int at) {
  return {.log_input = c.b(at, "log_input", true),
          .full = c.b(at + 1, "full", false),
          .eps = c.d(-1, "eps", 1e-8),
          .reduction = reduction_of(c)};
}
inline gradus::GaussianNllLossOptions gaussian_of(const Arguments& c, int) {
  return {.full = c.b(-1, "full", false), .eps = c.d(-1, "eps", 1e-6), .reduction = reduction_of(c)};
}

}  // namespace conformance
