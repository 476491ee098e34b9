#!/usr/bin/env python3
"""Runs Gradus's benchmarks beside libtorch's on the same work and prints the ratios, one JSON line a figure.

    benchmarks/compare.py [--build build/release] [--threads 2] [--rounds 3] [CASE ...]

CASE: mlp convnet resnet gpt overhead (all by default). Builds the peer's program where libtorch is installed (Debian: libtorch-dev).
Each training case first takes the same weights and inputs through twenty steps on both sides, without dropout, and stops where the
losses differ by more than rounding; then both are timed in turn, and the ratio (the peer's time by ours) is the median over rounds.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import figures

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRAINING = ["mlp", "convnet", "resnet", "gpt"]


def environment(peer):
    env = dict(os.environ, OMP_PROC_BIND="true", OMP_PLACES="cores")
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # they ask old processors' kernels of OpenBLAS
        env.pop(name, None)
    if peer:  # the peer's best setting: OpenBLAS on OpenMP threads, and a malloc that keeps its memory
        env.update(MALLOC_MMAP_THRESHOLD_="4294967296", MALLOC_TRIM_THRESHOLD_="17179869184", MALLOC_TOP_PAD_="268435456")
        openblas = glob.glob("/usr/lib/*/openblas-openmp")
        if openblas:
            env["LD_LIBRARY_PATH"] = openblas[0]
    return env


def run(command, peer, threads):
    env = environment(peer)
    env["OMP_NUM_THREADS"] = str(threads)
    return figures.lines(command, env)


def build_peer(folder):
    source = os.path.join(ROOT, "benchmarks/peer/libtorch_train.cpp")
    program = os.path.join(folder, "libtorch_train")
    if not os.path.exists("/usr/include/torch"):
        sys.exit("compare: libtorch is not installed (Debian: apt-get install libtorch-dev)")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        print("# building the peer's program", file=sys.stderr)
        subprocess.run(["g++", "-O2", "-std=c++17", "-w", "-I/usr/include/torch/csrc/api/include", source, "-o", program,
                        "-ltorch", "-ltorch_cpu", "-lc10"], check=True)
    return program


def same_losses(case, ours, peer, threads):
    """Both sides from the same weights. Rounding grows as training amplifies it, so the bound does with the step. Where a deep net
    leaves it (an input of relu that is zero within rounding moves a whole gradient), the same steps in double decide: ours may be
    at most four times as far from them as the peer's losses are."""
    with tempfile.TemporaryDirectory() as folder:
        start = os.path.join(folder, "start.bin")
        steps = ["--threads", str(threads), "--losses", "20"]
        lines = {"ours": run([ours, case, "--dump", start] + steps, False, threads)}
        lines["peer"] = run([peer, case, "--load", start] + steps, True, threads)

    def losses(side):
        values = [line["value"] for line in lines[side] if line["case"] == case + "_loss"]
        if len(values) != 20:
            sys.exit(f"compare: {case}: {len(values)} losses of {side} instead of 20")
        return values

    def difference(a, b):
        return max(abs(x - y) / (abs(y) + 1e-3) / (1 + step) for step, (x, y) in enumerate(zip(a, b)))

    a, b = losses("ours"), losses("peer")
    found = dict(case=case + "_loss_difference", value=difference(a, b), unit="relative, per step", first=a[0], last=a[-1], peer_last=b[-1])
    same = found["value"] <= 1e-5
    if not same:
        lines["double"] = run([ours, case, "--double"] + steps, False, threads)
        exact = losses("double")
        found.update(to_double=difference(a, exact), peer_to_double=difference(b, exact))
        same = found["to_double"] <= 4 * found["peer_to_double"]
    print(json.dumps(found), flush=True)
    if not same:
        sys.exit(f"compare: {case}: the losses differ: {a} and {b}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("cases", nargs="*", default=TRAINING + ["overhead"])
    args = parser.parse_args()
    programs = os.path.join(args.build, "benchmarks")
    peer = build_peer(programs)
    for case in args.cases:
        ours = os.path.join(programs, "overhead_bench" if case == "overhead" else "train_bench")
        if case != "overhead":
            same_losses(case, ours, peer, args.threads)
        rounds = figures.Rounds()
        for _ in range(args.rounds):
            extra = [] if case == "overhead" else ["--threads", str(args.threads)]
            rounds.add(*(run([program, case] + extra, is_peer, args.threads) for program, is_peer in ((ours, False), (peer, True))))
        rounds.report()


if __name__ == "__main__":
    main()
