// IDX files: all element types, gzip or not, and files that lie.
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/check.h"
#include "tests/data/files.h"

using namespace gradus;
using namespace gradus::testing;

TEST(Idx, ReadsEveryElementType) {
  auto read = [](uint8_t type, const std::vector<uint32_t>& sizes, const Bytes& elements) {
    return data::parse_idx(idx(type, sizes, elements), "test");
  };
  Tensor<uint8_t> bytes(read(0x08, {2, 3}, {1, 2, 3, 4, 5, 255}));
  EXPECT_EQ(bytes.shape(), (Shape{2, 3}));
  EXPECT_EQ(bytes.vector(), (std::vector<uint8_t>{1, 2, 3, 4, 5, 255}));
  EXPECT_EQ(Tensor<int8_t>(read(0x09, {2}, {1, 0xff})).vector(), (std::vector<int8_t>{1, -1}));
  EXPECT_EQ(Tensor<int16_t>(read(0x0B, {2}, {1, 2, 0xff, 0xfe})).vector(), (std::vector<int16_t>{258, -2}));
  EXPECT_EQ(Tensor<int32_t>(read(0x0C, {1}, {1, 2, 3, 4})).vector(), (std::vector<int32_t>{0x01020304}));
  EXPECT_EQ(Tensor<float>(read(0x0D, {1}, {0x40, 0x20, 0, 0})).vector(), (std::vector<float>{2.5f}));
  EXPECT_EQ(Tensor<double>(read(0x0E, {1}, {0xC0, 0x04, 0, 0, 0, 0, 0, 0})).vector(), (std::vector<double>{-2.5}));
  EXPECT_EQ(read(0x08, {0, 28, 28}, {}).shape(), (Shape{0, 28, 28}));
}

TEST(Idx, UnpacksGzip) {
  Bytes elements(3000000);  // more than the first piece that is unpacked
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = uint8_t(i * i >> 7);
  AnyTensor x = data::parse_idx(gzip(idx(0x08, {3000, 1000}, elements)), "test");
  EXPECT_EQ(Tensor<uint8_t>(x).vector(), elements);
  EXPECT_EQ(data::parse_idx(gzip(idx(0x08, {0}, {})), "test").numel(), 0);
}

TEST(Idx, RefusesFilesThatLie) {
  const Bytes good = idx(0x08, {2, 3}, {1, 2, 3, 4, 5, 6}), packed = gzip(good);
  Bytes damaged = packed, wrong_crc = packed;
  damaged[10] = 0xff;  // a kind of block that does not exist
  wrong_crc[wrong_crc.size() - 6] ^= 1;
  const uint32_t huge = 0xffffffff;
  const struct {
    const char* what;
    Bytes file;
    const char* reason;
  } cases[] = {
      {"nothing", {}, "it ends within the magic number, after 0 bytes"},
      {"three bytes", {0, 0, 8}, "it ends within the magic number, after 3 bytes"},
      {"another format", {'P', 'N', 'G', '!', 0}, "it begins with bytes 80 78, an IDX file with 0 0"},
      {"no such type", idx(0x0A, {1}, {1}), "it claims element type 10, which does not exist"},
      {"no axes", idx(0x08, {}, {1}), "it claims 0 axes; 1 to 7 can be read"},
      {"too many axes", idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1}, {1}), "it claims 8 axes; 1 to 7 can be read"},
      {"half a header", cut(idx(0x08, {2, 3}, {}), 1), "it ends within its header, after 11 bytes"},
      {"one byte missing", cut(good, 1), "its header announces 6 bytes of uint8 [2, 3], but 5 follow"},
      {"one byte more", with(good, {7}), "its header announces 6 bytes of uint8 [2, 3], but more follow"},
      {"a size that lies", idx(0x0E, {1u << 20}, {1}), "its header announces 8388608 bytes of float64 [1048576], but 1 follow"},
      {"above the limit", idx(0x08, {huge}, {1}),
       "its header announces 4294967295 bytes of uint8 [4294967295]; the limit is 1073741824"},
      {"sizes that overflow", idx(0x08, {huge, huge, huge}, {1}),
       "its header's sizes [4294967295, 4294967295, 4294967295] ... overflow"},
      {"empty, with strides that overflow", idx(0x08, {0, huge, huge, huge}, {}),
       "its header's sizes [0, 4294967295, 4294967295, 4294967295] ... overflow"},
      {"gzip: cut", cut(packed, 1), "its gzip data end too early"},
      {"gzip: cut in the header", cut(packed, packed.size() - 5), "its gzip data end too early"},
      {"gzip: damaged", damaged, "its gzip data are damaged"},
      {"gzip: wrong checksum", wrong_crc, "its gzip data are damaged (incorrect data check)"},
      {"gzip: something behind", with(packed, {0}), "something follows its gzip data"},
      {"gzip: one byte missing", gzip(cut(good, 1)), "its header announces 6 bytes of uint8 [2, 3], but 5 follow"},
      {"gzip: one byte more", gzip(with(good, {7})), "its header announces 6 bytes of uint8 [2, 3], but more follow"},
      {"gzip: more than it can hold", gzip(idx(0x08, {1000000}, {1})),
       "its header announces 1000000 bytes, more than its 29 packed ones can hold"},
      {"gzip: above the limit", gzip(idx(0x08, {huge}, {1})),
       "its header announces 4294967295 bytes of uint8 [4294967295]; the limit is 1073741824"},
      {"gzip: of gzip", gzip(packed), "it begins with bytes 31 139, an IDX file with 0 0"},
  };
  for (const auto& c : cases) {
    const std::string message = message_of<IoError>([&] { data::parse_idx(c.file, "some.idx"); });
    EXPECT_EQ(message.substr(0, 19 + std::string(c.reason).size()), std::string("IDX file some.idx: ") + c.reason) << c.what;
  }
}

TEST(Idx, ABombIsNotUnpackedBeyondWhatItAnnounces) {
  // 160 MB of zeros behind a header for 10 bytes, and for 2 MB: neither may take the memory.
  const Bytes zeros(1 << 20);
  for (uint32_t announced : {10u, 2000000u}) {
    Gzip bomb;
    bomb.add(idx(0x08, {announced}, {}));
    for (int i = 0; i < 160; ++i) bomb.add(zeros);
    const Bytes file = bomb.finish();
    rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    EXPECT_NE(message_of<IoError>([&] { data::parse_idx(file, "bomb"); }).find("but more follow"), std::string::npos);
    getrusage(RUSAGE_SELF, &after);
    EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 50000);  // KB
  }
}

TEST(Idx, ReadsFilesAndNamesThoseItCannot) {
  Folder folder;
  const std::string plain = folder.write("plain", idx(0x08, {2}, {1, 2})),
                    packed = folder.write("packed.gz", gzip(idx(0x08, {2}, {1, 2})));
  EXPECT_EQ(Tensor<uint8_t>(data::read_idx(plain)).vector(), (Bytes{1, 2}));
  EXPECT_EQ(Tensor<uint8_t>(data::read_idx(packed)).vector(), (Bytes{1, 2}));
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx(folder.path("none")); }),
            folder.path("none") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx(folder.path()); }), folder.path() + ": cannot be read: Is a directory");
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx("/dev/zero"); }), "/dev/zero: cannot be read: not a regular file");
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);  // nobody writes to it
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx(folder.path("pipe")); }),
            folder.path("pipe") + ": cannot be read: not a regular file");
  std::filesystem::resize_file(plain, size_t{1} << 40);  // sparse: it takes no room
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx(plain); }),
            "IDX file " + plain + ": it has 1099511627776 bytes; the limit is 1073741824");
  EXPECT_EQ(message_of<IoError>([&] { data::read_idx(packed, {.max_bytes = 1}); }),
            "IDX file " + packed + ": its header announces 2 bytes of uint8 [2]; the limit is 1");
}
