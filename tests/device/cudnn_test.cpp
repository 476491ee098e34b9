// What cuDNN is asked for, without a GPU: its library says which graphs are well formed and, from a GPU's properties alone, whether it
// has an engine for them.
#include "tests/check.h"

#if GRADUS_WITH_CUDNN
#include <dlfcn.h>

#include "gradus/core/tuning.h"
#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/tasks.h"

using namespace gradus;
using cuda::dnn::Job;
using cuda::dnn::Task;

#define CUDNN_TEST(name)                                                           \
  static void name##_body();                                                       \
  TEST(Cudnn, name) {                                                              \
    if (!cuda::dnn::why_absent().empty()) GTEST_SKIP() << cuda::dnn::why_absent(); \
    name##_body();                                                                 \
  }                                                                                \
  static void name##_body()

namespace {

/// An H100 as cuDNN writes it down.
constexpr const char* kH100 = R"({
  "deviceName": "NVIDIA H100 80GB HBM3", "cudaDeviceId": 0, "pciDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "isTccDriver": 0,
  "supportCoopLaunch": 1, "warpSize": 32, "multiProcessorCount": 132, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000,
  "totalGlobalMem": 84929347584, "l2CacheSize": 52428800, "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024})";

/// Versions before 9.8 want a GPU, and engines that are made from source a driver.
bool cannot_tell(const std::string& why) {
  return why.find("available starting 9.8") != std::string::npos || why.find("PREREQUISITE_MISSING") != std::string::npos;
}

/// cuDNN compiles some engines itself, and says that there are none where it finds no driver. It only looks for it before it compiles, so the
/// stub that CUDA has for linkers will do.
bool driver_or_stub() {
  static const bool there = dlopen("libcuda.so.1", RTLD_NOW) || dlopen(GRADUS_CUDA_STUBS "/libcuda.so", RTLD_NOW);
  return there;
}

/// An array of which only the layout is looked at.
struct Mould {
  Shape shape, stride;
  Array array;
  Mould(const Shape& s, DType t, const Shape& strides) : shape(s), stride(strides) {
    static char memory;
    array = {&memory, t, false, shape.rank, shape.numel(), shape.size, stride.size};
  }
  Mould(const Shape& s, DType t) : Mould(s, t, row_major(s)) {}
  static Shape row_major(Shape s) {
    int64_t step = 1;
    for (int d = s.rank - 1; d >= 0; --d) step *= std::exchange(s[d], step);
    return s;
  }
  Mould(const Mould&) = delete;
};

struct Convolution {
  const char* of;
  Shape x, w;
  Conv2dOptions options{};
  bool bias = false;
};
const Convolution kConvolutions[] = {
    {"the first of a net for MNIST", {64, 1, 28, 28}, {32, 1, 5, 5}, {.padding = 2}, true},
    {"its second", {64, 32, 14, 14}, {64, 32, 5, 5}, {.padding = 2}, true},
    {"the stem of ResNet-18 for CIFAR", {512, 3, 32, 32}, {64, 3, 3, 3}, {.padding = 1}},
    {"its blocks", {512, 64, 32, 32}, {64, 64, 3, 3}, {.padding = 1}},
    {"a step down", {512, 64, 32, 32}, {128, 64, 3, 3}, {.stride = 2, .padding = 1}},
    {"a shortcut", {512, 64, 32, 32}, {128, 64, 1, 1}, {.stride = 2}},
    {"its last blocks", {512, 512, 4, 4}, {512, 512, 3, 3}, {.padding = 1}},
    {"the stem of ResNet-50", {256, 3, 224, 224}, {64, 3, 7, 7}, {.stride = 2, .padding = 3}},
    {"into a bottleneck", {256, 256, 56, 56}, {64, 256, 1, 1}},
    {"out of one", {256, 64, 56, 56}, {256, 64, 1, 1}},
    {"its step", {256, 128, 56, 56}, {128, 128, 3, 3}, {.stride = 2, .padding = 1}},
    {"a shortcut of it", {256, 1024, 14, 14}, {2048, 1024, 1, 1}, {.stride = 2}},
    {"its last", {256, 512, 7, 7}, {512, 512, 3, 3}, {.padding = 1}},
    {"groups", {32, 128, 28, 28}, {128, 32, 3, 3}, {.padding = 1, .groups = 4}, true},
    {"a channel each", {32, 128, 28, 28}, {128, 1, 3, 3}, {.padding = 1, .groups = 128}, true},
    {"dilation", {32, 64, 28, 28}, {64, 64, 3, 3}, {.padding = 2, .dilation = 2}, true},
    {"odd sizes", {4, 5, 17, 16}, {7, 5, 3, 2}, {.stride = {2, 1}, .padding = {1, 0}}, true},
    {"one axis", {32, 16, 1, 90}, {24, 16, 1, 9}, {.padding = {0, 4}}, true},
};

bool task_of(Task& task, Job job, const Convolution& c, DType t) {
  const Conv2dOptions& o = c.options;
  auto out = [&](int d, int64_t padding, int64_t dilation, int64_t stride) {
    return (c.x[d] + 2 * padding - dilation * (c.w[d] - 1) - 1) / stride + 1;
  };
  const Shape shape{c.x[0], c.w[0], out(2, o.padding.height, o.dilation.height, o.stride.height),
                    out(3, o.padding.width, o.dilation.width, o.stride.width)};
  const Mould x(c.x, t), w(c.w, t), y(shape, t), bias({c.w[0]}, t);
  const ConvParams p{
      {o.stride.height, o.stride.width}, {o.padding.height, o.padding.width}, {o.dilation.height, o.dilation.width}, o.groups};
  return convolution_task(task, job, x.array, w.array, y.array, c.bias && job == Job::convolution ? bias.array : Array{}, p);
}

/// Heads cut from the rows of one product, as a transformer has them: q, k and v beside each other in (batch, row, 3 * heads * size).
bool attention_of(Task& task, const Shape& q, int64_t keys, DType t, bool causal, bool gradient) {
  const int64_t batch = q[0], heads = q[1], queries = q[2], size = q[3], wide = heads * size;
  auto cut = [&](int64_t rows, int64_t times) { return Shape{rows * times * wide, size, times * wide, 1}; };
  const Shape k{batch, heads, keys, size};
  const Mould a(q, t, cut(queries, 3)), b(k, t, cut(keys, 3)), y(q, t, cut(queries, 1)), db(k, t, cut(keys, 1));
  if (!attention_task(task, y.array, a.array, b.array, b.array, {}, {.scale = 0.125, .causal = causal})) return false;
  return !gradient || add_gradients(task, y.array, db.array, Array{}, y.array);
}

struct BatchNorm {
  const char* of;
  Shape x;
};
const BatchNorm kBatchNorms[] = {
    {"the stem of ResNet-18 for CIFAR", {512, 64, 32, 32}},
    {"its blocks", {512, 128, 16, 16}},
    {"its next", {512, 256, 8, 8}},
    {"its last", {512, 512, 4, 4}},
    {"the stem of ResNet-50", {256, 64, 112, 112}},
    {"within a bottleneck", {256, 64, 56, 56}},
    {"out of one", {256, 256, 56, 56}},
    {"of the second stage", {256, 128, 28, 28}},
    {"out of it", {256, 512, 28, 28}},
    {"of the third", {256, 256, 14, 14}},
    {"out of that", {256, 1024, 14, 14}},
    {"its last", {256, 2048, 7, 7}},
    {"a small batch of it", {48, 2048, 7, 7}},
    {"rows", {4096, 1024}},
    {"a sequence", {128, 256, 128}},
    {"volumes", {16, 64, 16, 16, 16}},
};
/// (N, C, ...) with channels last.
Shape last(const Shape& s) {
  Shape to = s;
  int64_t step = s[1];
  for (int d = s.rank - 1; d >= 0; --d) {
    if (d == 1) continue;
    to[d] = step, step *= s[d];
  }
  to[1] = 1;
  return to;
}
bool batch_norm_of(Task& task, Job job, const Shape& shape, DType t, bool channels_last = true) {
  Mould x(shape, t, channels_last ? last(shape) : Mould::row_major(shape));
  x.array.contiguous = !channels_last || shape.rank == 2;
  return batch_norm_task(task, job, x.array, 1e-5);
}

}  // namespace

CUDNN_TEST(AnH100HasEnginesForBatchNorms) {
  for (DType t : {DType::float32, DType::float16, DType::bfloat16})
    for (Job job : {Job::batch_norm, Job::batch_norm_gradient})
      for (const BatchNorm& b : kBatchNorms) {
        Task task{};
        ASSERT_TRUE(batch_norm_of(task, job, b.x, t)) << b.of;
        EXPECT_TRUE(task.deterministic);
        for (int sm : {80, 90}) EXPECT_EQ(invalid(task, sm), "") << b.of;
        if (!driver_or_stub()) GTEST_SKIP() << "neither a driver nor its stub";
        const std::string why = unsupported(task, kH100, 90);
        if (cannot_tell(why)) GTEST_SKIP() << why;
        EXPECT_EQ(why, "") << b.of << name(t) << int(job);
      }
}

// Which is why it is not asked: its engines take several channels at a time.
CUDNN_TEST(AnH100HasNoEngineForOddChannels) {
  for (auto [t, channels] : {std::pair{DType::float32, 1}, {DType::float32, 2}, {DType::bfloat16, 4}})
    for (Job job : {Job::batch_norm, Job::batch_norm_gradient}) {
      Task task{};
      EXPECT_FALSE(batch_norm_of(task, job, {512, 64 + channels, 32, 32}, t));
      ASSERT_TRUE(batch_norm_of(task, job, {512, 64, 32, 32}, t));
      for (cuda::dnn::Layout& at : task.operand)
        if (at.present()) at.size[1] += channels, at.stride[3] += channels, at.stride[2] = at.stride[3] * at.size[3];
      for (cuda::dnn::Layout& at : task.operand)
        if (at.present()) at.stride[0] = at.stride[2] * at.size[2];
      if (!driver_or_stub()) GTEST_SKIP() << "neither a driver nor its stub";
      EXPECT_NE(unsupported(task, kH100, 90), "");
    }
}

TEST(Cudnn, ABatchNormsChannelsComeLast) {
  const int64_t n = 512, c = 64, h = 48, w = 32;
  for (Job job : {Job::batch_norm, Job::batch_norm_gradient}) {
    Task task{};
    ASSERT_TRUE(batch_norm_of(task, job, {n, c, h, w}, DType::bfloat16));
    const cuda::dnn::Layout elements{{n, c, h, w}, {h * w * c, 1, w * c, c}}, channels{{1, c, 1, 1}, {c, 1, c, c}};
    for (int k : {cuda::dnn::kInput, cuda::dnn::kNormed}) EXPECT_EQ(task.operand[k], elements);
    for (int k : {cuda::dnn::kScale, cuda::dnn::kMean, cuda::dnn::kRstd}) EXPECT_EQ(task.operand[k], channels);
    const bool forward = job == Job::batch_norm;
    EXPECT_EQ(task.operand[cuda::dnn::kShift].present(), forward);
    EXPECT_EQ(task.operand[cuda::dnn::kInputGradient].present(), !forward);
    EXPECT_EQ(task.operand[cuda::dnn::kScaleGradient].present(), !forward);
    EXPECT_EQ(task.operand[cuda::dnn::kShiftGradient].present(), !forward);
    EXPECT_EQ(task.eps, 1e-5);
    ASSERT_TRUE(batch_norm_of(task, job, {4096, 1024}, DType::float32));  // as each lies
    EXPECT_EQ(task.operand[cuda::dnn::kInput], (cuda::dnn::Layout{{4096, 1024, 1, 1}, {1024, 1, 1024, 1024}}));
    ASSERT_TRUE(batch_norm_of(task, job, {128, 256, 128}, DType::float32));
    EXPECT_EQ(task.operand[cuda::dnn::kInput], (cuda::dnn::Layout{{128, 256, 128, 1}, {256 * 128, 1, 256, 256}}));
  }
}

CUDNN_TEST(AnH100HasEnginesForConvolutions) {
  for (DType t : {DType::float32, DType::float16, DType::bfloat16})
    for (Job job : {Job::convolution, Job::input_gradient, Job::weight_gradient})
      for (const Convolution& c : kConvolutions)
        for (bool exact : {true, false}) {
          Task task{};
          ASSERT_TRUE(task_of(task, job, c, t)) << c.of;
          if (t != DType::float32 && exact) continue;
          task.tensor_cores = !exact;
          std::string why;
          auto plan = make_plan_for(task, kH100, 90, &why);
          if (cannot_tell(why)) GTEST_SKIP() << why;
          EXPECT_TRUE(plan) << c.of << name(t) << int(job) << why;
          EXPECT_LE(plan ? plan->workspace() : 0, size_t(1) << 30) << c.of;
        }
  Task task{};
  ASSERT_TRUE(task_of(task, Job::convolution, kConvolutions[3], DType::bfloat16));
  Task beyond = task, others = task;
  beyond.dilation[0] = 40;                     // reaches out of the image
  others.operand[cuda::dnn::kW].size[1] = 48;  // weights for other channels
  for (const Task& wrong : {beyond, others}) {
    std::string why;
    EXPECT_FALSE(make_plan_for(wrong, kH100, 90, &why));
    EXPECT_NE(why, "");
  }
}

CUDNN_TEST(GraphsOfAttentionAreValid) {
  for (DType t : {DType::float16, DType::bfloat16})
    for (bool gradient : {false, true})
      for (bool causal : {false, true})
        for (auto [q, keys] :
             {std::pair{Shape{32, 12, 1024, 64}, int64_t(1024)}, {{64, 8, 256, 128}, 512}, {{256, 12, 197, 64}, 197}}) {
          Task task{};
          ASSERT_TRUE(attention_of(task, q, keys, t, causal, gradient));
          EXPECT_TRUE(task.deterministic);
          for (bool fixed_order : {true, false})
            for (int sm : {80, 90}) {
              task.deterministic = fixed_order;
              EXPECT_EQ(invalid(task, sm), "");
            }
        }
  Task task{};
  ASSERT_TRUE(attention_of(task, {32, 12, 1024, 64}, 1024, DType::bfloat16, true, false));
  task.operand[cuda::dnn::kK].size[1] = task.operand[cuda::dnn::kV].size[1] = 5;  // heads that twelve cannot share
  EXPECT_NE(invalid(task, 90), "");
}

TEST(Cudnn, OnlyAGradientOfAttentionMayBeAddedUpInAnyOrderAndOnlyWhenAllowed) {
  for (bool gradient : {false, true}) {
    set_deterministic(false);
    Task task{}, fixed{};
    ASSERT_TRUE(attention_of(task, {32, 12, 1024, 64}, 1024, DType::bfloat16, true, gradient));
    set_deterministic(true);
    ASSERT_TRUE(attention_of(fixed, {32, 12, 1024, 64}, 1024, DType::bfloat16, true, gradient));
    EXPECT_EQ(task.deterministic, !gradient);
    EXPECT_TRUE(fixed.deterministic);
    EXPECT_EQ(task == fixed, !gradient) << "plans of their own";
  }
}

TEST(Cudnn, AThreadIsPreparedWhereThereIsNoGpuToo) {
  if (device_count(DeviceType::cuda) > 0) GTEST_SKIP() << "there is one";
  cuda::dnn::prepare_thread(0);
}

CUDNN_TEST(AnH100HasEnginesForAttention) {
  for (DType t : {DType::float16, DType::bfloat16})
    for (bool gradient : {false, true})
      for (bool causal : {false, true})
        for (auto [q, keys] :
             {std::pair{Shape{32, 12, 1024, 64}, int64_t(1024)}, {{64, 8, 256, 128}, 512}, {{256, 12, 197, 64}, 197}}) {
          Task task{};
          ASSERT_TRUE(attention_of(task, q, keys, t, causal, gradient));
          if (!driver_or_stub()) GTEST_SKIP() << "neither a driver nor its stub";
          const std::string why = unsupported(task, kH100, 90);
          if (cannot_tell(why)) GTEST_SKIP() << why;
          EXPECT_EQ(why, "") << name(t) << gradient << causal << q[2];
        }
}

TEST(Cudnn, WhatItIsNotAskedFor) {
  Task task{};
  EXPECT_FALSE(task_of(task, Job::convolution, kConvolutions[0], DType::float64));
  EXPECT_FALSE(task_of(task, Job::convolution, {"no images", {0, 3, 8, 8}, {4, 3, 3, 3}}, DType::float32));
  const Shape q{32, 12, 1024, 64};
  ASSERT_TRUE(attention_of(task, q, 1024, DType::bfloat16, true, true));
  EXPECT_FALSE(attention_of(task, q, 1024, DType::float32, true, false));
  EXPECT_FALSE(attention_of(task, {32, 12, 1024, 60}, 1024, DType::bfloat16, true, false));  // rows do not begin at 16 bytes
  EXPECT_FALSE(attention_of(task, {2, 2, 64, 64}, 64, DType::bfloat16, true, false));        // too little to make a plan for
  EXPECT_FALSE(attention_of(task, {1, 12, 577, 64}, 577, DType::bfloat16, true, false));     // a sequence that grows
  const AttentionParams p;
  const Mould x(q, DType::bfloat16), mask({32, 12, 1024, 1024}, DType::boolean);
  EXPECT_TRUE(attention_task(task, x.array, x.array, x.array, x.array, {}, p));
  EXPECT_FALSE(attention_task(task, x.array, x.array, x.array, x.array, mask.array, p));
  EXPECT_FALSE(attention_task(task, x.array, x.array, x.array, x.array, {}, {.dropout = 0.1}));
  const Mould shared(q, DType::bfloat16, {1024 * 64, 0, 64, 1});  // heads that are one
  EXPECT_FALSE(attention_task(task, x.array, x.array, shared.array, shared.array, {}, p));
  for (Job job : {Job::batch_norm, Job::batch_norm_gradient}) {
    EXPECT_TRUE(batch_norm_of(task, job, {256, 64, 16, 16}, DType::float32));
    EXPECT_FALSE(batch_norm_of(task, job, {255, 64, 16, 16}, DType::float32));         // too little to make a plan for
    EXPECT_FALSE(batch_norm_of(task, job, {256, 64, 16, 16}, DType::float32, false));  // a channel's pixels beside each other
    EXPECT_FALSE(batch_norm_of(task, job, {512, 64, 16, 16}, DType::float64));
    EXPECT_FALSE(batch_norm_of(task, job, {1 << 20, 2048, 1, 1}, DType::float32));  // more than 32 bits count
  }
}

// Outer axes of any number, of which those of size 1 do not count.
TEST(Cudnn, HeadsAreFoundAmongOuterAxes) {
  const AttentionParams p;
  Task task{};
  const Mould flat({384, 1024, 64}, DType::float16), deep({1, 32, 1, 12, 1024, 64}, DType::float16),
      one({65536, 64}, DType::float16), three({4, 8, 12, 1024, 64}, DType::float16);
  ASSERT_TRUE(attention_task(task, flat.array, flat.array, flat.array, flat.array, {}, p));
  EXPECT_EQ(task.operand[cuda::dnn::kQ], (cuda::dnn::Layout{{1, 384, 1024, 64}, {384 * 1024 * 64, 1024 * 64, 64, 1}}));
  ASSERT_TRUE(attention_task(task, deep.array, deep.array, deep.array, deep.array, {}, p));
  EXPECT_EQ(task.operand[cuda::dnn::kQ], (cuda::dnn::Layout{{32, 12, 1024, 64}, {12 * 1024 * 64, 1024 * 64, 64, 1}}));
  EXPECT_EQ(task.operand[cuda::dnn::kLse], (cuda::dnn::Layout{{32, 12, 1024, 1}, {12 * 1024, 1024, 1, 1}}));
  ASSERT_TRUE(attention_task(task, one.array, one.array, one.array, one.array, {}, p));
  EXPECT_EQ(task.operand[cuda::dnn::kQ], (cuda::dnn::Layout{{1, 1, 65536, 64}, {65536 * 64, 65536 * 64, 64, 1}}));
  EXPECT_FALSE(attention_task(task, three.array, three.array, three.array, three.array, {}, p));
}

// Without a GPU there is no plan, and nothing worse.
CUDNN_TEST(NoPlanForAGpuThatIsNotThere) {
  Task task{};
  ASSERT_TRUE(task_of(task, Job::convolution, kConvolutions[3], DType::bfloat16));
  task.device = 63;
  std::string why;
  EXPECT_FALSE(make_plan(task, &why));
  EXPECT_NE(why, "");
}

#else
TEST(Cudnn, IsOut) { GTEST_SKIP() << "built without cuDNN"; }
#endif
