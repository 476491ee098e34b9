// Owning pointer to an object that counts its owners.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace gradus {

/// Owns an object with `std::atomic<uint32_t> refs` and a static `destroy`. The last owner frees without an atomic write.
template <class T> class Ref {
 public:
  Ref() = default;
  explicit Ref(T* owned) : p_(owned) {}
  Ref(const Ref& o) : p_(o.p_) {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  Ref& operator=(const Ref& o) noexcept {
    Ref copy(o);
    std::swap(p_, copy.p_);
    return *this;
  }
  Ref& operator=(Ref&& o) noexcept {
    std::swap(p_, o.p_);
    o.reset();
    return *this;
  }
  ~Ref() { release(); }
  static Ref share(T* p) {
    if (p) p->refs.fetch_add(1, std::memory_order_relaxed);
    return Ref(p);
  }
  void reset() {
    release();
    p_ = nullptr;
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_; }
  bool unique() const { return p_->refs.load(std::memory_order_acquire) == 1; }

 private:
  void release() {
    if (p_ && (p_->refs.load(std::memory_order_acquire) == 1 || p_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1))
      T::destroy(p_);
  }
  T* p_ = nullptr;
};

}  // namespace gradus
