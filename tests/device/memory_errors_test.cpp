// What the driver says to who asks for memory: that there is none is OutOfMemory, and anything else is told as what it is. An emulated GPU can
// be made to say either.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

extern "C" [[gnu::weak]] void gradus_emulated_allocations_say(int error);

namespace {

constexpr int kNoMemory = 2, kIllegalAddress = 700;  // cudaErrorMemoryAllocation, cudaErrorIllegalAddress

/// While it lives, what must be asked of the driver fails.
class Failing {
 public:
  explicit Failing(int error) { gradus_emulated_allocations_say(error); }
  ~Failing() { gradus_emulated_allocations_say(0); }
};

template <class E, class F> std::string message_while(int error, F f) {
  const Failing failing(error);
  return message_of<E>(f);
}

/// More each time, so that nothing which was given back serves.
int64_t more() {
  static int64_t count = int64_t(1) << 20;
  return count += int64_t(1) << 20;
}
void on_device() { empty({more()}, DType::float32, kGpu); }
void pinned() { pin_memory(ones({more()}), kGpu); }

}  // namespace

#define NEEDS_EMULATOR() \
  if (!gradus_emulated_allocations_say) GTEST_SKIP() << "a GPU's driver cannot be made to fail"

GPU_TEST(Gpu, NoMemoryIsOutOfMemoryAndTheProcessGoesOn) {
  NEEDS_EMULATOR();
  EXPECT_NE(message_while<OutOfMemory>(kNoMemory, on_device), "");
  EXPECT_NE(message_while<OutOfMemory>(kNoMemory, pinned), "");
  on_device(), pinned();
  EXPECT_EQ((ones({3}, DType::float32, kGpu) * 2).sum().item(), 6);  // nobody else is told of it
}

GPU_TEST(Gpu, OtherErrorsAreNotToldAsNoMemory) {
  NEEDS_EMULATOR();
  for (auto [what, call] : {std::pair{&on_device, "cudaMalloc"}, {&pinned, "cudaHostAlloc"}}) {
    const Failing failing(kIllegalAddress);
    try {
      what();
      ADD_FAILURE() << call << " failed, and nobody was told";
    } catch (const OutOfMemory& e) {
      ADD_FAILURE() << call << ": " << e.what();
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(call), std::string::npos) << e.what();
    }
  }
  on_device(), pinned();
}
