#!/usr/bin/env python3
"""Turns the C++ of a Markdown page into a test: snippets.py PAGE.md OUT.cpp.

```cpp               statements: a test of their own
```cpp continued     statements that go on where the last ones stopped
```cpp declarations  types and functions: above all tests of the page
```cpp program       a whole program, with its #include and main(): main() is run
```cpp sketch        not code to run: signatures, parts of something larger
```text              right after statements: exactly what they print
"""
import pathlib
import re
import sys


def blocks(page):
    """(line, kind, text, what it prints or None) of each C++ block."""
    found = []
    last_end = None
    for match in re.finditer(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", page, re.M | re.S):
        language, kind, text = match.groups()
        if language == "cpp":
            found.append([page.count("\n", 0, match.start()) + 2, kind or "statements", text, None])
            last_end = match.end()
        elif language == "text" and last_end is not None and page[last_end:match.start()].strip() == "":
            found[-1][3] = text
            last_end = match.end()
        else:
            last_end = None
    return found


def raw(text):
    return 'R"doc(' + text + ')doc"'


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    name = re.sub(r"\W", "_", source.stem)
    declarations, tests = [], []
    for line, kind, text, prints in blocks(source.read_text()):
        place = f'#line {line} "{source.name}"\n'
        if kind == "sketch":
            continue
        if kind == "declarations":
            declarations.append(place + text)
            continue
        if kind == "program":
            body = re.sub(r"^#include .*\n", "", text, flags=re.M)
            declarations.append(f"namespace program_{line} {{\n{place}" + re.sub(r"\bint main\(\)", "int run()", body) + "\n}\n")
            text, kind = f"EXPECT_EQ(program_{line}::run(), 0);\n", "statements"
        piece = f"Printed printed_{line};\n{place}{text}"
        piece += f"EXPECT_EQ(printed_{line}.text(), trimmed({raw(prints)}));\n" if prints else f"printed_{line}.text();\n"
        if kind == "continued":
            tests[-1] += piece
        elif kind == "statements":
            tests.append(f"TEST({name}, Line{line}) {{\n  Folder folder;\n" + piece)
        else:
            sys.exit(f"{source}:{line - 1}: what is ```cpp {kind}?")
    if not tests and not declarations:
        sys.exit(f"{source}: no snippets")
    out.write_text("// Made from " + source.name + ' by snippets.py.\n#include "tests/docs/snippets.h"\n\nnamespace {\n\n' +
                   "\n".join(declarations) + "\n" + "\n".join(t + "}\n" for t in tests) + "\n}  // namespace\n")


if __name__ == "__main__":
    main()
