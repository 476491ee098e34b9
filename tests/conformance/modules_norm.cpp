// Normalisations and pools.
#include "tests/conformance/modules.h"

namespace conformance {
namespace {

using namespace gradus;

Pair pair(const Arguments& c, int position, const char* name, int64_t otherwise) {
  Shape sizes = c.sizes(position, name, 2, otherwise);
  return {sizes[0], sizes[1]};
}
int64_t single(const Arguments& c, int position, const char* name, int64_t otherwise) {
  return c.sizes(position, name, 1, otherwise)[0];
}

template <class M> void add_batch_norm(Modules& all, const std::string& name) {
  add<M>(all, name, [](Arguments& c) {
    nn::BatchNormOptions o{.eps = c.d(1, "eps", 1e-5)};
    // Named None is another thing than not named: plain averages.
    if (const Value& momentum = c.at(2, "momentum"); momentum.kind == Value::null)
      o.momentum = std::nullopt;
    else
      o.momentum = c.d(2, "momentum", 0.1);
    o.affine = c.b(3, "affine", true), o.track_running_stats = c.b(4, "track_running_stats", true);
    return M(c.i(0, "num_features"), o);
  });
}
template <class M> void add_instance_norm(Modules& all, const std::string& name) {
  add<M>(all, name, [](Arguments& c) {
    nn::InstanceNormOptions o{.eps = c.d(1, "eps", 1e-5), .momentum = c.d(2, "momentum", 0.1)};
    o.affine = c.b(3, "affine", false), o.track_running_stats = c.b(4, "track_running_stats", false);
    return M(c.i(0, "num_features"), o);
  });
}

Pair adaptive(const Arguments& c) {
  const Value& v = c.at(0, "output_size");
  for (const Value& item : v.items)
    if (!item.given()) throw LeftOut("an axis that stays as it is: the module takes sizes");
  return pair(c, 0, "output_size", 1);
}

void add_pools(Modules& all) {
  auto indices = [](const Arguments& c, int position) {
    if (c.b(position, "return_indices", false)) throw LeftOut("indices from a module: max_pool2d_with_indices gives them");
  };
  add<nn::MaxPool2d>(all, "nn.MaxPool2d", [=](Arguments& c) {
    indices(c, 4);
    return nn::MaxPool2d({.kernel = pair(c, 0, "kernel_size", 1),
                          .stride = pair(c, 1, "stride", 0),
                          .padding = pair(c, 2, "padding", 0),
                          .dilation = pair(c, 3, "dilation", 1),
                          .ceil_mode = c.b(5, "ceil_mode", false)});
  });
  add<nn::MaxPool1d>(all, "nn.MaxPool1d", [=](Arguments& c) {
    indices(c, 4);
    return nn::MaxPool1d({.kernel = single(c, 0, "kernel_size", 1),
                          .stride = single(c, 1, "stride", 0),
                          .padding = single(c, 2, "padding", 0),
                          .dilation = single(c, 3, "dilation", 1),
                          .ceil_mode = c.b(5, "ceil_mode", false)});
  });
  add<nn::AvgPool2d>(all, "nn.AvgPool2d", [](Arguments& c) {
    return nn::AvgPool2d({.kernel = pair(c, 0, "kernel_size", 1),
                          .stride = pair(c, 1, "stride", 0),
                          .padding = pair(c, 2, "padding", 0),
                          .ceil_mode = c.b(3, "ceil_mode", false),
                          .count_include_pad = c.b(4, "count_include_pad", true),
                          .divisor_override = c.i(5, "divisor_override", 0)});
  });
  add<nn::AvgPool1d>(all, "nn.AvgPool1d", [](Arguments& c) {
    return nn::AvgPool1d({.kernel = single(c, 0, "kernel_size", 1),
                          .stride = single(c, 1, "stride", 0),
                          .padding = single(c, 2, "padding", 0),
                          .ceil_mode = c.b(3, "ceil_mode", false),
                          .count_include_pad = c.b(4, "count_include_pad", true)});
  });
  add<nn::AdaptiveAvgPool1d>(all, "nn.AdaptiveAvgPool1d",
                             [](Arguments& c) { return nn::AdaptiveAvgPool1d(single(c, 0, "output_size", 1)); });
  add<nn::AdaptiveAvgPool2d>(all, "nn.AdaptiveAvgPool2d", [](Arguments& c) { return nn::AdaptiveAvgPool2d(adaptive(c)); });
  add<nn::AdaptiveMaxPool1d>(all, "nn.AdaptiveMaxPool1d", [=](Arguments& c) {
    indices(c, 1);
    return nn::AdaptiveMaxPool1d(single(c, 0, "output_size", 1));
  });
  add<nn::AdaptiveMaxPool2d>(all, "nn.AdaptiveMaxPool2d", [=](Arguments& c) {
    indices(c, 1);
    return nn::AdaptiveMaxPool2d(adaptive(c));
  });
}

}  // namespace

void add_norms(Modules& all) {
  add_batch_norm<nn::BatchNorm1d>(all, "nn.BatchNorm1d"), add_batch_norm<nn::BatchNorm2d>(all, "nn.BatchNorm2d");
  add_batch_norm<nn::BatchNorm3d>(all, "nn.BatchNorm3d");
  add_instance_norm<nn::InstanceNorm1d>(all, "nn.InstanceNorm1d"), add_instance_norm<nn::InstanceNorm2d>(all, "nn.InstanceNorm2d");
  add_instance_norm<nn::InstanceNorm3d>(all, "nn.InstanceNorm3d");
  add<nn::LayerNorm>(all, "nn.LayerNorm", [](Arguments& c) {
    return nn::LayerNorm(c.shape(0, "normalized_shape"),
                         {.eps = c.d(1, "eps", 1e-5), .affine = c.b(2, "elementwise_affine", true), .bias = c.b(3, "bias", true)});
  });
  add<nn::RMSNorm>(all, "nn.RMSNorm", [](Arguments& c) {
    nn::RMSNormOptions o;
    if (c.given(1, "eps")) o.eps = c.d(1, "eps", 0);
    o.affine = c.b(2, "elementwise_affine", true);
    return nn::RMSNorm(c.shape(0, "normalized_shape"), o);
  });
  add<nn::GroupNorm>(all, "nn.GroupNorm", [](Arguments& c) {
    return nn::GroupNorm({.groups = c.i(0, "num_groups"),
                          .channels = c.i(1, "num_channels"),
                          .eps = c.d(2, "eps", 1e-5),
                          .affine = c.b(3, "affine", true)});
  });
  add<nn::LocalResponseNorm>(all, "nn.LocalResponseNorm", [](Arguments& c) {
    return nn::LocalResponseNorm(
        {.size = c.i(0, "size"), .alpha = c.d(1, "alpha", 1e-4), .beta = c.d(2, "beta", 0.75), .k = c.d(3, "k", 1)});
  });
  add_pools(all);
}

}  // namespace conformance
