#!/usr/bin/env python3
"""compare_gpu.py on made-up programs: which figures it pairs, the ratios, what it says to errors. And gpu_bench
and gpt2_losses themselves, small, on the CPU."""
import json
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1])
COMPARE = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "compare_gpu.py"
NAMES = """gemm_bf16_4096 gemm_bf16_8192 gemm_fp16_4096 gemm_fp16_8192 gemm_fp32_4096 gemm_tf32_4096 copy add_bf16 gelu_bf16 layernorm_fwd_bf16
softmax_fwd_bf16 sum_rows_bf16 sum_cols_bf16 sum_all_bf16 transpose_copy_bf16 layernorm_bwd_bf16 softmax_bwd_bf16 add_fp32 gelu_fp32
layernorm_fwd_fp32 softmax_fwd_fp32 sum_rows_fp32 sum_cols_fp32 sum_all_fp32 transpose_copy_fp32 layernorm_bwd_fp32 softmax_bwd_fp32
cross_entropy_fwdbwd_bf16 host_us_per_op_nograd_python host_us_per_op_grad_python us_per_op_fwd_bwd_python attn_fwd_causal_B32H12T1024D64
attn_bwd_causal_B32H12T1024D64 attn_fwd_causal_B4H16T4096D128 attn_bwd_causal_B4H16T4096D128 attn_fwd_causal_B2H16T8192D128
attn_bwd_causal_B2H16T8192D128 mnist_convnet_fp32_b64 mnist_convnet_fp32_b1024 resnet18_cifar_bf16_b512 resnet50_bf16_b256
gpt2_124m_bf16_B32T1024""".split()


def check(what, right, shown=""):
    if not right:
        sys.exit(f"compare_gpu_test: {what}\n{shown}")


def compare(folder, ours, peer, *arguments):
    """Programs that print these lines, whatever they are asked; `ours` may end with another code."""
    text, code = ours if isinstance(ours, tuple) else (ours, 0)
    program = folder / "benchmarks" / "gpu_bench"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    program.chmod(0o755)
    (folder / "peer.py").write_text(f"print({peer!r})\n")
    done = subprocess.run([sys.executable, COMPARE, "--build", folder, "--peer", folder / "peer.py", "--rounds", "2", *arguments],
                          capture_output=True, text=True)
    return done, {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}


def main():
    def line(case, value, unit, **more):
        return json.dumps(dict(case=case, value=value, unit=unit, **more))

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ours = "\n".join([line("net", 300, "img/s"), line("step", 2, "ms"), line("alone", 1, "ms"), "# a remark"])
        theirs = "\n".join([line("net", 150, "img/s", peer="eager"), line("net", 200, "img/s", peer="compiled"), "text",
                            line("step", 6, "ms", peer="compiled"), line("step", 3, "ms", peer="eager")])
        done, found = compare(folder, ours, theirs, "resnet")
        check("failed", done.returncode == 0, done.stderr)
        check("pairs other figures", set(found) == {"net", "step"}, done.stdout)
        check("a rate's ratio", found["net"]["ratio"] == 1.5 and found["net"]["by"] == "compiled" and found["net"]["peer"] == 200, done.stdout)
        check("a time's ratio", found["step"]["ratio"] == 1.5 and found["step"]["by"] == "eager", done.stdout)

        done, found = compare(folder, line("net", 300, "img/s", peak_gib=2), line("net", 150, "img/s", peak_gib=3), "gpt2")
        check("memory", found["net"]["peak_gib"] == 2 and found["net"]["peer_peak_gib"] == 3, done.stdout)
        done, found = compare(folder, (line("net", 300, "img/s") + '\n{"case": "gpt2", "error": "no kernel"}', 1), theirs, "resnet")
        check("hides an error", done.returncode == 1 and found["gpt2 (ours)"]["error"] == "no kernel" and "net" in found, done.stdout)
        done, _ = compare(folder, ("", 77), theirs)
        check("does not say that there is no GPU", done.returncode == 77, done.stderr)
        done, _ = compare(folder, ("", 3), theirs)
        check("goes on after a crash", done.returncode == 1 and "ended with 3" in done.stderr, done.stderr)
        done, _ = compare(folder, line("net", 1, "img/s", small=True), theirs)
        check("takes figures of small sizes", done.returncode == 1 and "--small" in done.stderr, done.stderr)

    program = BUILD / "benchmarks" / "gpu_bench"
    if not program.exists():
        print("gpu_bench is not built")
        return 0
    done = subprocess.run([program, "--device", "cpu", "--small"], capture_output=True, text=True)
    found = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    check("gpu_bench fails on the CPU", done.returncode == 0 and not any("error" in line for line in found), done.stdout + done.stderr)
    check("gpu_bench has other cases", [line["case"] for line in found] == NAMES, done.stdout)
    check("gpu_bench does not say that its sizes are small", all(line["small"] for line in found), done.stdout)
    done = subprocess.run([program, "--device", "cuda:15"], capture_output=True, text=True)
    check("gpu_bench does not say what is missing", done.returncode == 77 and "no GPU to measure: cuda" in done.stderr, done.stderr)
    with tempfile.TemporaryDirectory() as name:
        text, start = pathlib.Path(name) / "text", pathlib.Path(name) / "start.safetensors"
        text.write_text("a step is a step. " * 40)
        arguments = [BUILD / "benchmarks" / "gpt2_losses", "--device", "cpu", "--small", "--batch", "2", "--data"]
        done = subprocess.run([*arguments, text, "--steps", "12", "--start", start], capture_output=True, text=True)
        losses = [json.loads(line)["value"] for line in done.stdout.splitlines()]
        check("gpt2_losses does not learn", len(losses) == 12 and 5 < losses[0] < 6 and losses[-1] < losses[0] - 0.1, done.stdout + done.stderr)
        check("gpt2_losses writes no start", start.stat().st_size > 100000)
        done = subprocess.run([*arguments, pathlib.Path(name) / "nowhere"], capture_output=True, text=True)
        check("gpt2_losses says nothing of a missing text", done.returncode == 1 and "nowhere" in done.stderr, done.stderr)
    check("an unknown case", subprocess.run([program, "ceiling"], capture_output=True).returncode == 2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
