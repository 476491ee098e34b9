// What a gradient reads and somebody wrote in place since is refused, whatever it is: labels, masks, indices, pivots.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Case {
  const char* op;
  std::function<AnyTensor(const AnyTensor& x, AnyTensor& read)> call;  // sets `read` unless it is given
  AnyTensor read;
};

TEST(Saved, WritingInPlaceToWhatAGradientReadsIsRefused) {
  auto select = [](auto op) {
    return [op](const AnyTensor& x, AnyTensor& read) {
      AnyValuesIndices y = op(x);
      read = y.indices;
      return y.values;
    };
  };
  const AnyTensor mask = draw({4, 4}) > 0, labels = full({4}, 2, DType::int64);
  std::vector<Case> table = {
      {"cross_entropy", [](const AnyTensor& x, AnyTensor& target) { return cross_entropy(x, target); }, labels.clone()},
      {"cross_entropy", [labels](const AnyTensor& x, AnyTensor& weight) { return cross_entropy(x, labels, {.weight = weight}); },
       draw({4}, 1, 2)},
      {"where", [](const AnyTensor& x, AnyTensor& c) { return where(c, x, 0); }, mask.clone()},
      {"where", [](const AnyTensor& x, AnyTensor& c) { return where(c, x.detach(), x); }, mask.clone()},
      {"where", [](const AnyTensor& x, AnyTensor& c) { return masked_fill(x, c, 3); }, mask.clone()},
      {"sort", select([](const AnyTensor& x) { return sort(x); }), {}},
      {"topk", select([](const AnyTensor& x) { return topk(x, 2); }), {}},
      {"kthvalue", select([](const AnyTensor& x) { return kthvalue(x, 2); }), {}},
      {"median", select([](const AnyTensor& x) { return median(x, 0); }), {}},
      {"nanmedian", select([](const AnyTensor& x) { return nanmedian(x, 0, true); }), {}},
      {"cummax", select([](const AnyTensor& x) { return cummax(x, 0); }), {}},
      {"cummin", select([](const AnyTensor& x) { return cummin(x, 1); }), {}},
      {"max", select([](const AnyTensor& x) { return max(x, 1); }), {}},
      {"min", select([](const AnyTensor& x) { return min(x, 0, true); }), {}},
      {"lu_factor",
       [](const AnyTensor& x, AnyTensor& read) {
         auto [factors, pivots] = linalg::lu_factor(x);
         read = pivots;
         return factors;
       },
       {}},
      {"max_unpool1d", [](const AnyTensor& x, AnyTensor& i) { return max_unpool1d(x, i, 9); },
       arange(4, DType::int64) + zeros({4, 4}, DType::int64)},
      {"gather", [](const AnyTensor& x, AnyTensor& i) { return gather(x, 0, unsqueeze(i, 0)); }, labels.clone()},
      {"index_select", [](const AnyTensor& x, AnyTensor& i) { return index_select(x, 0, i); }, labels.clone()},
      {"index", [](const AnyTensor& x, AnyTensor& i) { return index(x, {i}); }, labels.clone()},
      {"embedding", [](const AnyTensor& x, AnyTensor& i) { return embedding(i, x); }, labels.clone()},
      {"scatter_add", [](const AnyTensor& x, AnyTensor& i) { return scatter_add(x.detach(), 0, unsqueeze(i, 0), x); },
       labels.clone()},
      {"scaled_dot_product_attention",
       [](const AnyTensor& x, AnyTensor& m) {
         AnyTensor q = reshape(x, {1, 4, 4});
         return scaled_dot_product_attention(q, q, q, {.mask = m});
       },
       mask.clone()},
  };
  for (const Case& c : table) {
    SCOPED_TRACE(c.op);
    AnyTensor x = draw({4, 4}, -1, 1, 3).requires_grad_(), read = c.read;
    AnyTensor y = c.call(x, read);
    {
      NoGrad no_grad;
      read.fill_(read.dtype() == DType::int64 ? 1000000 : 1);  // an index far outside, if anybody used it
    }
    std::string message = message_of<GraphError>([&] { y.backward(draw(y.shape(), -1, 1, 5)); });
    EXPECT_EQ(message.find(std::string(c.op) + ": a tensor of shape"), 0u) << message;
    EXPECT_NE(message.find("written in place"), std::string::npos) << message;
  }
}

}  // namespace
