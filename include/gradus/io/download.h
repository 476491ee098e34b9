// Fetching a file, checked before it gets its name.
#pragma once
#include <cstdint>
#include <string>

namespace gradus::io {

struct DownloadOptions {
  std::string sha256 = {};               // of the file, or of what it holds where it is gzip; 64 hexadecimal digits
  int64_t max_bytes = int64_t{1} << 31;  // of the file and of what it holds; beyond that the transfer stops
  int64_t timeout_s = 600;               // for the whole transfer
};

/// Whether this build can download: it needs libcurl and OpenSSL (GRADUS_DOWNLOAD).
bool can_download();

/// Fetches url (https, http or file) to path: to a temporary name beside it, then checked, then renamed, so that there is never half
/// a file at path. Makes the folder that path lies in. Throws IoError, naming the url and the reason; what was at path before is then
/// untouched.
void download(const std::string& url, const std::string& path, const DownloadOptions& options);

}  // namespace gradus::io
