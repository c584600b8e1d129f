#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn `nm -n` output on stdin into an assembler file with a symbol table for dumps.

Layout (section .ksyms): u32 count, then count x {u32 address, u32 name offset},
then the names, each ended by a zero byte. Only code symbols, sorted by address.
"""
import sys


def main():
    syms = []
    for line in sys.stdin:
        parts = line.split()
        if len(parts) == 3 and parts[1] in "tT" and not parts[2].startswith((".", "$")):
            syms.append((int(parts[0], 16), parts[2]))
    names, offsets = b"", []
    for _, name in syms:
        offsets.append(len(names))
        names += name.encode() + b"\0"
    out = ['.section .ksyms,"a"', ".balign 4", ".globl ksyms_table", "ksyms_table:",
           f".long {len(syms)}"]
    out += [f".long {addr:#x}, {off}" for (addr, _), off in zip(syms, offsets)]
    out += [f'.asciz "{name}"' for _, name in syms]
    print("\n".join(out))


if __name__ == "__main__":
    main()
