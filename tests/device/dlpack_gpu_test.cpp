// Memory of a GPU lent and borrowed through DLPack: who waits for whom. The emulator's streams run late, so what is not waited for is not there.
#include "tests/check.h"
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// Another library with a stream of its own, whose work is still to be done when it lends its memory.
struct Owner {
  Stream stream{kGpu};
  AnyTensor memory;
  int64_t shape[1] = {1000};
  int deleted = 0;
  std::function<void()> when_deleted;
  dlpack::ManagedTensor managed{};

  explicit Owner(double value) {
    StreamGuard guard(stream);
    memory = zeros({1000}, DType::float32, kGpu);
    for (int i = 0; i < 16; ++i) memory += value / 16;
    managed.dl_tensor = {memory.raw_data(), {dlpack::kCuda, 0}, 1, {dlpack::kFloat, 32, 1}, shape, nullptr, 0};
    managed.manager_ctx = this;
    managed.deleter = [](dlpack::ManagedTensor* self) {
      auto* owner = static_cast<Owner*>(self->manager_ctx);
      ++owner->deleted;
      if (owner->when_deleted) owner->when_deleted();
    };
  }
  /// What an owner does that hands its memory on in its own order.
  void spoil() {
    StreamGuard guard(stream);
    memory.fill_(NAN);
    stream.synchronize();
  }
};

/// The consumer's own view of what it was lent.
AnyTensor seen(dlpack::ManagedTensor lent) {
  static std::vector<std::unique_ptr<dlpack::ManagedTensor>> kept;
  lent.deleter = nullptr;
  kept.push_back(std::make_unique<dlpack::ManagedTensor>(lent));
  return from_dlpack(kept.back().get());
}

}  // namespace

GPU_TEST(Gpu, WhatIsLentSaysWhereItIs) {
  dlpack::ManagedTensor* lent = to_dlpack(zeros({2, 3}, DType::bfloat16, kGpu).t());
  EXPECT_EQ(lent->dl_tensor.device.type, dlpack::kCuda);
  EXPECT_EQ(lent->dl_tensor.device.id, 0);
  EXPECT_EQ(lent->dl_tensor.strides[1], 3);
  lent->deleter(lent);

  AnyTensor pinned = pin_memory(full({3}, 4, DType::float32));
  lent = to_dlpack(pinned);
  EXPECT_EQ(lent->dl_tensor.device.type, dlpack::kCudaHost);
  AnyTensor back = from_dlpack(lent);
  EXPECT_EQ(back.raw_data(), pinned.raw_data());
  EXPECT_EQ(values(back), (std::vector<double>{4, 4, 4}));
}

GPU_TEST(Gpu, TheConsumersStreamWaitsForWhatWasAskedBefore) {
  AnyTensor x = zeros({1000}, DType::float32, kGpu), y;
  for (int i = 0; i < 20; ++i) x += 1;
  Stream consumer(kGpu);
  dlpack::ManagedTensor* lent = to_dlpack(x, consumer);
  {
    StreamGuard guard(consumer);
    y = seen(*lent).to(kCPU);  // waits for the consumer's stream alone
  }
  EXPECT_EQ(values(y)[999], 20);
  lent->deleter(lent);
}

GPU_TEST(Gpu, WhatWasLentIsHandedOnBehindTheConsumersWork) {
  Stream consumer(kGpu);
  AnyTensor x = full({1000}, 3, DType::float32, kGpu), y, there;
  const void* const memory = x.raw_data();
  dlpack::ManagedTensor* lent = to_dlpack(x, consumer);
  x = {};
  {
    StreamGuard guard(consumer);
    there = seen(*lent);
    y = zeros({1000}, DType::float32, kGpu);
    for (int i = 0; i < 20; ++i) y += there;
    lent->deleter(lent);
  }
  AnyTensor next = full({1000}, NAN, DType::float32, kGpu);
  synchronize(kGpu);
  StreamGuard guard(consumer);
  EXPECT_EQ(values(y)[999], 60) << (next.raw_data() == memory ? "its memory went to another tensor at once" : "");
}

GPU_TEST(Gpu, WhatIsBorrowedIsReadBehindTheOwnersWork) {
  Owner owner(5);
  AnyTensor x = from_dlpack(&owner.managed, owner.stream);
  EXPECT_EQ(x.device(), kGpu);
  EXPECT_EQ(x.raw_data(), owner.memory.raw_data());
  EXPECT_EQ(distance(x, full({1000}, 5, DType::float32)), 0);
}

GPU_TEST(Gpu, TheOwnersStreamWaitsForThoseThatUsedItsMemory) {
  for (bool another_stream : {false, true}) {
    Owner owner(5);
    owner.when_deleted = [&] { owner.spoil(); };
    AnyTensor x = from_dlpack(&owner.managed, owner.stream), y = zeros({1000}, DType::float32, kGpu);
    Stream side = another_stream ? Stream(kGpu) : Stream::current(kGpu);
    Event ready;
    ready.record(Stream::current(kGpu));
    ready.hold(side);
    {
      StreamGuard guard(side);
      for (int i = 0; i < 20; ++i) y += x;
    }
    record_use(x, side);
    Event now;
    now.record(side);
    const AnyTensor view = x.narrow(0, 0, 10);
    x = {};
    EXPECT_EQ(owner.deleted, 0);
    const_cast<AnyTensor&>(view) = {};
    EXPECT_EQ(owner.deleted, 1);
    StreamGuard guard(side);
    EXPECT_EQ(distance(y, full({1000}, 100, DType::float32)), 0);
  }
}

GPU_TEST(Gpu, WithoutAnOwnersStreamTheProgramWaits) {
  Owner owner(5);
  owner.stream.synchronize();
  AnyTensor x = from_dlpack(&owner.managed), y = zeros({1000}, DType::float32, kGpu);
  for (int i = 0; i < 20; ++i) y += x;
  Event now;
  now.record(Stream::current(kGpu));
  owner.when_deleted = [&] {
    EXPECT_TRUE(now.is_done());
    owner.spoil();
  };
  x = {};
  EXPECT_EQ(owner.deleted, 1);
  EXPECT_EQ(distance(y, full({1000}, 100, DType::float32)), 0);
}

GPU_TEST(Gpu, GradientsFlowThroughWhatIsBorrowed) {
  Owner owner(2);
  AnyTensor x = from_dlpack(&owner.managed, owner.stream);
  x.requires_grad_();
  (x * x).sum().backward();
  EXPECT_EQ(distance(x.grad(), full({1000}, 4, DType::float32)), 0);
}

GPU_TEST(Gpu, StreamsOfOtherDevicesAreRefused) {
  Owner owner(1);
  const Stream cpu = Stream::current(kCPU);
  EXPECT_EQ(message_of<DeviceError>([&] { from_dlpack(&owner.managed, cpu); }),
            "from_dlpack: the memory is on cuda:0, the stream on cpu");
  EXPECT_EQ(message_of<DeviceError>([&] { to_dlpack(owner.memory, cpu); }),
            "to_dlpack: the tensor is on cuda:0, the stream on cpu");
  EXPECT_EQ(owner.deleted, 0);
}

GPU_TEST(Gpu, ARecordedStepKeepsWhatItReads) {
  Owner first(1), second(2);
  std::vector<AnyTensor> left = {from_dlpack(&second.managed, second.stream), from_dlpack(&first.managed, first.stream)};
  {
    auto step = capture(
        [&](const Tensor<float>& x) {
          Tensor<float> y = x + Tensor<float>(left.back());
          left.pop_back();
          return y;
        },
        kGpu);
    const Tensor<float> x = ones<float>({1000}, kGpu);
    EXPECT_EQ(step(x)[999].item(), 2);  // runs the step
    EXPECT_EQ(first.deleted, 1);
    EXPECT_EQ(step(x)[999].item(), 3);  // records it
    EXPECT_EQ(step(x)[999].item(), 3);
    EXPECT_EQ(second.deleted, 0);
  }
  EXPECT_EQ(second.deleted, 1);
}

GPU_TEST(Gpu, ARecordedStepLendsAndBorrowsNothing) {
  Owner owner(1);
  for (bool lend : {true, false}) {
    int calls = 0;
    auto step = capture(
        [&](const Tensor<float>& x) {
          if (++calls == 2) lend ? void(to_dlpack(x)) : void(from_dlpack(&owner.managed));
          return x + 1.0f;
        },
        kGpu);
    const Tensor<float> x = ones<float>({4}, kGpu);
    step(x);
    EXPECT_EQ(message_of([&] { step(x); }).find(lend ? "to_dlpack: lends" : "from_dlpack: borrows"), 0u);
  }
  EXPECT_EQ(owner.deleted, 0);
}
