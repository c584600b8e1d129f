# SPDX-License-Identifier: Apache-2.0
"""Where things lie."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("B", "build")
GUEST = BUILD / "guest"
IMAGE = BUILD / "godwit.elf"
