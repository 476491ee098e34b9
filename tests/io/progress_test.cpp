// The progress bar on a terminal (a pseudo-terminal) and in a pipe.
#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/check.h"

using namespace gradus;

namespace {

/// What was written to a file descriptor and has not been read yet.
std::string pending(int fd) {
  std::string all;
  char piece[4096];
  fcntl(fd, F_SETFL, O_NONBLOCK);
  for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) all.append(piece, size_t(n));
  return all;
}

struct Terminal {
  int ours, theirs;
  explicit Terminal(unsigned short columns) {
    setenv("TERM", "xterm", 1);
    winsize size{};
    size.ws_row = 24, size.ws_col = columns;
    EXPECT_EQ(openpty(&ours, &theirs, nullptr, nullptr, &size), 0);
  }
  ~Terminal() { close(ours), close(theirs); }
};
struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() { close(ends[0]), close(ends[1]); }
};

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}
void wait() { std::this_thread::sleep_for(std::chrono::milliseconds(110)); }

}  // namespace

TEST(ProgressBar, DrawsOnATerminal) {
  Terminal terminal(100);
  ProgressBar bar("epoch 1", 4, terminal.theirs);
  bar.set("loss", 0.125);
  wait();
  bar.advance();
  std::string drawn = pending(terminal.ours);
  EXPECT_NE(drawn.find("\repoch 1  [=======                       ]  1/4  "), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("/s  0."), std::string::npos) << drawn;
  EXPECT_NE(drawn.find(" s left  loss 0.125\x1b[K"), std::string::npos) << drawn;
  EXPECT_EQ(drawn.find('\n'), std::string::npos);
  bar.advance(3);
  bar.set("loss", 0.0625);
  bar.finish();
  drawn = pending(terminal.ours);
  EXPECT_NE(drawn.find("[==============================]  4/4  "), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("loss 0.0625\x1b[K\r\n"), std::string::npos) << drawn;
}

TEST(ProgressBar, DrawsAtMostTenTimesASecond) {
  Terminal terminal(100);
  const auto start = std::chrono::steady_clock::now();
  {
    ProgressBar bar("fast", 100000, terminal.theirs);
    for (int i = 0; i < 100000; ++i) bar.advance();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LE(double(count(pending(terminal.ours), "\r") - 1), 2 + seconds / 0.1);  // the last line's end is \r\n
}

TEST(ProgressBar, StaysOnOneLineOfANarrowTerminal) {
  Terminal terminal(30);
  { ProgressBar bar("a label that is longer than the terminal is wide", 10, terminal.theirs); }
  std::string drawn = pending(terminal.ours);
  for (size_t at = 0, end; (end = drawn.find("\x1b[K", at)) != std::string::npos; at = end + 3) EXPECT_LE(end - at, 30u);
}

TEST(ProgressBar, SaysOneLineInAPipe) {
  Pipe pipe;
  {
    ProgressBar bar("epoch 2", 3, pipe.ends[1]);
    for (int i = 0; i < 3; ++i) {
      wait();
      bar.advance();
    }
    bar.set("loss", 1.5);
    EXPECT_EQ(pending(pipe.ends[0]), "");
  }
  const std::string said = pending(pipe.ends[0]);
  EXPECT_EQ(said.substr(0, 16), "epoch 2: 3/3 in ") << said;
  EXPECT_EQ(said.substr(said.size() - 11), "  loss 1.5\n") << said;
  EXPECT_EQ(count(said, "\n"), 1u);
  EXPECT_EQ(count(said, "\r") + count(said, "\x1b"), 0u);
}

TEST(Progress, LoopsOverAnythingAndPassesThrough) {
  std::vector<int> numbers = {1, 2, 3};
  ::testing::internal::CaptureStderr();
  for (int& n : progress(numbers, "doubling")) n *= 2;
  EXPECT_EQ(numbers, (std::vector<int>{2, 4, 6}));
  std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.substr(0, 17), "doubling: 3/3 in ") << said;
  EXPECT_EQ(count(said, "\n"), 1u);

  ::testing::internal::CaptureStderr();
  auto steps = progress(std::vector<int>{1, 2, 3, 4}, "left early");
  for (int n : steps) {
    steps.set("n", n);
    if (n == 2) break;
  }
  for (int n : steps) steps.set("n", n);  // a second loop has a bar of its own
  said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.substr(0, 19), "left early: 1/4 in ") << said;
  EXPECT_NE(said.find("n 2\nleft early: 4/4 in "), std::string::npos) << said;
}
