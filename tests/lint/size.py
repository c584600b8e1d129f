#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits of files and functions; code lines per folder.

usage: size.py          faults, one a line
       size.py --table  code lines per folder (cloc), total last
"""
import collections
import json
import re
import subprocess
import sys

import tree

FILE_LINES = 600
FUNCTION_LINES = 80
PARAMETERS = 6
COMPLEXITY = 15
GOAL = 20000  # code lines of the hypervisor: no tests, no guest images, no comments
BRANCH = re.compile(r"\b(?:if|for|while|switch)\b|&&|\|\||\?")
NOT_NAMES = {"if", "for", "while", "switch", "return", "sizeof", "__attribute__", "asm",
             "__asm__", "typeof", "__typeof__", "_Alignas", "_Static_assert"}


class Function:
    """One definition: name, first line, lines of its body, parameters, complexity."""

    def __init__(self, name, lines, body, parameters):
        self.name = name
        self.line, self.body_line = lines
        self.lines = body.count("\n") + 1
        self.parameters = parameters
        # A switch is one decision here: a dispatch table is not harder for being long.
        self.complexity = 1 + len(BRANCH.findall(body))


def matching(text, start, opening, closing):
    depth = 0
    for i in range(start, len(text)):
        if text[i] == opening:
            depth += 1
        elif text[i] == closing:
            depth -= 1
            if depth == 0:
                return i
    return len(text) - 1


def blank_directives(text):
    """Preprocessor lines, continued ones included, as empty lines."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


def count_parameters(text):
    depth, n = 0, 1
    for c in text:
        depth += (c in "([") - (c in ")]")
        n += c == "," and depth == 0
    return 0 if text.strip() in ("", "void") else n


def functions(source):
    """All function definitions of a C text."""
    text = blank_directives(tree.strip_c(source))
    found, start, i = [], 0, 0
    while i < len(text):
        if text[i] in ";}":
            start = i + 1
        elif text[i] == "(":
            i = matching(text, i, "(", ")")
        elif text[i] == "{":
            end = matching(text, i, "{", "}")
            head = text[start:i]
            if "=" not in head and head.rstrip().endswith(")"):
                calls = [m for m in re.finditer(r"(\w+)\s*\(", head)
                         if m.group(1) not in NOT_NAMES and not m.group(1).isupper()]
                m = next((m for m in calls), None)
                if m:
                    open_at = start + m.end() - 1
                    close_at = matching(text, open_at, "(", ")")
                    lines = [text.count("\n", 0, at) + 1 for at in (start + m.start(), i)]
                    found.append(Function(m.group(1), lines, text[i:end + 1],
                                          count_parameters(text[open_at + 1:close_at])))
            start, i = end + 1, end
        i += 1
    return found


def faults():
    for path in tree.walk(tree.CODE_DIRS, (".c", ".h", ".S")):
        source = tree.read(path)
        if source.count("\n") > FILE_LINES:
            yield f"{path}: {source.count(chr(10))} lines, at most {FILE_LINES}"
        if path.endswith(".S"):
            continue
        for f in functions(source):
            if f.lines > FUNCTION_LINES:
                yield f"{path}:{f.line}: {f.name} has {f.lines} lines, at most {FUNCTION_LINES}"
            if f.parameters > PARAMETERS:
                yield (f"{path}:{f.line}: {f.name} has {f.parameters} parameters, "
                       f"at most {PARAMETERS}")
            if f.complexity > COMPLEXITY:
                yield (f"{path}:{f.line}: {f.name} has complexity {f.complexity}, "
                       f"at most {COMPLEXITY}")
            yield from conditional_body(path, f, source)


def conditional_body(path, f, source):
    lines = source.split("\n")
    for n in range(f.body_line, f.body_line + f.lines - 1):
        if re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif|endif)\b", lines[n - 1]):
            yield f"{path}:{n}: conditional compilation inside {f.name}"


def code_lines():
    """Code lines per folder of the hypervisor, by cloc."""
    files = tree.hypervisor_files((".c", ".h", ".S"))
    out = subprocess.run(["cloc", "--quiet", "--by-file", "--json", "--list-file=-",
                          "--skip-uniqueness"],
                         input="\n".join(files), stdout=subprocess.PIPE, text=True, check=True,
                         timeout=120).stdout
    lines = collections.Counter()
    for path, row in json.loads(out).items():
        if path not in ("header", "SUM"):
            lines[path.removeprefix("./").rsplit("/", 1)[0]] += row["code"]
    return lines


def table():
    rows = code_lines()
    for folder in sorted(rows):
        print(f"  {folder:<24} {rows[folder]:>6}")
    print(f"  {'total':<24} {sum(rows.values()):>6}  goal {GOAL}")


def main():
    if sys.argv[1:] == ["--table"]:
        table()
        return 0
    found = list(faults())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
