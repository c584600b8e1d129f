#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of what is written for readers.

usage: docs.py api     each public function has a comment in its header
       docs.py links   what the pages and comments point to exists
       docs.py status  the system tests the README's status names exist
"""
import fnmatch
import os
import re
import subprocess
import sys

import tree

DECLARATION = re.compile(r"^(?!\s*#)[A-Za-z_][^;{}=]*?\b(\w+)\s*\([^;{}]*\)[^;{}]*;", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#([^)\s]*))?\)")
# Paths of the tree named in running text or in comments.
PATH = re.compile(r"(?<![\w./-])((?:\.ci|arch|devices|docs|guest|iommu|kernel|tests|tools)/"
                  r"[\w./-]*\.(?:c|h|S|md|py|sh|mk|conf))\b")
PLANTED = "tests/lint/selftest.py"  # names what does not exist on purpose
PLATFORMS = 4  # columns of the status table beside the claim
GENERATED = re.compile(r"build/|/NAME|X\.[ch]$")


def documented(lines, first):
    """Whether the declaration that starts on line `first` (from 0) has a comment: directly
    above, at its end, or above the unbroken run of declarations it belongs to."""
    n = first
    while n > 0 and lines[n - 1].strip():
        n -= 1
        text = lines[n].rstrip()
        if text.endswith("*/"):
            return True
        if text.endswith("{") or text.startswith("#"):
            return False
    return False


def api():
    for path in tree.hypervisor_files((".h",)):
        source = tree.read(path)
        lines = source.split("\n")
        text = tree.strip_c(source)
        # Members of structs and bodies of inline functions are not declarations of their own.
        flat, depth = [], 0
        for c in text:
            depth -= c == "}"
            flat.append(c if depth == 0 or c == "\n" else " ")
            depth += c == "{"
        # A line of code per directive, so that a macro is no part of what follows it.
        flat = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                      lambda m: re.sub(r"[^\n]", " ", m.group(0)), "".join(flat), flags=re.M)
        for m in DECLARATION.finditer(flat):
            if re.match(r"\s*(typedef|\w*(?i:static_assert)|struct\s+\w+\s*;)", m.group(0)):
                continue
            line = text.count("\n", 0, m.start())
            if not documented(lines, line) and "/*" not in lines[line]:
                yield f"{path}:{line + 1}: {m.group(1)} has no comment"


def anchors(path):
    """The anchors a page's headings make, as the common renderers spell them."""
    found = set()
    for heading in re.findall(r"^#+ +(.*?)\s*$", tree.read(path), re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
        found.add(plain.replace(" ", "-"))
    return found


def pages():
    top = [n for n in os.listdir(".") if n.endswith(".md")]
    return sorted(top) + tree.walk(tree.CODE_DIRS + tree.OTHER_DIRS, (".md",))


def links():
    for path in pages():
        for n, line in enumerate(tree.read(path).split("\n"), 1):
            for target, anchor in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                full = os.path.normpath(os.path.join(os.path.dirname(path), target))
                if not os.path.exists(full):
                    yield f"{path}:{n}: link to {target}, which does not exist"
                elif anchor and anchor not in anchors(full):
                    yield f"{path}:{n}: {target} has no heading '{anchor}'"
    files = pages() + tree.walk(tree.CODE_DIRS + ("tests", "tools"), (".c", ".h", ".S", ".py"))
    for path in files:
        for n, line in enumerate(tree.read(path).split("\n"), 1):
            for name in PATH.findall(line):
                near = os.path.join(os.path.dirname(path), name)
                if not GENERATED.search(name) and path != PLANTED \
                   and not os.path.exists(name) and not os.path.exists(near):
                    yield f"{path}:{n}: names {name}, which does not exist"


def status():
    names = subprocess.run(["tests/run", "--list"], stdout=subprocess.PIPE, text=True, check=True,
                           timeout=60).stdout.split()
    for n, line in enumerate(tree.read("README.md").split("\n"), 1):
        # The claim, then a column for each platform.
        cells = line.split("|")[2:-1] if line.startswith("| ") else []
        if len(cells) < PLATFORMS:
            continue
        for name in re.findall(r"`([a-z]\w*\.[\w*]+)`", " ".join(cells)):
            if not fnmatch.filter(names, name):
                yield f"README.md:{n}: there is no system test {name}"


def main():
    checks = {"api": api, "links": links, "status": status}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    found = list(checks[sys.argv[1]]())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
