#include "kernels/cpu/onednn.h"

#if GRADUS_WITH_ONEDNN
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gradus/core/error.h"
#include "kernels/cpu/scratch.h"

namespace gradus::cpu {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using Tag = memory::format_tag;

// ---- what is shared by all threads, and what each has of its own -------------------------------------------------------------

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}
dnnl::stream& stream() {
  thread_local dnnl::stream stream(engine());
  return stream;
}

/// What a primitive was made for: a run of numbers.
struct Key {
  static constexpr int kMost = 32;
  int length = 0;
  int64_t values[kMost];
  void add(int64_t v) { values[length++] = v; }
  bool operator==(const Key& o) const { return length == o.length && std::memcmp(values, o.values, length * sizeof(int64_t)) == 0; }
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t h = 0x9e3779b97f4a7c15;
    for (int i = 0; i < key.length; ++i) h = (h ^ uint64_t(key.values[i])) * 0xff51afd7ed558ccd, h ^= h >> 32;
    return h;
  }
};

/// An operand of a primitive. Where oneDNN wants another layout than the caller's, it goes through `inside`, in scratch memory.
struct Operand {
  memory outside, inside;
  dnnl::reorder way;  // into `inside`, or for a result out of it
  bool is_result;
};

struct Entry {
  dnnl::primitive primitive;  // empty: oneDNN is no good for this
  std::vector<Operand> operands;
  std::vector<dnnl_exec_arg_t> arguments;
  size_t inside = 0;  // bytes of the operands that go through scratch memory
  uint64_t used = 0;

  /// The next operand: which it is to the primitive (DNNL_ARG_...), the caller's layout, the primitive's.
  void add(int which, const memory::desc& outside, const memory::desc& inside) {
    bool is_result = which == DNNL_ARG_DST || which == DNNL_ARG_DIFF_SRC;
    Operand o{memory(outside, engine(), nullptr), {}, {}, is_result};
    if (outside != inside) {
      o.inside = memory(inside, engine(), nullptr);
      o.way = is_result ? dnnl::reorder(o.inside, o.outside) : dnnl::reorder(o.outside, o.inside);
      this->inside += padded(inside.get_size());
    }
    arguments.push_back({which, (o.inside ? o.inside : o.outside).get()});
    operands.push_back(std::move(o));
  }
  static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

/// The primitives of one thread. Holds at most kMost; then those used longest ago make room.
class Cache {
 public:
  template <class Make> Entry& find(const Key& key, Make&& make) {
    auto at = entries_.find(key);
    if (at == entries_.end()) {
      if (entries_.size() >= kMost) drop_half();
      at = entries_.emplace(key, Entry()).first;
      try {
        make(at->second);
      } catch (const dnnl::error&) {
        at->second = Entry();  // not offered by this version or for this processor
      }
    }
    at->second.used = ++clock_;
    return at->second;
  }

 private:
  static constexpr size_t kMost = 512;
  void drop_half() {
    uint64_t limit = clock_ - kMost / 2;
    std::erase_if(entries_, [&](const auto& e) { return e.second.used < limit; });
  }
  std::unordered_map<Key, Entry, KeyHash> entries_;
  uint64_t clock_ = kMost;
};
Cache& cache() {
  thread_local Cache cache;
  return cache;
}

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  if (status == dnnl_out_of_memory) throw OutOfMemory(std::string(what) + ": oneDNN ran out of memory");
  throw Error(std::string(what) + ": oneDNN failed with status " + std::to_string(status));
}

/// Computes on the caller's memory, given in the order in which the operands were added.
bool run(const char* what, Entry& entry, const Array* const* arrays) {
  if (!entry.primitive) return false;
  Scratch scratch(entry.inside);
  char* inside = scratch.as<char>();
  for (size_t i = 0; i < entry.operands.size(); ++i) {
    Operand& o = entry.operands[i];
    check(dnnl_memory_set_data_handle_v2(o.outside.get(), arrays[i]->data, stream().get()), what);
    if (!o.inside) continue;
    check(dnnl_memory_set_data_handle_v2(o.inside.get(), inside, stream().get()), what);
    inside += Entry::padded(o.inside.get_desc().get_size());
    if (!o.is_result) o.way.execute(stream(), o.outside, o.inside);
  }
  check(dnnl_primitive_execute(entry.primitive.get(), stream().get(), int(entry.arguments.size()), entry.arguments.data()), what);
  for (Operand& o : entry.operands)
    if (o.inside && o.is_result) o.way.execute(stream(), o.inside, o.outside);
  return true;
}

// ---- matrix products ------------------------------------------------------------------------------------------------------------

bool data_type(DType t, memory::data_type& type) {
  if (t == DType::float32)
    type = memory::data_type::f32;
  else if (t == DType::bfloat16)
    type = memory::data_type::bf16;
  else
    return false;
  return true;
}

memory::desc strided(const Array& x, memory::data_type type) {
  return memory::desc(memory::dims(x.shape, x.shape + x.rank), type, memory::dims(x.stride, x.stride + x.rank));
}

void add_layout(Key& key, const Array& x) {
  for (int d = 0; d < x.rank; ++d) key.add(x.shape[d]);
  for (int d = 0; d < x.rank; ++d) key.add(x.stride[d]);
}

}  // namespace

bool onednn_matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate) {
  memory::data_type type;
  if (!data_type(y.dtype, type) || (alpha != 1 && bias)) return false;  // its scale would multiply the bias as well
  Key key;
  key.add(1 | int(accumulate) << 8 | int(bool(bias)) << 9 | int(y.dtype) << 10 | y.rank << 16);
  key.add(__builtin_bit_cast(int64_t, alpha));
  add_layout(key, y), add_layout(key, a), add_layout(key, b);
  Entry& entry = cache().find(key, [&](Entry& e) {
    primitive_attr attributes;
    if (alpha != 1) attributes.set_output_scales(0, {float(alpha)});
    dnnl::post_ops after;
    if (accumulate) after.append_sum(1.f);
    attributes.set_post_ops(after);
    memory::desc my = strided(y, type), ma = strided(a, type), mb = strided(b, type), mbias;
    if (bias) {
      memory::dims shape(y.rank, 1);
      shape[y.rank - 1] = y.size(-1);
      mbias = memory::desc(shape, type, y.rank == 3 ? Tag::abc : Tag::ab);
    }
    auto desc = bias ? dnnl::matmul::desc(ma, mb, mbias, my) : dnnl::matmul::desc(ma, mb, my);
    dnnl::matmul::primitive_desc chosen(desc, attributes, engine());
    if (!std::string_view(chosen.impl_info_str()).starts_with("brg")) return;
    e.primitive = dnnl::matmul(chosen);
    e.add(DNNL_ARG_DST, my, my), e.add(DNNL_ARG_SRC, ma, ma), e.add(DNNL_ARG_WEIGHTS, mb, mb);
    if (bias) e.add(DNNL_ARG_BIAS, mbias, mbias);
  });
  const Array* arrays[] = {&y, &a, &b, &bias};
  return run("matmul", entry, arrays);
}

// ---- convolutions ---------------------------------------------------------------------------------------------------------------

namespace {

/// A convolution as oneDNN describes it.
struct Convolution {
  memory::data_type type;
  memory::desc x, y, w, bias;              // what the caller has
  memory::desc any_w;                      // weights in whatever layout is fastest
  memory::dims stride, dilation, padding;  // a dilation of 1 is 0

  Convolution(const Array& ax, const Array& ay, const Array& aw, const ConvParams& p, memory::data_type type) : type(type) {
    auto image = [&](const Array& a) { return memory::desc(memory::dims(a.shape, a.shape + 4), type, Tag::nhwc); };
    x = image(ax), y = image(ay);
    memory::dims shape(aw.shape, aw.shape + 4);
    if (p.groups > 1) shape[0] /= p.groups, shape.insert(shape.begin(), p.groups);
    w = memory::desc(shape, type, p.groups > 1 ? Tag::goihw : Tag::oihw);
    any_w = memory::desc(shape, type, Tag::any);
    bias = memory::desc({aw.shape[0]}, type, Tag::a);
    stride = {p.stride[0], p.stride[1]}, padding = {p.padding[0], p.padding[1]};
    dilation = {p.dilation[0] - 1, p.dilation[1] - 1};
  }
  dnnl::convolution_forward::primitive_desc forward(bool with_bias) const {
    auto kind = dnnl::prop_kind::forward_training;
    auto direct = dnnl::algorithm::convolution_direct;
    return {with_bias ? dnnl::convolution_forward::desc(kind, direct, x, any_w, bias, y, stride, dilation, padding, padding)
                      : dnnl::convolution_forward::desc(kind, direct, x, any_w, y, stride, dilation, padding, padding),
            engine()};
  }
};

Key convolution_key(int64_t which, const Array& x, const Array& y, const Array& w, const ConvParams& p) {
  Key key;
  key.add(which | int(x.dtype) << 8 | p.groups << 16);
  for (const Array* a : {&x, &y, &w})
    for (int d = 0; d < 4; ++d) key.add(a->shape[d]);
  for (int d = 0; d < 2; ++d) key.add(p.stride[d]), key.add(p.padding[d]), key.add(p.dilation[d]);
  return key;
}

template <class Chosen> bool is_fast(const Chosen& chosen) {
  std::string_view name = chosen.impl_info_str();
  return name.starts_with("brg") || name.starts_with("jit");
}

}  // namespace

bool onednn_conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  memory::data_type type;
  if (!data_type(y.dtype, type)) return false;
  Entry& entry = cache().find(convolution_key(bias ? 3 : 2, x, y, w, p), [&](Entry& e) {
    Convolution c(x, y, w, p, type);
    auto chosen = c.forward(bool(bias));
    if (!is_fast(chosen)) return;
    e.primitive = dnnl::convolution_forward(chosen);
    e.add(DNNL_ARG_DST, c.y, c.y), e.add(DNNL_ARG_SRC, c.x, c.x), e.add(DNNL_ARG_WEIGHTS, c.w, chosen.weights_desc());
    if (bias) e.add(DNNL_ARG_BIAS, c.bias, c.bias);
  });
  const Array* arrays[] = {&y, &x, &w, &bias};
  return run("conv2d", entry, arrays);
}

bool onednn_conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  memory::data_type type;
  if (!data_type(dx.dtype, type)) return false;
  Entry& entry = cache().find(convolution_key(4, dx, dy, w, p), [&](Entry& e) {
    Convolution c(dx, dy, w, p, type);
    dnnl::convolution_backward_data::primitive_desc chosen(
        {dnnl::algorithm::convolution_direct, c.x, c.any_w, c.y, c.stride, c.dilation, c.padding, c.padding}, engine(),
        c.forward(false));
    if (!is_fast(chosen)) return;
    e.primitive = dnnl::convolution_backward_data(chosen);
    e.add(DNNL_ARG_DIFF_SRC, c.x, c.x), e.add(DNNL_ARG_DIFF_DST, c.y, c.y), e.add(DNNL_ARG_WEIGHTS, c.w, chosen.weights_desc());
  });
  const Array* arrays[] = {&dx, &dy, &w};
  return run("conv2d", entry, arrays);
}

}  // namespace gradus::cpu
#else
namespace gradus::cpu {
bool onednn_matmul(const Array&, const Array&, const Array&, const Array&, double, bool) { return false; }
bool onednn_conv2d(const Array&, const Array&, const Array&, const Array&, const ConvParams&) { return false; }
bool onednn_conv2d_backward_input(const Array&, const Array&, const Array&, const ConvParams&) { return false; }
}  // namespace gradus::cpu
#endif
