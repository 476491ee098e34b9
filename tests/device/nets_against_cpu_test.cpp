// What a GPU computes against what the CPU does, for the ops that networks are made of. Each is skipped where there is no GPU.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// The largest distance of outputs and gradients of f, on the GPU and on the CPU, for inputs that may be undefined; inputs of floats
/// get gradients. The cotangents are drawn.
double apart(const Function& f, const std::vector<AnyTensor>& inputs) {
  auto run = [&](Device device) {
    std::vector<AnyTensor> here, wanted, out;
    for (const AnyTensor& x : inputs) {
      here.push_back(x ? device == kCPU ? x.detach() : on_gpu(x.detach()) : AnyTensor());
      if (x && is_float(x.dtype())) wanted.push_back(here.back().requires_grad_());
    }
    AnyTensor y = f(here);
    out.push_back(y.detach());
    if (!wanted.empty() && y.requires_grad())
      for (AnyTensor& g : grad({y}, wanted, {draw(y.shape(), -1, 1, 77).to(y.dtype()).to(device)}, {.allow_unused = true}))
        if (g) out.push_back(g);
    return out;
  };
  std::vector<AnyTensor> there = run(kGpu), here = run(kCPU);
  if (there.size() != here.size()) return HUGE_VAL;
  double worst = 0;
  for (size_t i = 0; i < here.size(); ++i) worst = std::max(worst, distance(there[i], here[i]));
  return worst;
}
AnyTensor classes(const Shape& shape, int64_t n, uint64_t seed = 5) {
  Generator g(seed);
  return randint(0, n, shape, DType::int64, g);
}

}  // namespace

// Rows of a warp and of a block, that begin at 16 bytes or not, with weights, smoothing and ignored rows.
GPU_TEST(Gpu, CrossEntropy) {
  for (DType t : kFloats)
    for (const Shape& shape : {Shape{5, 10}, Shape{3, 1}, Shape{4, 1024}, Shape{3, 1029}, Shape{2, 9001}, Shape{300, 24}}) {
      AnyTensor x = draw(shape, -5, 5, 1, t), target = classes({shape[0]}, shape[1]), w = draw({shape[1]}, 0.5, 2, 2, t);
      target.select(0, 1).fill_(-100);
      for (double smoothing : {0.0, 0.2})
        for (bool weighted : {false, true})
          for (Reduction r : {Reduction::none, Reduction::mean}) {
            auto f = [&](const std::vector<AnyTensor>& in) {
              return cross_entropy(
                  in[0], in[1], {.weight = weighted ? in[2].detach() : AnyTensor(), .reduction = r, .label_smoothing = smoothing});
            };
            EXPECT_LE(apart(f, {x, target, w}), 4 * tolerance(t)) << name(t) << to_string(shape) << weighted << smoothing;
          }
    }
  AnyTensor x = Tensor<float>({{1000, 0, -1000}, {0, NAN, 0}, {-HUGE_VALF, 0, 1}, {HUGE_VALF, 0, 1}}),
            target = Tensor<int64_t>{1, 0, 2, 0};
  CrossEntropyOptions each{.reduction = Reduction::none};
  EXPECT_LT(distance(cross_entropy(x.to(kGpu), target.to(kGpu), each), cross_entropy(x, target, each)), 1e-6);
  AnyTensor wrong = Tensor<int64_t>{1, 3, -7, 0};
  EXPECT_EQ(message_of<IndexError>([&] { cross_entropy(x.to(kGpu), wrong.to(kGpu)); }),
            message_of<IndexError>([&] { cross_entropy(x, wrong); }));
}

GPU_TEST(Gpu, LayerAndRmsNorm) {
  for (DType t : kFloats)
    for (const Shape& shape :
         {Shape{5, 10}, Shape{3, 1}, Shape{700, 64}, Shape{40, 1029}, Shape{2, 9001}, Shape{130, 768}, Shape{0, 4}}) {
      AnyTensor x = draw(shape, -1, 3, 1, t), w = draw({shape[1]}, 0.5, 2, 2, t), b = draw({shape[1]}, -1, 1, 3, t);
      const Shape last{shape[1]};
      const double near = shape[1] == 1 ? 0.02 : 16 * tolerance(t);
      auto all = [&](const auto& in) { return layer_norm(in[0], last, in[1], in[2], 0.1); };
      auto plain = [&](const auto& in) { return layer_norm(in[0], last, {}, {}, 0.1); };
      auto rms = [&](const auto& in) { return rms_norm(in[0], last, in[1], 0.1); };
      EXPECT_LE(apart(all, {x, w, b}), near) << name(t) << to_string(shape);
      EXPECT_LE(apart(plain, {x}), near) << name(t) << to_string(shape);
      EXPECT_LE(apart(rms, {x, w}), near) << name(t) << to_string(shape);
    }
}

GPU_TEST(Gpu, EmbeddingSumsInTheOrderOfPositions) {
  for (DType t : kFloats)
    for (int64_t width : {1, 5, 64, 130}) {
      AnyTensor table = draw({40, width}, -1, 1, 1, t), wide = draw({40, width + 3}, -1, 1, 2, t).narrow(1, 1, width);
      AnyTensor index = classes({3, 200}, 37), same = full({500}, 3, DType::int64);
      for (const AnyTensor& w : {table, wide})
        for (const AnyTensor& i : {index, same, index.narrow(0, 0, 0)}) {
          auto f = [&](const auto& in) { return embedding(in[0], in[1]); };
          EXPECT_LE(apart(f, {i, w}), t == DType::float64 ? 1e-13 : t == DType::float32 ? 1e-5 : 0) << name(t) << width;
          auto padded = [&](const auto& in) { return embedding(in[0], in[1], {.padding_idx = 3}); };
          EXPECT_LE(apart(padded, {i, w}), t == DType::float64 ? 1e-13 : t == DType::float32 ? 1e-5 : 0) << name(t) << width;
        }
    }
  AnyTensor wrong = Tensor<int64_t>{1, 40, 2};
  EXPECT_EQ(message_of<IndexError>([&] {
              embedding(wrong.to(kGpu), zeros<float>({40, 2}).to(kGpu));
            }),
            message_of<IndexError>([&] {
              embedding(wrong, zeros<float>({40, 2}));
            }));
}

// Values that meet in one place are put there in the CPU's order, by lines or after a sort: not a bit differs where they are fewer than a
// chunk of 64. Sums and products of more are joined from chunks.
GPU_TEST(Gpu, GathersAndScatters) {
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int32, DType::uint8}) {
    for (auto [shape, length] : {std::pair<Shape, int64_t>{{6, 40, 5}, 30}, {{3, 50, 2}, 500}, {{7}, 2000}, {{4, 3}, 0}})
      for (int d = 0; d < shape.rank; ++d) {
        Shape picked = shape;
        picked[d] = length;
        AnyTensor x = sample(shape, t), index = classes(picked, shape[d]), source = sample(picked, t, 4);
        AnyTensor x2 = on_gpu(x), i2 = on_gpu(index), s2 = on_gpu(source);
        const double near = is_float(t) && length > 64 ? 8 * tolerance(t) : 0;
        EXPECT_EQ(distance(gather(x2, d, i2), gather(x, d, index)), 0) << name(t) << to_string(shape) << d;
        EXPECT_EQ(distance(scatter(x2, d, i2, s2), scatter(x, d, index, source)), 0) << name(t) << to_string(shape) << d;
        EXPECT_LE(distance(scatter_add(x2, d, i2, s2), scatter_add(x, d, index, source)), near) << name(t) << to_string(shape) << d;
        for (ScatterReduction r : {ScatterReduction::prod, ScatterReduction::amax, ScatterReduction::amin})
          EXPECT_LE(distance(scatter_reduce(x2, d, i2, s2 % 2, r), scatter_reduce(x, d, index, source % 2, r)),
                    r == ScatterReduction::prod ? near : 0)
              << name(t) << d;
        if (shape.rank == 3) {  // of other layouts
          AnyTensor turned = x.transpose(0, 2).contiguous().transpose(0, 2),
                    other = index.transpose(0, 1).contiguous().transpose(0, 1);
          EXPECT_EQ(distance(gather(on_gpu(turned), d, on_gpu(other)), gather(x, d, index)), 0);
          EXPECT_LE(distance(scatter_add(on_gpu(turned), d, on_gpu(other), s2), scatter_add(x, d, index, source)), near);
        }
      }
  }
}

GPU_TEST(Gpu, IndexesAndMasks) {
  for (DType t : kAll) {
    AnyTensor x = sample({9, 8, 6}, t), rows = classes({50}, 9), columns = classes({50}, 8, 6), minus = rows - 9;
    for (const AnyTensor& v : {x, x.transpose(0, 2).contiguous().transpose(0, 2)}) {
      AnyTensor there = on_gpu(v);
      EXPECT_EQ(distance(index(there, {on_gpu(rows), on_gpu(columns)}), index(v, {rows, columns})), 0) << name(t);
      EXPECT_EQ(distance(index(there, {on_gpu(minus)}), index(v, {minus})), 0) << name(t);
      EXPECT_EQ(distance(index(there, {AnyTensor(), on_gpu(columns)}), index(v, {AnyTensor(), columns})), 0) << name(t);
      EXPECT_EQ(distance(index_select(there, 1, on_gpu(columns)), index_select(v, 1, columns)), 0) << name(t);
      AnyTensor values = sample({50, 6}, t, 3), block = sample({50, 8, 6}, t, 4);
      for (bool add : {false, true}) {
        if (add && t == DType::boolean) continue;
        EXPECT_EQ(distance(index_put(there, {on_gpu(rows), on_gpu(columns)}, on_gpu(values), add),
                           index_put(v, {rows, columns}, values, add)),
                  0)
            << name(t) << add;
        EXPECT_EQ(distance(index_put(there, {on_gpu(minus)}, on_gpu(block), add), index_put(v, {minus}, block, add)), 0)
            << name(t) << add;
      }
      AnyTensor mask = sample({9, 8, 6}, DType::boolean, 5);
      EXPECT_EQ(distance(masked_select(there, on_gpu(mask)), masked_select(v, mask)), 0) << name(t);
      EXPECT_EQ(distance(nonzero(there), nonzero(v)), 0) << name(t);
    }
    for (int64_t diagonal : {-20, -1, 0, 2, 20}) {
      EXPECT_EQ(distance(triu(on_gpu(x), diagonal), triu(x, diagonal)), 0) << name(t) << diagonal;
      EXPECT_EQ(distance(tril(on_gpu(x.transpose(0, 1)), diagonal), tril(x.transpose(0, 1), diagonal)), 0) << name(t) << diagonal;
    }
  }
  AnyTensor sparse = draw({70001}, -1, 1, 3, DType::float32) > 0.9, none = zeros<float>({5000});
  EXPECT_EQ(distance(nonzero(sparse.to(kGpu)), nonzero(sparse)), 0);
  EXPECT_EQ(distance(nonzero(none.to(kGpu)), nonzero(none)), 0);
}

GPU_TEST(Gpu, WhereTheExtremesAre) {
  for (DType t : kAll)
    for (const AnyTensor& v : layouts(t)) {
      AnyTensor x = t == DType::float32 && v.numel() > 9 ? where(v > 8, NAN, v) : v, y = on_gpu(x);
      if (x.numel() == 0) continue;
      EXPECT_EQ(distance(argmax(y), argmax(x)), 0) << name(t) << to_string(x.shape());
      for (int d = 0; d < x.dim(); ++d) {
        AnyValuesIndices a = max(y, d), b = max(x, d), c = min(y, d), e = min(x, d);
        EXPECT_EQ(distance(a.indices, b.indices), 0) << name(t) << to_string(x.shape()) << d;
        EXPECT_EQ(distance(a.values, b.values), 0) << name(t) << to_string(x.shape()) << d;
        EXPECT_EQ(distance(c.indices, e.indices), 0) << name(t) << to_string(x.shape()) << d;
        EXPECT_EQ(distance(c.values, e.values), 0) << name(t) << to_string(x.shape()) << d;
      }
    }
}

GPU_TEST(Gpu, DropoutDropsWhatTheCpuDrops) {
  for (DType t : kFloats)
    for (const Shape& shape : {Shape{1}, Shape{7}, Shape{33, 65}, Shape{2, 3, 4, 5}})
      for (double p : {0.0, 0.1, 0.5, 1.0}) {
        AnyTensor x = draw(shape, -1, 1, 1, t);
        auto f = [&](const auto& in) {
          Generator g(5);
          return dropout(in[0], p, true, g);
        };
        EXPECT_EQ(apart(f, {x}), 0) << name(t) << to_string(shape) << p;
        if (x.dim() == 4) {
          EXPECT_EQ(apart(f, {x.permute({0, 2, 3, 1})}), 0) << name(t) << p;
        }
      }
}

// Tiles that are full and that are not, causal or masked, heads cut from one row, keys that all heads share, dropout.
GPU_TEST(Gpu, Attention) {
  for (DType t : kFloats) {
    const double near = 16 * tolerance(t);
    auto x = [&](const Shape& shape, uint64_t seed) { return draw(shape, -1, 1, seed, t); };
    auto with = [&](AttentionOptions o) {
      return [=](const std::vector<AnyTensor>& in) {
        Generator g(9);
        AttentionOptions here = o;
        if (in.size() > 3) here.mask = in[3];
        return scaled_dot_product_attention(in[0], in[1], in[2], here, g);
      };
    };
    for (auto [queries, keys, size, values] :
         {std::array<int64_t, 4>{5, 7, 4, 3}, {70, 70, 33, 70}, {130, 65, 64, 64}, {1, 200, 8, 8}, {3, 3, 130, 1}}) {
      AnyTensor q = x({2, 3, queries, size}, 1), k = x({2, 3, keys, size}, 2), v = x({2, 3, keys, values}, 3);
      EXPECT_LE(apart(with({}), {q, k, v}), near) << name(t) << queries << " " << keys;
      if (queries > 1) {  // one alone sees one key, and moves with neither
        EXPECT_LE(apart(with({.is_causal = true}), {q, k, v}), near) << name(t) << queries << " " << keys;
        EXPECT_LE(apart(with({.is_causal = true, .dropout_p = 0.3}), {q, k, v}), near) << name(t) << queries << " " << keys;
      }
      AnyTensor closed = sample({queries, keys}, DType::boolean, 4);
      closed.select(0, 0).fill_(false);  // one that may look at nothing
      EXPECT_LE(apart(with({.dropout_p = 0.2}), {q, k, v, closed}), near) << name(t) << queries << " " << keys;
      auto added = [&](const std::vector<AnyTensor>& in) {
        return scaled_dot_product_attention(in[0], in[1], in[2], {.mask = in[3].detach()});
      };
      EXPECT_LE(apart(added, {q, k, v, x({2, 1, 1, keys}, 5)}), near) << name(t) << queries << " " << keys;
    }
    AnyTensor row = x({2, 40, 3 * 24}, 6);  // q, k and v of 3 heads side by side
    auto heads = [&](const std::vector<AnyTensor>& in) {
      auto part = [&](int i) { return in[0].narrow(2, i * 24, 24).reshape({2, 40, 3, 8}).transpose(1, 2); };
      return scaled_dot_product_attention(part(0), part(1), part(2), {.is_causal = true});
    };
    EXPECT_LE(apart(heads, {row}), near) << name(t);
    EXPECT_LE(apart(with({}), {x({2, 3, 5, 8}, 1), x({1, 6, 8}, 2), x({6, 4}, 3)}), near) << name(t);  // broadcast
    EXPECT_LE(apart(with({}), {x({2, 0, 8}, 1), x({2, 6, 8}, 2), x({2, 6, 4}, 3)}), near) << name(t);
    EXPECT_LE(apart(with({}), {x({2, 5, 8}, 1), x({2, 0, 8}, 2), x({2, 0, 4}, 3)}), near) << name(t);
  }
}

// Channels first and last, odd sizes, statistics of the batch, of groups, of images and fixed ones.
GPU_TEST(Gpu, ChannelNorms) {
  for (DType t : kFloats) {
    const double near = 16 * tolerance(t);
    const DType wide = t == DType::float64 ? t : DType::float32;
    for (const Shape& shape : {Shape{4, 6, 5, 7}, Shape{3, 40, 9, 9}, Shape{70, 4}, Shape{2, 8, 300}, Shape{2, 36, 20, 16}})
      for (bool last : {false, true}) {
        if (last && shape.rank != 4) continue;
        AnyTensor x = draw(shape, -1, 3, 1, t), w = draw({shape[1]}, 0.5, 2, 2, t), b = draw({shape[1]}, -1, 1, 3, t);
        if (last) x = x.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
        AnyTensor mean = draw({shape[1]}, 0, 1, 4, wide), var = draw({shape[1]}, 0.5, 2, 5, wide);
        for (bool training : {true, false}) {
          auto norm = [&](const auto& in) {
            Device d = in[0].device();
            AnyTensor m = mean.to(d).clone(), v = var.to(d).clone(),
                      y = batch_norm(in[0], m, v, in[1], in[2], {.training = training, .eps = 0.1});
            return y + (m.sum() + v.sum()).to(y.dtype()) * 0.1;
          };
          EXPECT_LE(apart(norm, {x, w, b}), near) << name(t) << to_string(shape) << last << training;
        }
        for (bool training : {true, false}) {
          if (t != DType::float64) break;  // what lies within a rounding of 0 passes on one side alone; in double there is none
          auto rectified = [&](const auto& in) {
            Device d = in[0].device();
            return batch_norm_relu(in[0], in[3], mean.to(d).clone(), var.to(d).clone(), in[1], in[2],
                                   {.training = training, .eps = 0.1});
          };
          EXPECT_LE(apart(rectified, {x, w, b, {}}), near) << to_string(shape) << last << training;
          EXPECT_LE(apart(rectified, {x, w, b, draw(shape, -1, 1, 6, t)}), near) << to_string(shape) << last << training;
        }
        auto plain = [&](const auto& in) { return batch_norm(in[0], {}, {}, {}, {}, {.training = true, .eps = 0.1}); };
        EXPECT_LE(apart(plain, {x}), near) << name(t) << to_string(shape) << last;
        if (shape.rank == 2) continue;
        for (int64_t groups : {int64_t(1), int64_t(2), shape[1]}) {
          auto norm = [&](const auto& in) { return group_norm(in[0], groups, in[1], in[2], 0.1); };
          EXPECT_LE(apart(norm, {x, w, b}), near) << name(t) << to_string(shape) << last << groups;
        }
        auto images = [&](const auto& in) { return instance_norm(in[0], {}, {}, in[1], in[2], {.eps = 0.1}); };
        EXPECT_LE(apart(images, {x, w, b}), near) << name(t) << to_string(shape) << last;
      }
  }
  AnyTensor far = (draw({8, 4, 30, 30}, -1, 1, 9) + 4096.0).to(DType::float32);
  auto norm = [](const auto& in) { return batch_norm(in[0], {}, {}, {}, {}, {.training = true}); };
  EXPECT_LE(apart(norm, {far}), 5e-3);  // a last place of the mean, over the deviation
}

GPU_TEST(Gpu, Convolutions) {
  struct Case {
    Shape x, w;
    Conv2dOptions o;
  };
  const Case cases[] = {{{2, 3, 7, 9}, {5, 3, 3, 3}, {.padding = 1}},
                        {{2, 3, 8, 9}, {70, 3, 3, 2}, {.stride = 2, .padding = 1}},
                        {{1, 20, 12, 12}, {8, 20, 1, 1}, {}},
                        {{2, 6, 11, 10}, {9, 2, 3, 3}, {.stride = {2, 1}, .padding = {2, 0}, .dilation = {2, 3}, .groups = 3}},
                        {{2, 8, 9, 9}, {8, 1, 3, 3}, {.padding = 1, .groups = 8}},
                        {{3, 4, 30, 30}, {6, 4, 5, 5}, {.stride = 3, .padding = 4}},
                        {{1, 66, 5, 5}, {3, 66, 4, 4}, {.padding = 2}}};
  for (DType t : kFloats)
    for (const Case& c : cases) {
      AnyTensor x = draw(c.x, -1, 1, 1, t), w = draw(c.w, -1, 1, 2, t), b = draw({c.w[0]}, -1, 1, 3, t);
      auto f = [&](const auto& in) { return conv2d(in[0], in[1], in[2], c.o); };
      EXPECT_LE(apart(f, {x, w, b}), 32 * tolerance(t)) << name(t) << to_string(c.x) << to_string(c.w);
      EXPECT_LE(apart(f, {x, w, AnyTensor()}), 32 * tolerance(t)) << name(t) << to_string(c.x) << to_string(c.w);
    }
}

// Sizes as networks have them, which libraries serve where they are there: the same bits every time, and rounding to TF32 only when asked.
GPU_TEST(Gpu, ConvolutionsOfNetworks) {
  struct Case {
    Shape x, w;
    Conv2dOptions o;
  };
  const Case cases[] = {{{8, 3, 32, 32}, {64, 3, 7, 7}, {.stride = 2, .padding = 3}},
                        {{4, 64, 28, 28}, {64, 64, 3, 3}, {.padding = 1}},
                        {{4, 64, 28, 28}, {128, 64, 1, 1}, {.stride = 2}},
                        {{4, 64, 15, 15}, {64, 1, 3, 3}, {.padding = 1, .groups = 64}},
                        {{4, 64, 15, 15}, {128, 16, 3, 3}, {.stride = 2, .padding = 2, .dilation = 2, .groups = 4}}};
  for (DType t : {DType::float32, DType::float16, DType::bfloat16})
    for (const Case& c : cases) {
      AnyTensor x = draw(c.x, -1, 1, 1, t), w = draw(c.w, -1, 1, 2, t), b = draw({c.w[0]}, -1, 1, 3, t);
      auto f = [&](const auto& in) { return conv2d(in[0], in[1], in[2], c.o); };
      EXPECT_LE(apart(f, {x, w, b}), 64 * tolerance(t)) << name(t) << to_string(c.x) << to_string(c.w);
      auto all = [&] {
        AnyTensor u = x.to(kGpu), v = w.to(kGpu), y = conv2d(u, v, b.to(kGpu), c.o);
        AnyTensor g = draw(y.shape(), -1, 1, 4, t).to(kGpu);
        return std::vector{y, conv2d_backward_input(u.shape(), g, v, c.o), conv2d_backward_weight(v.shape(), g, u, c.o)};
      };
      std::vector<AnyTensor> once = all(), again = all();
      set_float32_matmul_precision(Float32Precision::high);
      std::vector<AnyTensor> high = all();
      set_float32_matmul_precision(Float32Precision::highest);
      for (size_t i = 0; i < once.size(); ++i) {
        EXPECT_EQ(distance(again[i], once[i]), 0) << i << name(t) << to_string(c.w);
        EXPECT_LE(distance(high[i], once[i]), t == DType::float32 ? 0.1 : 0) << i << name(t) << to_string(c.w);
      }
    }
}

// Images and weights that begin anywhere in memory.
GPU_TEST(Gpu, ConvolutionsAtAnyAddress) {
  for (DType t : {DType::float32, DType::bfloat16}) {
    AnyTensor images = draw({4, 5, 7, 3}, -1, 1, 1, t).permute({0, 3, 1, 2}), w = draw({9, 3, 3, 3}, -1, 1, 2, t);
    auto f = [](const auto& in) { return conv2d(in[0].narrow(0, 1, 3), in[1].narrow(0, 1, 8), {}, {.padding = 1}); };
    EXPECT_LE(apart(f, {images, w}), 32 * tolerance(t)) << name(t);
  }
}

GPU_TEST(Gpu, AttentionOfNetworks) {
  for (DType t : {DType::float16, DType::bfloat16})
    for (bool causal : {false, true}) {
      AnyTensor row = draw({2, 256, 3 * 512}, -1, 1, 1, t);  // q, k and v of 8 heads side by side
      auto heads = [&](const std::vector<AnyTensor>& in) {
        auto part = [&](int i) { return in[0].narrow(2, i * 512, 512).reshape({2, 256, 8, 64}).transpose(1, 2); };
        return scaled_dot_product_attention(part(0), part(1), part(2), {.is_causal = causal});
      };
      EXPECT_LE(apart(heads, {row}), 16 * tolerance(t)) << name(t) << causal;
      AnyTensor q = draw({2, 8, 256, 64}, -1, 1, 2, t), k = draw({2, 8, 320, 64}, -1, 1, 3, t),
                v = draw({2, 8, 320, 96}, -1, 1, 4, t);
      auto crossed = [&](const auto& in) { return scaled_dot_product_attention(in[0], in[1], in[2], {.is_causal = causal}); };
      EXPECT_LE(apart(crossed, {q, k, v}), 16 * tolerance(t)) << name(t) << causal;
      auto gradients = [&] {
        AnyTensor x = row.to(kGpu).requires_grad_(), y = heads({x});
        return grad({y}, {x}, {y.detach()})[0];
      };
      EXPECT_EQ(distance(gradients(), gradients()), 0) << name(t) << causal;
    }
}

GPU_TEST(Gpu, PoolsAndInterpolation) {
  for (DType t : kFloats)
    for (const Shape& shape : {Shape{2, 3, 9, 11}, Shape{1, 40, 8, 8}, Shape{2, 1, 5, 6}})
      for (bool last : {false, true}) {
        AnyTensor x = draw(shape, -1, 1, 1, t);
        if (last) x = x.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
        auto check = [&](const char* what, const Function& f) {
          EXPECT_LE(apart(f, {x}), 4 * tolerance(t)) << what << name(t) << to_string(shape) << last;
        };
        check("max", [](const auto& in) { return max_pool2d(in[0], {.kernel = 2}); });
        check("max padded",
              [](const auto& in) { return max_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}); });
        check("max dilated", [](const auto& in) { return max_pool2d(in[0], {.kernel = 2, .stride = 1, .dilation = 2}); });
        check("average", [](const auto& in) { return avg_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); });
        check("average inside", [](const auto& in) {
          return avg_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
        });
        check("adaptive average", [](const auto& in) { return adaptive_avg_pool2d(in[0], {3, 4}); });
        check("adaptive max", [](const auto& in) { return adaptive_max_pool2d(in[0], {3, 4}); });
        for (InterpolateMode mode : {InterpolateMode::nearest, InterpolateMode::linear, InterpolateMode::bicubic})
          for (double scale : {0.6, 2.0})
            check("interpolation", [&](const auto& in) { return interpolate(in[0], {.scale_factor = scale, .mode = mode}); });
      }
  AnyTensor holes = draw({1, 2, 6, 6}, -1, 1, 1, DType::float32);
  holes.narrow(2, 1, 2).fill_(NAN), holes.narrow(2, 4, 2).fill_(-HUGE_VAL);
  auto pool = [](const auto& in) { return max_pool2d(in[0], {.kernel = 2}); };
  EXPECT_EQ(apart(pool, {holes}), 0);
}

GPU_TEST(Gpu, ScansAlongAnyAxis) {
  for (DType t : kAll)
    for (const Shape& shape : {Shape{6, 5, 16}, Shape{3, 1000}, Shape{2, 257}, Shape{5}, Shape{0, 3}}) {
      AnyTensor x = t == DType::boolean ? sample(shape, t)
                    : is_float(t)       ? draw(shape, -1, 1, 1, t)
                                        : sample(shape, t),
                y = x.to(kGpu);
      for (int d = 0; d < x.dim(); ++d) {
        EXPECT_LE(distance(cumsum(y, d), cumsum(x, d)), is_float(t) ? tolerance(t) : 0) << name(t) << to_string(shape) << d;
        EXPECT_LE(distance(cumprod(y, d), cumprod(x, d)), is_float(t) ? tolerance(t) : 0) << name(t) << to_string(shape) << d;
        AnyValuesIndices a = cummax(y, d), b = cummax(x, d), c = cummin(y, d), e = cummin(x, d);
        EXPECT_EQ(distance(a.values, b.values) + distance(a.indices, b.indices), 0) << name(t) << to_string(shape) << d;
        EXPECT_EQ(distance(c.values, e.values) + distance(c.indices, e.indices), 0) << name(t) << to_string(shape) << d;
        if (!is_float(t)) continue;
        for (auto* f : {+[](const AnyTensor&v, int axis) { return cumsum(v, axis); },
                        +[](const AnyTensor&v, int axis) { return cumprod(v, axis); },
                        +[](const AnyTensor&v, int axis) { return logcumsumexp(v, axis); }})
          EXPECT_LE(apart([&](const auto& in) { return f(in[0], d); }, {x}), 8 * tolerance(t)) << name(t) << to_string(shape) << d;
      }
    }
  AnyTensor holes = draw({2, 300}, -1, 1, 3, DType::float32);
  holes.select(1, 280).fill_(NAN), holes.narrow(1, 0, 3).fill_(-HUGE_VAL);
  EXPECT_LE(distance(logcumsumexp(holes.to(kGpu), 1), logcumsumexp(holes, 1)), 1e-5);
  EXPECT_EQ(distance(cummax(holes.to(kGpu), 1).indices, cummax(holes, 1).indices), 0);
}

GPU_TEST(Gpu, Order) {
  for (DType t : kAll)
    for (const Shape& shape : {Shape{6, 5, 16}, Shape{3, 1000}, Shape{7}, Shape{}, Shape{0, 3}}) {
      AnyTensor x = sample(shape, t);  // many are equal
      if (is_float(t) && x.numel() > 9) x = where(x > 7, NAN, where(abs(x) < 1, x * 0, x)), x = x.to(t);
      AnyTensor y = x.to(kGpu);
      for (int d = 0; d < std::max(1, x.dim()); ++d) {
        for (bool flag : {false, true}) {
          AnyValuesIndices a = sort(y, d, flag), b = sort(x, d, flag);
          EXPECT_EQ(distance(a.values, b.values) + distance(a.indices, b.indices), 0) << name(t) << to_string(shape) << d << flag;
          int64_t k = x.dim() ? std::min<int64_t>(3, x.size(d)) : 1;
          AnyValuesIndices p = topk(y, k, d, flag), q = topk(x, k, d, flag);
          EXPECT_EQ(distance(p.values, q.values) + distance(p.indices, q.indices), 0) << name(t) << to_string(shape) << d << flag;
        }
        if (x.numel() == 0) continue;
        AnyValuesIndices a = median(y, d), b = median(x, d), c = nanmedian(y, d), e = nanmedian(x, d), g = kthvalue(y, 1, d),
                         h = kthvalue(x, 1, d);
        EXPECT_EQ(distance(a.values, b.values) + distance(a.indices, b.indices), 0) << name(t) << to_string(shape) << d;
        EXPECT_EQ(distance(c.values, e.values) + distance(c.indices, e.indices), 0) << name(t) << to_string(shape) << d;
        EXPECT_EQ(distance(g.values, h.values) + distance(g.indices, h.indices), 0) << name(t) << to_string(shape) << d;
      }
      for (bool consecutive : {false, true}) {
        AnyUnique a = consecutive ? unique_consecutive(y) : unique(y), b = consecutive ? unique_consecutive(x) : unique(x);
        EXPECT_EQ(distance(a.values, b.values) + distance(a.inverse, b.inverse) + distance(a.counts, b.counts), 0)
            << name(t) << to_string(shape) << consecutive;
      }
      if (x.dim() != 2) continue;
      AnyTensor sequence = sort(x, 1).values, values = sample({shape[0], 20}, t, 9);
      for (bool right : {false, true})
        EXPECT_EQ(distance(searchsorted(sequence.to(kGpu), values.to(kGpu), right), searchsorted(sequence, values, right)), 0)
            << name(t);
    }
}

GPU_TEST(Gpu, PermutationsAndClassesAreTheCpus) {
  for (int64_t n : {0, 1, 2, 1000}) {
    Generator a(3), b(3);
    EXPECT_EQ(distance(randperm(n, a, kGpu), randperm(n, b)), 0) << n;
  }
  for (const Shape& shape : {Shape{50}, Shape{4, 300}, Shape{2, 1}})
    for (bool replacement : {false, true}) {
      AnyTensor w = draw(shape, 0, 1, 2, DType::float32);
      if (shape.rank == 2 && shape[1] > 1) w.narrow(1, 100, 150).fill_(0);
      Generator a(4), b(4);
      EXPECT_EQ(distance(multinomial(w.to(kGpu), 1, replacement, a), multinomial(w, 1, replacement, b)), 0)
          << to_string(shape) << replacement;
      if (shape[-1] == 1) continue;
      EXPECT_EQ(distance(multinomial(w.to(kGpu), 30, replacement, a), multinomial(w, 30, replacement, b)), 0)
          << to_string(shape) << replacement;
    }
}
