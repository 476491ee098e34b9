#include "kernels/cpu/onednn.h"

#if GRADUS_WITH_ONEDNN
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gradus/core/error.h"

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

/// An operand of a primitive. Where `way` is set, the caller's memory is laid out otherwise and goes through `inside`.
struct Operand {
  int which;  // DNNL_ARG_...
  memory outside, inside;
  dnnl::reorder way;
};

struct Entry {
  dnnl::primitive primitive;  // empty: oneDNN is no good for this
  std::vector<Operand> operands;
  std::vector<dnnl_exec_arg_t> arguments;
  uint64_t used = 0;

  memory add(int which, const memory::desc& outside, const memory::desc& inside) {
    Operand o{which, memory(outside, engine(), nullptr), {}, {}};
    if (outside != inside) o.inside = memory(inside, engine());
    operands.push_back(o);
    return o.inside ? o.inside : o.outside;
  }
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
    for (const Operand& o : e.operands) e.arguments.push_back({o.which, o.outside.get()});
  });
  if (!entry.primitive) return false;
  const Array* arrays[] = {&y, &a, &b, &bias};
  for (size_t i = 0; i < entry.arguments.size(); ++i)
    check(dnnl_memory_set_data_handle_v2(entry.arguments[i].memory, arrays[i]->data, stream().get()), "matmul");
  check(dnnl_primitive_execute(entry.primitive.get(), stream().get(), int(entry.arguments.size()), entry.arguments.data()),
        "matmul");
  return true;
}

}  // namespace gradus::cpu
#else
namespace gradus::cpu {
bool onednn_matmul(const Array&, const Array&, const Array&, const Array&, double, bool) { return false; }
bool onednn_conv2d(const Array&, const Array&, const Array&, const Array&, const ConvParams&) { return false; }
bool onednn_conv2d_backward_input(const Array&, const Array&, const Array&, const ConvParams&) { return false; }
bool onednn_conv2d_backward_weight(const Array&, const Array&, const Array&, const Array&, const ConvParams&) { return false; }
}  // namespace gradus::cpu
#endif
