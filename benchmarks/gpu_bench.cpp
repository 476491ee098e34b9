// What a GPU does with this library: one JSON line a figure, under the names that compare_gpu.py pairs with the peer's.
//   gpu_bench [ceilings] [elementwise] [overhead] [attention] [mnist] [resnet] [gpt2]      all where none is named
//   gpu_bench --tuned [CASE ...]                   products as timing them finds best, with or without what comes after them
//   gpu_bench --device cpu --small [CASE ...]     the same cases with small sizes, to see that they run and are right; their figures mean nothing
// Figures in GB/s say what share they are of the copy measured in the same run (of_copy). Each op is checked against the CPU on a part of its result before it is timed. A case that fails says why, and the others go on.
#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "benchmarks/bench.h"
#include "benchmarks/gpu_nets.h"

using namespace bench;

namespace {

Device device;
bool small = false;
int failures = 0;

/// A size for a GPU, or the one that is enough to see that a case runs.
int64_t of(int64_t large, int64_t little) { return small ? little : large; }

/// Milliseconds of f by the device's clock: the median over repetitions of `inner` calls each. What is done before each repetition is not timed.
double ms(const std::function<void()>& f, int warm = 10, int repetitions = 30, int inner = 1,
          const std::function<void()>& before = {}) {
  if (small) warm = 1, repetitions = 3, inner = 1;
  for (int i = 0; i < warm; ++i) {
    if (before) before();
    f();
  }
  synchronize(device);
  std::vector<double> times;
  const Stream stream = Stream::current(device);
  for (int i = 0; i < repetitions; ++i) {
    Event begin, end;
    if (before) before();
    begin.record(stream);
    for (int k = 0; k < inner; ++k) f();
    end.record(stream);
    times.push_back(end.milliseconds_since(begin) / inner);
  }
  return median(times);
}

void out(const std::string& name, double value, const char* unit, const std::string& more = "") {
  std::printf("{\"case\": \"%s\", \"peer\": \"gradus\", \"value\": %.6g, \"unit\": \"%s\"%s%s}\n", name.c_str(), value, unit,
              more.c_str(), small ? ", \"small\": true" : "");
  std::fflush(stdout);
}
std::string field(const char* name, double value) {
  char text[64];
  std::snprintf(text, sizeof text, ", \"%s\": %.6g", name, value);
  return text;
}

/// Throws unless both are within `tolerance` of each other, relative to 1 + |wanted|.
void check(const std::string& what, const AnyTensor& got, const AnyTensor& wanted, double tolerance) {
  NoGrad no_grad;
  AnyTensor a = got.detach().to(kCPU).to(DType::float64), b = wanted.detach().to(kCPU).to(DType::float64);
  const double off = amax(abs(a - b) / (1 + abs(b))).item();
  if (!(off <= tolerance)) throw Error(what + " is off by " + std::to_string(off));
}
AnyTensor on_cpu(const AnyTensor& x) { return x.detach().to(kCPU).to(DType::float32); }

AnyTensor normal(const Shape& shape, DType t = DType::bfloat16) { return randn(shape, t, default_generator(), device); }
AnyTensor leaf(const Shape& shape) { return normal(shape).requires_grad_(); }
Tensor<int64_t> integers(int64_t below, const Shape& shape) { return randint(0, below, shape).to(device); }

constexpr double kHalf = 0x1p-7;  // a rounding of bfloat16 in the result and one in what it is compared with

/// While one lives, float products and convolutions may round their factors to TF32.
struct Tf32 {
  Tf32() { set_float32_matmul_precision(Float32Precision::high); }
  ~Tf32() { set_float32_matmul_precision(Float32Precision::highest); }
};

/// GB/s of a plain copy of half a GiB, once a run: what memory-bound ops are held against.
double copy_rate() {
  static const double rate = [] {
    NoGrad no_grad;
    AnyTensor x = normal({of(1 << 28, 1 << 16)}), y = empty_like(x);
    return 4 * double(x.numel()) / ms([&] { y.copy_(x); }) / 1e6;
  }();
  return rate;
}
/// An op that moves so many bytes: GB/s, and the share of the copy's.
void moves(const std::string& name, double bytes, const std::function<void()>& op) {
  const double rate = bytes / ms(op) / 1e6;
  out(name, rate, "GB/s", field("of_copy", rate / copy_rate()));
}

void ceilings() {
  NoGrad no_grad;
  auto product = [](const char* name, int64_t n, DType t, double tolerance) {
    AnyTensor a = normal({n, n}, t), b = normal({n, n}, t), y = matmul(a, b);
    const double scale = std::sqrt(double(n));
    check(name, on_cpu(y.narrow(0, 0, 2)) / scale, matmul(on_cpu(a.narrow(0, 0, 2)), on_cpu(b)) / scale, tolerance);
    out(name, 2.0 * double(n) * double(n) * double(n) / ms([&] { matmul(a, b); }) / 1e9, "TFLOP/s");
  };
  product("gemm_bf16_4096", of(4096, 64), DType::bfloat16, kHalf);
  product("gemm_bf16_8192", of(8192, 96), DType::bfloat16, kHalf);
  product("gemm_fp16_4096", of(4096, 64), DType::float16, kHalf);
  product("gemm_fp16_8192", of(8192, 96), DType::float16, kHalf);
  product("gemm_fp32_4096", of(4096, 64), DType::float32, 1e-5);
  {
    Tf32 tf32;
    product("gemm_tf32_4096", of(4096, 64), DType::float32, 0x1p-10);  // factors of 11 bits
  }
  AnyTensor x = normal({of(1 << 30, 1 << 16)}), y = empty_like(x);
  out("copy", 4 * double(x.numel()) / ms([&] { y.copy_(x); }) / 1e6, "GB/s");
  check("copy", y.narrow(0, 7, 1000), x.narrow(0, 7, 1000), 0);
}

/// The ops that memory limits, in one type: `t` names it. The peer measures the bfloat16 ones.
void elementwise_of(DType t, const std::string& type, double rounding) {
  const double item = double(item_size(t));
  {
    NoGrad no_grad;
    const int64_t n = of(1 << 28, 1 << 16);
    AnyTensor x = normal({n}, t), y = normal({n}, t);
    auto part = [](const AnyTensor& x) { return on_cpu(x.narrow(0, x.numel() - 1000, 1000)); };
    check("add", part(x + y), part(x) + part(y), rounding);
    check("gelu", part(gelu_tanh(x)), gelu_tanh(part(x)), rounding);
    moves("add" + type, 3 * item * double(n), [&] { add(x, y); });
    moves("gelu" + type, 2 * item * double(n), [&] { gelu_tanh(x); });
  }
  const int64_t rows = of(16384, 64), width = of(4096, 128);
  auto leaf = [&](const Shape& shape) { return normal(shape, t).requires_grad_(); };
  AnyTensor x = leaf({rows, width}), w = leaf({width}), b = leaf({width}), g = normal({rows, width}, t);
  const double bytes = double(x.numel()) * item;
  {
    NoGrad no_grad;
    AnyTensor head = on_cpu(x.narrow(0, 0, 3)), whole = on_cpu(x);
    check("layer_norm", layer_norm(x, {width}, w, b).narrow(0, 0, 3), layer_norm(head, {width}, on_cpu(w), on_cpu(b)),
          2 * rounding);
    check("softmax", softmax(x, -1).narrow(0, 0, 3), softmax(head, -1), rounding);
    check("sum of rows", sum(x, -1).narrow(0, 0, 3), sum(head, -1), rounding);
    check("sum of columns", sum(x, 0), sum(whole, 0), rounding);
    check("sum of all", sum(x), sum(whole), rounding);
    check("transposed copy", x.t().contiguous().narrow(0, 0, 3), whole.t().narrow(0, 0, 3), 0);
    moves("layernorm_fwd" + type, 2 * bytes, [&] { layer_norm(x, {width}, w, b); });
    moves("softmax_fwd" + type, 2 * bytes, [&] { softmax(x, -1); });
    moves("sum_rows" + type, bytes, [&] { sum(x, -1); });
    moves("sum_cols" + type, bytes, [&] { sum(x, 0); });
    moves("sum_all" + type, bytes, [&] { sum(x); });
    moves("transpose_copy" + type, 2 * bytes, [&] { x.t().contiguous(); });
  }
  AnyTensor o = layer_norm(x, {width}, w, b);
  moves("layernorm_bwd" + type, 3 * bytes, [&] { grad({o}, {x, w, b}, {g}, {.retain_graph = true}); });
  AnyTensor p = softmax(x, -1);
  moves("softmax_bwd" + type, 3 * bytes, [&] { grad({p}, {x}, {g}, {.retain_graph = true}); });
}

void elementwise() {
  elementwise_of(DType::bfloat16, "_bf16", kHalf);
  elementwise_of(DType::float32, "_fp32", 1e-5);
  const int64_t tokens = of(8192, 32), classes = of(50304, 300);
  const Tensor<bfloat16> logits(leaf({tokens, classes}));
  Tensor<bfloat16> handed_over;  // as a network's are: their gradient takes their place
  Tensor<int64_t> target = integers(classes, {tokens});
  auto make = [&] { handed_over = clone(logits); };
  auto step = [&] { return grad({cross_entropy<float>(std::move(handed_over), target)}, {logits})[0]; };
  make();
  AnyTensor same = on_cpu(logits).requires_grad_();
  check("cross entropy's gradient", step().to(DType::float32) * double(tokens),
        grad({cross_entropy(same, target.to(kCPU))}, {same})[0] * double(tokens), kHalf);
  const double bytes = 4 * double(logits.numel()), time = ms(step, 10, 30, 1, make);  // logits read, their gradient written
  out("cross_entropy_fwdbwd_bf16", time, "ms", field("ideal_bytes", bytes) + field("of_copy", bytes / time / 1e6 / copy_rate()));
}

/// Seconds of the host until f returns, the device being idle before: the median.
double host_seconds(const std::function<void()>& f) {
  f();
  synchronize(device);
  std::vector<double> times;
  for (int i = 0; i < (small ? 3 : 20); ++i) {
    const double start = now();
    f();
    times.push_back(now() - start);
    synchronize(device);
  }
  return median(times);
}

void overhead() {
  constexpr int kOps = 1000;
  AnyTensor a = normal({16}, DType::float32), b = normal({16}, DType::float32);
  auto chain = [&](AnyTensor x) {
    for (int i = 0; i < kOps; ++i) x = x + b;
    return x;
  };
  {
    NoGrad no_grad;
    out("host_us_per_op_nograd_python", host_seconds([&] { chain(a); }) * 1e6 / kOps, "us/op");
  }
  AnyTensor needs = a.clone().requires_grad_();
  out("host_us_per_op_grad_python", host_seconds([&] { chain(needs); }) * 1e6 / kOps, "us/op");
  const double both = host_seconds([&] {
    chain(needs).sum().backward();
    needs.set_grad({});
    synchronize(device);
  });
  out("us_per_op_fwd_bwd_python", both * 1e6 / kOps, "us/op");
}

void attention() {
  const int64_t sizes[][4] = {{32, 12, 1024, 64}, {4, 16, 4096, 128}, {2, 16, 8192, 128}};
  for (auto [batch, heads, time, width] : sizes) {
    const std::string name =
        "causal_B" + std::to_string(batch) + "H" + std::to_string(heads) + "T" + std::to_string(time) + "D" + std::to_string(width);
    const Shape shape = {of(batch, 2), of(heads, 2), of(time, 48), width};
    AnyTensor q = leaf(shape), k = leaf(shape), v = leaf(shape), g = normal(shape);
    auto forward = [&] { return scaled_dot_product_attention(q, k, v, {.is_causal = true}); };
    auto first = [](const AnyTensor& x) {
      return on_cpu(x.select(0, 1).select(0, 1).narrow(0, 0, 16));
    };  // looks at nothing behind it
    AnyTensor y = forward();
    check(name, first(y), scaled_dot_product_attention(first(q), first(k), first(v), {.is_causal = true}), 2 * kHalf);
    const double flops = 4.0 * double(shape[0] * shape[1]) * double(shape[2]) * double(shape[2]) * double(width) / 2;
    {
      NoGrad no_grad;
      out("attn_fwd_" + name, flops / ms(forward) / 1e9, "TFLOP/s");
    }
    out("attn_bwd_" + name, 2.5 * flops / ms([&] { grad({y}, {q, k, v}, {g}, {.retain_graph = true}); }) / 1e9, "TFLOP/s");
  }
}

/// A training step, in the faster of two ways: as it is written, and captured.
struct Training {
  double ms = 1e300, peak_gib = 0;
  const char* way = "";
  std::string more() const { return field("ms", ms) + field("peak_gib", peak_gib) + ", \"way\": \"" + way + '"'; }
};
/// loss_of(x, y) must be a number at the end.
template <class X, class F> Training train(optim::Optimizer& optimizer, const X& x, const Tensor<int64_t>& y, F loss_of,
                                           int warm = 15, int repetitions = 20, int inner = 5) {
  Training best;
  auto step = [&](const X& x, const Tensor<int64_t>& y) {
    optimizer.zero_grad();
    Tensor<float> loss = loss_of(x, y);
    loss.backward();
    optimizer.step();
    return Tensor<float>(loss.detach());
  };
  auto time = [&](const char* way, auto& step) {
    Tensor<float> loss;
    reset_peak_memory(device);
    const double t = ms([&] { loss = step(x, y); }, warm, repetitions, inner);
    if (!std::isfinite(loss.item())) throw Error("the loss is " + std::to_string(loss.item()));
    if (t < best.ms) best = {t, double(memory_stats(device).peak_in_use) / double(1 << 30), way};
  };
  time("eager", step);
  if (device == kCPU) return best;  // where capture() runs each step
  auto captured = capture(step, device);
  time("captured", captured);
  return best;
}

void mnist() {
  Tf32 tf32;  // the peer's convolutions use it unless they are told not to
  for (int64_t batch : {64, 1024}) {
    Tensor<float> x(normal({of(batch, 4), 1, 28, 28}, DType::float32));
    ConvNet net;
    net.to(device);
    optim::Adam optimizer(net.parameters());
    auto loss = [&](const auto& x, const auto& y) { return cross_entropy(net(x), y); };
    const Training t = train(optimizer, x, integers(10, {x.size(0)}), loss);
    out("mnist_convnet_fp32_b" + std::to_string(batch), double(x.size(0)) / t.ms * 1e3, "samples/s", t.more());
  }
}

/// With bfloat16 activations over float weights, in channels last.
template <class Net>
void images(const std::string& name, int64_t batch, int64_t side, int64_t classes, int repetitions, int inner) {
  AnyTensor x = empty_channels_last({batch, 3, side, side}, DType::float32, device);
  x.copy_(normal(x.shape(), DType::float32));
  Net net;
  net.to(device);
  optim::SGD optimizer(net.parameters(), {.lr = small ? 1e-3 : 0.1, .momentum = 0.9, .weight_decay = 5e-4});
  auto loss = [&](const auto& x, const auto& y) { return cross_entropy<float>(net(x.template to<bfloat16>()), y); };
  const Training t = train(optimizer, Tensor<float>(x), integers(classes, {batch}), loss, 15, repetitions, inner);
  out(name, double(batch) / t.ms * 1e3, "img/s", t.more());
}
void resnet() {
  images<ResNet18>("resnet18_cifar_bf16_b512", of(512, 2), 32, 10, 20, 5);
  images<ResNet50>("resnet50_bf16_b256", of(256, 2), of(224, 64), 1000, 8, 3);
}

void gpt2() {
  Gpt2Size size;
  if (small) size = {.vocabulary = 300, .context = 32, .width = 32, .layers = 2, .heads = 2};
  const int64_t batch = of(32, 2), time = size.context;
  Tensor<int64_t> x = integers(of(50257, 300), {batch, time}), y = integers(of(50257, 300), {batch * time});
  Gpt2 net(size);
  net.to(device);
  optim::AdamW optimizer(net.parameters(), {.lr = 3e-4});
  auto loss = [&](const auto& x, const auto& y) { return cross_entropy<float>(net.template forward<bfloat16>(x), y); };
  const Training t = train(optimizer, x, y, loss, 8, 8, 2);
  const double per_second = double(batch * time) / t.ms * 1e3;
  const double flops =
      6 * double(net.num_parameters()) + 6.0 * double(size.layers * size.width * time);  // a token's, attention causal
  out("gpt2_124m_bf16_B32T1024", per_second, "tokens/s", t.more() + field("mfu", per_second * flops / 989e12));
}

const struct {
  const char* name;
  void (*run)();
} kCases[] = {{"ceilings", ceilings}, {"elementwise", elementwise}, {"overhead", overhead}, {"attention", attention},
              {"mnist", mnist},       {"resnet", resnet},           {"gpt2", gpt2}};

}  // namespace

int main(int argc, char** argv) {
  std::string wanted = "cuda";
  std::vector<std::string> only;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--device" && i + 1 < argc) {
      wanted = argv[++i];
    } else if (word == "--small") {
      small = true;
    } else if (word == "--tuned") {
      set_kernel_tuning(true);
    } else {
      bool known = false;
      for (const auto& one : kCases) known = known || word == one.name;
      if (!known) return std::fprintf(stderr, "gpu_bench: there is no case '%s'\n", word.c_str()), 2;
      only.push_back(word);
    }
  }
  try {
    device = Device(wanted);
    Stream::current(device);  // throws, saying why, where there is none
  } catch (const Error& e) {
    std::fprintf(stderr, "gpu_bench: no GPU to measure: %s\ngpu_bench --device cpu --small runs the cases on the CPU\n", e.what());
    return 77;
  }
  for (const auto& one : kCases) {
    if (!only.empty() && std::find(only.begin(), only.end(), one.name) == only.end()) continue;
    manual_seed(0);
    const double start = now();
    try {
      one.run();
    } catch (const std::exception& e) {
      std::string text = e.what();
      for (char& c : text)
        if (c == '"' || c == '\\' || c == '\n') c = ' ';
      std::printf("{\"case\": \"%s\", \"error\": \"%s\"}\n", one.name, text.c_str());
      ++failures;
    }
    empty_cache(device);
    std::printf("# %s took %.1f s\n", one.name, now() - start);
    std::fflush(stdout);
  }
  return failures ? 1 : 0;
}
