#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Feeds every check a small tree that is in order and one with a fault it must find."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = {
    "kernel/files.mk": "# SPDX-License-Identifier: Apache-2.0\nPURE_SRCS += kernel/base/a.c\n"
                       "EDGE_SRCS += kernel/core/b.c\n",
    "kernel/base/a.h": LICENCE + "#ifndef A_H\n#define A_H\n\n/** a_get() - one more. */\n"
                       "int a_get(int x);\n\n#endif\n",
    "kernel/base/a.c": LICENCE + '#include "kernel/base/a.h"\n\nint a_get(int x)\n{\n'
                       "\treturn x + 1;\n}\n",
    "kernel/core/b.h": LICENCE + "#ifndef B_H\n#define B_H\n\n/** b_get() - two more. */\n"
                       "int b_get(int x);\n\n#endif\n",
    "kernel/core/b.c": LICENCE + '#include "kernel/core/b.h"\n\n#include "kernel/base/a.h"\n\n'
                       "int b_get(int x)\n{\n\treturn a_get(x) + 1;\n}\n",
    "docs/page.md": "# Page\n\nSee [there](#page) and kernel/base/a.c.\n",
    "README.md": "[page](docs/page.md#page)\n",
}


def branches(n):
    return "int b_get(int x)\n{\n" + "".join(f"\tif (x == {i})\n\t\treturn {i};\n"
                                             for i in range(n)) + "\treturn x;\n}\n"


def tail(path, text):
    return {path: GOOD[path] + text}


# Arguments of the check; files that differ from the good tree; what the finding must say.
FAULTS = (
    ("deps.py includes", {"kernel/base/a.c": LICENCE + '#include "kernel/core/b.h"\n'},
     "a.c:2: includes kernel/core/b.h"),
    ("deps.py includes", tail("kernel/core/b.c", "#include <stdio.h>\n"), "<stdio.h>"),
    ("deps.py symbols B", tail("kernel/base/a.c", "int b_get(int);\nint up(int x);\n"
                               "int up(int x)\n{\n\treturn b_get(x);\n}\n"), "uses b_get"),
    ("deps.py pure B", tail("kernel/base/a.c", "int counter = 3;\n"), "writable state"),
    ("deps.py pure B", tail("kernel/base/a.c", 'void f(void);\nvoid f(void)\n{\n\t__asm__("nop");'
                            "\n}\n"), "'__asm__' in a pure file"),
    ("deps.py pure B", tail("kernel/base/a.c", "extern volatile int reg;\n"), "'volatile'"),
    ("deps.py pure B", tail("kernel/base/a.c", '#include "kernel/core/b.h"\n'),
     "its code touches hardware"),
    ("size.py", tail("kernel/core/b.c", "\n" * 600), "lines, at most 600"),
    ("size.py", {"kernel/core/b.c": "int b(int x)\n{\n" + "\tx++;\n" * 80 + "\treturn x;\n}\n"},
     "b has 83 lines"),
    ("size.py", {"kernel/core/b.c": "int b(int p, int q, int r, int s, int t, int u, int v)\n"
                                    "{\n\treturn p;\n}\n"}, "7 parameters"),
    ("size.py", {"kernel/core/b.c": branches(15)}, "complexity 16"),
    ("size.py", {"kernel/core/b.c": "int b(int x)\n{\n#ifdef Y\n\tx++;\n#endif\n\treturn x;\n}\n"},
     "conditional compilation inside b"),
    ("text.py words", tail("kernel/core/b.c", "/* TO" "DO */\n"), "'TO" "DO'"),
    ("text.py spdx", {"kernel/core/b.c": "int x;\n"}, "no line 'SPDX"),
    ("docs.py api", {"kernel/core/b.h": GOOD["kernel/core/b.h"].replace("/** b_get() - two more. */",
                                                                      "")}, "b_get has no comment"),
    ("docs.py links", {"README.md": "[page](docs/none.md)\n"}, "link to docs/none.md"),
    ("docs.py links", {"README.md": "[page](docs/page.md#none)\n"}, "no heading 'none'"),
    ("docs.py links", tail("kernel/core/b.c", "/* see docs/none.md */\n"), "names docs/none.md"),
    ("docs.py status", {"README.md": "| a | `boot.none` | - | - | - |\n"}, "no system test boot.none"),
    ("format.py kernel/core/b.c", tail("kernel/core/b.c", "int c(int x)\n{\n    return x;\n}\n"),
     "clang-format would write"),
    ("format.py kernel/core/b.c", tail("kernel/core/b.c", f"/* {'x' * 100} */\n"), "columns"),
    ("headers.sh kernel/core/b.h", {"kernel/core/b.h": LICENCE + "extern u8 x;\n"},
     "does not stand on its own"),
    ("headers.sh kernel/core/b.h", {"kernel/core/b.h": LICENCE + "enum x { X };\n"},
     "does not stand on its own"),
)


def plant(files):
    """A tree of GOOD overlaid with FILES; its directory object."""
    tmp = tempfile.TemporaryDirectory()
    root = pathlib.Path(tmp.name)
    for name, text in (GOOD | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    listing = root / "tests/run"
    listing.parent.mkdir()
    listing.write_text("#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho boot.one\n")
    listing.chmod(0o755)
    (root / ".clang-format").write_text((HERE.parent.parent / ".clang-format").read_text())
    return tmp, root


def compile_objects(root):
    for source in ("kernel/base/a", "kernel/core/b"):
        out = root / "B/hv" / f"{source}.o"
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-I.", "-fno-pic", "-ffreestanding", "-c", f"{source}.c", "-o", out],
                       cwd=root, check=True)


def check(arguments, files):
    """Exit status and output of a check on a planted tree."""
    tmp, root = plant(files)
    with tmp:
        script, *rest = arguments.split()
        if rest[-1:] == ["B"]:
            compile_objects(root)
        interpreter = "bash" if script.endswith(".sh") else sys.executable
        p = subprocess.run([interpreter, HERE / script, *rest], cwd=root, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60,
                           env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        return p.returncode, p.stdout


class LintTest(unittest.TestCase):
    def test_tree_in_order(self):
        for arguments in sorted({a for a, _, _ in FAULTS}):
            with self.subTest(arguments):
                self.assertEqual(check(arguments, {}), (0, ""))

    def test_faults(self):
        for arguments, files, text in FAULTS:
            with self.subTest(f"{arguments}: {text}"):
                status, output = check(arguments, files)
                self.assertEqual(status, 1, output)
                self.assertIn(text, output)


if __name__ == "__main__":
    unittest.main()
