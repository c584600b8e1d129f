#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may know whom: include lines, the pure rule, and the symbols objects really call.

usage: deps.py includes
       deps.py pure BUILD
       deps.py symbols BUILD
"""
import collections
import re
import subprocess
import sys

import tree

BASE = "kernel/base"
LOWER = (BASE, "kernel/mm", "kernel/core")
# Folder -> what its files may include besides the folder itself. The longest key that
# begins a path rules it; a value that ends in .h names one header.
MAY_INCLUDE = {
    "kernel/init": ("",),
    # Drivers of physical functions reach their registers: io.h, and nothing else of the CPU.
    "devices": ("guest", "iommu/iommu.h", "arch/x86/io.h", *LOWER),
    "guest": ("arch/hvm.h", "iommu/iommu.h", *LOWER),
    "iommu": ("arch/x86", *LOWER),
    "iommu/vtd": ("iommu", "arch/x86", *LOWER),
    "iommu/amdvi": ("iommu", "arch/x86", *LOWER),
    "arch/hvm.h": LOWER,
    "arch/vmx": ("arch/hvm.h", "arch/x86", *LOWER),
    "arch/svm": ("arch/hvm.h", "arch/x86", *LOWER),
    "arch/x86/hvm_host.c": ("arch/hvm.h", "arch/x86"),  # the host's part of the contract
    "arch/x86": (BASE, "kernel/mm/pgfmt.h"),
    "kernel/core": ("arch/x86", BASE, "kernel/mm"),
    "kernel/mm": (BASE,),
    "kernel/base": (),
}
# Siblings that share a parent which both may see.
STRANGERS = (("iommu/vtd", "iommu/amdvi"), ("iommu", "iommu/vtd"), ("iommu", "iommu/amdvi"))
# The symbols known upward: what the boot assembly jumps to and reads, and the compiler's hook.
UPWARD = {"kmain", "ap_main", "ap_cr3", "ap_count", "ap_pcpus", "boot_banner", "boot_pcpu",
          "__stack_chk_fail"}
FREESTANDING = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h", "cpuid.h"}
PURE_HEADERS = re.compile(r"kernel/base/[^/]+\.h|kernel/mm/pg[^/]*\.h")


def below(path, place):
    return place == "" or path == place or path.startswith(place + "/")


def folder_of(path):
    keys = [k for k in MAY_INCLUDE if below(path, k)]
    return max(keys, key=len) if keys else None


def is_allowed(user, used):
    """Whether file `user` may know file `used`, and if not, why."""
    own, other = folder_of(user), folder_of(used)
    if own is None or other is None:
        return False, "outside the folders with a rule"
    if used.endswith("_priv.h") and user.rsplit("/", 1)[0] != used.rsplit("/", 1)[0]:
        return False, "a private header of another folder"
    if own == other:
        return True, ""
    if any({own, other} == set(pair) and not below(own, other) for pair in STRANGERS):
        return False, f"{own} must not know {other}"
    if any(below(used, place) for place in MAY_INCLUDE[own]):
        return True, ""
    return False, f"{own} may include " + (", ".join(MAY_INCLUDE[own]) or "C headers only")


def check_includes():
    for path in tree.hypervisor_files((".c", ".h", ".S")):
        for line, header in tree.includes(path):
            ok, why = is_allowed(path, header)
            if not ok:
                yield f"{path}:{line}: includes {header}: {why}"
        for header in tree.SYSTEM_INCLUDE.findall(tree.read(path)):
            if header not in FREESTANDING:
                yield f"{path}: includes <{header}>, which is not a freestanding header"


def impure(header, pure, seen):
    """The first reason why `header` may not serve a pure file, as a chain; else None."""
    if header in seen:
        return None
    seen.add(header)
    source = header[:-2] + ".c"
    if not PURE_HEADERS.fullmatch(header) and source in EDGE:
        return f"{header} (its code touches hardware)"
    text = tree.strip_c(tree.read(header))
    if re.search(r"\b(asm|__asm__)\b", text):
        return f"{header} (inline assembly)"
    for _, deeper in tree.includes(header):
        why = impure(deeper, pure, seen)
        if why:
            return f"{header} -> {why}"
    return None


def check_pure_sources(pure):
    for path in pure:
        text = tree.strip_c(tree.read(path))
        for word in ("asm", "__asm__", "volatile"):
            m = re.search(rf"\b{word}\b", text)
            if m:
                yield f"{path}:{text.count(chr(10), 0, m.start()) + 1}: '{word}' in a pure file"
        for line, header in tree.includes(path):
            why = impure(header, pure, set())
            if why:
                yield f"{path}:{line}: pure file includes {why}"


def check_pure_objects(pure, build):
    for path in pure:
        obj = f"{build}/hv/{path[:-2]}.o"
        out = subprocess.run(["objdump", "-h", "-w", obj], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
        for line in out.splitlines():
            f = line.split(None, 7)
            if len(f) == 8 and f[0].isdigit() and int(f[2], 16) and "ALLOC" in f[7] \
               and "READONLY" not in f[7]:
                yield f"{path}: writable state of {int(f[2], 16)} bytes in {f[1]}"


def nm(obj):
    defined, wanted = set(), set()
    out = subprocess.run(["nm", obj], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        *_, kind, name = line.split()
        (wanted if kind in "Uwv" else defined if kind.isupper() else set()).add(name)
    return defined, wanted


def check_symbols(build):
    """A call needs no include line; so look at what objects ask of each other too."""
    objs = {p: f"{build}/hv/{p[:-2]}.o"
            for p in tree.build_list("PURE_SRCS") + tree.build_list("EDGE_SRCS")}
    objs |= {p: f"{build}/hv/{p[:-2]}.asm.o" for p in tree.build_list("ASM_SRCS")}
    home, users = {}, collections.defaultdict(set)
    for path, obj in objs.items():
        defined, wanted = nm(obj)
        home |= {name: path for name in defined}
        for name in wanted:
            users[name].add(path)
    for name, paths in sorted(users.items()):
        if name not in home or name in UPWARD:
            continue
        for path in sorted(paths):
            if is_allowed(path, home[name])[0] or is_declared(name, path):
                continue
            yield f"{path}: uses {name} of {home[name]}: {is_allowed(path, home[name])[1]}"


def is_declared(name, path):
    """Whether a header that `path` reaches declares `name`: a contract whose code is above
    (assert_failed, the entry points of arch/hvm.h)."""
    return any(re.search(rf"\b{name}\b", tree.read(h))
               for h in tree.closure(path) if h.endswith(".h"))


EDGE = set(tree.build_list("EDGE_SRCS"))


def main():
    if len(sys.argv) < 2 or (sys.argv[1] != "includes" and len(sys.argv) != 3):
        sys.exit(__doc__)
    pure = tree.build_list("PURE_SRCS")
    if sys.argv[1] == "includes":
        faults = list(check_includes())
    elif sys.argv[1] == "pure":
        faults = [*check_pure_sources(pure), *check_pure_objects(pure, sys.argv[2])]
    elif sys.argv[1] == "symbols":
        faults = list(check_symbols(sys.argv[2]))
    else:
        sys.exit(__doc__)
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
