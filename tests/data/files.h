// Small files for tests of readers: IDX content, gzip, folders that go away.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace gradus::testing {

using Bytes = std::vector<uint8_t>;

/// The header of an IDX file and what follows it.
inline Bytes idx(uint8_t type, const std::vector<uint32_t>& sizes, const Bytes& elements) {
  Bytes file = {0, 0, type, uint8_t(sizes.size())};
  for (uint32_t n : sizes)
    for (int shift : {24, 16, 8, 0}) file.push_back(uint8_t(n >> shift));
  file.insert(file.end(), elements.begin(), elements.end());
  return file;
}

/// Packs what it is given, piece by piece.
class Gzip {
 public:
  explicit Gzip(int level = 1) { deflateInit2(&stream_, level, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY); }
  ~Gzip() { deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  void add(const Bytes& content) { run(content, Z_NO_FLUSH); }
  Bytes finish() { return run({}, Z_FINISH), packed_; }

 private:
  void run(const Bytes& content, int flush) {
    stream_.next_in = const_cast<Bytef*>(content.data()), stream_.avail_in = uInt(content.size());
    do {
      uint8_t piece[1 << 14];
      stream_.next_out = piece, stream_.avail_out = sizeof piece;
      deflate(&stream_, flush);
      packed_.insert(packed_.end(), piece, stream_.next_out);
    } while (stream_.avail_out == 0);
  }
  z_stream stream_{};
  Bytes packed_;
};
inline Bytes gzip(const Bytes& content) {
  Gzip packer(9);
  packer.add(content);
  return packer.finish();
}

inline Bytes cut(const Bytes& file, size_t from_end) { return Bytes(file.begin(), file.end() - std::ptrdiff_t(from_end)); }
inline Bytes with(Bytes file, const Bytes& more) {
  file.insert(file.end(), more.begin(), more.end());
  return file;
}

/// A folder of its own that goes when the test does.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradus-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  std::string write(const std::string& name, const Bytes& content) const {
    std::ofstream(path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), std::streamsize(content.size()));
    return path(name);
  }

 private:
  std::string path_;
};

}  // namespace gradus::testing
