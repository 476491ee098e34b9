#include "kernels/caching_allocator.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "gradus/core/error.h"

namespace gradus {

using Block = CachingAllocator::Block;

namespace {
size_t multiple(size_t bytes, size_t of) { return (std::max<size_t>(bytes, 1) + of - 1) / of * of; }
}  // namespace

Block*& CachingAllocator::bin(size_t bytes, void* stream) {
  size_t h = bytes / kQuantum * 0x9E3779B1u ^ reinterpret_cast<uintptr_t>(stream) >> 4;
  return bins_[(h ^ h >> 8) % kBins];
}

Block* CachingAllocator::allocate(size_t request, void* stream) {
  const size_t bytes = multiple(request, kQuantum);
  std::lock_guard lock(mutex_);
  ++stats_.allocations;
  const bool alone = layout_ != BlockLayout::shared && !kept_.count(stream);  // what a recorded step uses stays where it is
  Block* block = alone ? allocate_alone(request, stream) : from_bin(bytes, stream);
  if (!block) block = search(request, bytes, stream);
  block->state = Block::used;
  stats_.in_use += block->bytes;
  stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  return block;
}

Block* CachingAllocator::from_bin(size_t bytes, void* stream) {
  Block*& top = bin(bytes, stream);
  Block* block = top;
  if (!block || block->bytes != bytes || block->stream != stream) return nullptr;
  top = block->below;
  return block;
}

/// Blocks that another stream has used are found here, once it is done: those that a loader has filled for a training loop, say. So only
/// what belongs to this stream is looked at, and bins of others stay as they are.
Block* CachingAllocator::search(size_t request, size_t bytes, void* stream) {
  ++searches_;
  if (!waiting_.empty()) {
    look_at_events(stream);
    if (Block* block = from_bin(bytes, stream)) return block;
  }
  Block* block = any_free(bytes, stream);
  return cut(block ? block : from_source(request, bytes, stream), bytes);
}

/// Also of what has not been joined yet.
Block* CachingAllocator::any_free(size_t bytes, void* stream) {
  if (Block* block = best_fit(bytes, stream)) return block;
  for (Block*& top : bins_)
    if (top && top->stream == stream) empty_bin(top);
  return best_fit(bytes, stream);
}

/// Takes it out of the free ones.
Block* CachingAllocator::best_fit(size_t bytes, void* stream) {
  Block wanted{.data = nullptr, .bytes = bytes, .stream = stream};
  wanted.small = bytes <= kSmall;
  auto it = free_.lower_bound(&wanted);
  if (it == free_.end() || (*it)->small != wanted.small || (*it)->stream != stream) return nullptr;
  Block* block = *it;
  free_.erase(it);
  return block;
}

void CachingAllocator::refuse(size_t request, const std::string& why) {
  throw OutOfMemory("out of memory on " + name_ + ": asked for " + std::to_string(request) + " bytes, " +
                    std::to_string(stats_.in_use) + " are in use and " + std::to_string(held_ - stats_.in_use) + " cached; " +
                    (frozen_ ? "none of that is given back while a step is recorded; " : "") + why +
                    "; free tensors, or run in smaller batches");
}

Block* CachingAllocator::from_source(size_t request, size_t bytes, void* stream) {
  const bool small = bytes <= kSmall;
  size_t whole = small ? kSegment : bytes < kLargeSegment / 2 ? kLargeSegment : multiple(bytes, kSegment);
  auto fits = [&](size_t n) { return !limit_ || held_ + n <= limit_; };
  void* data = fits(whole) ? source_.allocate(whole) : nullptr;
  if (!data && whole > bytes && !small) {  // without the reserve for others
    whole = bytes;
    data = fits(whole) ? source_.allocate(whole) : nullptr;
  }
  if (!data) {
    wait_for_events();
    if (Block* block = any_free(bytes, stream)) return block;
    trim();
    if (!fits(whole)) refuse(request, "the limit set is " + std::to_string(limit_) + " bytes");
    data = source_.allocate(whole);
  }
  if (!data) refuse(request, source_.state());
  held_ += whole;
  ++stats_.system_requests;
  auto* block = new Block{.data = static_cast<char*>(data), .bytes = whole, .stream = stream};
  block->small = small;
  return block;
}

/// The first `bytes` of a block that nobody knows of; what is left over is free, where that is worth it.
Block* CachingAllocator::cut(Block* block, size_t bytes) {
  size_t left = block->bytes - bytes;
  if (left < (block->small ? kQuantum : kSmall)) return block;
  auto* rest = new Block{.data = block->data + bytes, .bytes = left, .stream = block->stream};
  rest->small = block->small;
  rest->previous = block, rest->next = block->next;
  if (rest->next) rest->next->previous = rest;
  block->next = rest, block->bytes = bytes;
  rest->state = Block::free;
  free_.insert(rest);
  return block;
}

void CachingAllocator::free(Block* block) noexcept {
  if (block->alone) return free_alone(block);
  std::lock_guard lock(mutex_);
  stats_.in_use -= block->bytes;
  for (void* stream : block->users)
    if (void* event = source_.record(stream)) waiting_.push_back({event, block}), ++block->events;
  block->users.clear();
  if (block->events)
    block->state = Block::waiting;
  else
    give_back(block);
}

namespace {
constexpr unsigned char kGuardValue = 0xA5;
}  // namespace

BlockLayout block_layout_of_environment() {
  const char* const asked = std::getenv("GRADUS_DEVICE_MEMORY");
  if (!asked) return BlockLayout::shared;
  return std::strcmp(asked, "alone") == 0     ? BlockLayout::alone
         : std::strcmp(asked, "guarded") == 0 ? BlockLayout::guarded
                                              : BlockLayout::shared;
}

Block* CachingAllocator::allocate_alone(size_t request, void* stream) {
  const size_t bytes = multiple(request, kQuantum), guard = layout_ == BlockLayout::guarded ? kGuard : 0;
  if (limit_ && held_ + bytes > limit_) refuse(request, "the limit set is " + std::to_string(limit_) + " bytes");
  auto* data = static_cast<char*>(source_.allocate(std::max<size_t>(request, 1) + 2 * guard));
  if (!data) {
    wait_for_events(), trim();
    data = static_cast<char*>(source_.allocate(std::max<size_t>(request, 1) + 2 * guard));
  }
  if (!data) refuse(request, source_.state());
  if (guard) source_.fill(data, kGuardValue, guard, stream), source_.fill(data + guard + request, kGuardValue, guard, stream);
  held_ += bytes, ++stats_.system_requests;
  return new Block{.data = data + guard, .bytes = bytes, .stream = stream, .alone = true, .request = request};
}

/// The device waits for the tasks that use it. Other threads may take memory meanwhile.
void CachingAllocator::free_alone(Block* block) noexcept {
  const bool guarded = layout_ == BlockLayout::guarded;
  if (guarded) check_guards(block);
  std::lock_guard lock(mutex_);
  stats_.in_use -= block->bytes;
  frozen_ ? late_.push_back(block) : give_back_alone(block);
}
void CachingAllocator::give_back_alone(Block* block) {
  source_.free(block->data - (layout_ == BlockLayout::guarded ? kGuard : 0));
  held_ -= block->bytes;
  delete block;
}

void CachingAllocator::check_guards(const Block* block) noexcept {
  unsigned char around[2 * kGuard];
  for (void* stream : block->users)
    if (void* event = source_.record(stream)) source_.wait(event), source_.release(event);
  source_.read(around, block->data - kGuard, kGuard, block->stream);
  source_.read(around + kGuard, block->data + block->request, kGuard, block->stream);
  const unsigned char* const end = around + sizeof around;
  const auto* const changed = std::find_if<const unsigned char*>(around, end, [](unsigned char c) { return c != kGuardValue; });
  if (changed == end) return;
  const bool before = changed < around + kGuard;
  std::fprintf(stderr, "gradus: memory of %s: something wrote %zu bytes %s a block of %zu bytes\n", name_.c_str(),
               before ? size_t(around + kGuard - changed) : size_t(changed - around) - kGuard + 1, before ? "before" : "behind",
               block->request);
  std::abort();
}

void CachingAllocator::used_on(Block* block, void* stream) {
  std::lock_guard lock(mutex_);
  if (stream == block->stream || std::find(block->users.begin(), block->users.end(), stream) != block->users.end()) return;
  block->users.push_back(stream);
}

void CachingAllocator::give_back(Block* block) {
  Block*& top = bin(block->bytes, block->stream);
  if (top && (top->bytes != block->bytes || top->stream != block->stream)) return join(block);  // the bin has another size
  block->state = Block::quick, block->below = top, top = block;
}

/// Makes it free, as one with the free neighbours.
void CachingAllocator::join(Block* block) {
  auto swallow = [&](Block* first, Block* second) {  // the second goes away
    first->bytes += second->bytes, first->next = second->next;
    if (first->next) first->next->previous = first;
    delete second;
    return first;
  };
  if (Block* after = block->next; after && after->state == Block::free) free_.erase(after), swallow(block, after);
  if (Block* before = block->previous; before && before->state == Block::free) free_.erase(before), block = swallow(before, block);
  block->state = Block::free;
  free_.insert(block);
}

/// All of a bin are of one size and one stream.
void CachingAllocator::empty_bin(Block*& top) {
  while (Block* block = top) top = block->below, join(block);
}

/// Those of the stream's blocks.
void CachingAllocator::look_at_events(void* stream) {
  std::erase_if(waiting_, [&](const Waiting& w) {
    if (w.block->stream != stream || !source_.is_done(w.event)) return false;
    pass(w);
    return true;
  });
}
void CachingAllocator::wait_for_events() {
  for (const Waiting& w : waiting_) source_.wait(w.event), pass(w);
  waiting_.clear();
}
void CachingAllocator::pass(const Waiting& w) {
  source_.release(w.event);
  if (--w.block->events == 0) give_back(w.block);
}

/// Gives back the segments of which nothing is in use.
void CachingAllocator::trim() {
  if (frozen_) return;
  for (Block*& top : bins_) empty_bin(top);
  std::erase_if(free_, [&](Block* block) {
    if (block->previous || block->next || kept_.count(block->stream)) return false;
    source_.free(block->data);
    held_ -= block->bytes;
    delete block;
    return true;
  });
}

void CachingAllocator::empty_cache() noexcept {
  std::lock_guard lock(mutex_);
  wait_for_events();
  trim();
}
void CachingAllocator::keep(void* stream, bool kept) {
  std::lock_guard lock(mutex_);
  kept ? void(kept_.insert(stream)) : void(kept_.erase(stream));
}
void CachingAllocator::freeze(bool on) {
  std::lock_guard lock(mutex_);
  frozen_ += on ? 1 : -1;
  if (frozen_) return;
  for (Block* block : late_) give_back_alone(block);
  late_.clear();
}
size_t CachingAllocator::searches() {
  std::lock_guard lock(mutex_);
  return searches_;
}
MemoryStats CachingAllocator::stats() {
  std::lock_guard lock(mutex_);
  MemoryStats s = stats_;
  s.cached = held_ - s.in_use;
  return s;
}
void CachingAllocator::reset_peak() {
  std::lock_guard lock(mutex_);
  stats_.peak_in_use = stats_.in_use;
}
void CachingAllocator::set_limit(size_t bytes) {
  std::lock_guard lock(mutex_);
  limit_ = bytes;
}

}  // namespace gradus
