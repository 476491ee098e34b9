// Elements by number and by mask.
#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;

ScatterReduction reduction(const std::string& name) {
  if (name == "sum") return ScatterReduction::sum;
  if (name == "prod") return ScatterReduction::prod;
  if (name == "mean") return ScatterReduction::mean;
  if (name == "amax") return ScatterReduction::amax;
  if (name == "amin") return ScatterReduction::amin;
  throw std::runtime_error("runner: a reduction named " + name);
}

/// One entry between the brackets.
Index index_of(const Value& v) {
  auto bound = [](const Value& b) { return b.given() ? Bound(b.i) : Bound(gradus::_); };
  switch (v.kind) {
    case Value::integer: return v.i;
    case Value::null: return newaxis;
    case Value::ellipsis: return ellipsis;
    case Value::tensor: return v.t;
    case Value::slice: return Slice{bound(v.items.at(0)), bound(v.items.at(1)), v.items.at(2).given() ? v.items[2].i : 1};
    case Value::list: {
      std::vector<int64_t> list;
      for (const Value& item : v.items) {
        if (item.kind != Value::integer) throw LeftOut("nested lists between brackets: Gradus takes tensors");
        list.push_back(item.i);
      }
      return Index(tensor<int64_t>(list));
    }
    default: throw std::runtime_error("runner: an index that is " + describe(v));
  }
}
/// x[...]: JSON has lists for tuples too. One of numbers alone is the list of places that it is in the recordings.
AnyTensor indexed(const AnyTensor& x, const Value& v) {
  bool numbers = v.kind == Value::list;
  for (const Value& item : v.items) numbers = numbers && item.kind == Value::integer;
  std::vector<Index> list;
  if (v.kind == Value::list && !numbers)
    for (const Value& item : v.items) list.push_back(index_of(item));
  else
    list.push_back(index_of(v));
  return gradus::detail::read_index(x, list.data(), list.size());
}

}  // namespace

void add_indexing(Registry& ops) {
  OP("__getitem__", indexed(c[0], c.at(1)));
  OP("gather", gather(c[0], c.i(1, "dim"), c.t(2, "index")));
  ops.add("scatter", [](Arguments& c) -> Outputs {
    std::string how = c.str(-1, "reduce", "");
    if (how == "add" && c.is_tensor(3, "src")) return scatter_add(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "src"));
    if (!how.empty()) throw LeftOut("scatter(reduce='" + how + "'), which scatter_reduce does");
    if (c.is_tensor(3, "src")) return scatter(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "src"));
    return scatter(c[0], c.i(1, "dim"), c.t(2, "index"), c.given(-1, "value") ? c.s(-1, "value") : c.s(3));
  });
  OP("scatter_add", scatter_add(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "src")));
  for (const char* how : {"sum", "prod", "mean", "amin", "amax"})
    OP(std::string("scatter_reduce.") + how, scatter_reduce(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "src"),
                                                            reduction(c.str(4, "reduce", "")), c.b(5, "include_self", true)));
  for (const char* how : {"prod", "mean", "amin", "amax"})
    OP(std::string("index_reduce.") + how, index_reduce(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "source"),
                                                        reduction(c.str(4, "reduce", "")), c.b(5, "include_self", true)));
  OP("take_along_dim", c.given(2, "dim") ? take_along_dim(c[0], c.t(1, "indices"), c.i(2, "dim"))
                                         : take_along_dim(flatten(c[0]), flatten(c.t(1, "indices")), 0));
  OP("index_select", index_select(c[0], c.i(1, "dim"), c.t(2, "index")));
  OP("index_add", index_add(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "source"), c.s(4, "alpha", 1)));
  OP("index_copy", index_copy(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "source")));
  OP("index_fill", c.is_tensor(3, "value") ? index_fill(c[0], c.i(1, "dim"), c.t(2, "index"), c.t(3, "value"))
                                           : index_fill(c[0], c.i(1, "dim"), c.t(2, "index"), c.s(3, "value")));
  OP("index_put", index_put(c[0], c.list(1, "indices"), c.t(2, "values"), c.b(3, "accumulate", false)));
  OP("take", take(c[0], c.t(1, "index")));
  OP("put", put(c[0], c.t(1, "index"), c.t(2, "source"), c.b(3, "accumulate", false)));
  OP("masked_fill", c.is_tensor(2, "value") ? masked_fill(c[0], c.t(1, "mask"), c.t(2, "value"))
                                            : masked_fill(c[0], c.t(1, "mask"), c.s(2, "value")));
  OP("masked_select", masked_select(c[0], c.t(1, "mask")));
  OP("masked_scatter", masked_scatter(c[0], c.t(1, "mask"), c.t(2, "source")));
  ops.add("nonzero", [](Arguments& c) -> Outputs {
    if (!c.b(-1, "as_tuple", false)) return nonzero(c[0]);
    std::vector<AnyTensor> places;
    for (AnyTensor place : where(c[0])) places.push_back(place);
    return places;
  });
  OP("argwhere", nonzero(c[0]));
  OP("nn.functional.one_hot", one_hot(c[0], c.i(1, "num_classes", -1)));
  ops.add("bincount", [](Arguments& c) -> Outputs {
    int64_t at_least = c.i(2, "minlength", 0);
    if (!c.given(1, "weights")) return bincount(c[0], at_least);
    AnyTensor weights = c.t(1, "weights");
    // PyTorch sums weights that are no floats in double; here that is said.
    return bincount(c[0], is_float(weights.dtype()) ? weights : weights.to(DType::float64), at_least);
  });
  OP("histc", histc(c[0], c.i(1, "bins", 100), c.d(2, "min", 0), c.d(3, "max", 0)));
}

}  // namespace conformance
