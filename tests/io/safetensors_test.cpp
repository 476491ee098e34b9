// Files of tensors: written and read back to the bit, hostile ones refused with a reason, old ones left whole when writing fails.
#include "gradus/io/safetensors.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "gradus/io/checkpoint.h"
#include "tests/check.h"

namespace gradus {
namespace {

namespace fs = std::filesystem;
using testing::draw;
using testing::message_of;
using testing::values;

struct Folder {
  fs::path path;
  Folder() {
    std::string text = (fs::temp_directory_path() / "gradus-io-XXXXXX").string();
    path = mkdtemp(text.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  size_t files() const { return size_t(std::distance(fs::directory_iterator(path), fs::directory_iterator())); }
};

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
bool same_bits(const AnyTensor& a, const AnyTensor& b) {
  AnyTensor x = a.contiguous(), y = b.contiguous();
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(x.raw_data(), y.raw_data(), size_t(x.numel()) * item_size(x.dtype())) == 0;
}

/// A file of a header and `data` zeros.
std::string file_of(const std::string& json, size_t data) {
  uint64_t length = json.size();
  std::string text(reinterpret_cast<const char*>(&length), 8);
  return text + json + std::string(data, '\0');
}

NamedTensors one_of_each() {
  NamedTensors list;
  for (int t = 0; t < kDTypes; ++t) {
    DType dtype = DType(t);
    AnyTensor x = draw({3, 5}, -100, 100, uint64_t(t + 1)).to(dtype == DType::uint8 ? DType::int32 : dtype);
    if (dtype == DType::uint8) x = bitwise_and(x, 255).to(dtype);
    list.push_back({std::string("x.") + name(dtype), x});
  }
  list.push_back({"scalar", full({}, 2.5, DType::float32)});
  list.push_back({"empty", zeros({0, 4}, DType::int16)});
  list.push_back({"größe \"quoted\"\n", draw({2}, 0, 1, 3)});
  list.push_back({"turned", draw({4, 3}).transpose(0, 1)});
  list.push_back({"sliced", draw({8, 6}).slice(1, 1, 6, 2)});
  return list;
}

TEST(Safetensors, EveryDTypeAndLayoutComesBackToTheBit) {
  Folder folder;
  NamedTensors list = one_of_each();
  save_tensors(list, folder / "all.safetensors", {{"made by", "a test"}, {"länge", "7"}});
  TensorFile file = read_tensors(folder / "all.safetensors");
  EXPECT_EQ(file.metadata, (Metadata{{"made by", "a test"}, {"länge", "7"}}));
  ASSERT_EQ(file.tensors.size(), list.size());
  for (NamedTensor& t : list) {
    AnyTensor read = find(file.tensors, t.name);
    ASSERT_TRUE(read.defined()) << t.name;
    EXPECT_TRUE(same_bits(read, t.tensor)) << t.name;
  }
  EXPECT_EQ(folder.files(), 1u);  // no temporary file is left
  // Equal contents give equal files, in whatever order they are given; every tensor is aligned to its items.
  std::string first = bytes_of(folder / "all.safetensors");
  std::swap(list[0], list[7]);
  save_tensors(list, folder / "all.safetensors", file.metadata);
  EXPECT_EQ(bytes_of(folder / "all.safetensors"), first);
  // The same from memory.
  TensorFile parsed = parse_tensors(first.data(), first.size());
  EXPECT_EQ(parsed.tensors.size(), list.size());
}

TEST(Safetensors, NoTensorsIsAFile) {
  Folder folder;
  save_tensors({}, folder / "none.safetensors");
  EXPECT_TRUE(load_tensors(folder / "none.safetensors").empty());
}

TEST(Safetensors, WhatTheFormatSaysIsRead) {
  // As the format's own description has it, spaces at the end included.
  std::string file = file_of(
      R"({"b":{"dtype":"I16","shape":[2],"data_offsets":[8,12]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  )", 12);
  float v[] = {1.5f, -2};
  std::memcpy(file.data() + file.size() - 12, v, 8);
  TensorFile read = parse_tensors(file.data(), file.size());
  ASSERT_EQ(read.tensors.size(), 2u);
  EXPECT_EQ(read.tensors[0].name, "a");
  EXPECT_EQ(values(read.tensors[0].tensor), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(read.tensors[1].tensor.dtype(), DType::int16);
}

struct Bad {
  const char* what;
  std::string bytes;
  const char* reason;  // stands in the message
};
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}
std::vector<Bad> bad_files() {
  const std::string good = tensor("F32", "[2]", "[0,8]");
  std::string huge(8, '\xff'), deep(100000, '['), nested, ones = "[1";
  for (int i = 0; i < 1000000; ++i) ones += ",1";
  for (int i = 0; i < 1000; ++i) nested += R"({"a":)";
  auto longer = [](uint64_t length) { return std::string(reinterpret_cast<char*>(&length), 8) + "{}"; };
  return {
      {"nothing", "", "has 0 bytes"},
      {"seven bytes", "1234567", "has 7 bytes"},
      {"no header", std::string(8, '\0'), "not valid JSON"},
      {"a length beyond the format", huge + "{}", "more than the format allows"},
      {"a length beyond the file", longer(3), "more than the file"},
      {"a length of 2^63", longer(uint64_t(1) << 63), "more than the format allows"},
      {"text", "This is a text file, not one of tensors.", "not a safetensors file"},
      {"no JSON", file_of("{", 0), "not valid JSON"},
      {"JSON and more", file_of("{}{}", 0), "not valid JSON"},
      {"a list", file_of("[]", 0), "not an object"},
      {"a number", file_of("1", 0), "not an object"},
      {"null", file_of("null", 0), "not an object"},
      {"very deep lists", file_of(deep, 0), "not an object"},
      {"very deep objects", file_of(nested, 0), "unknown field"},
      {"bytes that are no UTF-8 in a name", file_of("{\"\xff\xfe\":" + good + "}", 8), "UTF-8"},
      {"half a surrogate", file_of(R"({"\ud800":)" + good + "}", 8), "not valid JSON"},
      {"a zero byte", file_of(std::string("{\0}", 3), 0), "not valid JSON"},
      {"a tensor that is a string", file_of(R"({"a":"F32"})", 0), "\"a\" is a string"},
      {"a tensor that is a number", file_of(R"({"a":5})", 0), "\"a\" is a number"},
      {"no dtype", file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8), "\"a\" has no dtype"},
      {"no shape", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8), "\"a\" has no shape"},
      {"no offsets", file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "\"a\" has no data_offsets"},
      {"an unknown field", file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8), "unknown field \"x\""},
      {"two dtypes", file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "its dtype twice"},
      {"two shapes", file_of(R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", 8), "its shape twice"},
      {"a name twice", file_of("{\"a\":" + good + ",\"a\":" + tensor("F32", "[2]", "[8,16]") + "}", 16),
       "\"a\" stands there twice"},
      {"an unknown dtype", file_of("{\"a\":" + tensor("F8_E4M3", "[2]", "[0,2]") + "}", 2), "F8_E4M3, which is not supported"},
      {"a dtype in small letters", file_of("{\"a\":" + tensor("f32", "[2]", "[0,8]") + "}", 8), "f32, which is not supported"},
      {"a dtype that is a number", file_of(R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8),
       "where its dtype should be"},
      {"a shape that is a number", file_of("{\"a\":" + tensor("F32", "2", "[0,8]") + "}", 8), "where its shape should be"},
      {"a negative size", file_of("{\"a\":" + tensor("F32", "[-2]", "[0,8]") + "}", 8), "the number -2"},
      {"half an element", file_of("{\"a\":" + tensor("F32", "[2.5]", "[0,8]") + "}", 8), "the number 2.5"},
      {"a size in quotes", file_of("{\"a\":" + tensor("F32", R"(["2"])", "[0,8]") + "}", 8), "a string"},
      {"a shape in a shape", file_of("{\"a\":" + tensor("F32", "[[2]]", "[0,8]") + "}", 8), "a list"},
      {"a size that is null", file_of("{\"a\":" + tensor("F32", "[null]", "[0,8]") + "}", 8), "null"},
      {"a size that is a bool", file_of("{\"a\":" + tensor("F32", "[true]", "[0,8]") + "}", 8), "a bool"},
      {"nine axes", file_of("{\"a\":" + tensor("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") + "}", 8), "has 9 axes"},
      {"a million axes", file_of("{\"a\":" + tensor("F32", ones + "]", "[0,8]") + "}", 8), "a shape of more than 64 numbers"},
      {"sizes that overflow", file_of("{\"a\":" + tensor("F32", "[4294967296,4294967296]", "[0,8]") + "}", 8),
       "larger than any memory"},
      {"sizes that wrap to what fits", file_of("{\"a\":" + tensor("F32", "[4611686018427387905,2]", "[0,8]") + "}", 8),
       "larger than any memory"},
      {"a size of 2^64 - 1", file_of("{\"a\":" + tensor("F32", "[18446744073709551615]", "[0,8]") + "}", 8),
       "a size of 18446744073709551615"},
      {"a size beyond 64 bits", file_of("{\"a\":" + tensor("F32", "[99999999999999999999]", "[0,8]") + "}", 8), "the number"},
      {"zero times overflow", file_of("{\"a\":" + tensor("F32", "[0,9223372036854775807,9223372036854775807]", "[0,0]") + "}", 0),
       "larger than any memory"},
      {"one offset", file_of("{\"a\":" + tensor("F32", "[2]", "[0]") + "}", 8), "has 1 data_offsets"},
      {"three offsets", file_of("{\"a\":" + tensor("F32", "[2]", "[0,8,16]") + "}", 8), "has 3 data_offsets"},
      {"offsets the wrong way round", file_of("{\"a\":" + tensor("F32", "[2]", "[8,0]") + "}", 8), "before its begin"},
      {"an end beyond the file", file_of("{\"a\":" + tensor("F32", "[2]", "[0,8]") + "}", 7), "ends at byte 8 of 7"},
      {"an end far beyond the file", file_of("{\"a\":" + tensor("F32", "[2]", "[0,18446744073709551615]") + "}", 8),
       "ends at byte 18446744073709551615"},
      {"fewer bytes than the shape takes", file_of("{\"a\":" + tensor("F32", "[3]", "[0,8]") + "}", 8),
       "takes 12 bytes, but its place has 8"},
      {"more bytes than the shape takes", file_of("{\"a\":" + tensor("F16", "[2]", "[0,8]") + "}", 8),
       "takes 4 bytes, but its place has 8"},
      {"bytes for no elements", file_of("{\"a\":" + tensor("F32", "[0]", "[0,8]") + "}", 8), "takes 0 bytes"},
      {"an overlap", file_of("{\"a\":" + good + ",\"b\":" + tensor("F32", "[2]", "[4,12]") + "}", 12), "overlaps"},
      {"the same place twice", file_of("{\"a\":" + good + ",\"b\":" + good + "}", 8), "overlaps"},
      {"a gap at the begin", file_of("{\"a\":" + tensor("F32", "[2]", "[4,12]") + "}", 12), "belong to no tensor"},
      {"a gap between", file_of("{\"a\":" + good + ",\"b\":" + tensor("F32", "[2]", "[12,20]") + "}", 20), "belong to no tensor"},
      {"bytes at the end", file_of("{\"a\":" + good + "}", 9), "1 bytes behind the last tensor"},
      {"bytes and no tensor", file_of("{}", 4), "4 bytes behind the last tensor"},
      {"metadata that is a list", file_of(R"({"__metadata__":[]})", 0), "\"__metadata__\" is a list"},
      {"metadata with a number", file_of(R"({"__metadata__":{"epoch":3}})", 0), "metadata \"epoch\" is a number"},
      {"metadata with an object", file_of(R"({"__metadata__":{"epoch":{}}})", 0), "metadata \"epoch\" is an object"},
      {"metadata twice in one", file_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "metadata \"a\" stands there twice"},
      {"metadata twice", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "\"__metadata__\" stands there twice"},
      {"a bool of 2", file_of("{\"a\":" + tensor("BOOL", "[1]", "[0,1]") + "}", 0) + "\x02", "has a byte of 2"},
  };
}

TEST(Safetensors, BadFilesAreRefusedWithAReason) {
  Folder folder;
  size_t allocated = memory_stats().in_use;
  for (const Bad& bad : bad_files()) {
    std::string path = folder / "bad.safetensors";
    std::ofstream(path, std::ios::binary) << bad.bytes;
    for (bool from_memory : {false, true}) {
      std::string message =
          message_of<IoError>([&] { from_memory ? parse_tensors(bad.bytes.data(), bad.bytes.size(), path) : read_tensors(path); });
      EXPECT_NE(message.find(bad.reason), std::string::npos) << bad.what << ": " << message;
      EXPECT_EQ(message.rfind(path, 0), 0u) << "the file is named first: " << message;
    }
  }
  EXPECT_LE(memory_stats().in_use, allocated + (1 << 20));
}

TEST(Safetensors, EveryTruncationIsRefused) {
  Folder folder;
  save_tensors({{"a", draw({3, 2})}, {"b", draw({5}).to(DType::float16)}}, folder / "x.safetensors");
  std::string whole = bytes_of(folder / "x.safetensors");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse_tensors(whole.data(), n), IoError) << n;
  EXPECT_EQ(parse_tensors(whole.data(), whole.size()).tensors.size(), 2u);
}

TEST(Safetensors, AnyFlippedByteIsReadOrRefused) {
  Folder folder;
  save_tensors({{"a", draw({3, 2})}, {"flag", ones({3}, DType::boolean)}}, folder / "x.safetensors", {{"k", "v"}});
  std::string whole = bytes_of(folder / "x.safetensors");
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[i] = char(changed[i] ^ (1 << bit));
      try {
        parse_tensors(changed.data(), changed.size());
      } catch (const IoError&) {
      }
    }
}

TEST(Safetensors, BadRequestsNameTheTensor) {
  Folder folder;
  std::string path = folder / "x.safetensors";
  auto message = [&](const NamedTensors& list, const Metadata& metadata = {}) {
    return message_of<ValueError>([&] { save_tensors(list, path, metadata); });
  };
  AnyTensor x = draw({2});
  EXPECT_NE(message({{"a", x}, {"a", x}}).find("two tensors are named \"a\""), std::string::npos);
  EXPECT_NE(message({{"a", {}}}).find("\"a\" is undefined"), std::string::npos);
  EXPECT_NE(message({{"__metadata__", x}}).find("__metadata__"), std::string::npos);
  EXPECT_NE(message({{"\xff", x}}).find("UTF-8"), std::string::npos);
  EXPECT_NE(message({}, {{"a", "1"}, {"a", "2"}}).find("given twice"), std::string::npos);
  EXPECT_EQ(folder.files(), 0u);
}

TEST(Safetensors, PlacesThatCannotBeReadOrWritten) {
  Folder folder;
  AnyTensor x = draw({2});
  EXPECT_NE(message_of<IoError>([&] { read_tensors(folder / "missing.safetensors"); }).find("No such file"), std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { read_tensors(folder.path.string()); }).find("directory"), std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { read_tensors("/dev/null"); }).find("not a regular file"), std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { read_tensors(""); }).find("cannot be opened"), std::string::npos);
  EXPECT_NE(message_of<IoError>([&] {
              save_tensors({{"a", x}}, folder / "no/such/folder/x");
            }).find("No such file"),
            std::string::npos);
  std::ofstream(folder / "file") << "text";
  EXPECT_NE(message_of<IoError>([&] { save_tensors({{"a", x}}, folder / "file/x"); }).find("Not a directory"), std::string::npos);
  fs::create_directory(folder.path / "folder");
  message_of<IoError>([&] { save_tensors({{"a", x}}, folder / "folder"); });
  EXPECT_NE(message_of<IoError>([&] {
              save_tensors({{"a", x}}, "/proc/x.safetensors");
            }).find("/proc/x.safetensors"),
            std::string::npos);
  EXPECT_EQ(folder.files(), 2u);
}

TEST(Safetensors, AFullDiskLeavesTheOldFileWhole) {
  Folder folder;
  std::string path = folder / "x.safetensors";
  save_tensors({{"a", draw({4})}}, path);
  std::string before = bytes_of(path);
  // A limit on the size of files stands for the disk that has no room.
  auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old, small{4096, 4096};
  getrlimit(RLIMIT_FSIZE, &old);
  small.rlim_max = old.rlim_max;
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message = message_of<IoError>([&] { save_tensors({{"a", draw({100000})}}, path); });
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("what was there before is untouched"), std::string::npos) << message;
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_EQ(folder.files(), 1u);
  save_tensors({{"a", draw({100000})}}, path);  // and the process goes on
  EXPECT_EQ(load_tensors(path)[0].tensor.numel(), 100000);
}

TEST(Safetensors, ModesAndLinksStay) {
  Folder folder;
  std::string path = folder / "x.safetensors";
  save_tensors({}, path);
  mode_t mask = umask(0);
  umask(mask);
  struct stat info;
  stat(path.c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0666u & ~mask);
  chmod(path.c_str(), 0600);
  fs::create_symlink(path, folder.path / "link");
  save_tensors({{"a", draw({2})}}, folder / "link");
  stat(path.c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(fs::is_symlink(folder.path / "link"));
  EXPECT_EQ(load_tensors(path).size(), 1u);
}

/// Driven by safetensors_interop_test.py, which makes python.safetensors in this folder and reads ours.
TEST(Interop, FilesAreExchangedWithPython) {
  const char* folder = std::getenv("GRADUS_INTEROP");
  if (!folder) GTEST_SKIP() << "runs from safetensors_interop_test.py";
  NamedTensors list = one_of_each();
  save_tensors(list, std::string(folder) + "/gradus.safetensors", {{"made by", "gradus"}, {"länge", "7"}});
  if (fs::exists(std::string(folder) + "/echo.safetensors")) {  // ours, read and written again by the other side
    NamedTensors echo = load_tensors(std::string(folder) + "/echo.safetensors");
    EXPECT_EQ(echo.size(), list.size() - 1);  // NumPy has no bfloat16
    for (NamedTensor& t : echo) EXPECT_TRUE(same_bits(t.tensor, find(list, t.name))) << t.name;
  }
  TensorFile file = read_tensors(std::string(folder) + "/python.safetensors");
  EXPECT_EQ(file.metadata, (Metadata{{"framework", "numpy"}}));
  auto expect = [&](const char* name, DType dtype, const Shape& shape, const std::vector<double>& wanted) {
    AnyTensor x = find(file.tensors, name);
    ASSERT_TRUE(x.defined()) << name;
    EXPECT_EQ(x.dtype(), dtype) << name;
    EXPECT_EQ(x.shape(), shape) << name;
    EXPECT_EQ(values(x), wanted) << name;
  };
  expect("float64", DType::float64, {2, 3}, {0, 1, 2, 3, 4, 5});
  expect("float32", DType::float32, {2, 3}, {0, 1, 2, 3, 4, 5});
  expect("float16", DType::float16, {2, 3}, {0, 1, 2, 3, 4, 5});
  expect("int64", DType::int64, {6}, {-1, 0, 1, 2, 3, 4});
  expect("int32", DType::int32, {6}, {-1, 0, 1, 2, 3, 4});
  expect("int16", DType::int16, {6}, {-1, 0, 1, 2, 3, 4});
  expect("int8", DType::int8, {6}, {-1, 0, 1, 2, 3, 4});
  expect("uint8", DType::uint8, {3}, {0, 127, 255});
  expect("bool", DType::boolean, {3}, {1, 0, 1});
  expect("scalar", DType::float32, {}, {2.5});
  expect("empty", DType::float32, {0, 4}, {});
}

// Modules.

struct Net : nn::Module {
  nn::Parameter weight{draw({3, 2}, -1, 1, 1, DType::float32)};
  nn::Buffer count{zeros({}, DType::int64)}, scratch{zeros({2}, DType::float32), false};
  GRADUS_MEMBERS(weight, count, scratch)
};

TEST(Checkpoint, AModuleComesBackToTheBit) {
  Folder folder;
  Net net, other;
  net.count.fill_(42);
  other.to<double>();
  {
    NoGrad no_grad;
    other.weight.fill_(0);
  }
  save(net, folder / "net.safetensors", {{"epoch", "3"}});
  TensorFile file = read_tensors(folder / "net.safetensors");
  EXPECT_EQ(file.metadata, (Metadata{{"format", "pt"}, {"epoch", "3"}}));
  EXPECT_EQ(file.tensors.size(), 2u);  // the scratch buffer is not persistent
  load(other, folder / "net.safetensors");
  EXPECT_TRUE(same_bits(other.weight, net.weight.detach().to(DType::float64)));
  EXPECT_EQ(other.count.item(), 42);
  EXPECT_TRUE(other.weight.requires_grad());
}

TEST(Checkpoint, WhatDoesNotFitIsNamed) {
  Folder folder;
  Net net;
  std::string path = folder / "net.safetensors";
  save_tensors({{"weight", draw({2, 2})}, {"count", zeros({}, DType::int64)}}, path);
  std::string message = message_of<IoError>([&] { load(net, path); });
  EXPECT_NE(message.find(path), std::string::npos);
  EXPECT_NE(message.find("\"weight\" has shape [2, 2], the module's has [3, 2]"), std::string::npos) << message;
  save_tensors({{"weight", draw({3, 2})}, {"bias", draw({3})}}, path);
  message = message_of<IoError>([&] { load(net, path); });
  EXPECT_NE(message.find("missing count"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected bias"), std::string::npos) << message;
  auto unmatched = load(net, path, {.strict = false});
  EXPECT_EQ(unmatched.missing, std::vector<std::string>{"count"});
  EXPECT_EQ(unmatched.unexpected, std::vector<std::string>{"bias"});
}

}  // namespace
}  // namespace gradus
