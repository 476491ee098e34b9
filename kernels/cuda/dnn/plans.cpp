#include "kernels/cuda/dnn/plans.h"

#include <atomic>
#include <bit>
#include <cstdio>
#include <mutex>
#include <unordered_map>

#include "gradus/core/tuning.h"

namespace gradus::cuda::dnn {
namespace {

constexpr size_t kMostPlans = 1024;

/// FNV-1a over words.
struct Hash {
  size_t operator()(const Task& task) const {
    struct Words {
      uint64_t word[sizeof(Task) / 8];
    };
    uint64_t hash = 0xcbf29ce484222325;
    for (uint64_t word : std::bit_cast<Words>(task).word) hash = (hash ^ word) * 0x100000001b3;
    return size_t(hash ^ hash >> 32);
  }
};

/// Says on stderr, once, why not.
bool is_there() {
  static const bool there = [] {
    if (why_absent().empty()) return true;
    std::fprintf(stderr, "gradus: %s: convolutions, attention and batch norms on a GPU are this library's own kernels\n",
                 why_absent().c_str());
    return false;
  }();
  return there;
}
/// The first time: a driver that is too old refuses everything, and that should not go unnoticed.
void say_refused(const std::string& why) {
  static std::once_flag said;
  std::call_once(said, [&] {
    std::fprintf(stderr, "gradus: %s: this library's own kernel takes that call, as it will others\n",
                 why.substr(0, why.find('\n')).c_str());
  });
}

/// Whether what goes to this stream now is recorded, not done. Also yes where that cannot be found out: then nothing may be waited for.
bool is_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &status) == cudaSuccess) return status != cudaStreamCaptureStatusNone;
  cudaGetLastError();
  return true;
}

}  // namespace

struct Run::Entry {
  std::once_flag made;
  std::atomic<bool> is_made = false;
  std::unique_ptr<Plan> plan;          // null: cuDNN has none
  std::atomic<bool> recorded = false;  // a graph of CUDA's runs its kernels and may do so for ever
  uint64_t last_use = 0;
};

/// The most recent plans. One that goes is not in use, and the device has finished it.
class Run::Cache {
 public:
  std::shared_ptr<Entry> find(const Task& task, bool may_add) {
    std::lock_guard lock(mutex_);
    if (auto at = entries_.find(task); at != entries_.end()) {
      at->second->last_use = ++now_;
      return at->second;
    }
    if (!may_add) return nullptr;
    if (entries_.size() >= kMostPlans && !drop_oldest()) return nullptr;
    auto entry = std::make_shared<Entry>();
    entry->last_use = ++now_;
    entries_.emplace(task, entry);
    return entry;
  }

 private:
  bool drop_oldest() {
    auto oldest = entries_.end();
    for (auto at = entries_.begin(); at != entries_.end(); ++at)
      if (at->second.use_count() == 1 && !at->second->recorded &&
          (oldest == entries_.end() || at->second->last_use < oldest->second->last_use))
        oldest = at;
    if (oldest == entries_.end()) return false;
    if (oldest->second->is_made && oldest->second->plan) accelerator().synchronize(int(oldest->first.device));
    entries_.erase(oldest);
    return true;
  }

  std::mutex mutex_;
  std::unordered_map<Task, std::shared_ptr<Entry>, Hash> entries_;
  uint64_t now_ = 0;
};

Run::Cache& Run::cache() {
  static auto* cache = new Cache;  // never destroyed: at the end of a program the driver may be gone first
  return *cache;
}

Run::Run(Task task) {
  if (!is_there()) return;
  task.device = selected_device();
  const bool captured = is_captured(stream());
  task.tuned = kernel_tuning();
  entry_ = cache().find(task, !captured);
  if (captured && task.tuned && (!entry_ || !entry_->is_made)) task.tuned = false, entry_ = cache().find(task, false);
  if (!entry_) return;
  if (captured && !entry_->is_made) return;
  std::call_once(entry_->made, [&] {
    std::string why;
    entry_->plan = make_plan(task, &why);
    if (!entry_->plan) say_refused(why);
    cudaGetLastError();  // also of a plan that was made: engines that were looked at before may have left an error, of which no kernel is guilty
    entry_->is_made = true;
  });
  const Plan* plan = entry_->plan.get();
  if (!plan || (captured && !plan->ready())) return;
  if (captured) entry_->recorded = true;
  if (plan->workspace() > 0) workspace_.emplace(plan->workspace());
  plan_ = plan;
}
Run::~Run() = default;

bool Run::operator()(void* const* data) const {
  const bool done = plan_->run(data, workspace_ ? workspace_->as<void>() : nullptr, stream());
  if (!done) cudaGetLastError();  // the kernel that takes the call instead is not to be blamed for it
  return done;
}

}  // namespace gradus::cuda::dnn
