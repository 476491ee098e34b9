#!/usr/bin/env python3
"""Runs gpu_bench beside PyTorch on the same GPU and the same work, in turn, and prints the ratios, one JSON line a figure.

    benchmarks/compare_gpu.py [--build build/release] [--peer FILE] [--python python3] [--rounds 3] [--tuned] [CASE ...]

CASE: ceilings elementwise overhead attention mnist resnet gpt2 (all by default). The peer's program prints its figures as gpu_bench
does, under the same names; where it has several ways (eager, compiled), the best one counts and is named. A ratio above 1 means that
Gradus is faster; peak_gib and peer_peak_gib are the memory of both at the peak. --tuned lets products be timed first. Cases that fail on either side are named at the end, and the script then ends with 1; with 77 where there is no GPU.
"""
import argparse
import json
import os
import subprocess
import sys

import figures

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CASES = ["ceilings", "elementwise", "overhead", "attention", "mnist", "resnet", "gpt2"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--peer", default=os.path.join(ROOT, "../shared/peers/torch_gpu.py"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("cases", nargs="*", default=CASES)
    args = parser.parse_args()
    ours = os.path.join(args.build, "benchmarks", "gpu_bench")
    for what in (ours, args.peer):
        if not os.path.exists(what):
            sys.exit(f"compare_gpu: there is no {what}")
    failed = {}
    for case in args.cases:
        rounds = figures.Rounds()
        for _ in range(args.rounds):
            found = []
            for side, command in (("ours", [ours, *(["--tuned"] if args.tuned else []), case]), ("peer", [args.python, args.peer, case])):
                try:
                    found.append(figures.lines(command, accept=(0, 1)))
                except subprocess.CalledProcessError as e:
                    if side == "ours" and e.returncode == 77:  # gpu_bench has said why
                        return 77
                    sys.exit(f"compare_gpu: {' '.join(command)} ended with {e.returncode}")
                for line in found[-1]:
                    if "error" in line:
                        failed[f"{line['case']} ({side})"] = line["error"]
                    if line.get("small"):
                        sys.exit("compare_gpu: gpu_bench ran with --small; such figures mean nothing")
            rounds.add(*([line for line in side if "value" in line] for side in found))
        rounds.report()
    for case, error in failed.items():
        print(json.dumps(dict(case=case, error=error)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
