#include "gradus/nn/embedding.h"

#include "gradus/autograd/mode.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {

Embedding::Embedding(int64_t classes, int64_t width, const EmbeddingOptions& o) : options_(o) {
  check_size("Embedding", "classes", classes), check_size("Embedding", "width", width);
  weight = Parameter(randn({classes, width}, DType::float32));
  if (!o.padding_idx) return;
  int64_t row = *o.padding_idx < 0 ? *o.padding_idx + classes : *o.padding_idx;
  if (row < 0 || row >= classes)
    throw IndexError("Embedding: padding_idx " + std::to_string(*o.padding_idx) + " is outside of " + std::to_string(classes) +
                     " classes");
  NoGrad no_grad;
  select(weight, 0, row).fill_(0);
}

}  // namespace gradus::nn
