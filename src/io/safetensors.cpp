#include "gradus/io/safetensors.h"

#include <bit>
#include <cstring>
#include <functional>

#include "gradus/autograd/mode.h"
#include "gradus/ops/view.h"
#include "src/core/message.h"
#include "src/io/file.h"
#include "src/io/safetensors_header.h"

namespace gradus {
namespace {

static_assert(std::endian::native == std::endian::little, "the format's numbers are little-endian, and so are tensors in memory");

using Read = std::function<void(void* to, size_t bytes, uint64_t at)>;

TensorFile read_from(const Read& read, uint64_t size, const std::string& file) {
  using namespace io;
  if (size < kLengthBytes) fail<IoError>(file, ": has ", size, " bytes; a safetensors file begins with 8 bytes of length");
  uint64_t length = 0;
  read(&length, kLengthBytes, 0);
  if (length > kLongestHeader || length > size - kLengthBytes)
    fail<IoError>(file, ": says that its header has ", length, " bytes, ",
                  length > kLongestHeader ? "more than the format allows" : "more than the file", "; not a safetensors file?");
  std::string json(length, '\0');
  read(json.data(), length, kLengthBytes);
  uint64_t data = kLengthBytes + length;
  Header header = parse_header(json.data(), length, size - data, file);
  TensorFile result;
  result.metadata = std::move(header.metadata);
  for (Entry& e : header.entries) {
    AnyTensor x = empty(e.shape, e.dtype, kCPU);
    read(x.raw_data(), e.end - e.begin, data + e.begin);
    if (e.dtype == DType::boolean) {
      auto* p = static_cast<const uint8_t*>(x.raw_data());
      for (uint64_t i = 0; i < e.end - e.begin; ++i)
        if (p[i] > 1) fail<IoError>(file, ": tensor \"", e.name, "\" is BOOL and has a byte of ", int(p[i]));
    }
    result.tensors.push_back({std::move(e.name), std::move(x)});
  }
  return result;
}

}  // namespace

TensorFile read_tensors(const std::string& path) {
  io::InputFile file(path);
  return read_from([&](void* to, size_t bytes, uint64_t at) { file.read(to, bytes, at); }, file.size(), path);
}

TensorFile parse_tensors(const void* bytes, size_t count, const std::string& name) {
  auto* p = static_cast<const char*>(bytes);
  return read_from(
      [p](void* to, size_t n, uint64_t at) {
        if (n) std::memcpy(to, p + at, n);
      },
      count, name);
}

void save_tensors(const NamedTensors& tensors, const std::string& path, const Metadata& metadata) {
  std::vector<size_t> order;
  std::string header = io::format_header(tensors, metadata, order);
  io::AtomicFile file(path);
  file.write(header.data(), header.size());
  NoGrad no_grad;
  for (size_t i : order) {
    AnyTensor x = tensors[i].tensor.detach().to(kCPU).contiguous();
    file.write(x.raw_data(), size_t(x.numel()) * item_size(x.dtype()));
  }
  file.commit();
}

}  // namespace gradus
