// What this backend offers. A row of ops.def without a kernel is an error of the linker; structured kernels are named one by one, and
// those that are missing are null: their ops say that there is no CUDA kernel.
#include "kernels/table.h"

#include "kernels/cuda/backend.h"

namespace gradus::cuda {

#define GRADUS_KERNEL(name, parameters) void name parameters;
#include "gradus/ops/kernels.def"

namespace rows {
#define GRADUS_UNARY(name, ...) ElementwiseKernel name, name##_backward;
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) ElementwiseKernel name;
#define GRADUS_PREDICATE(name, ...) ElementwiseKernel name;
#define GRADUS_BITWISE(name, ...) ElementwiseKernel name;
#include "gradus/ops/ops.def"
ElementwiseKernel where;
}  // namespace rows

const KernelTable& table() {
  static const KernelTable all = [] {
    KernelTable t {
#define GRADUS_UNARY(name, ...) .name = rows::name, .name##_backward = rows::name##_backward,
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) .name = rows::name,
#define GRADUS_PREDICATE(name, ...) .name = rows::name,
#define GRADUS_BITWISE(name, ...) .name = rows::name,
#include "gradus/ops/ops.def"
      .where = rows::where,
    };
#define OFFERS(name) t.name = cuda::name
    OFFERS(copy);
    OFFERS(fill);
    OFFERS(sum);
    OFFERS(reduce);
    OFFERS(matmul);
    OFFERS(softmax);
    OFFERS(softmax_backward);
    OFFERS(cross_entropy);
    OFFERS(cross_entropy_backward);
    OFFERS(layer_norm);
    OFFERS(layer_norm_backward);
    OFFERS(embedding);
    OFFERS(embedding_backward);
    OFFERS(extreme);
    OFFERS(gather);
    OFFERS(scatter);
    OFFERS(locate);
    OFFERS(take_blocks);
    OFFERS(put_blocks);
    OFFERS(nonzero_count);
    OFFERS(nonzero_places);
    OFFERS(triangle);
    OFFERS(dropout);
    OFFERS(attention);
    OFFERS(attention_backward);
    OFFERS(channel_norm);
    OFFERS(channel_norm_fixed);
    OFFERS(channel_norm_backward);
    OFFERS(conv2d);
    OFFERS(conv2d_backward_input);
    OFFERS(conv2d_backward_weight);
    OFFERS(max_pool2d);
    OFFERS(max_pool2d_backward);
    OFFERS(take_pixels);
    OFFERS(avg_pool2d);
    OFFERS(avg_pool2d_backward);
    OFFERS(interpolate2d);
    OFFERS(interpolate2d_backward);
    OFFERS(scan);
    OFFERS(scan_linear);
    OFFERS(scan_extreme);
    OFFERS(sort);
    OFFERS(top);
    OFFERS(nth);
    OFFERS(search_sorted);
    OFFERS(update);
    OFFERS(arange);
    OFFERS(linspace);
    OFFERS(uniform);
    OFFERS(normal);
    OFFERS(bernoulli);
    OFFERS(random_integers);
#undef OFFERS
    return t;
  }();
  return all;
}

}  // namespace gradus::cuda
