// Timing and printing for all benchmarks: medians of repeated runs, one JSON line a figure.
#pragma once
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace bench {

inline double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

inline double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
  return v[v.size() / 2];
}

/// Seconds per call of f: the median over samples that are each long enough for the clock.
template <class F> double seconds(F f, double budget = 0.4) {
  for (int i = 0; i < 3; ++i) f();
  double start = now();
  f();
  int inner = std::max(1, int(2e-4 / (now() - start)));
  std::vector<double> times;
  for (double end = now() + budget; now() < end || times.size() < 5;) {
    start = now();
    for (int i = 0; i < inner; ++i) f();
    times.push_back((now() - start) / inner);
  }
  return median(times);
}

/// The most memory that this process ever held, in MB.
inline double peak_memory() {
  rusage r;
  getrusage(RUSAGE_SELF, &r);
  return double(r.ru_maxrss) / 1024;
}

inline void print(const char* name, double value, const char* unit) {
  std::printf("{\"case\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
  std::fflush(stdout);
}

/// Times single steps, after a warm-up, for at least half a dozen seconds and fifteen steps; prints the median and the peak memory.
template <class Step> void train(const char* name, Step step) {
  double start = now();
  step();
  for (int i = 0; i < 50 && now() - start < 2; ++i) step();
  std::vector<double> times;
  for (double end = now() + 5; now() < end || times.size() < 15;) {
    start = now();
    step();
    times.push_back(now() - start);
  }
  print(name, median(times) * 1e3, "ms");
  std::printf("{\"case\": \"%s_memory\", \"value\": %.1f, \"unit\": \"MB\"}\n", name, peak_memory());
  std::fflush(stdout);
}

}  // namespace bench
