// A kernel's threads, each with a stack of its own, taking turns on one thread of the CPU.
#include <sys/mman.h>
#include <ucontext.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

namespace emulator {

uint3 thread, block;
dim3 threads_of_block, blocks_of_grid;

namespace {

constexpr size_t kStack = 256 << 10;
constexpr unsigned kWarp = 32;

/// Runs what it is given, again and again; between two barriers it is the only one that runs.
struct Fiber {
  jmp_buf at;
  ucontext_t start;
  bool started = false;
  Fiber() {
    void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    getcontext(&start);
    start.uc_stack.ss_sp = stack, start.uc_stack.ss_size = kStack, start.uc_link = nullptr;
  }
};

enum class State { ready, at_block, at_warp, done };
struct Thread {
  State state;
  Fiber* fiber;        // null before it has begun
  unsigned exchanges;  // of its warp, so far
};

/// The block that runs.
struct Block {
  const char* kernel;
  const std::function<void()>* body;
  std::vector<Thread> threads;
  std::vector<Slot> slots;  // two sets a warp: a lane that has met the others may go on while they still read
  jmp_buf scheduler;
  unsigned running;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
} now;

const bool reversed = [] {
  const char* order = std::getenv("GRADUS_EMULATOR_ORDER");
  return order && std::string_view(order) == "reversed";
}();

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulator: %s, block %u %u %u, thread %u: %s\n", now.kernel, block.x, block.y, block.z, thread.x, what);
  std::abort();
}

void back_to_scheduler() { _longjmp(now.scheduler, 1); }

void run_fiber() {
  for (;;) {
    (*now.body)();
    Thread& t = now.threads[now.running];
    t.state = State::done;
    now.idle.push_back(t.fiber);
    if (!_setjmp(t.fiber->at)) back_to_scheduler();
  }
}

/// Lets a thread run until it waits or ends.
void resume(unsigned i) {
  Thread& t = now.threads[i];
  if (!t.fiber) {
    if (now.idle.empty()) {
      now.fibers.push_back(std::make_unique<Fiber>());
      now.idle.push_back(now.fibers.back().get());
    }
    t.fiber = now.idle.back();
    now.idle.pop_back();
  }
  now.running = i;
  thread = {i % threads_of_block.x, i / threads_of_block.x % threads_of_block.y, i / threads_of_block.x / threads_of_block.y};
  if (_setjmp(now.scheduler)) return;
  if (t.fiber->started) _longjmp(t.fiber->at, 1);
  t.fiber->started = true;
  makecontext(&t.fiber->start, run_fiber, 0);
  setcontext(&t.fiber->start);
}

void wait(State state) {
  Thread& t = now.threads[now.running];
  t.state = state;
  if (!_setjmp(t.fiber->at)) back_to_scheduler();
}

/// Runs a warp until its threads have ended or wait for the block.
void run_warp(unsigned first, unsigned count) {
  for (;;) {
    for (unsigned i = 0; i < count; ++i) {
      const unsigned at = first + (reversed ? count - 1 - i : i);
      if (now.threads[at].state == State::ready) resume(at);
    }
    unsigned waiting = 0;
    for (unsigned i = first; i < first + count; ++i) waiting += now.threads[i].state == State::at_warp;
    if (waiting == 0) return;
    if (waiting < count) fail("not all lanes of its warp come to where some exchange values");
    for (unsigned i = first; i < first + count; ++i) now.threads[i].state = State::ready;
  }
}

void run_block() {
  const unsigned count = unsigned(now.threads.size());
  for (Thread& t : now.threads) t = {State::ready, nullptr, 0};
  const unsigned warps = (count + kWarp - 1) / kWarp;
  for (;;) {
    for (unsigned w = 0; w < warps; ++w) {
      const unsigned first = (reversed ? warps - 1 - w : w) * kWarp;
      run_warp(first, std::min(kWarp, count - first));
    }
    bool done = true;
    for (Thread& t : now.threads)
      if (t.state == State::at_block) t.state = State::ready, done = false;
    if (done) return;
  }
}

void run_grid(const char* name, dim3 blocks, dim3 threads, const std::function<void()>& body) {
  const unsigned count = threads.x * threads.y * threads.z;
  now.kernel = name, now.body = &body;
  now.threads.resize(count), now.slots.resize((count + kWarp - 1) / kWarp * 2 * kWarp);
  threads_of_block = threads, blocks_of_grid = blocks;
  const uint64_t all = uint64_t(blocks.x) * blocks.y * blocks.z;
  for (uint64_t i = 0; i < all; ++i) {
    const uint64_t at = reversed ? all - 1 - i : i;
    block = {unsigned(at % blocks.x), unsigned(at / blocks.x % blocks.y), unsigned(at / blocks.x / blocks.y)};
    run_block();
  }
}

}  // namespace

void meet_block() { wait(State::at_block); }
void meet_warp(unsigned mask) {
  if (mask != 0xffffffffu) fail("only whole warps exchange values here");
  wait(State::at_warp);
}
Slot* slots_of_warp() {
  const unsigned set = now.threads[now.running].exchanges++ % 2;
  return now.slots.data() + (now.running / kWarp * 2 + set) * kWarp;
}

void launch_kernel(const char* name, const Grid& grid, std::function<void()> body) {
  const dim3 b = grid.blocks, t = grid.threads;
  const bool fits = b.x - 1 < 0x7fffffffu && b.y - 1 < 65535 && b.z - 1 < 65535 && t.x - 1 < 1024 && t.y - 1 < 1024 &&
                    t.z - 1 < 64 && t.x * t.y * t.z <= 1024;
  if (!fits) return set_error(cudaErrorInvalidConfiguration);
  enqueue(grid.stream, [name, b, t, body = std::move(body)] { run_grid(name, b, t, body); });
}

}  // namespace emulator
