#!/usr/bin/env python3
"""What it costs to include Gradus and to ship it. Prints JSON lines (case, value, unit, limit); exits 1 if a limit is passed.
Figures can be chosen by name: check_compile_cost.py [compile] [shared_library] [static_trainer].

  compile_time, compile_memory   the MNIST example against an empty main that includes <vector>, <string>, <memory> (g++ -O2)
  shared_library                 libgradus.so for the CPU, stripped
  static_trainer                 the MNIST example linked statically against the minimal build, stripped
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "mnist.cpp"
ROUNDS = 5


def run(*command):
    """Runs and returns (seconds of processor time, peak megabytes) of the command and what it starts."""
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compile_cost(work):
    empty = work / "empty.cpp"
    empty.write_text("#include <memory>\n#include <string>\n#include <vector>\nint main() {}\n")
    best = {}
    for _ in range(ROUNDS):  # in turn, so that a busy moment touches both
        for source in (empty, EXAMPLE):
            cost = run("g++", "-std=c++20", "-O2", f"-I{ROOT / 'include'}", "-c", str(source), "-o", str(work / "out.o"))
            best[source] = tuple(map(min, best.get(source, cost), cost))
    return best[EXAMPLE][0] - best[empty][0], best[EXAMPLE][1] - best[empty][1]


def build(preset, folder, target, *options):
    jobs = str(os.cpu_count())
    run("sh", "-c", f"cmake --preset {preset} -B {folder} {' '.join(options)} >/dev/null")
    run("sh", "-c", f"cmake --build {folder} -j {jobs} --target {target} >/dev/null")


def stripped_megabytes(work, file):
    run("strip", "-o", str(work / "stripped"), str(file))
    return (work / "stripped").stat().st_size / 1e6


def main():
    passed = True
    wanted = sys.argv[1:] or ["compile", "shared_library", "static_trainer"]

    def report(case, value, unit, limit):
        nonlocal passed
        passed &= value <= limit
        print(json.dumps({"case": case, "value": round(value, 3), "unit": unit, "limit": limit}), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for name in wanted:
            if name == "compile":
                seconds, megabytes = compile_cost(work)
                report("compile_time", seconds, "s", 1.5)
                report("compile_memory", megabytes, "MB", 300)
            elif name == "shared_library":
                build("release", "build/shared", "gradus", "-DBUILD_SHARED_LIBS=ON", "-DGRADUS_CUDA=OFF")
                report(name, stripped_megabytes(work, ROOT / "build/shared/libgradus.so"), "MB", 10)
            elif name == "static_trainer":
                build("minimal", "build/minimal", "gradus")
                trainer = work / "trainer"
                flags = subprocess.run(["sed", "-n", "s/^Libs:.*-lgradus//p", "build/minimal/gradus.pc"], cwd=ROOT, check=True,
                                       capture_output=True, text=True).stdout.split()
                run("g++", "-std=c++20", "-O2", f"-I{ROOT / 'include'}", str(EXAMPLE), "-static", "-Wl,--gc-sections",
                    str(ROOT / "build/minimal/libgradus.a"), *flags, "-o", str(trainer))
                report(name, stripped_megabytes(work, trainer), "MB", 5)
            else:
                sys.exit(f"check_compile_cost: there is no figure '{name}'")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
