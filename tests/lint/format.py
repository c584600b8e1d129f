#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare C files with what clang-format makes of them; columns set by hand may stay.

usage: format.py FILE...

Tables and trailing comments are aligned by hand here, because their columns carry
meaning. So a difference counts only when it is about structure (indentation, braces, line
breaks in code); spacing inside a line, initialisers and macro bodies are the author's.
"""
import difflib
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
        if line.endswith("\\") or (n and lines[n - 1].endswith("\\")):
            free.add(n)
            continue
        if depth == 0:
            start = re.search(r"((=|return|=\s*\([^()]*\))\s*|^\s*enum(\s+\w+)?\s*)\{", code)
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


def same_structure(old, new):
    """Whether two spellings of the same code differ only in columns or in where long lines
    are wrapped: then the author's wrapping stands."""
    if not old or not new or indent(old[0]) != indent(new[0]):
        return False
    if len(old) == len(new):
        return all(indent(o) == indent(n) or is_continuation(old, k)
                   for k, (o, n) in enumerate(zip(old, new)))
    return len(old) > len(new) and all(is_continuation(old, k) for k in range(1, len(old)))


def is_continuation(lines, k):
    return k > 0 and not re.search(r"[;{}:]\s*(/\*.*)?$", lines[k - 1])


def format_faults(path, text, formatted):
    free = author_lines(text)
    old, new = text.split("\n"), formatted.split("\n")
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal" or all(n in free for n in range(a, b)) and a < b:
            continue
        if same_structure(old[a:b], new[c:d]):
            continue
        yield (f"{path}:{a + 1}: clang-format would write\n"
               + "".join(f"\t-{x}\n" for x in old[a:b])
               + "".join(f"\t+{x}\n" for x in new[c:d]).rstrip("\n"))


def main():
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        out = subprocess.run(["clang-format", "--style=file", path], stdout=subprocess.PIPE,
                             check=True, timeout=60).stdout.decode()
        for fault in [*column_faults(path, text), *format_faults(path, text, out)]:
            bad += 1
            print(fault)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
