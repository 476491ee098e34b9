// Tensors lent and borrowed through DLPack.
#include "gradus/core/dlpack.h"

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Memory of another library: counts how often it is given back.
struct Foreign {
  float memory[6] = {1, 2, 3, 4, 5, 6};
  int64_t shape[2] = {3, 2}, strides[2] = {1, 3};
  int deleted = 0;
  dlpack::ManagedTensor managed{};
  Foreign() {
    managed.dl_tensor = {memory, {dlpack::kCpu, 0}, 2, {dlpack::kFloat, 32, 1}, shape, strides, 0};
    managed.manager_ctx = this;
    managed.deleter = [](dlpack::ManagedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->deleted; };
  }
};

}  // namespace

DEVICE_TEST(DLPack, ThereAndBackSharesTheMemory) {
  for (int t = 0; t < kDTypes; ++t) {
    AnyTensor x = to(Tensor<int64_t>{{1, 0, 1}, {0, 1, 1}}, DType(t)).t();
    AnyTensor y = from_dlpack(to_dlpack(x));
    EXPECT_EQ(y.dtype(), x.dtype());
    EXPECT_EQ(y.device(), device_of_tests());
    EXPECT_EQ(y.raw_data(), x.raw_data());
    EXPECT_EQ(y.stride(), x.stride());
    EXPECT_EQ(values(y), values(x)) << name(DType(t));
    x = {};
    EXPECT_EQ(values(y), (V{1, 0, 0, 1, 1, 1}));
  }
  EXPECT_EQ(from_dlpack(to_dlpack(full({}, 3, DType::float32))).item(), 3);
  EXPECT_EQ(from_dlpack(to_dlpack(zeros({0, 2}))).shape(), (Shape{0, 2}));
}

TEST(DLPack, WhatIsLentLivesAsLongAsItIsUsed) {
  dlpack::ManagedTensor* managed = to_dlpack(Tensor<float>{1, 2, 3});
  EXPECT_EQ(managed->dl_tensor.ndim, 1);
  EXPECT_EQ(managed->dl_tensor.shape[0], 3);
  EXPECT_EQ(managed->dl_tensor.strides[0], 1);
  EXPECT_EQ(static_cast<float*>(managed->dl_tensor.data)[2], 3);
  managed->deleter(managed);
}

TEST(DLPack, WhatIsBorrowedIsGivenBackOnce) {
  Foreign f;
  {
    AnyTensor x = from_dlpack(&f.managed), row = x.select(0, 1);
    EXPECT_EQ(values(x), (V{1, 4, 2, 5, 3, 6}));
    x = {};
    EXPECT_EQ(f.deleted, 0);
    row.fill_(9);
    EXPECT_EQ(f.memory[1], 9);
  }
  EXPECT_EQ(f.deleted, 1);
  f.managed.dl_tensor.strides = nullptr;
  f.managed.dl_tensor.byte_offset = 8, f.shape[0] = 2;
  EXPECT_EQ(values(from_dlpack(&f.managed)), (V{3, 4, 9, 6}));  // the row that was filled is every third
  f.managed.deleter = nullptr;
  from_dlpack(&f.managed);
  EXPECT_EQ(f.deleted, 2);
}

TEST(DLPack, WhatMakesNoSenseStaysTheCallers) {
  EXPECT_TRUE(has(message_of<GraphError>([] { to_dlpack(zeros({2}).requires_grad_()); }), "detach()"));
  message_of<ValueError>([] { to_dlpack(AnyTensor()); });
  message_of<ValueError>([] { from_dlpack(nullptr); });
  Foreign f;
  auto refused = [&]<class E>(auto change) {
    Foreign g = f;
    g.managed.dl_tensor.shape = g.shape, g.managed.dl_tensor.strides = g.strides, g.managed.manager_ctx = &g;
    change(g);
    message_of<E>([&] { from_dlpack(&g.managed); });
    EXPECT_EQ(g.deleted, 0);
  };
  refused.operator()<DeviceError>([](Foreign& g) { g.managed.dl_tensor.device = {dlpack::kCuda, 77}; });
  refused.operator()<DeviceError>([](Foreign& g) { g.managed.dl_tensor.device = {dlpack::kCuda, -1}; });
  refused.operator()<DeviceError>([](Foreign& g) { g.managed.dl_tensor.device = {dlpack::kCudaManaged, 256}; });
  refused.operator()<DeviceError>([](Foreign& g) { g.managed.dl_tensor.device.type = 10; });
  refused.operator()<DTypeError>([](Foreign& g) { g.managed.dl_tensor.dtype.bits = 24; });
  refused.operator()<DTypeError>([](Foreign& g) { g.managed.dl_tensor.dtype.lanes = 4; });
  refused.operator()<ShapeError>([](Foreign& g) { g.managed.dl_tensor.ndim = 9; });
  refused.operator()<ShapeError>([](Foreign& g) { g.shape[0] = -1; });
  refused.operator()<ShapeError>([](Foreign& g) { g.shape[0] = INT64_MAX; });
  refused.operator()<ValueError>([](Foreign& g) { g.managed.dl_tensor.shape = nullptr; });
  refused.operator()<ValueError>([](Foreign& g) { g.managed.dl_tensor.data = nullptr; });
  refused.operator()<ValueError>([](Foreign& g) { g.strides[0] = -1; });
  refused.operator()<ValueError>([](Foreign& g) { g.managed.dl_tensor.byte_offset = 2; });
}

TEST(DLPack, DevicesThatAreNotHereAreNamedWithTheWayOut) {
  Foreign f;
  f.managed.dl_tensor.device = {dlpack::kCuda, 77};
  std::string message = message_of<DeviceError>([&] { from_dlpack(&f.managed); });
  EXPECT_EQ(message, "from_dlpack: the memory is on GPU 77 of " + std::to_string(device_count(DeviceType::cuda)) +
                         " that are available here; let its owner copy it to the CPU first");
  f.managed.dl_tensor.device = {10, 0};
  message = message_of<DeviceError>([&] { from_dlpack(&f.managed); });
  EXPECT_TRUE(has(message, "kind 10, not 1 (CPU), 2 (CUDA)") && has(message, "let its owner copy it to the CPU first")) << message;
}

TEST(DLPack, MemoryOfTheHostNeedsNoStream) {
  Foreign f;
  f.managed.dl_tensor.device.type = dlpack::kCudaHost;
  {
    const Stream cpu = Stream::current(kCPU);
    AnyTensor x = from_dlpack(&f.managed, cpu);
    EXPECT_EQ(x.device(), kCPU);
    dlpack::ManagedTensor* lent = to_dlpack(x, Stream::from_handle(kCPU, nullptr));
    EXPECT_EQ(lent->dl_tensor.device.type, dlpack::kCpu);
    lent->deleter(lent);
  }
  EXPECT_EQ(f.deleted, 1);
}
