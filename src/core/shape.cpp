#include "gradus/core/shape.h"

#include <cstdio>

#include "src/core/message.h"

namespace gradus {

void Shape::assign(const int64_t* sizes, size_t n) {
  if (n > size_t(kMaxRank)) fail<ShapeError>("shape: ", n, " dimensions; at most ", kMaxRank, " are supported");
  rank = int(n);
  for (int d = 0; d < rank; ++d) size[d] = sizes[d];
}

void Shape::push_back(int64_t n) { insert(rank, n); }

void Shape::insert(int at, int64_t n) {
  if (rank == kMaxRank) fail<ShapeError>("shape: ", *this, " has ", rank, " dimensions already, the most that are supported");
  for (int d = rank++; d > at; --d) size[d] = size[d - 1];
  size[at] = n;
}

void Shape::erase(int at) {
  --rank;
  for (int d = at; d < rank; ++d) size[d] = size[d + 1];
}

int64_t check_sizes(const char* op, const Shape& s) {
  int64_t n = 1;
  bool overflow = false, empty = false;
  for (int d = 0; d < s.rank; ++d) {
    if (s.size[d] < 0) fail<ShapeError>(op, ": shape ", s, " has a negative size");
    empty |= s.size[d] == 0;
    overflow |= __builtin_mul_overflow(n, s.size[d], &n);
  }
  if (empty) return 0;
  if (overflow) fail<ShapeError>(op, ": shape ", s, " has more elements than can be counted");
  return n;
}
int64_t Shape::numel() const { return check_sizes("numel", *this); }

std::string to_string(const Shape& s) {
  std::string text = "[";
  for (int d = 0; d < s.rank; ++d) text += (d ? ", " : "") + std::to_string(s.size[d]);
  return text + "]";
}

std::string detail::text(double d) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%g", d);
  return buffer;
}

}  // namespace gradus
