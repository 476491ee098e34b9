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
KERNELS_MAY = r"kernels/|gradus/core/(dtype|error|device|shape|random|philox|memory)\w*\.h$|gradus/ops/\w+\.def$"

# (files, includes that they must not have, why)
RULES = [
    (r"include/", r'"(?!gradus/)', "a public header names another as gradus/..., and knows nothing of kernels/ and src/"),
    (r"include/gradus/(core|ops|autograd)/", rf'"gradus/({ABOVE_OPS}|io|dist)/', "what stands below nn knows nothing of it"),
    (r"kernels/", rf'"(?!{KERNELS_MAY})', "a kernel sees sizes, strides, pointers and dtypes only"),
    (r"src/ops/", r'"kernels/(cpu|cuda)/', "an op knows no device: it reaches a kernel through the table"),
    (r"src/ops/", r"<third-party>", "an op calls no library: the kernel behind the table does"),
    (rf"(include/gradus|src)/({ABOVE_OPS})/", r'"(kernels|src/(ops|core|autograd))/', "written with public headers only"),
    (r"(examples|tests/consumer)/", r'"(?!gradus/)', "a user's program sees the public headers only"),
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
            if quote == "<" and what.startswith("gradus/"):
                what, quote = what, '"'
            ours = quote == '"'
            third_party = not ours and what not in STANDARD and what not in COMPILER
            if name.startswith("include/") and not ours and what not in STANDARD:
                wrong.append(f"{name}:{number}: {what}: public headers include the standard library and gradus/... only")
            if ours and not any((base / what).exists() for base in (root / "include", root, path.parent)):
                wrong.append(f"{name}:{number}: {what}: no such file")
            for where, forbidden, why in RULES:
                if not re.match(where, name):
                    continue
                hit = third_party if forbidden == "<third-party>" else ours and re.match(forbidden, '"' + what)
                if hit:
                    wrong.append(f"{name}:{number}: {what}: {why}")
    for complaint in wrong:
        print(complaint)
    print(f"check_includes: {seen} includes, {len(wrong)} against the rules")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
