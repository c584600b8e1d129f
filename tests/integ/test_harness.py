# SPDX-License-Identifier: Apache-2.0
"""The harness as a test sees it."""
import os

from lib import accel
from lib.registry import test


@test(timeout=30, needs=())
def accelerator(t):
    """What ACCEL=kvm came to is what machines are started with."""
    assert os.environ.get("ACCEL") != "kvm" or accel.missing() is None
