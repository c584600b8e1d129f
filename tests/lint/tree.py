# SPDX-License-Identifier: Apache-2.0
"""The source tree as the checks see it: files, build lists, include lines."""
import os
import re

CODE_DIRS = ("kernel", "arch", "iommu", "devices", "guest")
OTHER_DIRS = ("tests", "tools", "docs", ".ci")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
SYSTEM_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.M)


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def walk(dirs, suffixes):
    found = []
    for top in dirs:
        for base, subdirs, names in os.walk(top):
            subdirs[:] = sorted(d for d in subdirs if d not in ("build", "__pycache__"))
            found += [f"{base}/{n}" for n in sorted(names) if n.endswith(suffixes)]
    return found


def is_guest_image(path):
    """Code that runs inside guests: not part of the hypervisor."""
    return path.startswith("guest/image/")


def hypervisor_files(suffixes=(".c", ".h")):
    return [p for p in walk(CODE_DIRS, suffixes) if not is_guest_image(p)]


def build_list(name):
    """File names of PURE_SRCS, EDGE_SRCS or ASM_SRCS from all files.mk."""
    files = []
    for mk in walk(CODE_DIRS, ("files.mk",)):
        for line in read(mk).splitlines():
            if line.split("+=")[0].strip() == name and "+=" in line:
                files += line.split("+=", 1)[1].split()
    return files


def includes(path):
    """[(line number, file)] of the project's own headers that `path` names."""
    text = read(path)
    return [(text.count("\n", 0, m.start(1)) + 1, m.group(1)) for m in INCLUDE.finditer(text)]


def closure(path, seen=None):
    """All project headers that `path` reaches, itself included."""
    seen = set() if seen is None else seen
    if path in seen or not os.path.exists(path):
        return seen
    seen.add(path)
    for _, header in includes(path):
        closure(header, seen)
    return seen


def strip_c(text):
    """C text with comments, strings and characters blanked, line numbers kept."""
    def blank(m):
        s = m.group(0)
        if s[0] == "/":
            return re.sub(r"[^\n]", " ", s)
        return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[0]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)
