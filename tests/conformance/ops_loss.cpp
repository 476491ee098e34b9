#include "tests/conformance/losses.h"

namespace conformance {

using namespace gradus;

void add_losses(Registry& ops) {
#define LOSS(name, options) OP("nn.functional." #name, name(c[0], c.t(1, "target"), options(c, 2)))
  LOSS(cross_entropy, cross_entropy_of);
  LOSS(nll_loss, nll_of);
  LOSS(mse_loss, plain_loss);
  LOSS(l1_loss, plain_loss);
  LOSS(smooth_l1_loss, smooth_l1_of);
  LOSS(huber_loss, huber_of);
  LOSS(binary_cross_entropy, binary_of);
  LOSS(binary_cross_entropy_with_logits, logits_of);
  LOSS(kl_div, kl_div_of);
  LOSS(soft_margin_loss, plain_loss);
  LOSS(poisson_nll_loss, poisson_of);
  OP("nn.functional.hinge_embedding_loss", hinge_embedding_loss(c[0], labels(c, 1), margin_of(c, 2, 1)));
  OP("nn.functional.margin_ranking_loss", margin_ranking_loss(c[0], c.t(1), labels(c, 2), margin_of(c, 3, 0)));
  OP("nn.functional.cosine_embedding_loss", cosine_embedding_loss(c[0], c.t(1), c.t(2, "target"), margin_of(c, 3, 0)));
  OP("nn.functional.triplet_margin_loss", triplet_margin_loss(c[0], c.t(1), c.t(2), triplet_of(c, 3)));
  LOSS(multi_margin_loss, multi_margin_of);
  LOSS(multilabel_margin_loss, plain_loss);
  OP("nn.functional.multilabel_soft_margin_loss", multilabel_soft_margin_loss(c[0], labels(c, 1), soft_margins_of(c, 2)));
  OP("nn.functional.cosine_similarity", cosine_similarity(c[0], c.t(1), c.i(2, "dim", 1), c.d(3, "eps", 1e-8)));
  OP("nn.functional.pairwise_distance",
     pairwise_distance(c[0], c.t(1), {.p = c.d(2, "p", 2), .eps = c.d(3, "eps", 1e-6), .keepdim = c.b(4, "keepdim", false)}));
  OP("nn.functional.pdist", pdist(c[0], c.d(1, "p", 2)));
  OP("dist", dist(c[0], c.t(1), c.d(2, "p", 2)));
  OP("nn.functional.gaussian_nll_loss", gaussian_nll_loss(c[0], c.t(1, "target"), c.t(2, "var"), gaussian_of(c, 3)));
}

}  // namespace conformance
