// What a small op costs, in nanoseconds: the library's own work, since the arithmetic is nothing.
#include "benchmarks/bench.h"
#include "benchmarks/nets.h"

using namespace bench;

int main() {
  auto report = [](const char* what, auto f, double per = 1) { bench::print(what, bench::seconds(f) / per * 1e9, "ns"); };
  AnyTensor a = full({16}, 1, DType::float32), b = full({16}, 1, DType::float32);
  AnyTensor p = full({16}, 1, DType::float32).requires_grad_(), q = full({16}, 1, DType::float32).requires_grad_();
  AnyTensor row = full({4}, 1, DType::float32), grid = full({4, 4}, 1, DType::float32), ones16 = full({16}, 1, DType::float32);
  report("add_16", [&] { add(a, b); });
  report("add_16_graph", [&] { add(p, q); });
  report("mul_16_graph", [&] { mul(p, q); });
  report("add_13_ragged", [&, x = a.slice(0, 0, 13), y = b.slice(0, 0, 13)] { add(x, y); });
  report("add_4x4_row", [&] { add(grid, row); });
  auto chain = [&](const AnyTensor& x, const AnyTensor& y) {
    AnyTensor z = x;
    for (int i = 0; i < 100; ++i) z = add(z, y);
    return z;
  };
  report(
      "chain_forward_per_op", [&] { chain(a, b); }, 100);
  report(
      "chain_graph_per_op", [&] { chain(p, b); }, 100);
  report(
      "chain_forward_backward_per_op",
      [&] {
        p.set_grad({});
        chain(p, b).backward(ones16);
      },
      100);
  report(
      "chain_forward_backward_both_per_op",
      [&] {
        p.set_grad({}), q.set_grad({});
        chain(p, q).backward(ones16);
      },
      100);
  auto mixed = [&](const AnyTensor& x, const AnyTensor& d, const AnyTensor& e) {
    AnyTensor z = x;
    for (int i = 0; i < 50; ++i) z = mul(z, d), z = add(z, e);
    return z;
  };
  report(
      "chain_mul_add_forward_backward_per_op",
      [&] {
        p.set_grad({});
        mixed(p, a, b).backward(ones16);
      },
      100);
  report("empty_16", [&] { empty({16}, DType::float32); });
  report("empty_1M", [&] { empty({1 << 20}, DType::float32); });
  report("copy_handle", [&] {
    AnyTensor x = a;
    asm volatile("" : : "r"(x.impl()));
  });
  report("view_8x8_to_64", [&, x = full({8, 8}, 1, DType::float32)] { x.view({64}); });
  report("transpose", [&] { grid.transpose(0, 1); });
  report("sum_16", [&] { a.sum(); });
  report("mm_8x8", [&, x = full({8, 8}, 1, DType::float32), y = full({8, 8}, 1, DType::float32)] { mm(x, y); });
  Mlp net;
  optim::SGD optimizer(net.parameters(), {.lr = 0.01});
  Tensor<float> x = randn<float>({1, 784});
  Tensor<int64_t> y = {3};
  report("mlp_batch1_step", [&] {
    optimizer.zero_grad();
    cross_entropy(net(x), y).backward();
    optimizer.step();
  });
}
