// What networks are made of: softmax, convolutions, normalisations.
#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;

Pair pair(const Arguments& c, int position, const char* name, int64_t otherwise) {
  Shape sizes = c.sizes(position, name, 2, otherwise);
  return {sizes[0], sizes[1]};
}
Padding padding2(const Arguments& c, int position) {
  if (c.at(position, "padding").kind == Value::text) return Padding(c.str(position, "padding", "").c_str());
  return pair(c, position, "padding", 0);
}
Padding padding1(const Arguments& c, int position) {
  if (c.at(position, "padding").kind == Value::text) return Padding(c.str(position, "padding", "").c_str());
  return c.sizes(position, "padding", 1, 0)[0];
}
/// The sizes of the result; none for an axis means that it stays as it is.
Pair adaptive(const Arguments& c, int position) {
  const Value& v = c.at(position, "output_size");
  if (v.kind == Value::integer) return v.i;
  int64_t out[2];
  for (size_t k = 0; k < 2; ++k) out[k] = v.items.at(k).given() ? v.items[k].i : c[0].size(int64_t(k) - 2);
  return {out[0], out[1]};
}
int64_t single(const Arguments& c, int position, const char* name, int64_t otherwise) {
  return c.sizes(position, name, 1, otherwise)[0];
}

/// Softmax and the like, in another dtype where asked for.
#define SOFT(name, f)                            \
  for (const char* suffix : {"", ".with_dtype"}) \
  ops.add(std::string(name) + suffix,            \
          [](Arguments& c) -> Outputs { return f(c[0].to(c.dtype(-1, "dtype", c[0].dtype())), c.i(1, "dim")); })

void add_convolutions(Registry& ops) {
  ops.add("nn.functional.conv1d",
          [](Arguments& c) -> Outputs {
            return conv1d(c[0], c.t(1), c.maybe(2, "bias"),
                          {.stride = single(c, 3, "stride", 1),
                           .padding = padding1(c, 4),
                           .dilation = single(c, 5, "dilation", 1),
                           .groups = c.i(6, "groups", 1)});
          })
      .loose();
  ops.add("nn.functional.conv2d",
          [](Arguments& c) -> Outputs {
            return conv2d(c[0], c.t(1), c.maybe(2, "bias"),
                          {.stride = pair(c, 3, "stride", 1),
                           .padding = padding2(c, 4),
                           .dilation = pair(c, 5, "dilation", 1),
                           .groups = c.i(6, "groups", 1)});
          })
      .loose();
  ops.add("nn.functional.conv_transpose1d",
          [](Arguments& c) -> Outputs {
            return conv_transpose1d(c[0], c.t(1), c.maybe(2, "bias"),
                                    {.stride = single(c, 3, "stride", 1),
                                     .padding = single(c, 4, "padding", 0),
                                     .output_padding = single(c, 5, "output_padding", 0),
                                     .groups = c.i(6, "groups", 1),
                                     .dilation = single(c, 7, "dilation", 1)});
          })
      .loose();
  ops.add("nn.functional.conv_transpose2d",
          [](Arguments& c) -> Outputs {
            return conv_transpose2d(c[0], c.t(1), c.maybe(2, "bias"),
                                    {.stride = pair(c, 3, "stride", 1),
                                     .padding = pair(c, 4, "padding", 0),
                                     .output_padding = pair(c, 5, "output_padding", 0),
                                     .groups = c.i(6, "groups", 1),
                                     .dilation = pair(c, 7, "dilation", 1)});
          })
      .loose();
}

const AnyTensor& channelled(const AnyTensor& x) {
  if (x.dim() < 2) throw LeftOut("a vector for batch_norm: Gradus wants (N, C, ...)");
  return x;
}
int64_t stride_of(const Arguments& c, int position) { return single(c, position, "stride", 0); }

void add_pools(Registry& ops) {
  ops.add("nn.functional.max_pool2d", [](Arguments& c) -> Outputs {
    MaxPool2dOptions o{.kernel = pair(c, 1, "kernel_size", 1)};
    o.stride = pair(c, 2, "stride", 0), o.padding = pair(c, 3, "padding", 0), o.dilation = pair(c, 4, "dilation", 1);
    o.ceil_mode = c.b(5, "ceil_mode", false);
    if (!c.b(6, "return_indices", false)) return max_pool2d(c[0], o);
    auto [y, indices] = max_pool2d_with_indices(c[0], o);
    return {y, indices};
  });
  ops.add("nn.functional.max_pool1d", [](Arguments& c) -> Outputs {
    MaxPool1dOptions o{.kernel = single(c, 1, "kernel_size", 1)};
    o.stride = stride_of(c, 2), o.padding = single(c, 3, "padding", 0), o.dilation = single(c, 4, "dilation", 1);
    o.ceil_mode = c.b(5, "ceil_mode", false);
    if (!c.b(6, "return_indices", false)) return max_pool1d(c[0], o);
    auto [y, indices] = max_pool1d_with_indices(c[0], o);
    return {y, indices};
  });
  OP("nn.functional.avg_pool2d", avg_pool2d(c[0], {.kernel = pair(c, 1, "kernel_size", 1),
                                                   .stride = pair(c, 2, "stride", 0),
                                                   .padding = pair(c, 3, "padding", 0),
                                                   .ceil_mode = c.b(4, "ceil_mode", false),
                                                   .count_include_pad = c.b(5, "count_include_pad", true),
                                                   .divisor_override = c.i(6, "divisor_override", 0)}));
  OP("nn.functional.avg_pool1d", avg_pool1d(c[0], {.kernel = single(c, 1, "kernel_size", 1),
                                                   .stride = stride_of(c, 2),
                                                   .padding = single(c, 3, "padding", 0),
                                                   .ceil_mode = c.b(4, "ceil_mode", false),
                                                   .count_include_pad = c.b(5, "count_include_pad", true)}));
  OP("nn.functional.adaptive_avg_pool2d", adaptive_avg_pool2d(c[0], adaptive(c, 1)));
  OP("nn.functional.adaptive_avg_pool1d", adaptive_avg_pool1d(c[0], single(c, 1, "output_size", 1)));
  ops.add("nn.functional.adaptive_max_pool2d", [](Arguments& c) -> Outputs {
    if (!c.b(2, "return_indices", false)) return adaptive_max_pool2d(c[0], adaptive(c, 1));
    auto [y, indices] = adaptive_max_pool2d_with_indices(c[0], adaptive(c, 1));
    return {y, indices};
  });
  ops.add("nn.functional.adaptive_max_pool1d", [](Arguments& c) -> Outputs {
    if (!c.b(2, "return_indices", false)) return adaptive_max_pool1d(c[0], single(c, 1, "output_size", 1));
    auto [y, indices] = adaptive_max_pool1d_with_indices(c[0], single(c, 1, "output_size", 1));
    return {y, indices};
  });
}

/// Size, or scale, of one or two axes. A scale that is to be computed again comes from the size that it gives.
InterpolateOptions resized(const Arguments& c, InterpolateMode mode) {
  int axes = c[0].dim() - 2;
  if (axes > 2) throw LeftOut("volumes: Gradus interpolates rows and images");
  InterpolateOptions o{.mode = mode, .align_corners = c.b(4, "align_corners", false)};
  c.str(3, "mode", ""), c.b(6, "antialias", false);
  bool again = c.b(5, "recompute_scale_factor", false);
  if (c.given(1, "size")) {
    Shape size = c.sizes(1, "size", axes, 0);
    o.size = axes == 1 ? Pair(1, size[0]) : Pair(size[0], size[1]);
    return o;
  }
  const Value& scale = c.at(2, "scale_factor");
  auto factor = [&](int axis) { return scale.kind == Value::list ? scale.items.at(size_t(axis)).d : scale.d; };
  auto grown = [&](int axis) { return int64_t(double(c[0].size(2 + axis)) * factor(axis)); };
  if (again)
    o.size = axes == 1 ? Pair(1, grown(0)) : Pair(grown(0), grown(1));
  else
    o.scale_factor = axes == 1 ? Scale(1, factor(0)) : Scale(factor(0), factor(1));
  return o;
}

void add_interpolation(Registry& ops) {
  const std::pair<const char*, InterpolateMode> modes[] = {
      {"nearest", InterpolateMode::nearest}, {"nearest-exact", InterpolateMode::nearest_exact},
      {"linear", InterpolateMode::linear},   {"bilinear", InterpolateMode::linear},
      {"bicubic", InterpolateMode::bicubic}, {"area", InterpolateMode::area}};
  for (auto [name, mode] : modes)
    ops.add(std::string("nn.functional.interpolate.") + name,
            [mode = mode](Arguments& c) -> Outputs { return interpolate(c[0], resized(c, mode)); });
  OP("nn.functional.upsample_nearest", interpolate(c[0], resized(c, InterpolateMode::nearest)));
  ops.add("nn.functional.upsample_bilinear", [](Arguments& c) -> Outputs {
    InterpolateOptions o = resized(c, InterpolateMode::linear);
    o.align_corners = true;
    return interpolate(c[0], o);
  });
}

}  // namespace

void add_nets(Registry& ops) {
  SOFT("softmax", softmax);
  SOFT("log_softmax", log_softmax);
  SOFT("nn.functional.softmin", softmin);
  OP("_softmax_backward_data", softmax_backward(c[0], c.t(1), (c.dtype(3, "input_dtype", c[0].dtype()), c.i(2))));
  add_convolutions(ops);
  add_pools(ops);
  add_interpolation(ops);
  OP("nn.functional.layer_norm", layer_norm(c[0], c.shape(1), c.maybe(2, "weight"), c.maybe(3, "bias"), c.d(4, "eps", 1e-5)));
  ops.add("nn.functional.rms_norm", [](Arguments& c) -> Outputs {
    std::optional<double> eps;
    if (c.given(3, "eps")) eps = c.d(3, "eps", 0);
    return rms_norm(c[0], c.shape(1), c.maybe(2, "weight"), eps);
  });
  OP("nn.functional.batch_norm",
     batch_norm(channelled(c[0]), c.maybe(1, "running_mean"), c.maybe(2, "running_var"), c.maybe(3, "weight"), c.maybe(4, "bias"),
                {.training = c.b(5, "training", false), .momentum = c.d(6, "momentum", 0.1), .eps = c.d(7, "eps", 1e-5)}));
  ops.add("nn.functional.scaled_dot_product_attention",
          [](Arguments& c) -> Outputs {
            if (c.d(4, "dropout_p", 0) != 0) throw LeftOut("dropout, whose numbers are not PyTorch's");
            AttentionOptions o;
            o.mask = c.maybe(3, "attn_mask"), o.is_causal = c.b(5, "is_causal", false);
            if (c.given(-1, "scale")) o.scale = c.d(-1, "scale", 1);
            if (c.b(-1, "enable_gqa", false)) throw LeftOut("heads that share keys");
            return scaled_dot_product_attention(c[0], c.t(1), c.t(2), o);
          })
      .loose();
  // Recorded with the weight first.
  ops.add("nn.functional.embedding", [](Arguments& c) -> Outputs {
    EmbeddingOptions o;
    if (c.given(-1, "padding_idx")) o.padding_idx = c.i(-1, "padding_idx");
    if (c.given(-1, "max_norm") || c.b(-1, "scale_grad_by_freq", false))
      throw LeftOut("an embedding that changes its weight or gradient");
    c.b(-1, "sparse", false);
    return embedding(c.t(1), c[0], o);
  });
  ops.add("nn.functional.embedding_bag", [](Arguments& c) -> Outputs {
    EmbeddingBagOptions o;
    std::string mode = c.str(-1, "mode", "mean");
    o.mode = mode == "sum" ? BagMode::sum : mode == "max" ? BagMode::max : BagMode::mean;
    o.offsets = c.maybe(-1, "offsets"), o.per_sample_weights = c.maybe(-1, "per_sample_weights");
    if (c.given(-1, "padding_idx")) o.padding_idx = c.i(-1, "padding_idx");
    if (c.given(-1, "max_norm") || c.b(-1, "scale_grad_by_freq", false))
      throw LeftOut("an embedding that changes its weight or gradient");
    if (c.b(-1, "include_last_offset", false)) throw LeftOut("offsets with one more at the end");
    c.b(-1, "sparse", false);
    return embedding_bag(c.t(1), c[0], o);
  });
  OP("nn.functional.group_norm",
     group_norm(c[0], c.i(1, "num_groups"), c.maybe(2, "weight"), c.maybe(3, "bias"), c.d(4, "eps", 1e-5)));
  OP("nn.functional.instance_norm",
     instance_norm(
         c[0], c.maybe(1, "running_mean"), c.maybe(2, "running_var"), c.maybe(3, "weight"), c.maybe(4, "bias"),
         {.use_input_stats = c.b(5, "use_input_stats", true), .momentum = c.d(6, "momentum", 0.1), .eps = c.d(7, "eps", 1e-5)}));
  OP("nn.functional.local_response_norm",
     local_response_norm(
         c[0], {.size = c.i(1, "size"), .alpha = c.d(2, "alpha", 1e-4), .beta = c.d(3, "beta", 0.75), .k = c.d(4, "k", 1)}));
}

}  // namespace conformance
