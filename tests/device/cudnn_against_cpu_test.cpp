// What is asked of cuDNN against what the CPU computes, in sizes that go there. An emulated GPU has a stand-in of it, which may also refuse
// (tests/emulator/dnn_graph.cpp): then our own kernels give the same.
#include <cstdlib>
#include <string>

#include "gradus/core/capture.h"
#include "gradus/core/tuning.h"
#include "tests/channels_last.h"
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

extern "C" [[gnu::weak]] int64_t gradus_emulated_cudnn_runs();

namespace {

/// That f's work went through plans, so many of them, where that can be known: an emulated cuDNN counts them.
template <class F> void expect_plans(int64_t plans, F f) {
  const char* mode = std::getenv("GRADUS_EMULATED_CUDNN");
  const bool counted = gradus_emulated_cudnn_runs != nullptr;
  const int64_t before = counted ? gradus_emulated_cudnn_runs() : 0;
  f();
  if (!counted) return;
  EXPECT_EQ(gradus_emulated_cudnn_runs() - before, mode && std::string(mode) == "on" ? plans : 0);
}

struct Trained {
  AnyTensor y, running_mean, running_var, dx, dweight, dbias;
};
struct Settings {
  bool affine = true, weight_grad = true;
  double eps = 1e-5, momentum = 0.1;
};
Trained train(const AnyTensor& x, Device device, const Settings& s) {
  const int64_t c = x.shape()[1];
  AnyTensor in = (device == kCPU ? x.detach() : on_gpu(x.detach())).requires_grad_();
  auto numbers = [&](double from, double to, uint64_t seed) { return draw({c}, from, to, seed).to(DType::float32).to(device); };
  AnyTensor w = numbers(0.5, 2, 2).requires_grad_(), b = numbers(-1, 1, 3).requires_grad_();
  Trained t;
  t.running_mean = numbers(-1, 1, 4), t.running_var = numbers(0.5, 1, 5);
  const AnyTensor none;
  t.y = batch_norm(in, t.running_mean, t.running_var, s.affine ? w : none, s.affine ? b : none,
                   {.training = true, .momentum = s.momentum, .eps = s.eps});
  std::vector<AnyTensor> wanted{in};
  if (s.affine && s.weight_grad) wanted.push_back(w), wanted.push_back(b);
  AnyTensor g = empty_like(x);  // other examples': the gradient by a multiple of x itself is nothing
  g.copy_(flip(x.detach(), 0) * 0.25 + 0.5);
  std::vector<AnyTensor> grads = grad({t.y}, wanted, {device == kCPU ? g : on_gpu(g)});
  t.dx = grads[0];
  if (grads.size() == 3) t.dweight = grads[1], t.dbias = grads[2];
  return t;
}
void expect_alike(const AnyTensor& x, const Settings& s) {
  const Trained there = train(x, kGpu, s), here = train(x, kCPU, s);
  const double near = tolerance(x.dtype());
  EXPECT_LE(distance(there.y, here.y), 8 * near);
  EXPECT_LE(distance(there.running_mean, here.running_mean), 1e-5);
  EXPECT_LE(distance(there.running_var, here.running_var), 1e-5);
  EXPECT_LE(distance(there.dx, here.dx), 8 * near);
  if (!here.dweight) return;
  const double count = double(x.numel() / x.shape()[1]);  // terms of a channel's sum
  EXPECT_LE(distance(there.dweight, here.dweight), count * 1e-6);
  EXPECT_LE(distance(there.dbias, here.dbias), count * 1e-6);
}
AnyTensor activations(const Shape& shape, DType t, uint64_t seed = 1) {
  AnyTensor shift = draw({shape[1]}, -2, 2, 9);
  Shape wide{1, shape[1]};
  while (wide.rank < shape.rank) wide.push_back(1);
  return channels_last((draw(shape, -1, 1, seed) + shift.reshape(wide)).to(t));
}

}  // namespace

GPU_TEST(Gpu, BatchNormsThroughCudnn) {
  for (DType t : {DType::float32, DType::float16, DType::bfloat16})
    expect_plans(2, [&] { expect_alike(activations({16, 64, 64, 64}, t), {}); });
  expect_plans(2, [&] {
    expect_alike(activations({64, 65536}, DType::float32), {});
  });  // an unbiased variance differs by a part in 64
  expect_plans(2, [&] { expect_alike(activations({32, 64, 2048}, DType::float32), {.eps = 0.1, .momentum = 0.7}); });
  expect_plans(2, [&] { expect_alike(activations({16, 64, 64, 64}, DType::float32), {.weight_grad = false}); });
}

// What it has no engine for, what it is not worth, and what only our own kernel does.
GPU_TEST(Gpu, BatchNormsThatStayHere) {
  expect_plans(0, [&] {
    expect_alike(activations({16, 65, 64, 64}, DType::float32), {});
    expect_alike(activations({4, 64, 16, 16}, DType::bfloat16), {});
    expect_alike(activations({16, 64, 64, 64}, DType::float32), {.affine = false});
    expect_alike(activations({16, 64, 64, 64}, DType::float32).contiguous(), {});
  });
  expect_plans(0, [&] {  // relu behind it goes along with our own kernels
    AnyTensor x = on_gpu(activations({16, 64, 64, 64}, DType::float32)).requires_grad_(), w = ones({64}, DType::float32, kGpu);
    AnyTensor y = batch_norm_relu(x, {}, {}, {}, w, w, {.training = true});
    grad({y}, {x}, {ones_like(y)});
  });
}

GPU_TEST(Gpu, ConvolutionsThroughCudnn) {
  struct {
    Shape x, w;
    Conv2dOptions options;
  } const cases[] = {{{2, 8, 9, 10}, {16, 8, 3, 3}, {.padding = 1}},
                     {{2, 8, 9, 11}, {6, 4, 3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2}},
                     {{3, 16, 7, 7}, {8, 16, 1, 1}, {}}};
  for (DType t : {DType::float32, DType::bfloat16})
    for (const auto& c : cases)
      expect_plans(3, [&] {
        std::vector<AnyTensor> of[2];
        for (Device device : {kCPU, kGpu}) {
          std::vector<AnyTensor> in{draw(c.x, -1, 1, 1), draw(c.w, -1, 1, 2), draw({c.w[0]}, -1, 1, 3)};
          for (AnyTensor& x : in) x = x.to(t).to(device).requires_grad_();
          AnyTensor y = conv2d(in[0], in[1], in[2], c.options);
          std::vector<AnyTensor>& out = of[device == kGpu];
          out = grad({y}, in, {draw(y.shape(), -1, 1, 4).to(t).to(device)});
          out.push_back(y.detach());
        }
        for (size_t i = 0; i < of[0].size(); ++i)
          EXPECT_LE(distance(of[1][i], of[0][i]), 32 * tolerance(t)) << to_string(c.x) << name(t) << i;
      });
}

GPU_TEST(Gpu, AttentionThroughCudnn) {
  for (bool causal : {false, true})
    expect_plans(2, [&] {
      std::vector<AnyTensor> of[2];
      for (Device device : {kCPU, kGpu}) {
        std::vector<AnyTensor> in;
        for (uint64_t seed : {1, 2, 3})
          in.push_back(draw({2, 2, 512, 64}, -1, 1, seed).to(DType::bfloat16).to(device).requires_grad_());
        AnyTensor y = scaled_dot_product_attention(in[0], in[1], in[2], {.is_causal = causal});
        std::vector<AnyTensor>& out = of[device == kGpu];
        out = grad({y}, in, {draw(y.shape(), -1, 1, 4).to(DType::bfloat16).to(device)});
        out.push_back(y.detach());
      }
      for (size_t i = 0; i < of[0].size(); ++i)
        EXPECT_LE(distance(of[1][i], of[0][i]), 4 * tolerance(DType::bfloat16)) << causal << i;
    });
}

// The first call makes the plan, the second one records it, the others replay what it launched, running statistics with it.
GPU_TEST(Gpu, BatchNormsOfACapturedStep) {
  const AnyTensor x = activations({16, 64, 64, 64}, DType::float32);
  AnyTensor mean = zeros({64}).to(kGpu), var = ones({64}).to(kGpu), w = ones({64}).to(kGpu), b = zeros({64}).to(kGpu);
  AnyTensor on_cpu_mean = zeros({64}), on_cpu_var = ones({64});
  auto step =
      capture([&](const Tensor<float>& in) { return Tensor<float>(batch_norm(in, mean, var, w, b, {.training = true})); }, kGpu);
  expect_plans(2, [&] {
    for (int i = 0; i < 4; ++i) {
      Tensor<float> y = step(Tensor<float>(on_gpu(x)));
      AnyTensor here = batch_norm(x, on_cpu_mean, on_cpu_var, ones({64}), zeros({64}), {.training = true});
      EXPECT_LE(distance(y, here), 1e-4) << i;
      EXPECT_LE(distance(mean, on_cpu_mean), 1e-5) << i;
      EXPECT_LE(distance(var, on_cpu_var), 1e-5) << i;
    }
  });
}
