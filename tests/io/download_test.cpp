// Downloads, from file:// addresses: what arrives is checked before it gets its name.
#include "gradus/io/download.h"

#include "tests/check.h"
#include "tests/data/files.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
const std::string kHello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";  // of "hello"
const Bytes kContent = {'h', 'e', 'l', 'l', 'o'};

Bytes content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
size_t files_in(const Folder& folder) {
  size_t n = 0;
  for (auto& entry : std::filesystem::directory_iterator(folder.path())) n += entry.is_regular_file();
  return n;
}
}  // namespace

TEST(Download, ChecksWhatIsPackedByItsContent) {
  if (!io::can_download()) GTEST_SKIP() << "built without libcurl or OpenSSL";
  Folder folder;
  const std::string url = "file://" + folder.write("source", kContent),
                    packed = "file://" + folder.write("source.gz", gzip(kContent));
  io::download(url, folder.path("new/copy"), {.sha256 = kHello});
  EXPECT_EQ(content(folder.path("new/copy")), kContent);
  io::download(packed, folder.path("copy.gz"), {.sha256 = kHello});
  EXPECT_EQ(content(folder.path("copy.gz")), gzip(kContent));
  EXPECT_EQ(files_in(folder), 3u);
}

TEST(Download, LeavesNothingBehindWhereItFails) {
  if (!io::can_download()) GTEST_SKIP() << "built without libcurl or OpenSSL";
  Folder folder;
  const std::string url = "file://" + folder.write("source", {'h', 'a', 'l', 'l', 'o'}), to = folder.write("copy", {1});
  const std::string message = message_of<IoError>([&] { io::download(url, to, {.sha256 = kHello}); });
  EXPECT_NE(
      message.find(url + ": its SHA-256 is d3751d33f9cd5049c4af2b462735457e4d3baf130bcbb87f389e349fbaeb20b9, expected " + kHello),
      std::string::npos)
      << message;
  EXPECT_EQ(content(to), Bytes{1});  // what was there stays
  EXPECT_NE(message_of<IoError>([&] { io::download(url, to, {.sha256 = kHello, .max_bytes = 4}); }).find("larger than max_bytes"),
            std::string::npos);
  const std::string bomb = "file://" + folder.write("bomb", gzip(Bytes(1000000)));
  EXPECT_NE(
      message_of<IoError>([&] { io::download(bomb, to, {.sha256 = kHello, .max_bytes = 5000}); }).find("unpacks to more than 5000"),
      std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { io::download(url + "-", to, {.sha256 = kHello}); }).find("download: " + url + "-: "),
            std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { io::download("ftp://localhost/x", to, {.sha256 = kHello}); }).find("rotocol"),
            std::string::npos);
  EXPECT_NE(
      message_of<IoError>([&] { io::download(url, "/proc/none/x", {.sha256 = kHello}); }).find("/proc/none/x: cannot be written"),
      std::string::npos);
  EXPECT_EQ(message_of<ValueError>([&] { io::download(url, to, {.sha256 = "12"}); }), "download: sha256 has 2 digits, not 64");
  EXPECT_EQ(files_in(folder), 3u);
}

TEST(Download, SaysWhatIsMissingWhereItIsNotBuilt) {
  if (io::can_download()) GTEST_SKIP() << "built with libcurl and OpenSSL";
  EXPECT_NE(message_of<IoError>([] { io::download("http://x/y", "z", {}); }).find("no libcurl or OpenSSL"), std::string::npos);
}
