#include "src/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "src/core/message.h"

namespace gradus::io {
namespace {
constexpr size_t kPiece = size_t(1) << 30;  // the system moves at most 2 GiB a call

/// The path itself, or what a symbolic link stands for: the link stays, its target is replaced.
std::string target_of(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (!real) return path;
  std::string target = real;
  std::free(real);
  return target;
}
}  // namespace

// Without O_NONBLOCK, a named pipe would wait here for somebody to write.
InputFile::InputFile(const std::string& path) : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (fd_ < 0) fail<IoError>(path, ": cannot be opened: ", std::strerror(errno));
  struct stat info;
  int error = fstat(fd_, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
  if (error == 0 && S_ISREG(info.st_mode)) {
    size_ = uint64_t(info.st_size);
    return;
  }
  close(fd_);
  fail<IoError>(path, ": cannot be read: ", error ? std::strerror(error) : "not a regular file");
}
InputFile::~InputFile() { close(fd_); }

void InputFile::read(void* to, size_t bytes, uint64_t at) const {
  auto* p = static_cast<char*>(to);
  while (bytes > 0) {
    ssize_t n = pread(fd_, p, std::min(bytes, kPiece), off_t(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail<IoError>(path_, ": reading ", bytes, " bytes at ", at, " failed: ", std::strerror(errno));
    if (n == 0) fail<IoError>(path_, ": ends at byte ", at, ", ", bytes, " bytes early; it was cut off while it was read");
    p += n, at += uint64_t(n), bytes -= size_t(n);
  }
}

AtomicFile::AtomicFile(const std::string& path) : path_(target_of(path)), temporary_(path_ + ".XXXXXX") {
  fd_ = mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) fail<IoError>(path, ": cannot be written: no file can be made beside it: ", std::strerror(errno));
  // mkostemp's files are private; this one gets the mode of what it replaces, or what open() would have given it.
  struct stat old;
  mode_t mask = umask(0);
  umask(mask);
  mode_t mode = stat(path_.c_str(), &old) == 0 ? old.st_mode & 07777 : 0666 & ~mask;
  if (fchmod(fd_, mode) != 0) {
    int error = errno;
    close(fd_);
    unlink(temporary_.c_str());
    refuse("giving it its mode", error);
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* from, size_t bytes) {
  auto* p = static_cast<const char*>(from);
  while (bytes > 0) {
    ssize_t n = ::write(fd_, p, std::min(bytes, kPiece));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse("writing", errno);
    p += n, bytes -= size_t(n);
  }
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) refuse("syncing", errno);
  int closed = close(fd_), error = errno;
  fd_ = -1;
  if (closed == 0 && rename(temporary_.c_str(), path_.c_str()) != 0) closed = -1, error = errno;
  if (closed != 0) {
    unlink(temporary_.c_str());
    refuse("renaming", error);
  }
  // The name itself is on disk once the folder is. Some file systems cannot sync folders; the file is whole in any case.
  size_t slash = path_.rfind('/');
  std::string folder = slash == path_.npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

void AtomicFile::refuse(const char* doing, int error) {
  fail<IoError>(path_, ": ", doing, " failed: ", std::strerror(error), "; what was there before is untouched");
}

}  // namespace gradus::io
