#!/usr/bin/env python3
"""The GPT-2 example learns a short text by heart in every precision and writes it down; one seed, one result; wrong arguments."""
import re

from example import Example

example = Example("gpt2")
run, check = example.run, example.check
SENTENCE = "the quick brown fox jumps over the lazy dog. "


def test(folder):
    text = folder / "text"
    text.write_text(SENTENCE * 50)
    small = ("--data", text, "--layers", 2, "--heads", 2, "--width", 32, "--context", 32, "--vocabulary", 256, "--batch", 8)
    learn = (*small, "--steps", 150, "--lr", 0.01, "--log", 50, "--prompt", SENTENCE[:20], "--sample", 60)
    for precision in ("float", "bfloat16", "half"):
        done = run(*learn, "--temperature", 0, "--precision", precision)
        check(f"failed in {precision}", done.returncode == 0, done.stderr)
        last = re.search(r"\nheld-back loss: (\d+\.\d{4})\n$", done.stdout)
        check("another last line", last, done.stdout)
        check(f"the text was not learned in {precision}", float(last[1]) < 0.4, done.stdout)
        check(f"another text is written in {precision}", (SENTENCE * 3)[20:80] in done.stdout, done.stdout)
        losses = [float(x) for x in re.findall(r"^step +\d+  loss (\d+\.\d{4})  \d+ tokens/s$", done.stdout, re.M)]
        check("not a line for steps 1, 50, 100 and 150", len(losses) == 4 and losses[0] > 5 > losses[-1], done.stdout)

    files, texts = [], []
    for seed in (3, 3, 4):
        files.append(folder / f"net{len(files)}.safetensors")
        done = run(*small, "--steps", 3, "--seed", seed, "--save", files[-1], "--sample", 40, "--top-k", 0, "--temperature", 1.5)
        check("failed", done.returncode == 0, done.stderr)
        texts.append(re.sub(r"\d+ tokens/s", "", done.stdout))
    a, b, c = (file.read_bytes() for file in files)
    check("one seed gives two results", a == b and texts[0] == texts[1], texts)
    check("the seed changes nothing", a != c and texts[0] != texts[2])
    check("no names as GPT-2 has them", b"h.1.attn.c_attn.weight" in a and b"h.0.mlp.c_proj.bias" in a and b"wpe.weight" in a)

    example.check_refusals([((), "there is no text in ''; give a file with --data, or --random"),
                            (("--data", folder / "none"), f"there is no text in '{folder}/none'"),
                            (("--width", 30, "--heads", 4, "--random"), "--width 30 is not a multiple of --heads 4"),
                            (("--data", text, "--context", 4000), "a context of 4000 and a vocabulary of 50304 do not go with 2250 bytes"),
                            (("--precision", "double", "--random"), "--precision double: choose"),
                            (("--temperature", "warm"), "--temperature warm: not a number"),
                            (("--prompt", "", "--random"), "--prompt is empty"),
                            (("--steps",), "--steps needs a value; gpt2 --help")])


if __name__ == "__main__":
    example.main(test)
