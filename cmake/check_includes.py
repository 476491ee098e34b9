#!/usr/bin/env python3
"""Who may know whom. Reads every #include of the tree and prints those that break a rule of the house; exits 1 if there are any.

  include/          the standard library and gradus/... only: Eigen, BLAS, oneDNN, CUDA, JSON, ... are private to src/ and kernels/
  include/gradus/core, ops   know nothing of nn, loss, optim, data, metrics
  kernels/          sizes, strides, pointers, dtypes: no tensors, no autograd, no nn
  src/ops           knows no device: it reaches a kernel through the table and includes no library
  nn, loss, optim, data, metrics   are written with public headers: nothing of kernels/ or src/
"""
import pathlib
import re
import sys

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits clocale cmath
codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime
cuchar cwchar cwctype deque exception execution filesystem format forward_list fstream functional future initializer_list iomanip ios
iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream queue
random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token
streambuf string string_view syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility
valarray variant vector version
""".split())
COMPILER = {"immintrin.h", "omp.h"}  # intrinsics and threads: for kernels
ABOVE_OPS = "nn|loss|optim|data|metrics"
KERNELS_MAY = r"kernels/|include/gradus/core/(dtype|scalar|error|device|memory|precision|tuning)\.h$|include/gradus/ops/\w+\.def$"
THIRD_PARTY = r"<"

# (files, what they must not include: a file of the tree or a library's header in <>, why)
RULES = [
    (r"include/", THIRD_PARTY, "public headers include the standard library and gradus/... only"),
    (r"include/", r"(?!include/|<)", "a public header knows nothing of kernels/ and src/"),
    (r"include/gradus/(core|ops|autograd)/", rf"include/gradus/({ABOVE_OPS}|io|dist)/", "what stands below nn knows nothing of it"),
    (r"kernels/", rf"(?!{KERNELS_MAY}|<)", "a kernel sees sizes, strides, pointers and dtypes only"),
    (r"src/ops/", r"kernels/(cpu|cuda)/", "an op knows no device: it reaches a kernel through the table"),
    (r"src/ops/", THIRD_PARTY, "an op calls no library: the kernel behind the table does"),
    (rf"(include/gradus|src)/({ABOVE_OPS})/", r"(kernels|src/(ops|core|autograd))/", "written with public headers only"),
    (r"examples/", r"(?!include/gradus/|examples/)", "a user's program sees the public headers only"),
    (r"tests/consumer/", r"(?!include/gradus/)", "a user's program sees the public headers only"),
]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    files = [p for folder in ("include", "src", "kernels", "examples", "tests/consumer") for p in sorted((root / folder).rglob("*"))]
    wrong = []
    seen = 0
    for path in files:
        if path.suffix not in (".h", ".cpp", ".cu", ".cuh", ".def"):
            continue
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not found:
                continue
            seen += 1
            quote, what = found.groups()
            if quote == '"' or what.startswith("gradus/"):
                bases = (path.parent, root / "include", root) if quote == '"' else (root / "include",)
                there = next((base / what for base in bases if (base / what).exists()), None)
                if there is None:
                    wrong.append(f"{name}:{number}: {what}: no such file")
                    continue
                target = there.resolve().relative_to(root).as_posix()
            elif what in STANDARD or (what in COMPILER and not name.startswith("include/")):
                continue
            else:
                target = f"<{what}>"
            wrong += [f"{name}:{number}: {what}: {why}" for where, forbidden, why in RULES
                      if re.match(where, name) and re.match(forbidden, target)]
    for complaint in wrong:
        print(complaint)
    print(f"check_includes: {seen} includes, {len(wrong)} against the rules")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
