// PyTorch's loss modules are functions here.
#include "tests/conformance/losses.h"
#include "tests/conformance/modules.h"

namespace conformance {

using namespace gradus;

void add_losses(Modules& all) {
#define LOSS(name, f, options) \
  add_function(all, "nn." name, [](Arguments& o, Arguments& c) -> Outputs { return f(c[0], c.t(1, "target"), options(o, 0)); })
  LOSS("CrossEntropyLoss", cross_entropy, cross_entropy_of);
  LOSS("NLLLoss", nll_loss, nll_of);
  LOSS("MSELoss", mse_loss, plain_loss);
  LOSS("L1Loss", l1_loss, plain_loss);
  LOSS("SmoothL1Loss", smooth_l1_loss, smooth_l1_of);
  LOSS("HuberLoss", huber_loss, huber_of);
  LOSS("BCELoss", binary_cross_entropy, binary_of);
  LOSS("BCEWithLogitsLoss", binary_cross_entropy_with_logits, logits_of);
  LOSS("KLDivLoss", kl_div, kl_div_of);
  LOSS("SoftMarginLoss", soft_margin_loss, plain_loss);
  LOSS("PoissonNLLLoss", poisson_nll_loss, poisson_of);
  add_function(all, "nn.HingeEmbeddingLoss",
               [](Arguments& o, Arguments& c) -> Outputs { return hinge_embedding_loss(c[0], labels(c, 1), margin_of(o, 0, 1)); });
  add_function(all, "nn.MarginRankingLoss", [](Arguments& o, Arguments& c) -> Outputs {
    return margin_ranking_loss(c[0], c.t(1), labels(c, 2), margin_of(o, 0, 0));
  });
  add_function(all, "nn.CosineEmbeddingLoss", [](Arguments& o, Arguments& c) -> Outputs {
    return cosine_embedding_loss(c[0], c.t(1), c.t(2, "target"), margin_of(o, 0, 0));
  });
  LOSS("MultiMarginLoss", multi_margin_loss, multi_margin_of);
  LOSS("MultiLabelMarginLoss", multilabel_margin_loss, plain_loss);
  add_function(all, "nn.MultiLabelSoftMarginLoss", [](Arguments& o, Arguments& c) -> Outputs {
    return multilabel_soft_margin_loss(c[0], labels(c, 1), soft_margins_of(o, 0));
  });
  add_function(all, "nn.GaussianNLLLoss", [](Arguments& o, Arguments& c) -> Outputs {
    return gaussian_nll_loss(c[0], c.t(1, "target"), c.t(2, "var"), gaussian_of(o, 0));
  });
}

}  // namespace conformance
