#include "gradus/data/subset.h"

#include <string>

#include "gradus/core/error.h"
#include "gradus/data/order.h"

namespace gradus::data::detail {

std::vector<std::vector<int64_t>> random_parts(int64_t size, const std::vector<int64_t>& lengths, Generator& g) {
  int64_t total = 0;
  for (int64_t length : lengths) {
    if (length < 0) throw ValueError("random_split: a part of " + std::to_string(length) + " samples");
    total += length;
  }
  if (total != size)
    throw ValueError("random_split: the parts have " + std::to_string(total) + " samples together, the dataset has " +
                     std::to_string(size));
  const std::vector<int64_t> order = shuffled(size, g);
  std::vector<std::vector<int64_t>> parts;
  auto from = order.begin();
  for (int64_t length : lengths) {
    parts.emplace_back(from, from + length);
    from += length;
  }
  return parts;
}

}  // namespace gradus::data::detail
