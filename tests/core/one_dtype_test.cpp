// Tensors of different dtypes in one call do not compile; of one dtype, or where a condition or an index has its own, they do.
#include <gtest/gtest.h>

#include "gradus/gradus.h"

using namespace gradus;

namespace {

using F = Tensor<float>;
using D = Tensor<double>;
using I = Tensor<int64_t>;
using B = Tensor<bool>;

/// Whether call(arguments...) compiles.
template <class... X, class Call> constexpr bool compiles(Call) { return std::is_invocable_v<Call, const X&...>; }
#define CALL(expression) [](const auto&... x) -> decltype(expression) { return expression; }

#define OF_THREE(name)                                               \
  static_assert(compiles<F, F, F>(CALL(name(x...))), #name);         \
  static_assert(compiles<F, F, AnyTensor>(CALL(name(x...))), #name); \
  static_assert(!compiles<F, F, D>(CALL(name(x...))), #name);        \
  static_assert(!compiles<F, D, F>(CALL(name(x...))), #name);        \
  static_assert(!compiles<F, D, D>(CALL(name(x...))), #name);        \
  static_assert(!compiles<F, D, I>(CALL(name(x...))), #name);
OF_THREE(lerp)
OF_THREE(addcmul)
OF_THREE(addcdiv)
OF_THREE(clamp)
OF_THREE(addmm)
OF_THREE(baddbmm)
OF_THREE(addbmm)
OF_THREE(addmv)
OF_THREE(addr)
OF_THREE(linear)
OF_THREE(scaled_dot_product_attention)
OF_THREE(conv1d)
OF_THREE(conv2d)
OF_THREE(conv_transpose1d)
OF_THREE(conv_transpose2d)
static_assert(!compiles<F, D, D>(CALL(addmm(x..., {.beta = 2}))) && compiles<F, F, F>(CALL(addmm(x..., {.beta = 2}))));
static_assert(!compiles<F, F, D>(CALL(conv2d(x..., {.stride = 2}))) && compiles<F, F, F>(CALL(conv2d(x..., {.stride = 2}))));
static_assert(!compiles<F, D>(CALL(conv2d(x..., {}, {.stride = 2}))) && compiles<F, F>(CALL(conv2d(x..., {}, {.stride = 2}))));
static_assert(!compiles<F, D, double>(CALL(lerp(x...))) && compiles<F, F, double>(CALL(lerp(x...))));

#define OF_TWO(name)                                       \
  static_assert(compiles<F, F>(CALL(name(x...))), #name);  \
  static_assert(!compiles<F, D>(CALL(name(x...))), #name); \
  static_assert(!compiles<D, F>(CALL(name(x...))), #name);
OF_TWO(add)
OF_TWO(matmul)
OF_TWO(linear)
OF_TWO(kron)
OF_TWO(cross)
OF_TWO(prelu)
OF_TWO(tensordot)
OF_TWO(cosine_similarity)
OF_TWO(pairwise_distance)
OF_TWO(logaddexp)
static_assert(!compiles<F, D>(CALL(cross(x..., 0))) && compiles<F, F>(CALL(cross(x..., 0))));

static_assert(compiles<F, F, AnyTensor, AnyTensor>(CALL(batch_norm_relu(x...))));
static_assert(!compiles<F, D, AnyTensor, AnyTensor>(CALL(batch_norm_relu(x...))));

static_assert(compiles<B, F, F>(CALL(where(x...))) && !compiles<B, F, D>(CALL(where(x...))));
static_assert(compiles<B, F, double>(CALL(where(x...))));
static_assert(compiles<F, B, F>(CALL(masked_fill(x...))) && !compiles<F, B, D>(CALL(masked_fill(x...))));
static_assert(compiles<F, B, double>(CALL(masked_fill(x...))));
static_assert(compiles<F, B, F>(CALL(masked_scatter(x...))) && !compiles<F, B, D>(CALL(masked_scatter(x...))));
static_assert(compiles<F, I, F>(CALL(put(x...))) && !compiles<F, I, D>(CALL(put(x...))));
static_assert(!compiles<F, std::vector<AnyTensor>, D>(CALL(index_put(x...))));
#define BESIDE_INDEX(name)                                        \
  static_assert(compiles<F, int, I, F>(CALL(name(x...))), #name); \
  static_assert(!compiles<F, int, I, D>(CALL(name(x...))), #name);
BESIDE_INDEX(index_add)
BESIDE_INDEX(index_copy)
BESIDE_INDEX(scatter)
BESIDE_INDEX(scatter_add)
static_assert(compiles<F, int, I, double>(CALL(scatter(x...))) && compiles<F, int, I, double>(CALL(index_fill(x...))));
static_assert(!compiles<F, int, I, D, ScatterReduction>(CALL(scatter_reduce(x...))));
static_assert(!compiles<F, int, I, D, ScatterReduction>(CALL(index_reduce(x...))));

// Tensors in braces. What the compiler does not know goes with all, until the call.
#define OF_LIST(name)                                                                                                           \
  static_assert(compiles<F, F>(CALL(name({x...}))) && compiles<F, F, F>(CALL(name({x...}))) && compiles<F>(CALL(name({x...}))), \
                #name);                                                                                                         \
  static_assert(compiles<F, AnyTensor>(CALL(name({x...}))) && compiles<AnyTensor, AnyTensor>(CALL(name({x...}))), #name);       \
  static_assert(!compiles<F, D>(CALL(name({x...}))) && !compiles<F, F, D>(CALL(name({x...}))), #name);                          \
  static_assert(!compiles<F, AnyTensor, D>(CALL(name({x...}))) && !compiles<AnyTensor, I, B>(CALL(name({x...}))), #name);       \
  static_assert(compiles<std::vector<AnyTensor>>(CALL(name(x...))) && compiles<std::vector<F>>(CALL(name(x...))), #name);
OF_LIST(cat)
OF_LIST(stack)
OF_LIST(pad_sequence)
OF_LIST(vstack)
OF_LIST(hstack)
OF_LIST(dstack)
OF_LIST(column_stack)
OF_LIST(block_diag)
OF_LIST(cartesian_prod)
OF_LIST(meshgrid)
OF_LIST(concat)
OF_LIST(concatenate)
OF_LIST(linalg::multi_dot)
#define EINSUM(list) einsum("i,i", list)
OF_LIST(EINSUM)
static_assert(!compiles<F, D>(CALL(cat({x...}, 1))) && compiles<F, F>(CALL(cat({x...}, 1))));
static_assert(std::is_same_v<decltype(cat({F(), F()})), F> && std::is_same_v<decltype(linalg::multi_dot({F(), F()})), F>);
static_assert(std::is_same_v<decltype(cat({F(), AnyTensor()})), AnyTensor>);
static_assert(!compiles<Indexed<F>, D>(CALL(cat({x...}))) && compiles<Indexed<F>, F>(CALL(cat({x...}))));

// In place: the same, and the type stays.
template <class X, class Y> concept Adds = requires(X x, Y y) { x.add_(y), x.mul_(y), x += y; };
static_assert(Adds<F, F> && !Adds<F, D>);
static_assert(std::is_same_v<decltype(std::declval<F&>().add_(std::declval<F&>())), F&>);
static_assert(std::is_same_v<decltype(std::declval<F&>().mul_(2)), F&>);
static_assert(std::is_same_v<decltype(tril_(std::declval<F&>())), F&>);
static_assert(std::is_same_v<decltype(tril_(std::declval<AnyTensor&>())), AnyTensor&>);
template <class X, class Y> concept Clamps = requires(X& x, Y y) { clamp_min_(x, y), hypot_(x, y), eq_(x, y), x %= y; };
static_assert(Clamps<F, F> && !Clamps<F, D> && Clamps<AnyTensor, D>);

TEST(OneDType, IsWhatTheCompilerAsksFor) {
  // What compiles also runs.
  F x = ones<float>({2, 2});
  EXPECT_EQ(addmm(x, x, x, {.beta = 2}).sum().item(), 16);
  EXPECT_EQ(cat({x, AnyTensor(x)}).shape(), (Shape{4, 2}));
  EXPECT_EQ(einsum("ij,jk,kl", {x, x, AnyTensor(x)}).sum().item(), 16);
  EXPECT_EQ(x.add_(x).mul_(3).sum().item(), 24);
}

}  // namespace
