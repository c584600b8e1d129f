#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of plain text.

usage: text.py words   no note-to-self in any file
       text.py spdx    the licence line at the top of every source file
"""
import os
import re
import sys

import tree

# Written apart, so that this file passes its own check.
WORDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b")
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LICENCE_LINES = 4
TOP_FILES = ("Makefile", "linker.ld", ".clang-format", ".clang-tidy")
CODE_SUFFIXES = (".c", ".h", ".S", ".ld", ".py", ".sh", ".mk", ".pml", ".conf")
WITHOUT_LICENCE = ("tests/fuzz/corpus/", "tests/data/")
DIRS = tree.CODE_DIRS + tree.OTHER_DIRS


def all_files():
    top = [n for n in os.listdir(".") if os.path.isfile(n) and n not in ("LICENSE",)
           and not n.endswith(".o")]
    return sorted(top) + [p for p in tree.walk(DIRS, ("",))
                          if not p.endswith((".o", ".pyc")) and "/corpus/" not in p]


def words():
    for path in all_files():
        for n, line in enumerate(tree.read(path).splitlines(), 1):
            m = WORDS.search(line)
            if m:
                yield f"{path}:{n}: '{m.group(0)}'"


def is_source(path):
    if path in TOP_FILES or path.endswith(CODE_SUFFIXES):
        return not path.startswith(WITHOUT_LICENCE)
    with open(path, "rb") as f:
        return f.read(2) == b"#!"


def spdx():
    for path in all_files():
        if is_source(path) and not any(LICENCE in line for line in
                                       tree.read(path).splitlines()[:LICENCE_LINES]):
            yield f"{path}:1: no line '{LICENCE}'"


def main():
    checks = {"words": words, "spdx": spdx}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    found = list(checks[sys.argv[1]]())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
