// A device that is made up: host memory of its own, the CPU's kernels but for a few. What stands above a backend must work on it, which is
// also how a third party's backend begins.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>

#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "tests/check.h"
#include "tests/device/host_memory.h"
#include "tests/device/train_xor.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct MadeUp final : Accelerator {
  struct Copy {
    int to, from;
    bool wait;
  };
  HostMemory memory;
  CachingAllocator allocator{memory, "other"}, pinned{memory, "pinned"};
  std::vector<Copy> copies;
  std::vector<int> selected;
  static thread_local inline void* stream = nullptr;
  std::mutex mutex;  // of what follows, which a loader's workers write
  std::vector<std::string> log;
  char* streams = nullptr;
  std::atomic<int> pinned_uses = 0;

  void note(const char* what, void* stream) {
    std::lock_guard lock(mutex);
    log.push_back(std::string(what) + " " + std::to_string(reinterpret_cast<uintptr_t>(stream)));
  }

  int count() override { return 2; }
  DeviceProperties properties(int) override { return {.name = "made up", .major = 7}; }
  void select(int device) override {
    std::lock_guard lock(mutex);
    selected.push_back(device);
  }
  static Memory memory_of(CachingAllocator::Block* b) { return {b->data, b->bytes, b}; }
  static CachingAllocator::Block* block_of(void* b) { return static_cast<CachingAllocator::Block*>(b); }
  Memory allocate(int, size_t bytes) override { return memory_of(allocator.allocate(bytes, stream)); }
  void free(int, void* block) noexcept override { allocator.free(block_of(block)); }
  void used_on(int, void* block, void* stream) override {
    note("used", stream);
    allocator.used_on(block_of(block), stream);
  }
  MemoryStats memory_stats(int) override { return allocator.stats(); }
  void reset_peak_memory(int) override { allocator.reset_peak(); }
  void empty_cache(int) override { allocator.empty_cache(); }
  void set_memory_limit(int, size_t bytes) override { allocator.set_limit(bytes); }
  Memory allocate_pinned(size_t bytes) override { return memory_of(pinned.allocate(bytes, nullptr)); }
  void free_pinned(void* block) noexcept override { pinned.free(block_of(block)); }
  void pinned_used_on(void*, int, void*) override { ++pinned_uses; }
  void copy(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait) override {
    std::memcpy(to, from, bytes);
    if (!wait) note("copy", stream);
    std::lock_guard lock(mutex);
    copies.push_back({to_device, from_device, wait});
  }
  void* new_stream(int) override { return ++streams; }
  void* current_stream(int) override { return stream; }
  void set_current_stream(int, void* s) override { stream = s; }
  void* new_event(int) override { return new double(0); }
  void free_event(int, void* e) noexcept override { delete static_cast<double*>(e); }
  void hold(void*, int, void* stream) override { note("hold", stream); }
  void record(void* e, int, void* stream) override {
    note("record", stream);
    *static_cast<double*>(e) =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  double milliseconds(void* from, void* to) override { return *static_cast<double*>(to) - *static_cast<double*>(from); }
};

MadeUp& made_up() {
  static auto* device = [] {
    auto* device = new MadeUp;
    static KernelTable table = kernels(DeviceType::cpu);
    table.softmax = nullptr;
    register_backend(DeviceType::other, &table, device);
    return device;
  }();
  return *device;
}
const Device kOther(DeviceType::other);

struct Backend : ::testing::Test {
  MadeUp& device = made_up();
  void SetUp() override { device.copies.clear(), device.selected.clear(), device.log.clear(); }
};

}  // namespace

TEST_F(Backend, TensorsGoThereAndBack) {
  Tensor<float> x = {{1, 2, 3}, {4, 5, 6}};
  Tensor<float> there = x.to(kOther);
  EXPECT_EQ(there.device(), kOther);
  EXPECT_NE(there.raw_data(), x.raw_data());
  EXPECT_EQ(there.vector(), x.vector());
  EXPECT_EQ(there[1].sum().item(), 15);
  EXPECT_TRUE(there.to(kOther).is_same(there));
  EXPECT_NE(to_string(there).find("6"), std::string::npos);
  EXPECT_EQ(zeros({0, 3}, DType::float32, kOther).to(kCPU).numel(), 0);
  EXPECT_EQ(there.to(Device(DeviceType::other, 1)).device().index, 1);
}

TEST_F(Backend, LayoutsComeAlong) {
  AnyTensor x = draw({2, 3, 4, 5}), turned = x.permute({0, 2, 3, 1}), part = x.slice(3, 1, 5, 2);
  EXPECT_EQ(turned.to(kOther).stride(), turned.stride());
  EXPECT_EQ(distance(turned.to(kOther), turned), 0);
  EXPECT_TRUE(part.to(kOther).is_contiguous());  // gaps do not travel
  EXPECT_EQ(distance(part.to(kOther), part), 0);
}

TEST_F(Backend, GradientsGoBack) {
  AnyTensor x = draw({3, 4}).requires_grad_();
  AnyTensor y = (x.to(kOther) * 3).to(kCPU) * x;
  y.backward(ones_like(y.detach()));
  EXPECT_EQ(x.grad().device(), kCPU);
  EXPECT_LT(distance(x.grad(), x.detach() * 6), 1e-15);
}

TEST_F(Backend, BodiesOfTestsRunThere) {
  OnDevice on(kOther);
  AnyTensor x = draw({3, 4}).requires_grad_(), b = draw({4}, -1, 1, 9).requires_grad_();
  EXPECT_EQ(x.device(), kOther);
  EXPECT_EQ(gradcheck([](const auto& in) { return tanh(in[0]) * in[1]; }, {x, b}), "");
  EXPECT_EQ(device.selected.size() > 0 && device.selected.back() == 0, true);
}

TEST_F(Backend, ANetworkTrainsThere) { EXPECT_LT(train_xor(kOther), 0.01); }

TEST_F(Backend, AMissingKernelIsNamedWithTheWayOut) {
  AnyTensor x = draw({2, 3}, -1, 1, 1, DType::float32).to(kOther);
  EXPECT_EQ(message_of<DeviceError>([&] { softmax(x, 1); }),
            "softmax: no other:0 kernel for float32; move the tensors with to(Device(\"cpu\"))");
}

TEST_F(Backend, DevicesDoNotMix) {
  AnyTensor x = draw({2}), y = x.to(kOther);
  std::string message = message_of<DeviceError>([&] { x + y; });
  EXPECT_NE(message.find("cpu and other:0"), std::string::npos) << message;
  message = message_of<DeviceError>([&] { zeros({2}, DType::float32, Device(DeviceType::other, 7)); });
  EXPECT_NE(message.find("other:7: there are 2 devices"), std::string::npos) << message;
  message_of<DeviceError>([&] { x.to(Device(DeviceType::cpu, 1)); });
}

TEST_F(Backend, MemoryIsCountedAndLimited) {
  empty_cache(kOther);
  size_t before = memory_stats(kOther).in_use;
  {
    AnyTensor x = empty({1 << 20}, DType::float32, kOther);
    EXPECT_EQ(memory_stats(kOther).in_use, before + (4u << 20));
  }
  EXPECT_EQ(memory_stats(kOther).in_use, before);
  set_memory_limit(before + (8u << 20), kOther);
  std::string message = message_of<OutOfMemory>([] { empty({16 << 20}, DType::float32, kOther); });
  EXPECT_NE(message.find("asked for 67108864 bytes"), std::string::npos) << message;
  set_memory_limit(0, kOther);
  EXPECT_NO_THROW(empty({16 << 20}, DType::float32, kOther));
}

TEST_F(Backend, CopiesWaitUnlessAskedNotTo) {
  AnyTensor x = draw({4}), pinned = pin_memory(x, kOther);
  EXPECT_TRUE(is_pinned(pinned) && !is_pinned(x));
  EXPECT_TRUE(pin_memory(pinned, kOther).is_same(pinned) && pin_memory(x, kCPU).is_same(x));
  EXPECT_EQ(distance(pinned, x), 0);
  AnyTensor there = to_async(pinned, kOther);
  ASSERT_EQ(device.copies.size(), 1u);
  EXPECT_FALSE(device.copies[0].wait);
  EXPECT_EQ(device.pinned_uses, 1);  // the host's memory stays until the copy is done
  AnyTensor back = to_async(there, kCPU);
  EXPECT_TRUE(is_pinned(back));
  there.to(kCPU);
  EXPECT_TRUE(device.copies.back().wait && device.copies.back().from == 0 && device.copies.back().to == -1);
  message_of<DeviceError>([&] { pin_memory(there, kOther); });
}

TEST_F(Backend, StreamsAreEnteredAndLeft) {
  Stream standard = Stream::current(kOther), side(kOther);
  EXPECT_FALSE(standard == side);
  {
    StreamGuard guard(side);
    EXPECT_TRUE(Stream::current(kOther) == side);
  }
  EXPECT_TRUE(Stream::current(kOther) == standard);
  Event begin, end;
  EXPECT_TRUE(begin.is_done());
  message_of<ValueError>([&] { end.milliseconds_since(begin); });
  begin.record(side);
  end.record(side);
  begin.hold(standard);
  EXPECT_GE(end.milliseconds_since(begin), 0);
  Event moved = std::move(end);
  EXPECT_GE(moved.milliseconds_since(begin), 0);
  side.synchronize();
  EXPECT_TRUE(side.is_idle());
  synchronize(kOther);
  AnyTensor x = draw({4}).to(kOther);
  record_use(x, side);
  message_of<DeviceError>([&] { record_use(x, Stream::current(kCPU)); });
}

TEST(Stream, OnTheCpuEverythingIsDone) {
  Stream s(kCPU);
  StreamGuard guard(s);
  Event begin, end;
  begin.record(s);
  AnyTensor x = draw({1000}).sum();
  end.record(s);
  EXPECT_TRUE(s.is_idle() && end.is_done());
  EXPECT_GT(end.milliseconds_since(begin), 0);
  end.hold(s), end.synchronize(), s.synchronize(), synchronize(kCPU);
  Event elsewhere;
  made_up();
  elsewhere.record(Stream::current(kOther));
  message_of<ValueError>([&] { elsewhere.milliseconds_since(begin); });
}

TEST_F(Backend, LoadersBringBatchesThere) {
  Tensor<float> x(draw({10, 3}, -1, 1, 1, DType::float32));
  auto batches = [&](const data::LoaderOptions& options) {
    data::DataLoader loader(data::TensorDataset(x, arange(10)), options);
    std::vector<std::vector<float>> rows;
    for (auto& [x, y] : loader) {
      EXPECT_EQ(x.device(), options.prefetch_to.value_or(kCPU));
      EXPECT_EQ(y.device(), x.device());
      rows.push_back(x.vector());
    }
    return rows;
  };
  const auto here = batches({.batch_size = 4, .shuffle = true, .seed = 3});
  for (int workers : {0, 1, 2}) {
    EXPECT_EQ(batches({.batch_size = 4, .shuffle = true, .workers = workers, .pin_memory = true, .prefetch_to = kCPU, .seed = 3}),
              here);
    device.log.clear();
    EXPECT_EQ(batches({.batch_size = 4, .shuffle = true, .workers = workers, .prefetch_to = kOther, .seed = 3}), here);
    // Of each of three batches: two copies and an event in a stream of their own, for which the loop's stream waits; then both tensors
    // are said to be used there.
    const void* side = device.streams;
    const std::string number = std::to_string(reinterpret_cast<uintptr_t>(side));
    auto count = [&](const std::string& what) { return std::count(device.log.begin(), device.log.end(), what); };
    EXPECT_EQ(count("copy " + number), 6);
    EXPECT_EQ(count("record " + number), 3);
    EXPECT_EQ(count("hold 0"), 3);
    EXPECT_EQ(count("used 0"), 6);
    EXPECT_EQ(MadeUp::stream, nullptr) << "the loop's own stream is as it was";
    if (workers == 0) {
      const std::string c = "copy " + number;
      EXPECT_EQ(std::vector(device.log.begin(), device.log.begin() + 6),
                (std::vector<std::string>{c, c, "record " + number, "hold 0", "used 0", "used 0"}));
    }
  }
}

TEST_F(Backend, ALoaderHasOneStreamForAllItsPasses) {
  Tensor<float> x(draw({8, 3}, -1, 1, 1, DType::float32));
  char* const before = device.streams;
  data::TensorDataset samples(x);
  data::DataLoader loader(samples, {.batch_size = 4, .workers = 1, .prefetch_to = kOther});
  for (int epoch = 0; epoch < 3; ++epoch)
    for (auto& batch : loader) EXPECT_EQ(std::get<0>(batch).device(), kOther);
  EXPECT_EQ(device.streams - before, 1);
}

TEST_F(Backend, LoadersMoveTensorsWhereverTheyStand) {
  struct Indices {
    int64_t size() const { return 4; }
    int64_t get(int64_t i) const { return i; }
  };
  using Nested =
      std::tuple<std::vector<Tensor<float>>, std::pair<Tensor<int64_t>, std::string>, std::vector<std::pair<Tensor<float>, int>>>;
  auto collate = [](std::vector<int64_t> i) -> Nested {
    return {{ones<float>({2}), Tensor<float>()}, {arange(int64_t(i.size())), "name"}, {{zeros<float>({1}), 7}}};
  };
  data::DataLoader loader(Indices{}, {.batch_size = 2, .prefetch_to = kOther}, collate);
  for (auto& [list, pair, pairs] : loader) {
    EXPECT_EQ(list[0].device(), kOther);
    EXPECT_FALSE(list[1].defined());
    EXPECT_EQ(pair.first.device(), kOther);
    EXPECT_EQ(pair.second, "name");
    EXPECT_EQ(pairs[0].first.device(), kOther);
  }
  auto batch_is_of_numbers = [](std::vector<int64_t> i) { return i; };
  data::DataLoader numbers(Indices{}, {.batch_size = 2, .prefetch_to = kOther}, batch_is_of_numbers);
  for (auto& batch : numbers) EXPECT_EQ(batch.size(), 2u);
}

TEST_F(Backend, LoadersRefuseADeviceThatIsNotThere) {
  auto made = [](Device device) {
    data::DataLoader loader(data::TensorDataset(ones<float>({4})), {.batch_size = 2, .prefetch_to = device});
  };
  EXPECT_NE(message_of<DeviceError>([&] { made(Device(DeviceType::other, 7)); }).find("other:7"), std::string::npos);
}

TEST_F(Backend, AScalerWaitsOncePerOptimizer) {
  std::vector<AnyTensor> parameters;
  for (int i = 0; i < 5; ++i) parameters.push_back(ones({100}, DType::float32, kOther).requires_grad_());
  optim::SGD optimizer(parameters, {.lr = 1});
  optim::GradScaler scaler({.init_scale = 4});
  for (bool finite : {true, false}) {
    for (const AnyTensor& p : parameters) p.set_grad(full({100}, 4, DType::float32, kOther));
    if (!finite) as_view(parameters[3].grad(), {}, {}, 99).fill_(INFINITY);
    auto waits = [&] { return std::count_if(device.copies.begin(), device.copies.end(), [](auto& c) { return c.wait; }); };
    device.copies.clear();
    scaler.unscale_(optimizer);
    EXPECT_EQ(waits(), 0);
    EXPECT_EQ(scaler.step(optimizer), finite);
    scaler.update();
    EXPECT_EQ(waits(), 1);
  }
  EXPECT_EQ(parameters[0].sum().item(), 0);
  EXPECT_EQ(scaler.get_scale(), 2);
}
