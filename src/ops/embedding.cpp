#include "gradus/ops/embedding.h"

#include <vector>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/indices.h"

namespace gradus {
namespace {

constexpr int64_t kNone = -1;  // no row is special

AnyTensor rows(const AnyTensor& index, const AnyTensor& weight, int64_t skip, bool skipped_are_zero);

/// The adjoint of rows: a table with g added up in the rows that index names.
AnyTensor gathered(const AnyTensor& g, const AnyTensor& index, const Shape& table, int64_t skip) {
  AnyTensor in = dense(g), y = empty(table, g.dtype(), g.device());
  kernel("embedding", &KernelTable::embedding_backward, in)(array(y), array(in), array(index), skip);
  record("embedding_backward", y, {&g},
         [i = Saved(index), skip](const AnyTensor& v, AnyTensor* grads) { grads[0] = rows(i(), v, skip, true); });
  return y;
}

AnyTensor rows(const AnyTensor& index, const AnyTensor& weight, int64_t skip, bool skipped_are_zero) {
  Shape shape = index.shape();
  shape.push_back(weight.shape()[1]);
  AnyTensor table = weight.stride()[1] == 1 || weight.shape()[1] == 1 ? weight : dense(weight);
  AnyTensor y = empty(shape, weight.dtype(), weight.device());
  kernel("embedding", &KernelTable::embedding, table)(array(y), array(table), array(index), skipped_are_zero ? skip : kNone);
  record("embedding", y, {&weight}, [i = Saved(index), table = weight.shape(), skip](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = gathered(g, i(), table, skip);
  });
  return y;
}

/// The index as kernels take it, and the padding row from the front.
AnyTensor checked(const char* op, const AnyTensor& index, const AnyTensor& weight, std::optional<int64_t> padding, int64_t& skip) {
  check_float(op, weight);
  check_rank(op, "weight", weight, 2);
  AnyTensor i = dense(as_index(op, index, weight));
  int64_t classes = weight.shape()[0];
  check_indices(op, i, 0, classes);
  skip = kNone;
  if (padding) {
    if (*padding < -classes || *padding >= classes)
      fail<IndexError>(op, ": padding_idx ", *padding, " is outside the ", classes, " rows of weight");
    skip = *padding < 0 ? *padding + classes : *padding;
  }
  return i;
}

/// Which bag each index belongs to.
AnyTensor bags_of(const AnyTensor& index, const AnyTensor& offsets, int64_t& bags) {
  int64_t n = index.numel();
  std::vector<int64_t> bag(static_cast<size_t>(n));
  if (index.dim() == 2) {
    if (offsets) fail<ValueError>("embedding_bag: offsets are for a vector of indices; this is a matrix of ", index.shape());
    bags = index.shape()[0];
    for (int64_t i = 0; i < n; ++i) bag[size_t(i)] = i / index.shape()[1];
  } else {
    if (index.dim() != 1 || !offsets)
      fail<ShapeError>("embedding_bag: index has shape ", index.shape(), "; a matrix, or a vector with offsets, is needed");
    check_rank("embedding_bag", "offsets", offsets, 1);
    std::vector<int64_t> begin = Tensor<int64_t>(as_index("embedding_bag", offsets, index)).vector();
    bags = int64_t(begin.size());
    for (int64_t b = 0; b < bags; ++b) {
      int64_t from = begin[size_t(b)], to = b + 1 < bags ? begin[size_t(b) + 1] : n;
      if (from < 0 || from > to || to > n || (b == 0 && from != 0))
        fail<IndexError>("embedding_bag: offset ", from, " at ", b, " for ", n, " indices; offsets begin at 0 and do not fall");
      for (int64_t i = from; i < to; ++i) bag[size_t(i)] = b;
    }
  }
  return Tensor<int64_t>(std::span<const int64_t>(bag)).to(index.device());
}

}  // namespace

AnyTensor embedding(const AnyTensor& index, const AnyTensor& weight, const EmbeddingOptions& options) {
  int64_t skip;
  AnyTensor i = checked("embedding", index, weight, options.padding_idx, skip);
  return rows(i, weight, skip, false);
}

AnyTensor embedding_bag(const AnyTensor& index, const AnyTensor& weight, const EmbeddingBagOptions& o) {
  constexpr const char* op = "embedding_bag";
  int64_t skip, bags;
  AnyTensor i = checked(op, index, weight, o.padding_idx, skip), bag = bags_of(i, o.offsets, bags);
  AnyTensor flat = reshape(i, {i.numel()}), own = rows(flat, weight, skip, false);
  if (o.per_sample_weights) {
    if (o.mode != BagMode::sum) fail<ValueError>(op, ": per_sample_weights are for sums only");
    check_same(op, o.per_sample_weights, weight);
    if (!(o.per_sample_weights.shape() == index.shape()))
      fail<ShapeError>(op, ": per_sample_weights have shape ", o.per_sample_weights.shape(), ", the index has ", index.shape());
    own = own * reshape(o.per_sample_weights, {i.numel(), 1});
  }
  if (skip != kNone) {
    AnyTensor kept = reshape(nonzero(flat != skip), {-1});
    own = index_select(own, 0, kept), bag = index_select(bag, 0, kept);
  }
  AnyTensor none = zeros({bags, weight.shape()[1]}, weight.dtype(), weight.device());
  if (o.mode == BagMode::max) return index_reduce(none, 0, bag, own, ScatterReduction::amax, false);
  AnyTensor total = index_add(none, 0, bag, own);
  if (o.mode == BagMode::sum) return total;
  AnyTensor count =
      index_add(zeros({bags}, weight.dtype(), weight.device()), 0, bag, ones({bag.numel()}, weight.dtype(), weight.device()));
  return total / reshape(clamp_min(count, 1), {bags, 1});
}

}  // namespace gradus
