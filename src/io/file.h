// Files by descriptor: whole reads, and writes that either take place or leave no trace.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace gradus::io {

/// A file that is read at given places. Throws IoError with the path and the system's reason.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  uint64_t size() const { return size_; }
  void read(void* to, size_t bytes, uint64_t at) const;

 private:
  std::string path_;
  int fd_;
  uint64_t size_ = 0;
};

/// Writes to a temporary name beside `path`; commit() syncs and renames. Destroyed without commit(), it removes what it wrote.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  void write(const void* from, size_t bytes);
  void commit();
  /// Where the bytes are until then.
  const std::string& temporary() const { return temporary_; }

 private:
  [[noreturn]] void refuse(const char* doing, int error);
  std::string path_, temporary_;
  int fd_;
};

}  // namespace gradus::io
