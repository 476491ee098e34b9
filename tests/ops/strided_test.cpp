// Elementwise ops, copies and sums on tensors of any layout: sliced, turned over, reversed, broadcast, written in place; just below and
// above the sizes from which blocks, tiles, threads and stores past the caches are used. Results are compared bit by bit with those of
// loops over indices.
#include <algorithm>
#include <cstring>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// Elements of any dtype, each different from its neighbours in all directions.
AnyTensor pattern(const Shape& shape, DType dtype, int seed = 0) {
  AnyTensor x = empty(shape, dtype, kCPU);
  unsigned char* bytes = static_cast<unsigned char*>(x.raw_data());
  const int64_t n = x.numel(), item = int64_t(item_size(dtype));
  uint32_t state = 12345u + uint32_t(seed);
  for (int64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    const int value = int(state >> 24) % 100 + 1;
    switch (dtype) {
      case DType::float32: static_cast<float*>(x.raw_data())[i] = float(value) / 8; break;
      case DType::float64: static_cast<double*>(x.raw_data())[i] = double(value) / 8; break;
      default: std::memset(bytes + i * item, 0, size_t(item)); bytes[i * item] = (unsigned char)value;
    }
  }
  return placed(x);
}
/// The bytes of x's elements in row-major order, found by an index alone.
std::vector<unsigned char> elements(const AnyTensor& there) {
  const AnyTensor x = there.detach().to(kCPU);
  const int64_t n = x.numel();
  if (n == 0) return {};
  const size_t item = item_size(x.dtype());
  std::vector<unsigned char> out(size_t(n) * item);
  const unsigned char* from = static_cast<const unsigned char*>(x.raw_data());
  const Shape shape = x.shape();
  int64_t at[Shape::kMaxRank] = {}, step[Shape::kMaxRank] = {}, offset = 0;
  for (int d = 0; d < shape.rank; ++d) step[d] = x.stride()[d];
  for (unsigned char *to = out.data(), *end = to + out.size(); to != end; to += item) {
    std::memcpy(to, from + offset * int64_t(item), item);
    for (int d = shape.rank - 1; d >= 0; --d) {
      offset += step[d];
      if (++at[d] < shape.size[d]) break;
      offset -= at[d] * step[d], at[d] = 0;
    }
  }
  return out;
}
template <class T> std::vector<T> numbers(const AnyTensor& x) {
  std::vector<unsigned char> bytes = elements(x);
  std::vector<T> v(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(v.data(), bytes.data(), bytes.size());
  return v;
}

template <class T> std::vector<T> sums(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> y(a.size());
  const T *p = a.data(), *q = b.data();
  for (T *to = y.data(), *end = to + y.size(); to != end;) *to++ = T(*p++ + *q++);
  return y;
}

/// Views of `count` elements or a little more, by many routes.
std::vector<AnyTensor> views(int64_t rows, int64_t columns, DType t) {
  AnyTensor x = pattern({rows, columns}, t), wide = pattern({rows, 2 * columns + 3}, t, 1), high = pattern({columns, rows}, t, 2);
  AnyTensor odd = pattern({rows * columns + 5}, t, 3);
  return {x,
          high.transpose(0, 1),
          wide.slice(1, 0, columns),
          wide.slice(1, 3, columns + 3),
          wide.slice(1, 1, 2 * columns + 1, 2),
          odd.slice(0, 5, rows * columns + 5).view({rows, columns}),
          pattern({2 * columns, rows}, t, 4).slice(0, 0, 2 * columns, 2).transpose(0, 1),
          pattern({columns, rows + 7}, t, 5).slice(1, 2, rows + 2).transpose(0, 1),
          pattern({columns}, t, 6).expand({rows, columns}),
          pattern({rows, 1}, t, 7).expand({rows, columns}),
          pattern({}, t, 8).expand({rows, columns})};
}

const std::pair<int64_t, int64_t> kSizes[] = {{1, 17},    {3, 5},     {64, 64},   {63, 65},  {16, 255}, {17, 257},
                                              {4097, 3},  {3, 4097},  {2048, 2},  {128, 31}, {33, 512}, {100, 520},
                                              {70, 1030}, {511, 129}, {1500, 16}, {1, 40000}};

}  // namespace

DEVICE_TEST(Strided, CopiesOfEveryItemSize) {
  for (auto [rows, columns] : kSizes)
    for (DType t : {DType::uint8, DType::int16, DType::float32, DType::float64})
      for (const AnyTensor& x : views(rows, columns, t)) {
        AnyTensor y = empty({rows, columns}, t);
        y.copy_(x);
        ASSERT_EQ(elements(y), elements(x)) << rows << " x " << columns << ", strides " << x.stride() << " of " << name(t);
        ASSERT_EQ(elements(x.contiguous()), elements(x));
      }
}

DEVICE_TEST(Strided, CopiesIntoViews) {
  for (auto [rows, columns] : kSizes)
    for (DType t : {DType::uint8, DType::int16, DType::float32, DType::float64}) {
      AnyTensor x = pattern({rows, columns}, t, 9), turned = pattern({columns, rows}, t, 10).transpose(0, 1);
      for (const AnyTensor& source : {x, turned}) {
        AnyTensor wide = pattern({rows, 2 * columns + 3}, t, 11), before = wide.clone();
        wide.slice(1, 1, 2 * columns + 1, 2).copy_(source);
        ASSERT_EQ(elements(wide.slice(1, 1, 2 * columns + 1, 2)), elements(source)) << rows << " x " << columns;
        ASSERT_EQ(elements(wide.slice(1, 0, 2 * columns + 3, 2)), elements(before.slice(1, 0, 2 * columns + 3, 2)));
        AnyTensor part = pattern({rows, columns + 9}, t, 12);
        AnyTensor rest = part.slice(1, columns + 4, columns + 9).clone(), first = part.slice(1, 0, 4).clone();
        part.slice(1, 4, columns + 4).copy_(source);
        ASSERT_EQ(elements(part.slice(1, 4, columns + 4)), elements(source));
        ASSERT_EQ(elements(part.slice(1, columns + 4, columns + 9)), elements(rest));
        ASSERT_EQ(elements(part.slice(1, 0, 4)), elements(first));
      }
    }
}

DEVICE_TEST(Strided, SumsOfTwoLayouts) {
  for (auto [rows, columns] : kSizes) {
    std::vector<AnyTensor> of_float = views(rows, columns, DType::float32), of_byte = views(rows, columns, DType::uint8);
    std::vector<std::vector<float>> floats;
    std::vector<std::vector<uint8_t>> bytes;
    for (const AnyTensor& x : of_float) floats.push_back(numbers<float>(x));
    for (const AnyTensor& x : of_byte) bytes.push_back(numbers<uint8_t>(x));
    for (size_t i = 0; i < floats.size(); ++i)
      for (size_t k = 0; k < floats.size(); ++k) {
        ASSERT_EQ(numbers<float>(of_float[i] + of_float[k]), sums(floats[i], floats[k]))
            << rows << " x " << columns << ": " << i << " + " << k;
        ASSERT_EQ(numbers<uint8_t>(of_byte[i] + of_byte[k]), sums(bytes[i], bytes[k]))
            << rows << " x " << columns << ": " << i << " + " << k;
      }
  }
}

DEVICE_TEST(Strided, ThreeOperandsAndTheirGradients) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{70, 130}, {129, 67}, {5, 2000}}) {
    AnyTensor a = pattern({columns, rows}, DType::float32).transpose(0, 1), b = pattern({rows, columns}, DType::float32, 1);
    AnyTensor c = pattern({columns}, DType::float32, 2).expand({rows, columns}), m = gt(b, 6);
    std::vector<float> x = numbers<float>(a), z = numbers<float>(c), w = numbers<float>(where(m, a, c));
    std::vector<float> gate = numbers<float>(b);
    for (size_t j = 0; j < x.size(); ++j) ASSERT_EQ(w[j], gate[j] > 6 ? x[j] : z[j]);
    AnyTensor p = a.detach().requires_grad_(), q = b.detach().requires_grad_();
    std::vector<AnyTensor> g = grad({p * q}, {p, q}, {c});
    EXPECT_EQ(numbers<float>(g[0]), numbers<float>(b.contiguous() * c.contiguous()));
    EXPECT_EQ(numbers<float>(g[1]), numbers<float>(a.contiguous() * c.contiguous()));
  }
}

DEVICE_TEST(Strided, InPlaceOnViews) {
  for (auto [rows, columns] : kSizes) {
    AnyTensor x = pattern({rows, columns}, DType::float32, 1), turned = pattern({columns, rows}, DType::float32, 2);
    AnyTensor y = pattern({columns, rows}, DType::float32, 3);
    std::vector<float> before = numbers<float>(turned.transpose(0, 1)), added = numbers<float>(x);
    AnyTensor view = turned.transpose(0, 1);
    add_(view, x);
    std::vector<float> after = numbers<float>(view);
    for (size_t j = 0; j < after.size(); ++j) ASSERT_EQ(after[j], before[j] + added[j]) << rows << " x " << columns;
    add_(x, y.transpose(0, 1));
    std::vector<float> sum = numbers<float>(x), other = numbers<float>(y.transpose(0, 1));
    for (size_t j = 0; j < sum.size(); ++j) ASSERT_EQ(sum[j], added[j] + other[j]) << rows << " x " << columns;
  }
}

DEVICE_TEST(Strided, FourDimensionsInEveryOrder) {
  AnyTensor x = pattern({5, 18, 7, 35}, DType::float32), y = pattern({5, 18, 7, 35}, DType::float32, 1);
  int64_t order[] = {0, 1, 2, 3};
  do {
    Shape axes{order[0], order[1], order[2], order[3]};
    AnyTensor turned = x.permute(axes);
    ASSERT_EQ(elements(turned.contiguous()), elements(turned)) << axes;
    Shape back{0, 0, 0, 0};
    for (int i = 0; i < 4; ++i) back[int(order[i])] = i;
    AnyTensor again = turned.contiguous().permute(back);  // x in another layout
    ASSERT_EQ(elements(again + y), elements(x + y)) << axes;
    ASSERT_EQ(elements(y + again), elements(x + y)) << axes;
    ASSERT_EQ(elements(exp(again)), elements(exp(x))) << axes;
  } while (std::next_permutation(order, order + 4));
}

DEVICE_TEST(Strided, Reversed) {
  for (auto [rows, columns] : kSizes)
    for (DType t : {DType::uint8, DType::int16, DType::float32, DType::float64}) {
      AnyTensor x = pattern({rows, columns}, t), turned = pattern({columns, rows}, t, 1).transpose(0, 1);
      for (const AnyTensor& source : {x, turned})
        for (const Axes& axes : {Axes{0}, Axes{1}, Axes{0, 1}}) {
          AnyTensor y = flip(flip(source, axes), axes), once = flip(source, axes);
          ASSERT_EQ(elements(y), elements(source)) << rows << " x " << columns;
          AnyTensor corner = source.slice(0, 0, 1).slice(1, 0, 1);
          bool up = axes.list.rank == 2 || axes.list[0] == 0, left = axes.list.rank == 2 || axes.list[0] == 1;
          AnyTensor moved = once.slice(0, up ? rows - 1 : 0, up ? rows : 1).slice(1, left ? columns - 1 : 0, left ? columns : 1);
          ASSERT_EQ(elements(moved), elements(corner)) << rows << " x " << columns;
        }
    }
}

// Large enough to be written past the caches, with whole and with ragged rows. The same elements in small pieces take other ways.
TEST(Strided, StoresPastTheCaches) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{2048, 4112}, {2900, 2901}, {8388608 + 37, 1}}) {
    AnyTensor a = pattern({rows, columns}, DType::float32), b = pattern({rows, columns}, DType::float32, 1);
    AnyTensor turned = pattern({columns, rows}, DType::float32, 2).transpose(0, 1), row = pattern({columns}, DType::float32, 3);
    AnyTensor wide = pattern({rows, columns + 3}, DType::float32, 4).slice(1, 1, columns + 1);
    const AnyTensor whole[] = {a + b, a + turned, a + row, a + wide, exp(a), a.clone(), turned.contiguous(), wide.contiguous()};
    for (int64_t first = 0; first < rows; first += std::max<int64_t>(1, rows / 7)) {
      auto part = [&, rows = rows](const AnyTensor& x) { return x.slice(0, first, std::min(rows, first + 3)).contiguous(); };
      AnyTensor p = part(a), t = part(turned), w = part(wide);
      const AnyTensor parts[] = {p + part(b), p + t, p + row, p + w, exp(p), p, t, w};
      for (size_t i = 0; i < std::size(parts); ++i) ASSERT_EQ(elements(part(whole[i])), elements(parts[i])) << i << " at " << first;
    }
    AnyTensor last = (a + b).slice(0, rows - 1, rows);
    EXPECT_EQ(elements(last), elements(a.slice(0, rows - 1, rows) + b.slice(0, rows - 1, rows)));
    AnyTensor x = a.clone();
    add_(x, b);
    EXPECT_TRUE(equal(x, whole[0]));
  }
}

// Whole lines and interleaved planes that are copied from memory to memory, and their neighbours that may not be. Each is as large as it has to be.
TEST(Strided, LinesPastTheCaches) {
  const AnyTensor floats = pattern({(1 << 24) + (1 << 20)}, DType::float32, 5), bytes = floats.to(DType::uint8);
  const AnyTensor shorts = floats.to(DType::int16), doubles = floats.slice(0, 0, 1 << 23).to(DType::float64);
  const auto of = [](const AnyTensor& all, const Shape& shape) {
    int64_t n = 1;
    for (int64_t size : shape) n *= size;
    return all.slice(0, 0, n).view(shape);
  };
  const auto second = [&](int64_t n) {
    return floats.slice(0, floats.numel() - 2 * n + 1, floats.numel(), 2);
  };  // ends where memory does
  const auto planes = [&](int64_t n, int64_t k, int64_t height, int64_t width) {
    return of(floats, {n, k, height, width}).permute({0, 2, 3, 1});
  };
  const AnyTensor views[] = {second((1 << 23) + 21),
                             of(floats, {2060, 8192}).slice(1, 1, 8192, 2),
                             of(floats, {2100, 8030}).slice(1, 0, 8030, 2),  // rows that are not whole lines
                             of(floats, {1 << 18, 67}).slice(1, 2, 34),
                             of(bytes, {1 << 16, 260}).slice(1, 4, 260).unsqueeze(0).expand({3, 1 << 16, 256}),
                             of(shorts, {1 << 18, 67}).slice(1, 3, 67).unsqueeze(1).expand({1 << 18, 2, 64}),
                             of(doubles, {1 << 16, 67}).slice(1, 3, 67).unsqueeze(1).expand({1 << 16, 2, 64}),
                             of(floats, {64 * 130, 1024}).view({64, 130, 16, 64}).transpose(1, 2),
                             of(floats, {2, 131072, 2, 32}).permute({2, 1, 0, 3}),
                             flip(of(floats, {2060, 4096}), {0}),
                             planes(90, 3, 176, 176),
                             planes(3, 2, 1200, 1200),
                             planes(2, 4, 1024, 1040),
                             planes(2, 4, 1024, 1039),
                             flip(planes(2, 3, 1200, 1200), {1})};
  for (const AnyTensor& x : views) {
    const AnyTensor y = x.contiguous();
    int longest = 0;
    for (int d = 1; d < x.dim(); ++d)
      if (x.shape()[d] > x.shape()[longest]) longest = d;
    const int64_t n = x.shape()[longest];
    for (int64_t i = 0; i < 4; ++i) {  // small pieces take the ways that are compared with loops over indices above
      auto piece = [&](const AnyTensor& t) { return t.slice(longest, n * i / 4, n * (i + 1) / 4).contiguous(); };
      ASSERT_TRUE(equal(piece(y), piece(x))) << "strides " << x.stride() << ", piece " << i;
    }
  }
}

TEST(Strided, RowsPastTheCaches) {
  AnyTensor x = draw({4096, 2064}, -3, 3, 1, DType::float32), g = draw({4096, 2064}, -1, 1, 2, DType::float32);
  AnyTensor w = draw({2064}, -1, 1, 3, DType::float32), b = draw({2064}, -1, 1, 4, DType::float32);
  NoGrad no_grad;
  AnyTensor y = softmax(x, 1), dx = softmax_backward(g, y, 1), l = log_softmax(x, 1), n = layer_norm(x, {2064}, w, b),
            m = rms_norm(x, {2064}, w);
  auto gradient = [](auto&& f, const AnyTensor& x, const AnyTensor& g) {
    EnableGrad with;
    AnyTensor p = x.detach().requires_grad_();
    return grad({f(p)}, {p}, {g})[0];
  };
  auto normed = [&](const AnyTensor& p) { return layer_norm(p, {2064}, w, b); };
  auto rms = [&](const AnyTensor& p) { return rms_norm(p, {2064}, w); };
  auto logs = [&](const AnyTensor& p) { return log_softmax(p, 1); };
  const AnyTensor dn = gradient(normed, x, g), dm = gradient(rms, x, g), dl = gradient(logs, x, g);
  for (int64_t r : {0, 1, 2047, 2048, 4095}) {
    auto part = [&](const AnyTensor& t) { return t.slice(0, r, r + 1).clone(); };
    AnyTensor s = part(x), v = part(g);
    EXPECT_EQ(elements(part(y)), elements(softmax(s, 1))) << r;
    EXPECT_EQ(elements(part(dx)), elements(softmax_backward(v, softmax(s, 1), 1))) << r;
    EXPECT_EQ(elements(part(l)), elements(log_softmax(s, 1))) << r;
    EXPECT_EQ(elements(part(n)), elements(normed(s))) << r;
    EXPECT_EQ(elements(part(m)), elements(rms(s))) << r;
    EXPECT_EQ(elements(part(dn)), elements(gradient(normed, s, v))) << r;
    EXPECT_EQ(elements(part(dm)), elements(gradient(rms, s, v))) << r;
    EXPECT_EQ(elements(part(dl)), elements(gradient(logs, s, v))) << r;
  }
}

TEST(Strided, ReductionsOfViews) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{100, 520}, {63, 65}, {3, 100000}, {70000, 5}, {1, 70001}}) {
    AnyTensor wide = draw({rows, 2 * columns + 3}, -1, 1, 5, DType::float32);
    for (const AnyTensor& x : {wide.slice(1, 0, columns), wide.slice(1, 1, 2 * columns + 1, 2)}) {
      AnyTensor y = x.contiguous();
      EXPECT_EQ(elements(x.sum(1)), elements(y.sum(1))) << rows << " x " << columns;
      EXPECT_LT(distance(x.sum(0), y.to(DType::float64).sum(0)), 1e-5) << rows << " x " << columns;
      EXPECT_LT(distance(x.sum(), y.to(DType::float64).sum()), 1e-5) << rows << " x " << columns;
    }
  }
}
