#include "gradus/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "src/io/file.h"

namespace gradus::data {
namespace {

/// What the first bytes say: 0 0 type rank, then a big-endian size per axis.
struct Header {
  DType dtype;
  Shape shape;
  int64_t bytes;  // of the elements
};

class Reader {
 public:
  Reader(const std::string& name, const IdxLimits& limits) : name_(name), limits_(limits) {}

  [[noreturn]] void fail(const std::string& what) const { throw IoError("IDX file " + name_ + ": " + what); }

  Header header(std::span<const uint8_t> at) const {
    if (at.size() < 4) fail("it ends within the magic number, after " + std::to_string(at.size()) + " bytes");
    if (at[0] || at[1])
      fail("it begins with bytes " + std::to_string(at[0]) + " " + std::to_string(at[1]) + ", an IDX file with 0 0");
    Header h{dtype(at[2]), {}, 0};
    const int rank = at[3];
    if (rank < 1 || rank >= Shape::kMaxRank) fail("it claims " + std::to_string(rank) + " axes; 1 to 7 can be read");
    if (at.size() < header_size(at)) fail("it ends within its header, after " + std::to_string(at.size()) + " bytes");
    uint64_t bytes = item_size(h.dtype);  // counting empty axes as 1, so that strides cannot overflow either
    bool empty = false;
    for (int d = 0; d < rank; ++d) {
      const uint8_t* p = &at[4 + 4 * size_t(d)];
      const uint32_t size = uint32_t(p[0]) << 24 | uint32_t(p[1]) << 16 | uint32_t(p[2]) << 8 | p[3];
      h.shape.push_back(size);
      empty |= size == 0;
      if (__builtin_mul_overflow(bytes, size ? size : 1, &bytes))
        fail("its header's sizes " + to_string(h.shape) + " ... overflow");
    }
    if (bytes > uint64_t(limits_.max_bytes))
      fail("its header announces " + std::to_string(bytes) + " bytes of " + std::string(gradus::name(h.dtype)) + " " +
           to_string(h.shape) + "; the limit is " + std::to_string(limits_.max_bytes));
    h.bytes = empty ? 0 : int64_t(bytes);
    return h;
  }
  static size_t header_size(std::span<const uint8_t> at) { return 4 + 4 * size_t(at[3]); }

  void check_length(const Header& h, int64_t got) const {
    if (got == h.bytes) return;
    fail("its header announces " + std::to_string(h.bytes) + " bytes of " + std::string(gradus::name(h.dtype)) + " " +
         to_string(h.shape) + ", but " + (got < h.bytes ? std::to_string(got) : "more") + " follow");
  }

 private:
  DType dtype(uint8_t code) const {
    switch (code) {
      case 0x08: return DType::uint8;
      case 0x09: return DType::int8;
      case 0x0B: return DType::int16;
      case 0x0C: return DType::int32;
      case 0x0D: return DType::float32;
      case 0x0E: return DType::float64;
    }
    fail("it claims element type " + std::to_string(code) + ", which does not exist");
  }
  const std::string& name_;
  const IdxLimits& limits_;
};

/// Unpacks a gzip file piece by piece, so that no more is ever held than was really there.
class Inflate {
 public:
  Inflate(const Reader& reader, std::span<const uint8_t> file) : reader_(reader), rest_(file) {
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw OutOfMemory("IDX: zlib has no memory");
  }
  ~Inflate() { inflateEnd(&stream_); }
  Inflate(const Inflate&) = delete;

  /// Up to `count` bytes; fewer only at the end.
  size_t read(uint8_t* to, size_t count) {
    size_t done = 0;
    while (done < count && !ended_) {
      if (stream_.avail_in == 0) {
        const size_t piece = std::min(rest_.size(), size_t{1} << 30);  // zlib counts in 32 bits
        stream_.next_in = const_cast<Bytef*>(rest_.data());
        stream_.avail_in = uInt(piece);
        rest_ = rest_.subspan(piece);
      }
      stream_.next_out = to + done;
      const uInt room = uInt(std::min(count - done, size_t{1} << 30));
      stream_.avail_out = room;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      if (code == Z_STREAM_END) {
        ended_ = true;
        if (stream_.avail_in || !rest_.empty()) reader_.fail("something follows its gzip data");
      } else if (code == Z_BUF_ERROR || (code == Z_OK && stream_.avail_out && !stream_.avail_in && rest_.empty())) {
        reader_.fail("its gzip data end too early");
      } else if (code != Z_OK) {
        reader_.fail(std::string("its gzip data are damaged (") + (stream_.msg ? stream_.msg : "zlib error") + ")");
      }
    }
    return done;
  }

 private:
  const Reader& reader_;
  std::span<const uint8_t> rest_;
  z_stream stream_{};
  bool ended_ = false;
};

AnyTensor to_tensor(const Header& h, const uint8_t* elements) {
  AnyTensor x = empty(h.shape, h.dtype, kCPU);
  auto* to = static_cast<uint8_t*>(x.raw_data());
  if (h.bytes) std::memcpy(to, elements, size_t(h.bytes));
  const size_t size = item_size(h.dtype);
  if (std::endian::native == std::endian::little && size > 1)
    for (int64_t i = 0; i < h.bytes; i += int64_t(size)) std::reverse(to + i, to + i + size);
  return x;
}

AnyTensor parse_plain(const Reader& reader, std::span<const uint8_t> file) {
  const Header h = reader.header(file);
  const auto elements = file.subspan(Reader::header_size(file));
  reader.check_length(h, int64_t(elements.size()));
  return to_tensor(h, elements.data());
}

AnyTensor parse_gzip(const Reader& reader, std::span<const uint8_t> file) {
  Inflate unpacked(reader, file);
  uint8_t start[4 + 4 * 255];
  size_t known = unpacked.read(start, 4);
  if (known == 4) known += unpacked.read(start + 4, Reader::header_size(start) - 4);
  const Header h = reader.header({start, known});
  // Deflate packs at most 1032 to 1: a file too small for what it announces need not be unpacked.
  if (h.bytes / 1032 > int64_t(file.size()))
    reader.fail("its header announces " + std::to_string(h.bytes) + " bytes, more than its " + std::to_string(file.size()) +
                " packed ones can hold");

  std::vector<uint8_t> elements;
  size_t filled = 0;
  while (true) {  // doubling, and one byte more than announced, to see whether there is more
    elements.resize(size_t(std::min(h.bytes + 1, std::max<int64_t>(1 << 20, 2 * int64_t(filled)))));
    filled += unpacked.read(elements.data() + filled, elements.size() - filled);
    if (filled < elements.size() || int64_t(filled) > h.bytes) break;
  }
  reader.check_length(h, int64_t(filled));
  return to_tensor(h, elements.data());
}

}  // namespace

AnyTensor parse_idx(std::span<const uint8_t> file, const std::string& name, const IdxLimits& limits) {
  const Reader reader(name, limits);
  const bool packed = file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b;
  return packed ? parse_gzip(reader, file) : parse_plain(reader, file);
}

AnyTensor read_idx(const std::string& path, const IdxLimits& limits) {
  const io::InputFile file(path);
  const uint64_t largest =
      uint64_t(limits.max_bytes) + uint64_t(limits.max_bytes) / 100 + 4096;  // with the header, or gzip's overhead
  if (file.size() > largest)
    Reader(path, limits).fail("it has " + std::to_string(file.size()) + " bytes; the limit is " + std::to_string(limits.max_bytes));
  std::vector<uint8_t> content(file.size());
  file.read(content.data(), content.size(), 0);
  return parse_idx(content, path, limits);
}

}  // namespace gradus::data
