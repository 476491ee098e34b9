#include "gradus/data/loader.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "gradus/core/error.h"
#include "gradus/core/threads.h"
#include "gradus/ops/transfer.h"

namespace gradus::data::detail {

Schedule::Schedule(int64_t samples, const LoaderOptions& options) : options_(options), samples_(samples) {
  auto refuse = [](const std::string& what) { throw ValueError("DataLoader: " + what); };
  if (samples < 0) refuse("the dataset has " + std::to_string(samples) + " samples");
  if (options.batch_size < 1) refuse("batch_size is " + std::to_string(options.batch_size) + "; at least 1 is needed");
  if (options.workers < 0) refuse("workers is " + std::to_string(options.workers) + "; 0 makes batches in the loop's own thread");
  if (options.prefetch < 1) refuse("prefetch is " + std::to_string(options.prefetch) + "; at least 1 is needed");
  if (const auto& to = options.prefetch_to; to && to->type != DeviceType::cpu)
    copies_.emplace(*to);  // throws where there is no such
  if (!options_.seed) options_.seed = Generator::named("data").bits();
  batches_ = samples / options.batch_size;
  if (!options.drop_last && samples % options.batch_size) ++batches_;
}

std::vector<int64_t> Schedule::order(uint64_t epoch) const {
  if (options_.shuffle) {
    Generator g(mix_seed(seed(), epoch, ~uint64_t{0}));  // no sample has that number
    return shuffled(samples_, g);
  }
  std::vector<int64_t> order(static_cast<size_t>(samples_));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

// Workers take the numbers of batches in turn and put what they make into a ring of slots, which the loop empties in order. A worker
// waits where its slot is still full, so never more than `slots` batches wait.
//
// Who makes a batch also begins its way to the device, in a stream that serves copies alone. The loop's stream waits for them there; the
// program does not wait.
struct Pass::State {
  struct Slot {
    bool full = false;
    std::shared_ptr<void> batch;
    std::exception_ptr error;
    Event arrived;  // on the device
  };

  State(std::shared_ptr<const BatchMaker> maker, Schedule& schedule)
      : maker(std::move(maker)),
        seed(schedule.seed()),
        epoch(schedule.next_epoch),
        batch_size(schedule.options().batch_size),
        batches(schedule.batches()),
        order(schedule.order(epoch)),
        copies(schedule.copies()),
        claimed(schedule.next_batch),
        taken(claimed) {
    if (taken < 0 || taken > batches)
      throw ValueError("DataLoader: resume at batch " + std::to_string(taken) + ", but an epoch has " + std::to_string(batches));
    int64_t wanted = schedule.options().workers;
    if (wanted > batches - taken) wanted = batches - taken;
    slots.resize(size_t(wanted) * size_t(schedule.options().prefetch));
    schedule.next_epoch = epoch + 1, schedule.next_batch = 0;
    if (copies || schedule.options().pin_memory) pinned_for = copies ? copies->device() : best_device();
    try {
      for (int64_t i = 0; i < wanted; ++i) workers.emplace_back([this] { work(); });
    } catch (...) {  // the system has no thread left
      stop();
      throw;
    }
  }
  ~State() { stop(); }

  void stop() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void make(int64_t batch, Slot& made) const {
    size_t begin = size_t(batch * batch_size), end = std::min(begin + size_t(batch_size), order.size());
    made.batch = maker->make(std::span(order).subspan(begin, end - begin), seed, epoch);
    if (pinned_for.type == DeviceType::cpu) return;
    NoGrad no_grad;
    for (AnyTensor* x : maker->tensors(made.batch.get())) {
      if (!x->defined() || x->device() != kCPU) continue;
      *x = gradus::pin_memory(*x, pinned_for);
      if (!copies) continue;
      StreamGuard guard(*copies);
      *x = to_async(*x, pinned_for);
    }
    if (copies) made.arrived.record(*copies);
  }

  /// In the loop's thread: what it asks of the device from now on comes after the copies, and their memory is its own until then.
  std::shared_ptr<void> hand_over(Slot& made) const {
    if (copies) {
      const Stream here = Stream::current(pinned_for);
      made.arrived.hold(here);
      for (AnyTensor* x : maker->tensors(made.batch.get()))
        if (x->defined() && x->device() == pinned_for) record_use(*x, here);
    }
    return std::move(made.batch);
  }

  void work() {
    ThreadLimit alone(1);  // workers share the cores among themselves and with the loop
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [&] { return stopping || claimed == batches || claimed < taken + int64_t(slots.size()); });
      if (stopping || claimed == batches) return;
      const int64_t batch = claimed++;
      lock.unlock();
      Slot made;
      try {
        make(batch, made);
      } catch (...) {
        made.error = std::current_exception();
      }
      made.full = true;
      lock.lock();
      slots[size_t(batch) % slots.size()] = std::move(made);
      ready.notify_one();
    }
  }

  std::shared_ptr<void> next() {
    if (taken == batches) return nullptr;
    Slot made;
    if (workers.empty()) {
      const int64_t batch = taken;
      taken = batches;  // if this one throws, there are no more
      make(batch, made);
      taken = batch + 1;
      return hand_over(made);
    }
    {
      std::unique_lock lock(mutex);
      Slot& slot = slots[size_t(taken) % slots.size()];
      ready.wait(lock, [&] { return slot.full; });
      made = std::exchange(slot, Slot{});
      ++taken;
      if (made.error) taken = batches, stopping = true;
    }
    room.notify_all();
    if (made.error) std::rethrow_exception(made.error);
    return hand_over(made);
  }

  const std::shared_ptr<const BatchMaker> maker;
  const uint64_t seed, epoch;
  const int64_t batch_size, batches;
  const std::vector<int64_t> order;
  const std::optional<Stream> copies;  // where batches go to a device
  Device pinned_for;                   // the CPU: nothing is pinned

  std::mutex mutex;
  std::condition_variable room, ready;
  std::vector<Slot> slots;
  int64_t claimed, taken;  // batches that a worker has begun; that the loop has
  bool stopping = false;
  std::vector<std::thread> workers;
};

Pass::Pass(std::shared_ptr<const BatchMaker> maker, Schedule& schedule)
    : state_(std::make_unique<State>(std::move(maker), schedule)) {}
Pass::~Pass() = default;
Pass::Pass(Pass&&) noexcept = default;
std::shared_ptr<void> Pass::next() { return state_->next(); }

}  // namespace gradus::data::detail
