#include "gradus/core/random.h"

#include <map>
#include <mutex>

#include "kernels/philox.h"
#include "src/core/message.h"

namespace gradus {

struct Generator::Shared {
  std::mutex mutex;
  GeneratorState state;
};

namespace {

std::mutex registry_mutex;
uint64_t global_seed = 0;
std::map<std::string, Generator>& registry() {
  static auto* all = new std::map<std::string, Generator>;
  return *all;
}
/// FNV-1a of the name, mixed with the seed: streams of different names do not meet.
uint64_t seed_of(const std::string& name) {
  uint64_t h = 14695981039346656037u ^ global_seed * 0x9E3779B97F4A7C15u;
  for (unsigned char c : name) h = (h ^ c) * 1099511628211u;
  return h;
}

}  // namespace

Generator::Generator(uint64_t seed) : shared_(std::make_shared<Shared>()) { shared_->state.seed = seed; }

Generator Generator::named(const std::string& name) {
  std::lock_guard lock(registry_mutex);
  auto [it, fresh] = registry().try_emplace(name);
  if (fresh) it->second.set_seed(seed_of(name));
  return it->second;
}

void Generator::set_seed(uint64_t seed) { set_state({seed, 0}); }
GeneratorState Generator::state() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->state;
}
void Generator::set_state(const GeneratorState& state) {
  std::lock_guard lock(shared_->mutex);
  shared_->state = state;
}
GeneratorState Generator::take(uint64_t blocks) {
  std::lock_guard lock(shared_->mutex);
  GeneratorState at = shared_->state;
  shared_->state.offset += blocks;
  return at;
}

uint64_t Generator::bits() {
  GeneratorState at = take(1);
  Philox four = Philox::at(at.seed, at.offset);
  return uint64_t(four.word[0]) << 32 | four.word[1];
}
double Generator::uniform() {
  uint64_t b = bits();
  return uniform_double(uint32_t(b >> 32), uint32_t(b));
}
int64_t Generator::below(int64_t n) {
  if (n < 1) fail<ValueError>("Generator::below: ", n, "; there is no number in [0, ", n, ")");
  return int64_t((unsigned __int128)bits() * uint64_t(n) >> 64);  // no number is likelier by more than n / 2^64
}

Generator& default_generator() {
  static auto* generator = new Generator(0);
  return *generator;
}

void manual_seed(uint64_t seed) {
  default_generator().set_seed(seed);
  std::lock_guard lock(registry_mutex);
  global_seed = seed;
  for (auto& [name, generator] : registry()) generator.set_seed(seed_of(name));
}

}  // namespace gradus
