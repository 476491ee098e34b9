// Sorting and selecting along one axis. Each line is turned into numbers that compare as unsigned integers, with the element's place in
// the low half: their order is that of the elements (NaN last, zeros of both signs alike, equal ones as they came), whatever the dtype.
#include <algorithm>
#include <cstring>

#include "kernels/array.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
namespace {

int64_t max_threads() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

template <int kBytes> struct Unsigned;
template <> struct Unsigned<1> { using type = uint8_t; };
template <> struct Unsigned<2> { using type = uint16_t; };
template <> struct Unsigned<4> { using type = uint32_t; };
template <> struct Unsigned<8> { using type = uint64_t; };
template <class T> using KeyOf = typename Unsigned<sizeof(T)>::type;
template <class T> inline constexpr KeyOf<T> kTop = KeyOf<T>(KeyOf<T>(1) << (sizeof(T) * 8 - 1));

template <class T> KeyOf<T> key_of(T x) {
  using Key = KeyOf<T>;
  Key bits;
  std::memcpy(&bits, &x, sizeof bits);
  if constexpr (is_float(dtype_of<T>)) {
    auto value = accumulate_t<T>(x);
    if (value != value) return Key(-1);
    if (value == 0) return kTop<T>;
    return Key(bits & kTop<T> ? ~bits : bits | kTop<T>);
  } else if constexpr (std::is_signed_v<T>) {
    return Key(bits ^ kTop<T>);
  } else {
    return bits;
  }
}
template <class T> inline constexpr KeyOf<T> kNaNKey = KeyOf<T>(-1);

/// Key above, place below.
template <class T> struct Packing {
  using Item = std::conditional_t<sizeof(T) == 8, unsigned __int128, uint64_t>;
  static constexpr int kPlaceBits = sizeof(T) == 8 ? 64 : 32;
  static constexpr int64_t kLongest = sizeof(T) == 8 ? int64_t(1) << 62 : int64_t(1) << 32;
  static Item pack(KeyOf<T> key, int64_t place) { return Item(key) << kPlaceBits | Item(place); }
  static int64_t place(Item item) { return int64_t(item & ((Item(1) << kPlaceBits) - 1)); }
  static KeyOf<T> key(Item item) { return KeyOf<T>(item >> kPlaceBits); }
};

/// Sorts by the key, a digit at a time from the least; equal keys stay in order. The result is in `items` or in `spare`.
template <class T, class Item> Item* radix_sort(Item* items, Item* spare, int64_t n) {
  constexpr int kKeyBits = sizeof(T) * 8, kDigit = kKeyBits <= 16 ? 8 : 11, kPasses = (kKeyBits + kDigit - 1) / kDigit;
  constexpr int kBuckets = 1 << kDigit, kShift = Packing<T>::kPlaceBits;
  int64_t count[kPasses][kBuckets] = {};
  auto digit = [](Item item, int pass) { return unsigned(item >> (kShift + pass * kDigit)) & (kBuckets - 1); };
  for (int64_t i = 0; i < n; ++i)
    for (int pass = 0; pass < kPasses; ++pass) ++count[pass][digit(items[i], pass)];
  for (int pass = 0; pass < kPasses; ++pass) {
    if (count[pass][digit(items[0], pass)] == n) continue;  // one digit for all
    int64_t begin = 0;
    for (int64_t& c : count[pass]) {
      int64_t here = c;
      c = begin, begin += here;
    }
    for (int64_t i = 0; i < n; ++i) spare[count[pass][digit(items[i], pass)]++] = items[i];
    std::swap(items, spare);
  }
  return items;
}

template <class T, class Item> Item* sorted(Item* items, Item* spare, int64_t n) {
  constexpr int64_t kShort = sizeof(T) <= 2 ? 128 : sizeof(T) == 4 ? 400 : 1500;
  if (n > kShort) return radix_sort<T>(items, spare, n);
  std::sort(items, items + n);
  return items;
}

/// Calls f(line, items, spare) for each line of x along the axis, its elements packed; what f gets is a copy to work in.
template <class T, class F> void for_each_line(const Array& x, int axis, bool descending, F f) {
  using P = Packing<T>;
  using Item = typename P::Item;
  int64_t outer = 1, n = 1, inner = 1;
  for (int d = 0; d < x.rank; ++d) (d < axis ? outer : d > axis ? inner : n) *= x.shape[d];
  const int64_t lines = outer * inner;
  if (lines == 0 || n == 0) return;
  const int64_t grain = 1 + 4096 / n, shares = std::clamp<int64_t>((lines + grain - 1) / grain, 1, max_threads());
  Scratch scratch(size_t(shares * 2 * n) * sizeof(Item));
  parallel_for(shares, 1, [&](int64_t first, int64_t last) {
    for (int64_t share = first; share < last; ++share) {
      Item *items = scratch.as<Item>() + share * 2 * n, *spare = items + n;
      for (int64_t line = lines * share / shares; line < lines * (share + 1) / shares; ++line) {
        const int64_t begin = line / inner * n * inner + line % inner;
        const T* from = x.as<T>() + begin;
        for (int64_t i = 0; i < n; ++i) {
          KeyOf<T> key = key_of(from[i * inner]);
          items[i] = P::pack(descending ? KeyOf<T>(~key) : key, i);
        }
        f(line, items, spare, from, n, inner);
      }
    }
  });
}

template <class F> void dispatch_sort(const Array& x, F f) {
  dispatch_number("sort", x.dtype == DType::boolean ? DType::uint8 : x.dtype, f);
}

/// Writes the first k items of a line: elements and places.
template <class T, class Item>
void put_line(const Array& y, const Array& index, int64_t line, int64_t inner, const Item* items, int64_t k, const T* from) {
  const int64_t begin = line / inner * k * inner + line % inner;
  T* values = y.as<T>();
  for (int64_t i = 0; i < k; ++i) {
    int64_t place = Packing<T>::place(items[i]);
    index.as<int64_t>()[begin + i * inner] = place;
    if (values) values[begin + i * inner] = from[place * inner];
  }
}

}  // namespace

void sort(const Array& y, const Array& index, const Array& x, int axis, bool descending) {
  dispatch_sort(x, [&]<class T>() {
    for_each_line<T>(x, axis, descending, [&](int64_t line, auto* items, auto* spare, const T* from, int64_t n, int64_t inner) {
      put_line<T>(y, index, line, inner, sorted<T>(items, spare, n), n, from);
    });
  });
}

void top(const Array& y, const Array& index, const Array& x, int axis, bool greatest, bool in_order) {
  const int64_t k = index.rank ? index.shape[axis] : 1;
  if (k == 0) return;
  dispatch_sort(x, [&]<class T>() {
    for_each_line<T>(x, axis, greatest, [&](int64_t line, auto* items, auto* spare, const T* from, int64_t n, int64_t inner) {
      if (k < n) std::nth_element(items, items + k, items + n);
      if (in_order && n > k && k > 1) std::sort(items, items + k);
      put_line<T>(y, index, line, inner, in_order && n == k ? sorted<T>(items, spare, n) : items, k, from);
    });
  });
}

void nth(const Array& y, const Array& index, const Array& x, int axis, Nth which, int64_t k) {
  dispatch_sort(x, [&]<class T>() {
    for_each_line<T>(x, axis, false, [&](int64_t line, auto* items, auto*, const T* from, int64_t n, int64_t inner) {
      using P = Packing<T>;
      int64_t at = k, numbers = n;
      if (which != Nth::kth) {
        if constexpr (is_float(dtype_of<T>))
          numbers = std::count_if(items, items + n, [](auto item) { return P::key(item) != kNaNKey<T>; });
        // The middle of the numbers; NaN itself where one is there, or where there is nothing else.
        at = numbers < n && (which == Nth::median || numbers == 0) ? numbers : (numbers - 1) / 2;
      }
      std::nth_element(items, items + at, items + n);
      put_line<T>(y, index, line, inner, items + at, 1, from);
    });
  });
}

void search_sorted(const Array& y, const Array& sequence, const Array& x, bool right) {
  const int64_t n = sequence.size(-1), per_line = sequence.rank == 1 ? x.count : x.rank ? x.size(-1) : 1;
  dispatch_sort(x, [&]<class T>() {
    parallel_for(x.count, 2048, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* line = sequence.as<T>() + i / per_line * n;
        KeyOf<T> key = key_of(x.as<T>()[i]);
        auto before = [&](T a) { return right ? key_of(a) <= key : key_of(a) < key; };
        y.as<int64_t>()[i] = std::partition_point(line, line + n, before) - line;
      }
    });
  });
}

void unique(const Array& y, const Array& inverse, const Array& counts, const Array& x, bool consecutive, int64_t* found) {
  *found = 0;
  if (x.count == 0) return;
  dispatch_sort(x, [&]<class T>() {
    const T* from = x.as<T>();
    int64_t *in = inverse.as<int64_t>(), *times = counts.as<int64_t>(), groups = 0;
    // NaN is equal to nothing, itself included.
    auto differ = [&](int64_t a, int64_t b) { return key_of(from[a]) != key_of(from[b]) || !(from[a] == from[a]); };
    auto visit = [&](int64_t place, int64_t before, bool first) {
      if (first || differ(place, before)) y.as<T>()[groups] = from[place], times[groups] = 0, ++groups;
      in[place] = groups - 1, ++times[groups - 1];
    };
    if (consecutive) {
      for (int64_t i = 0; i < x.count; ++i) visit(i, i - 1, i == 0);
    } else {
      using Item = typename Packing<T>::Item;
      Scratch scratch(size_t(2 * x.count) * sizeof(Item));
      Item* items = scratch.as<Item>();
      for (int64_t i = 0; i < x.count; ++i) items[i] = Packing<T>::pack(key_of(from[i]), i);
      items = sorted<T>(items, items + x.count, x.count);
      for (int64_t i = 0; i < x.count; ++i) visit(Packing<T>::place(items[i]), i ? Packing<T>::place(items[i - 1]) : 0, i == 0);
    }
    *found = groups;
  });
}

}  // namespace gradus::cpu
