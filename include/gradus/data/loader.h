// DataLoader: a dataset as batches, made ahead by worker threads.
#pragma once
#include <memory>
#include <optional>

#include "gradus/autograd/mode.h"
#include "gradus/core/stream.h"
#include "gradus/data/collate.h"
#include "gradus/data/dataset.h"
#include "gradus/data/order.h"

namespace gradus::data {

struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;                    // another order in every epoch
  int workers = 0;                         // threads that make batches ahead; 0: each is made when it is asked for
  int prefetch = 2;                        // batches that each worker may be ahead
  bool drop_last = false;                  // leave out a last batch that is smaller
  bool pin_memory = false;                 // batches lie in memory that a GPU reads while the program goes on (to_async)
  std::optional<Device> prefetch_to = {};  // batches are on this device when the loop gets them; copying overlaps with its work
  std::optional<uint64_t> seed =
      {};  // of order and augmentations; else drawn from the generator named "data" when the loader is made
};

namespace detail {

/// How a batch is made, without its type.
struct BatchMaker {
  virtual ~BatchMaker() = default;
  virtual std::shared_ptr<void> make(std::span<const int64_t> indices, uint64_t seed, uint64_t epoch) const = 0;
  /// The tensors of a batch, wherever they stand in it.
  virtual std::vector<AnyTensor*> tensors(void* batch) const = 0;
};

/// Which batches there are: what a loader knows apart from the type of its dataset.
class Schedule {
 public:
  Schedule(int64_t samples, const LoaderOptions& options);
  int64_t batches() const { return batches_; }
  const LoaderOptions& options() const { return options_; }
  uint64_t seed() const { return *options_.seed; }
  std::vector<int64_t> order(uint64_t epoch) const;

  uint64_t next_epoch = 0;
  int64_t next_batch = 0;  // where the next pass begins
  /// The stream in which all passes copy batches to a device, where they do: memory is kept stream by stream.
  const std::optional<Stream>& copies() const { return copies_; }

 private:
  LoaderOptions options_;
  std::optional<Stream> copies_;
  int64_t samples_, batches_;
};

/// One pass over the data. Owns its workers; its end, however it comes, stops and joins them.
class Pass {
 public:
  Pass(std::shared_ptr<const BatchMaker> maker, Schedule& schedule);
  ~Pass();
  Pass(Pass&&) noexcept;
  /// The next batch in order, null after the last. Throws what a worker threw when it made that batch; there are no more then.
  std::shared_ptr<void> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class D, class C>
auto make_batch(const D& dataset, const C& collate, std::span<const int64_t> indices, uint64_t seed, uint64_t epoch) {
  NoGrad no_grad;
  if constexpr (BatchDataset<D> && std::is_same_v<C, Collate>) {
    return dataset.get_batch(indices);
  } else {
    std::vector<sample_t<D>> samples;
    samples.reserve(indices.size());
    for (int64_t i : indices) {
      if constexpr (RandomDataset<D>) {
        Generator g(mix_seed(seed, epoch, uint64_t(i)));
        samples.push_back(dataset.get(i, g));
      } else {
        samples.push_back(dataset.get(i));
      }
    }
    return collate(std::move(samples));
  }
}

template <class B> void collect_tensors(B& batch, std::vector<AnyTensor*>& list) {
  if constexpr (is_tensor<B>)
    list.push_back(&batch);
  else if constexpr (TupleLike<B>)
    std::apply([&](auto&... members) { (collect_tensors(members, list), ...); }, batch);
  else if constexpr (
      requires { batch.begin()->begin(); } || requires { requires is_tensor<typename B::value_type>; } ||
      requires { requires TupleLike<typename B::value_type>; })
    for (auto& element : batch) collect_tensors(element, list);
}

template <Dataset D, class C> struct MakerOf final : BatchMaker {
  MakerOf(D&& d, C&& c) : dataset(std::move(d)), collate(std::move(c)) {}
  D dataset;
  C collate;

  using Batch = decltype(make_batch(std::declval<const D&>(), std::declval<const C&>(), {}, 0, 0));
  std::shared_ptr<void> make(std::span<const int64_t> indices, uint64_t seed, uint64_t epoch) const override {
    return std::make_shared<Batch>(make_batch(dataset, collate, indices, seed, epoch));
  }
  std::vector<AnyTensor*> tensors(void* batch) const override {
    std::vector<AnyTensor*> list;
    collect_tensors(*static_cast<Batch*>(batch), list);
    return list;
  }
};

}  // namespace detail

/// Batches of a dataset, for a range-based for:
///   data::DataLoader train(dataset, {.batch_size = 64, .shuffle = true, .workers = 2});
///   for (auto [x, y] : train) ...
/// Each loop is one epoch. Order, samples and batches depend on the seed and the epoch's number alone, not on the number of
/// workers. What the dataset throws reaches the loop. A loop may be left early; its workers then stop. Several loops over one
/// loader may run at once, but only one thread may begin them. The default collate stacks samples; another one is a function of
/// std::vector<sample>. With pin_memory or prefetch_to, the tensors in a batch that is a tensor, pair, tuple or vector of such are
/// moved there; on the CPU nothing changes. Throws ValueError for options that make no sense, DeviceError for a device that is not there.
template <Dataset D, class C = Collate> class DataLoader {
  using Maker = detail::MakerOf<D, C>;

 public:
  using Batch = typename Maker::Batch;

  explicit DataLoader(D dataset, const LoaderOptions& options = {}, C collate = {})
      : schedule_(dataset.size(), options), maker_(std::make_shared<const Maker>(std::move(dataset), std::move(collate))) {}

  /// How many batches an epoch has.
  int64_t size() const { return schedule_.batches(); }
  int64_t batch_size() const { return schedule_.options().batch_size; }
  const D& dataset() const { return maker_->dataset; }
  uint64_t seed() const { return schedule_.seed(); }
  /// The number of the next epoch, from 0.
  uint64_t epoch() const { return schedule_.next_epoch; }
  /// The next loop is that epoch, from that batch on: how a run that stopped goes on.
  void resume(uint64_t epoch, int64_t batch = 0) { schedule_.next_epoch = epoch, schedule_.next_batch = batch; }

  struct End {};
  class Iterator {
   public:
    explicit Iterator(detail::Pass pass) : pass_(std::move(pass)) { ++*this; }
    Batch& operator*() const { return *static_cast<Batch*>(batch_.get()); }
    Iterator& operator++() {
      batch_.reset();  // its memory serves the next one
      batch_ = pass_.next();
      return *this;
    }
    bool operator==(End) const { return !batch_; }

   private:
    detail::Pass pass_;
    std::shared_ptr<void> batch_;
  };
  Iterator begin() { return Iterator(detail::Pass(maker_, schedule_)); }
  End end() const { return {}; }

 private:
  detail::Schedule schedule_;
  std::shared_ptr<const Maker> maker_;
};

}  // namespace gradus::data
