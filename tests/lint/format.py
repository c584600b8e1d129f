#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare C files with what clang-format makes of them; columns set by hand may stay.

usage: format.py FILE...

Tables and trailing comments are aligned by hand here, because their columns carry
meaning. So a difference counts only when it is about structure (indentation, braces, line
breaks in code); spacing inside a line, initialisers and macro bodies are the author's.
"""
import concurrent.futures
import difflib
import os
import re
import subprocess
import sys

MAX_COLUMNS = 100
TAB = 8


def indent(line):
    return line[:len(line) - len(line.lstrip())]


def author_lines(text):
    """Line numbers (from 0) inside initialisers and macro bodies."""
    lines, free, depth = text.split("\n"), set(), 0
    for n, line in enumerate(lines):
        code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', "", line)
        code = re.sub(r"/\*.*?\*/|//.*", "", code)
        if line.startswith("#define") or line.endswith("\\") or (n and lines[n - 1].endswith("\\")):
            free.add(n)
            continue
        if depth == 0:
            start = re.search(r"((=|return|\(struct \w+\)|=\s*\([^()]*\))\s*|"
                              r"^\s*enum(\s+\w+)?\s*)\{", code)
            if not start:
                continue
            code = code[start.start():]
        depth += code.count("{") - code.count("}")
        free.add(n)
    return free


def column_faults(path, text):
    for n, line in enumerate(text.split("\n"), 1):
        if len(line.expandtabs(TAB)) > MAX_COLUMNS:
            yield f"{path}:{n}: {len(line.expandtabs(TAB))} columns, at most {MAX_COLUMNS}"
        if line != line.rstrip():
            yield f"{path}:{n}: blanks at the end of the line"
        if line.startswith("        "):
            yield f"{path}:{n}: indented with spaces"


def is_continuation(lines, n):
    """Whether line N goes on with a statement or declaration begun above."""
    if n == 0 or not lines[n].strip():
        return False
    above = lines[n - 1].strip()
    return bool(above) and not above.startswith("#") and \
        not re.search(r"([;{}]|\*/|^(case\b.*|default|[A-Za-z_]\w*)\s*:)\s*(/\*.*)?$", above)


def structure(lines, a, b):
    """Lines A to B without columns and wrapping: (indentation of first lines, text)."""
    starts = [indent(lines[n]) for n in range(a, b) if not is_continuation(lines, n)]
    # A string may be written in several pieces.
    return starts, re.sub(r"\s+", "", "".join(lines[a:b])).replace('""', "")


def format_faults(path, text, formatted):
    free = author_lines(text)
    old, new = text.split("\n"), formatted.split("\n")
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal" or all(n in free for n in range(a, b)) and a < b:
            continue
        if a < b and c < d and structure(old, a, b) == structure(new, c, d):
            continue
        yield (f"{path}:{a + 1}: clang-format would write\n"
               + "".join(f"\t-{x}\n" for x in old[a:b])
               + "".join(f"\t+{x}\n" for x in new[c:d]).rstrip("\n"))


def faults(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    # By another name, as the tool takes some headers for other languages.
    name = re.sub(r"\.h$", ".c", path)
    out = subprocess.run(["clang-format", "--style=file", f"--assume-filename={name}"],
                         input=text.encode(), stdout=subprocess.PIPE, check=True,
                         timeout=120).stdout.decode()
    return [*column_faults(path, text), *format_faults(path, text, out)]


def main():
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [fault for per_file in pool.map(faults, sys.argv[1:]) for fault in per_file]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
