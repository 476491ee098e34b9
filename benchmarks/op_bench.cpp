// Large arrays: how many bytes a second an op moves, beside the best plain copy of the same size, taken in turn with it. Each tensor
// counts once, whatever the op does with it. Where arithmetic may limit, the op is also timed on one thread on arrays that stay in
// the second-level cache; the lower of the two limits is the peer. Other layouts are compared with the time of row-major arrays.
#include <immintrin.h>

#include <cstring>
#include <functional>
#include <string>

#include "benchmarks/bench.h"
#include "gradus/gradus.h"
#include "kernels/cpu/parallel.h"

using namespace gradus;

namespace {

constexpr int64_t kSide = 4096, kCount = kSide * kSide;  // 64 MB of float
constexpr double kBytes = 4.0 * kCount;
using Call = std::function<void()>;

/// Median seconds of f and of g, run in turn, so that both meet the same neighbours.
std::pair<double, double> in_turn(const Call& f, const Call& g, double budget = 0.5) {
  for (int i = 0; i < 2; ++i) f(), g();
  std::vector<double> a, b;
  for (double end = bench::now() + budget; bench::now() < end || a.size() < 9;) {
    double t0 = bench::now();
    f();
    double t1 = bench::now();
    g();
    a.push_back(t1 - t0), b.push_back(bench::now() - t1);
  }
  return {bench::median(a), bench::median(b)};
}

// Plain copies: through the caches, past them with stores of each width, and asking for what lies a page further.
void copy_cached(char* to, const char* from, int64_t bytes) { std::memcpy(to, from, size_t(bytes)); }
void copy_past_128(char* to, const char* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 16)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  _mm_sfence();
}
[[gnu::target("avx512f")]] void copy_past_512(char* to, const char* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  _mm_sfence();
}
[[gnu::target("avx512f")]] void copy_ahead_512(char* to, const char* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(from + i + 4096, 0, 2);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  }
  _mm_sfence();
}
/// The peer: one array to another, cut between the threads.
struct Copy {
  AnyTensor from = full({kCount}, 1, DType::float32), to = full({kCount}, 0, DType::float32);
  const char* name = "";
  void (*part)(char*, const char*, int64_t) = nullptr;
  void operator()() const {
    cpu::parallel_for(kCount, 1 << 12, [this](int64_t begin, int64_t end) {
      part(static_cast<char*>(to.raw_data()) + 4 * begin, static_cast<const char*>(from.raw_data()) + 4 * begin, 4 * (end - begin));
    });
  }
};
Copy copy;

// Plain readings: one after the other, and asking for what lies a page further.
template <class V> [[gnu::always_inline]] inline float read_all(const char* from, int64_t bytes, int64_t ahead) {
  V sum[4] = {};
  for (int64_t i = 0; i < bytes; i += 4 * int64_t(sizeof(V)))
    for (int k = 0; k < 4; ++k) {
      const char* at = from + i + k * int64_t(sizeof(V));
      if (ahead != 0) __builtin_prefetch(at + ahead, 0, 2);
      sum[k] += *reinterpret_cast<const V*>(at);
    }
  sum[0] += sum[1] + sum[2] + sum[3];
  return sum[0][0];
}
using Wide128 [[gnu::vector_size(16), gnu::may_alias]] = float;
using Wide512 [[gnu::vector_size(64), gnu::may_alias]] = float;
float read_128(const char* from, int64_t bytes) { return read_all<Wide128>(from, bytes, 0); }
[[gnu::target("avx512f")]] float read_512(const char* from, int64_t bytes) { return read_all<Wide512>(from, bytes, 0); }
[[gnu::target("avx512f")]] float read_ahead_512(const char* from, int64_t bytes) { return read_all<Wide512>(from, bytes, 4096); }
/// The peer of what only reads: memory that answers reads and writes at once moves more bytes for a copy.
struct Reading {
  AnyTensor from = full({kCount}, 1, DType::float32);
  const char* name = "";
  float (*part)(const char*, int64_t) = nullptr;
  void operator()() const {
    cpu::parallel_for(kCount, 1 << 12, [this](int64_t begin, int64_t end) {
      volatile float kept = part(static_cast<const char*>(from.raw_data()) + 4 * begin, 4 * (end - begin));
      (void)kept;
    });
  }
};
Reading reading;
std::string only;  // run the cases whose name contains this

void line(const char* name, double value, const char* unit, double peer, double ratio, const char* more) {
  std::printf("{\"case\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", \"peer\": %.4g, \"ratio\": %.3f, %s}\n", name, value, unit,
              peer, ratio, more);
  std::fflush(stdout);
}

/// `arrays`: how many times 64 MB the op reads and writes. `small` is the same op on `small_count` elements.
void moves(const char* name, double arrays, const Call& op, const Call& small = {}, double small_count = 1) {
  if (std::string(name).find(only) == std::string::npos) return;
  auto [seconds, copied] = in_turn(op, copy);
  double rate = arrays * kBytes / seconds * 1e-9, peer = 2 * kBytes / copied * 1e-9;
  const char* limit = "\"limit\": \"copy\"";
  if (small) {
    double arithmetic = arrays * 4 * small_count / bench::seconds(small, 0.2) * get_num_threads() * 1e-9;
    if (arithmetic < peer) peer = arithmetic, limit = "\"limit\": \"arithmetic\"";
  }
  line(name, rate, "GB/s", peer, rate / peer, limit);
}

/// An op that reads 64 MB and writes next to nothing; beside a reading of them, and for the record beside a copy.
void reads(const char* name, const Call& op) {
  if (std::string(name).find(only) == std::string::npos) return;
  auto [seconds, read] = in_turn(op, reading);
  auto [again, copied] = in_turn(op, copy);
  char more[64];
  std::snprintf(more, sizeof more, "\"limit\": \"reading\", \"of_copy\": %.3f", copied / 2 / again);
  line(name, kBytes / seconds * 1e-9, "GB/s", kBytes / read * 1e-9, read / seconds, more);
}

/// Time against that of the same op on row-major arrays of as many elements.
void lies(const char* name, const Call& op, const Call& contiguous) {
  if (std::string(name).find(only) == std::string::npos) return;
  auto [mine, plain] = in_turn(op, contiguous);
  line(name, mine * 1e3, "ms", plain * 1e3, mine / plain, "\"limit\": \"contiguous\"");
}

AnyTensor numbers(const Shape& shape) { return randn(shape, DType::float32); }

void bandwidth() {
  AnyTensor a = numbers({kSide, kSide}), b = numbers({kSide, kSide});
  AnyTensor s = numbers({8, 1024}), t = numbers({8, 1024});
  const double count = 8 * 1024;
  moves("copy", 2, [&] { a.clone(); });
  moves("fill", 1, [&] { zeros({kSide, kSide}, DType::float32); });
  moves("add", 3, [&] { a + b; });
  moves("add_in_place", 3, [&] { add_(a, b); });
  moves(
      "exp", 2, [&] { exp(a); }, [&] { exp(s); }, count);
  moves(
      "gelu", 2, [&] { gelu(b); }, [&] { gelu(s); }, count);
  moves(
      "gelu_tanh", 2, [&] { gelu_tanh(b); }, [&] { gelu_tanh(s); }, count);
  AnyTensor p = b.detach().requires_grad_(), q = s.detach().requires_grad_();
  auto backward = [](const char* name, double arrays, const AnyTensor& y, const std::vector<AnyTensor>& x, const AnyTensor& g,
                     const AnyTensor& small_y, const std::vector<AnyTensor>& small_x, const AnyTensor& small_g) {
    moves(
        name, arrays, [&] { grad({y}, x, {g}, {.retain_graph = true}); },
        [&] { grad({small_y}, small_x, {small_g}, {.retain_graph = true}); }, double(small_y.numel()));
  };
  backward("gelu_backward", 3, gelu(p), {p}, a, gelu(q), {q}, t);
  backward("gelu_tanh_backward", 3, gelu_tanh(p), {p}, a, gelu_tanh(q), {q}, t);
  reads("sum", [&] { a.sum(); });
  reads("sum_rows", [&] { a.sum(1); });
  reads("sum_columns", [&] { a.sum(0); });

  AnyTensor x = b.view({16384, 1024}), g = a.view({16384, 1024});
  AnyTensor y = softmax(x, 1), small_y = softmax(s, 1);
  moves(
      "softmax", 2, [&] { softmax(x, 1); }, [&] { softmax(s, 1); }, count);
  {
    NoGrad fused;  // with a graph of its own it would be several ops
    moves(
        "softmax_backward", 3, [&] { softmax_backward(g, y, 1); }, [&] { softmax_backward(t, small_y, 1); }, count);
  }
  AnyTensor wide = b.view({512, 32768}), narrow = b.view({1 << 18, 64});
  moves(
      "softmax_of_32768", 2, [&] { softmax(wide, 1); }, [n = numbers({1, 32768})] { softmax(n, 1); }, 32768);
  moves(
      "softmax_of_64", 2, [&] { softmax(narrow, 1); }, [&, n = s.view({128, 64})] { softmax(n, 1); }, count);
  AnyTensor weight = numbers({1024}), bias = numbers({1024});
  moves(
      "layer_norm", 2, [&] { layer_norm(x, {1024}, weight, bias); }, [&] { layer_norm(s, {1024}, weight, bias); }, count);
  p = x.detach().requires_grad_(), q = s.detach().requires_grad_();
  AnyTensor w = weight.detach().requires_grad_(), c = bias.detach().requires_grad_();
  backward("layer_norm_backward", 3, layer_norm(p, {1024}, w, c), {p, w, c}, g, layer_norm(q, {1024}, w, c), {q, w, c}, t);
}

void layouts() {
  AnyTensor a = numbers({kSide, kSide}), b = numbers({kSide, kSide}), row = numbers({kSide}), column = numbers({kSide, 1});
  AnyTensor half = numbers({kSide, 2 * kSide});
  AnyTensor images = a.view({64, 64, 64, 64}), colours = numbers({85, 3, 256, 256});
  Call copied = [&] { a.clone(); }, added = [&] { a + b; }, summed = [&] { a.sum(); };
  lies(
      "copy_transposed", [&] { a.transpose(0, 1).contiguous(); }, copied);
  lies(
      "copy_step_2", [&] { half.slice(1, 0, 2 * kSide, 2).contiguous(); }, copied);
  lies(
      "copy_half_of_columns", [&] { half.slice(1, 0, kSide).contiguous(); }, copied);
  lies(
      "copy_32_of_64_columns", [x = half.view({-1, 64}).slice(1, 0, 32)] { x.contiguous(); }, copied);
  lies(
      "copy_nchw_to_nhwc",
      [&] {
        images.permute({0, 2, 3, 1}).contiguous();
      },
      copied);
  lies(
      "copy_nhwc_to_nchw",
      [&] {
        images.permute({0, 3, 1, 2}).contiguous();
      },
      copied);
  lies(
      "copy_colours_to_nhwc",
      [&] {
        colours.permute({0, 2, 3, 1}).contiguous();
      },
      copied);
  lies(
      "copy_heads", [x = a.view({16, 1024, 16, 64})] { x.transpose(1, 2).contiguous(); }, copied);
  lies(
      "copy_expanded",
      [&] {
        row.expand({kSide, kSide}).contiguous();
      },
      copied);
  lies(
      "add_transposed", [&] { a + b.transpose(0, 1); }, added);
  lies(
      "add_row", [&] { a + row; }, added);
  lies(
      "add_column", [&] { a + column; }, added);
  lies(
      "add_scalar", [&, x = full({}, 2, DType::float32)] { a + x; }, added);
  lies(
      "add_channels", [&, x = numbers({64, 1, 1})] { images + x; }, added);
  lies(
      "add_outer", [&] { row + column; }, added);
  lies(
      "add_step_2", [&] { a + half.slice(1, 0, 2 * kSide, 2); }, added);
  lies(
      "add_half_of_columns", [&] { a + half.slice(1, 0, kSide); }, added);
  lies(
      "add_32_of_64_columns", [x = half.view({-1, 64}).slice(1, 0, 32), y = a.view({-1, 32})] { x + y; }, added);
  lies(
      "add_rows_of_13", [x = a.view({-1}).slice(0, 0, kCount / 13 * 13).view({-1, 13}), y = numbers({13})] { x + y; }, added);
  Call plain = [&] { exp(a); };
  lies(
      "exp_transposed", [&] { exp(a.transpose(0, 1)); }, plain);
  lies(
      "exp_half_of_columns", [&] { exp(half.slice(1, 0, kSide)); }, plain);
  lies(
      "exp_step_2", [&] { exp(half.slice(1, 0, 2 * kSide, 2)); }, plain);
  lies(
      "sum_transposed", [&] { a.transpose(0, 1).sum(); }, summed);
  lies(
      "sum_transposed_rows", [&] { a.transpose(0, 1).sum(1); }, [&] { a.sum(1); });
  lies(
      "sum_step_2", [&] { half.slice(1, 0, 2 * kSide, 2).sum(); }, summed);
  lies(
      "sum_half_of_columns", [&] { half.slice(1, 0, kSide).sum(); }, summed);
  lies(
      "sum_channels",
      [&] {
        images.sum({0, 2, 3});
      },
      summed);
  lies(
      "sum_middle",
      [&] {
        images.sum({1, 2});
      },
      summed);
}

}  // namespace

/// op_bench [--threads N] [PART OF A CASE'S NAME]
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
      set_num_threads(std::atoi(argv[++i]));
    else
      only = argv[i];
  }
  auto consider = [](auto& peer, const char* name, auto part) {
    auto other = peer;
    other.name = name, other.part = part;
    if (!peer.part || bench::seconds(other) < bench::seconds(peer)) peer = other;
  };
  const bool wide = __builtin_cpu_supports("avx512f");
  consider(copy, "memcpy", copy_cached);
  consider(copy, "128-bit streaming stores", copy_past_128);
  if (wide) consider(copy, "512-bit streaming stores", copy_past_512);
  if (wide) consider(copy, "512-bit streaming stores, loads asked for a page ahead", copy_ahead_512);
  consider(reading, "128-bit loads", read_128);
  if (wide) consider(reading, "512-bit loads", read_512);
  if (wide) consider(reading, "512-bit loads, asked for a page ahead", read_ahead_512);
  auto plain = [](const char* name, const auto& peer, double bytes) {
    std::printf("{\"case\": \"%s\", \"value\": %.4g, \"unit\": \"GB/s\", \"by\": \"%s\"}\n", name,
                bytes / bench::seconds(peer) * 1e-9, peer.name);
  };
  plain("plain_copy", copy, 2 * kBytes), plain("plain_reading", reading, kBytes);
  bandwidth();
  layouts();
}
