# SPDX-License-Identifier: Apache-2.0
"""What tools/peer reads out of KVM's counters and QEMU's monitor; the choice of rows."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integ"), str(ROOT / "tools/lib")]
import benchrows  # noqa: E402
import kvmhost  # noqa: E402

MOVE = """(qemu) info migrate
Status: \t\tactive
total time: 10 ms
(qemu) info migrate
Status: \t\tcompleted
Time (ms): \t\ttotal=543, setup=8, down=21
total time: 543 ms
downtime: 21 ms
setup: 8 ms
transferred ram: 20480 kbytes
remaining ram: 0 kbytes
total ram: 279048 kbytes
duplicate: 64000 pages
normal: 5000 pages
dirty sync count: 4
"""


class Reading(unittest.TestCase):
    def test_counters(self):
        text = ("/sys/kernel/debug/kvm/exits:132301\n/sys/kernel/debug/kvm/io_exits:7\n"
                "/sys/kernel/debug/kvm/halt_wait_hist:0 0 1\n")
        self.assertEqual(kvmhost.counters(text), {"exits": 132301, "io_exits": 7})

    def test_move_is_the_last_one_told(self):
        found = kvmhost.moved(MOVE)
        self.assertEqual(found, {"status": "completed", "total_ms": 543, "downtime_ms": 21,
                                 "bytes": 20480 * 1024, "passes": 4, "zero_pages": 64000,
                                 "pages": 5000})

    def test_move_that_goes_on(self):
        self.assertEqual(kvmhost.moved("Status: \t\tactive\ntotal time: 10 ms\n"),
                         {"status": "active", "total_ms": 10})


class Rows(unittest.TestCase):
    def test_wanted(self):
        self.assertTrue(benchrows.wanted("vf.a vf.b", []))
        self.assertTrue(benchrows.wanted("vf.a vf.b", ["vf."]))
        self.assertTrue(benchrows.wanted("vf.pingpong64. pv.", ["vf.pingpong64.exits_per_packet"]))
        self.assertFalse(benchrows.wanted("exit.", ["vf."]))


if __name__ == "__main__":
    unittest.main()
