"""What the comparisons share: figures are JSON lines {"case", "value", "unit", ...}; both sides run in turn, and a ratio above 1 means
that Gradus is faster."""
import json
import statistics
import subprocess

TIMES = ("ns", "us", "ms", "s", "us/op", "ns/op", "MB")  # less is better


def lines(command, env=None, accept=(0,)):
    """The figures that a program prints. A figure without a value is an error that the program met, and is given too."""
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode not in accept:
        raise subprocess.CalledProcessError(done.returncode, command)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def figure(case, value, unit, peer, ratio, **more):
    print(json.dumps(dict(case=case, value=round(value, 4), unit=unit, peer=round(peer, 4), ratio=round(ratio, 3), **more)), flush=True)


class Rounds:
    """Figures of several rounds, the peer's beside ours."""

    def __init__(self):
        self.ours, self.theirs, self.units, self.by = {}, {}, {}, {}
        self.memory = {}  # GiB at the peak: ours, and the peer's in the way that counts

    def add(self, ours, theirs):
        for line in ours:
            self.ours.setdefault(line["case"], []).append(line["value"])
            self.units[line["case"]] = line["unit"]
            if "peak_gib" in line:
                self.memory.setdefault(line["case"], {})["peak_gib"] = line["peak_gib"]
        best = {}  # a peer with several ways counts by its best one in this round
        for line in theirs:
            best.setdefault(line["case"], []).append((line["value"], line.get("peer"), line.get("peak_gib")))
        for case, values in best.items():
            value, name, peak = (min if self.units.get(case) in TIMES else max)(values, key=lambda v: v[0])
            self.theirs.setdefault(case, []).append(value)
            self.by[case] = name
            if peak is not None and case in self.memory:
                self.memory[case]["peer_peak_gib"] = peak

    def report(self):
        for case, ours in self.ours.items():
            theirs = self.theirs.get(case)
            if not theirs:
                continue
            ratios = [b / a if self.units[case] in TIMES else a / b for a, b in zip(ours, theirs)]
            more = {"by": self.by[case]} if self.by[case] else {}
            more |= self.memory.get(case, {})
            figure(case, statistics.median(ours), self.units[case], statistics.median(theirs), statistics.median(ratios),
                   lowest=round(min(ratios), 3), highest=round(max(ratios), 3), **more)
