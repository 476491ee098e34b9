// Sizes and axes. Kept inline: making and copying one touches no heap.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace gradus {

/// Up to eight sizes, outermost first. Throws ShapeError beyond that.
struct Shape {
  static constexpr int kMaxRank = 8;
  int rank = 0;
  int64_t size[kMaxRank];

  Shape() = default;
#if defined(__GNUC__) && __GNUC__ >= 12
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdangling-pointer"  // g++ 12 takes the list in a member's initializer for one that is gone already
#endif
  Shape(std::initializer_list<int64_t> sizes) { assign(sizes.begin(), sizes.size()); }
#if defined(__GNUC__) && __GNUC__ >= 12
#pragma GCC diagnostic pop
#endif
  Shape(const std::vector<int64_t>& sizes) { assign(sizes.data(), sizes.size()); }
  Shape(const int64_t* sizes, size_t n) { assign(sizes, n); }
  Shape(const Shape& o) : rank(o.rank) {
    for (int d = 0; d < rank; ++d) size[d] = o.size[d];
  }
  Shape& operator=(const Shape& o) {
    rank = o.rank;
    for (int d = 0; d < rank; ++d) size[d] = o.size[d];
    return *this;
  }

  int64_t operator[](int d) const { return size[d < 0 ? d + rank : d]; }
  int64_t& operator[](int d) { return size[d < 0 ? d + rank : d]; }
  const int64_t* begin() const { return size; }
  const int64_t* end() const { return size + rank; }
  bool operator==(const Shape& o) const {
    bool same = rank == o.rank;
    for (int d = 0; same && d < rank; ++d) same = size[d] == o.size[d];  // a few numbers: less than a call of memcmp
    return same;
  }
  void push_back(int64_t n);
  void insert(int at, int64_t n);
  void erase(int at);
  /// The product of the sizes. Throws ShapeError for a negative size or where it does not fit in 63 bits.
  int64_t numel() const;
  std::vector<int64_t> vector() const { return {begin(), end()}; }

 private:
  void assign(const int64_t* sizes, size_t n);
};
std::string to_string(const Shape&);

/// The axes that a reduction runs over: none given means all. Negative ones count from the end.
struct Axes {
  bool all = false;
  Shape list;
  Axes() : all(true) {}
  Axes(int axis) : list{axis} {}
  Axes(int64_t axis) : list{axis} {}
  Axes(std::initializer_list<int64_t> axes) : list(axes) {}
  Axes(const std::vector<int64_t>& axes) : list(axes) {}
};

}  // namespace gradus
