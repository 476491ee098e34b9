#include "gradus/io/download.h"

#include "src/core/message.h"

#if GRADUS_WITH_DOWNLOAD
#include <curl/curl.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "src/io/file.h"
#endif

namespace gradus::io {

#if !GRADUS_WITH_DOWNLOAD

bool can_download() { return false; }
void download(const std::string& url, const std::string& path, const DownloadOptions&) {
  fail<IoError>("download: ", url, ": this build has no libcurl or OpenSSL; fetch the file yourself and put it at ", path);
}

#else

namespace {

/// SHA-256 as hexadecimal digits, of what is fed to it.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || !EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr))
      fail<IoError>("download: OpenSSL offers no SHA-256");
  }
  void feed(const void* data, size_t bytes) { EVP_DigestUpdate(context_.get(), data, bytes); }
  std::string digits() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int count = 0;
    EVP_DigestFinal_ex(context_.get(), raw, &count);
    std::string text;
    for (unsigned i = 0; i < count; ++i) text += "0123456789abcdef"[raw[i] >> 4], text += "0123456789abcdef"[raw[i] & 15];
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

struct Transfer {
  AtomicFile& file;
  int64_t room;
  std::string error;
};

/// What libcurl calls with each piece; returning 0 ends the transfer. Nothing may be thrown through it.
size_t take(char* data, size_t, size_t bytes, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.room -= int64_t(bytes);
  if (transfer.room < 0) {
    transfer.error = "it is larger than max_bytes";
    return 0;
  }
  try {
    transfer.file.write(data, bytes);
  } catch (const Error& e) {
    transfer.error = e.what();
    return 0;
  }
  return bytes;
}

void fetch(const std::string& url, AtomicFile& file, const DownloadOptions& options) {
  static std::once_flag once;  // libcurl's own initialisation is not safe among threads
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) fail<IoError>("download: ", url, ": libcurl does not start");
  Transfer transfer{file, options.max_bytes, ""};
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "https,http,file");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, long(options.timeout_s));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK) return;
  if (transfer.error.empty()) transfer.error = *reason ? reason : curl_easy_strerror(code);
  fail<IoError>("download: ", url, ": ", transfer.error);
}

/// The digest of what the file holds: of the unpacked bytes where it is gzip (which mirrors pack differently), else as it is.
std::string digest_of(const std::string& path, const std::string& url, int64_t max_bytes) {
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);  // reads plain files too
  if (!file) fail<IoError>("download: ", url, ": cannot read ", path);
  Sha256 sha;
  std::vector<char> piece(1 << 16);
  int64_t total = 0;
  int got;
  while ((got = gzread(file.get(), piece.data(), unsigned(piece.size()))) > 0) {
    sha.feed(piece.data(), size_t(got));
    if ((total += got) > max_bytes) fail<IoError>("download: ", url, ": it unpacks to more than ", max_bytes, " bytes");
  }
  if (got < 0) fail<IoError>("download: ", url, ": its gzip data are damaged");
  return sha.digits();
}

}  // namespace

bool can_download() { return true; }

void download(const std::string& url, const std::string& path, const DownloadOptions& options) {
  if (options.sha256.size() != 64) fail<ValueError>("download: sha256 has ", options.sha256.size(), " digits, not 64");
  std::error_code ignored;  // where the folder cannot be made, neither can the file
  if (auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, ignored);
  AtomicFile file(path);
  fetch(url, file, options);
  const std::string got = digest_of(file.temporary(), url, options.max_bytes);
  if (got != options.sha256) fail<IoError>("download: ", url, ": its SHA-256 is ", got, ", expected ", options.sha256);
  file.commit();
}

#endif

}  // namespace gradus::io
