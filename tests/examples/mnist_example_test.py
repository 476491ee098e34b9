#!/usr/bin/env python3
"""The MNIST example on made-up images: the same bits for any number of workers, what it prints, and what it says to wrong arguments."""
import re

from example import Example

example = Example("mnist")
run, check = example.run, example.check


def write_images(folder, part, count):
    """Ten kinds of images: kind k is bright in rows 2k to 2k + 3, with some noise."""
    images, labels, state = bytearray(), bytearray(), 1
    for i in range(count):
        kind = i * 7 % 10
        labels.append(kind)
        for row in range(28):
            for _ in range(28):
                state = (state * 1103515245 + 12345) & 0x7fffffff
                images.append((state >> 16) % 60 + (180 if 2 * kind <= row < 2 * kind + 4 else 0))
    size = count.to_bytes(4, "big")
    (folder / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + size + (28).to_bytes(4, "big") * 2 + images)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + size + labels)


def test(folder):
    write_images(folder, "train", 500)
    write_images(folder, "t10k", 50)
    common = ("--data", folder, "--epochs", 2, "--batch-size", 16, "--steps", 25)
    files = []
    for workers in (0, 1, 4, 4):
        file = folder / f"net{len(files)}.safetensors"
        done = run(*common, "--workers", workers, "--save", file)
        check(f"failed with {workers} workers", done.returncode == 0, done.stderr)
        files.append(file.read_bytes())
    check("the bits depend on the number of workers, or change from run to run", len(set(files)) == 1)
    lines = done.stdout.rstrip("\n").split("\n")
    last = re.fullmatch(r"test accuracy: (0\.\d{4}|1\.0000)", lines[-1])
    check("another last line", last, lines[-1])
    check("ten stripes were not told apart", float(last[1]) > 0.8, done.stdout)
    check("no figures of each class", "precision" in done.stdout and re.search(r"^9 +\d\.\d{4}", done.stdout, re.M), done.stdout)
    check("no pictures", sum("@" in line or "%" in line for line in lines) > 4, done.stdout)
    check("not one line of progress for each epoch", len(done.stderr.splitlines()) == 2, done.stderr)
    other = folder / "other.safetensors"
    run(*common, "--workers", 1, "--seed", 1, "--save", other)
    check("the seed changes nothing", other.read_bytes() != files[0])

    example.check_refusals([(("--epochs", "many"), "--epochs many: not a number from 1 on"),
                            (("--batch-size", "0"), "--batch-size 0: not a number from 1 on"),
                            (("--seed",), "--seed needs a value"),
                            (("--epoch", "1"), "there is no --epoch"),
                            (("--device", "tpu"), "tpu"),
                            (("--data", folder / "none"), f"there is neither {folder}/none/train-images-idx3-ubyte"),
                            ((*common, "--epochs", 1, "--steps", 1, "--save", folder / "no" / "net"), f"{folder}/no/net")])


if __name__ == "__main__":
    example.main(test)
