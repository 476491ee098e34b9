"""Turns a kernel's source into plain C++: translate.py FROM TO.

Two things in it are no C++: launches, and instructions that stand as assembly.

    softmax<T><<<blocks, kThreads, 0, stream()>>>(y, x);
    ::emulator::launch("softmax<T>", ::emulator::Grid(blocks, kThreads, 0, stream()), [](auto... a) { softmax<T>(a...); }, y, x);

    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(bits));
    ::emulator::instruction_cvt_f32_f16(f, bits);
"""
import pathlib
import re
import sys


def kernel_before(text: str, end: int) -> int:
    """Where the kernel's name begins, whose template arguments, if any, end before `end`."""
    at = len(text[:end].rstrip())
    if text[at - 1] == ">":
        depth = 0
        while True:
            at -= 1
            depth += {">": 1, "<": -1}.get(text[at], 0)
            if depth == 0:
                break
    return re.search(r"\w+$", text[:at]).start()


def translate_launches(text: str) -> str:
    while (mark := text.find("<<<")) >= 0:
        begin = kernel_before(text, mark)
        kernel = text[begin:mark].strip()
        end = text.index(">>>", mark)
        if text[end + 3] != "(":
            raise SystemExit(f"{kernel}: arguments do not follow its launch")
        grid = text[mark + 3:end]
        call = (f'::emulator::launch("{kernel}", ::emulator::Grid({grid}), '
                f"[](auto... emulated) {{ {kernel}(emulated...); }}, ")
        text = text[:begin] + call + text[end + 4:]
    return text


def translate_assembly(text: str) -> str:
    def instruction(match: re.Match) -> str:
        name = "instruction_" + match["name"].replace(".", "_")
        return f"::emulator::{name}({match['result']}, {match['operand']})"

    text = re.sub(r'asm\("(?P<name>[\w.]+) %0, %1;" : "=\w"\((?P<result>[\w.]+)\) : "\w"\((?P<operand>[\w.]+)\)\)', instruction, text)
    text = re.sub(r'asm volatile\("" : "\+r"\([^)]*\)\);', ";", text)  # keeps the compiler from knowing a value; no instruction
    if re.search(r"\basm\b", text):
        raise SystemExit("assembly that is not translated")
    return text


source, target = map(pathlib.Path, sys.argv[1:])
text = translate_assembly(translate_launches(source.read_text()))
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(f'#line 1 "{source}"\n{text}')
