// What this backend offers. A row of ops.def without a kernel is an error of the linker; structured kernels are named one by one, and
// those that are missing are null: their ops say that there is no CUDA kernel.
#include "kernels/table.h"

#include "kernels/cuda/backend.h"
#if GRADUS_WITH_CUDNN
#include "kernels/cuda/dnn/dnn.h"
#endif

namespace gradus::cuda {

#define GRADUS_KERNEL(name, parameters) void name parameters;
#include "gradus/ops/kernels.def"

namespace rows {
#include "kernels/rows_declared.inc"
}  // namespace rows

const KernelTable& table() {
  static const KernelTable all = [] {
    KernelTable t{
#include "kernels/rows_listed.inc"
    };
#define OFFERS(name) t.name = cuda::name
    OFFERS(copy);
    OFFERS(fill);
    OFFERS(sum);
    OFFERS(reduce);
    OFFERS(matmul);
    OFFERS(matmul_sums);
    OFFERS(matmul_gelu);
    OFFERS(matmul_gelu_backward);
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
    OFFERS(linalg_cholesky);
    OFFERS(linalg_lu);
    OFFERS(linalg_permutation);
    OFFERS(linalg_lu_solve);
    OFFERS(linalg_solve_triangular);
    OFFERS(linalg_det);
    OFFERS(linalg_geqrf);
    OFFERS(linalg_orgqr);
    OFFERS(linalg_eigh);
    OFFERS(linalg_svd);
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
    OFFERS(unique);
    OFFERS(update);
    OFFERS(sum_of_squares);
    OFFERS(arange);
    OFFERS(linspace);
    OFFERS(uniform);
    OFFERS(normal);
    OFFERS(bernoulli);
    OFFERS(random_integers);
    OFFERS(random_permutation);
    OFFERS(multinomial);
#undef OFFERS
#if GRADUS_WITH_CUDNN  // in front of those of the same name
    t.conv2d = dnn::conv2d;
    t.conv2d_backward_input = dnn::conv2d_backward_input;
    t.conv2d_backward_weight = dnn::conv2d_backward_weight;
    t.attention = dnn::attention;
    t.attention_backward = dnn::attention_backward;
    t.channel_norm = dnn::channel_norm;
    t.channel_norm_backward = dnn::channel_norm_backward;
#endif
    return t;
  }();
  return all;
}

}  // namespace gradus::cuda
