#!/usr/bin/env python3
"""The CIFAR-10 example on made-up images: it learns them in every precision, its bits do not depend on workers, and what it says to
wrong arguments."""
import re

from example import Example

example = Example("cifar10")
run, check = example.run, example.check


def record(kind, state):
    """Kind k has its own colour, in a stripe of its own, with some noise."""
    pixels = bytearray()
    for colour in range(3):
        for row in range(32):
            bright = (kind >> colour & 1) * 90 + (110 if row // 3 == kind else 0)
            for _ in range(32):
                state = (state * 1103515245 + 12345) & 0x7fffffff
                pixels.append(bright + (state >> 16) % 50)
    return bytes([kind]) + pixels, state


def write_images(folder):
    state = 1
    for name, count in [(f"data_batch_{i}.bin", 60) for i in range(1, 6)] + [("test_batch.bin", 50)]:
        content = b""
        for i in range(count):
            one, state = record(i * 7 % 10, state)
            content += one
        (folder / name).write_bytes(content)


def test(folder):
    write_images(folder)
    small = ("--data", folder, "--width", 4, "--batch-size", 20, "--lr", 0.02)
    files = []
    for workers in (0, 1, 3):
        file = folder / f"net{workers}.safetensors"
        done = run(*small, "--epochs", 2, "--steps", 3, "--workers", workers, "--save", file)
        check(f"failed with {workers} workers", done.returncode == 0, done.stderr)
        files.append(file.read_bytes())
    check("the bits depend on the number of workers", len(set(files)) == 1)
    check("no names as torchvision has them", b"layer2.0.downsample.0.weight" in files[0] and b"layer4.1.bn2.running_var" in files[0])
    for precision in ("float", "bfloat16", "half"):  # by chance a tenth is right; of 36 seeds and precisions none ended below 0.6
        done = run(*small, "--epochs", 8, "--precision", precision)
        check(f"failed in {precision}", done.returncode == 0, done.stderr)
        last = re.fullmatch(r"test accuracy: (0\.\d{4}|1\.0000)", done.stdout.rstrip("\n").split("\n")[-1])
        check("another last line", last, done.stdout)
        check(f"stripes of ten colours were not told apart in {precision}", float(last[1]) >= 0.5, done.stdout)
        check("says another type", f"activations of {dict(float='float32', half='float16').get(precision, precision)}" in done.stdout, done.stdout)

    example.check_refusals([(("--precision", "int8"), "--precision int8: choose float, bfloat16 or half"),
                            (("--lr", "-1"), "--lr -1: not a number, at least 0"),
                            (("--epochs", "0"), "--epochs 0: not a number from 1 on"),
                            (("--device", "tpu"), "tpu"),
                            (("--what", "1"), "there is no --what; cifar10 --help"),
                            (("--data", folder / "none"), f"there is neither {folder}/none/data_batch_1.bin")])
    full = run("--data", folder, "--epochs", 1, "--steps", 1, "--batch-size", 4)  # the whole network, once
    check("the network of full width failed", full.returncode == 0 and "11173962 parameters" in full.stdout, full.stdout + full.stderr)


if __name__ == "__main__":
    example.main(test)
