#!/usr/bin/env python3
"""Whether GPT-2 learns here as it does with PyTorch: both from the same weights over the same bytes of a text, 200 steps.

    benchmarks/compare_losses.py --data TEXT [--build build/release] [--device cuda] [--steps 200] [--batch 32] [--small]

Activations in bfloat16 over float weights on both sides (autocast there), and both once more in float: how far the peer's own losses in
bfloat16 are from its losses in float is what rounding does. Ours may be twice as far from the peer's in bfloat16, on average over the steps.
Prints a JSON line a figure, and ends with 1 where that does not hold. Needs torch, safetensors and numpy. --small: 2 layers of 64.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import figures

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def ours(args, precision, start):
    command = [os.path.join(args.build, "benchmarks", "gpt2_losses"), "--data", args.data, "--device", args.device, "--steps", str(args.steps),
               "--batch", str(args.batch), "--precision", precision, *(["--small"] if args.small else []), "--start", start]
    return [line["value"] for line in figures.lines(command)]


def peer(args, precision, start):
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file

    state = load_file(start, device=args.device)
    text = state.pop("text")
    w = {name: torch.nn.Parameter(value) for name, value in state.items()}
    layers = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))
    heads = 2 if args.small else 12
    width = w["ln.weight"].numel()

    def norm(x, name):
        return F.layer_norm(x, (width,), w[name + ".weight"], w[name + ".bias"])

    def dense(x, name):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])

    def forward(ids):
        n, t = ids.shape
        x = F.embedding(ids, w["tokens.weight"]) + w["positions.weight"][:t]
        for i in range(layers):
            block = f"blocks.{i}."
            q, k, v = dense(norm(x, block + "ln1"), block + "qkv").view(n, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + dense(a.transpose(1, 2).reshape(n, t, width), block + "proj")
            x = x + dense(F.gelu(dense(norm(x, block + "ln2"), block + "mlp.c_fc"), approximate="tanh"), block + "mlp.c_proj")
        return F.linear(norm(x, "ln"), w["tokens.weight"]).flatten(0, 1)

    optimizer = torch.optim.AdamW(w.values(), lr=3e-4, weight_decay=0.01)
    losses = []
    for window in text:
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(forward(window[:, :-1]).float(), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    losses = {}
    with tempfile.TemporaryDirectory() as folder:
        start = os.path.join(folder, "start.safetensors")
        for precision in ("float32", "bfloat16"):
            try:
                losses["ours", precision] = ours(args, precision, start)
            except subprocess.CalledProcessError as e:
                return e.returncode
            losses["peer", precision] = peer(args, precision, start)

    def apart(a, b):
        return sum(abs(x - y) for x, y in zip(a, b)) / len(a)

    rounding = apart(losses["peer", "bfloat16"], losses["peer", "float32"])
    for precision in ("float32", "bfloat16"):
        a, b = losses["ours", precision], losses["peer", precision]
        worst = max(range(len(a)), key=lambda i: abs(a[i] - b[i]))
        print(json.dumps(dict(case=f"gpt2_losses_{precision}", value=apart(a, b), unit="nats", peer_rounding=rounding, steps=len(a), first=a[0], last=a[-1],
                              peer_last=b[-1], worst=abs(a[worst] - b[worst]), worst_at=worst)), flush=True)
    return 0 if apart(losses["ours", "bfloat16"], losses["peer", "bfloat16"]) <= 2 * rounding else 1


if __name__ == "__main__":
    sys.exit(main())
