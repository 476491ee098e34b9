// Any bytes are an IDX file or an IoError.
#include "gradus/data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  try {
    const gradus::AnyTensor x = gradus::data::parse_idx({bytes, count}, "fuzz", {.max_bytes = 1 << 24});
    uint8_t sum = 0;  // every byte is there
    for (size_t i = 0; i < size_t(x.numel()) * gradus::item_size(x.dtype()); ++i)
      sum += static_cast<const uint8_t*>(x.raw_data())[i];
    asm volatile("" ::"r"(sum));
  } catch (const gradus::IoError&) {
  }
  return 0;
}
