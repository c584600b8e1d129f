# SPDX-License-Identifier: Apache-2.0
"""What tools/peer reads out of KVM's counters; the choice of rows."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integ"), str(ROOT / "tools/lib")]
import benchrows  # noqa: E402
import kvmhost  # noqa: E402


class Reading(unittest.TestCase):
    def test_counters(self):
        text = ("/sys/kernel/debug/kvm/exits:132301\n/sys/kernel/debug/kvm/io_exits:7\n"
                "/sys/kernel/debug/kvm/halt_wait_hist:0 0 1\n")
        self.assertEqual(kvmhost.counters(text), {"exits": 132301, "io_exits": 7})


class Rows(unittest.TestCase):
    def test_wanted(self):
        self.assertTrue(benchrows.wanted("vf.a vf.b", []))
        self.assertTrue(benchrows.wanted("vf.a vf.b", ["vf."]))
        self.assertTrue(benchrows.wanted("vf.pingpong64. pv.", ["vf.pingpong64.exits_per_packet"]))
        self.assertFalse(benchrows.wanted("exit.", ["vf."]))


if __name__ == "__main__":
    unittest.main()
