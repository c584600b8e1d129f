# SPDX-License-Identifier: Apache-2.0
"""Live migration from a host to itself: guests go on, whatever happens on the way."""
import time

from lib import guests, paths
from lib.pv import NEEDS, on, section, start
from lib.registry import test

def ping(m, i, j, size=56):
    text = on(m, i, f"ping -c 3 -i 0.2 -W 2 -s {size} 10.0.0.{j}")
    assert " 0% packet loss" in text, text


BARE = ("godwit.elf", "guest-kernels/bystander.elf")
SECTION = "[vm t]\nmemory = 16M\ncpus = 1\nkernel = bystander.elf\nautostart = yes\n"


def status(m, name):
    """The newest move of this VM: its row."""
    rows = [r for r in m.ctl.request(f"migrate-status {name}") if r.get("direction") == "out"]
    return rows[-1] if rows else None


def wait(m, name, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        row = status(m, name)
        if row["phase"] in ("done", "failed"):
            return row
        time.sleep(0.02)
    raise AssertionError(f"the move does not end: {row}")


@test(timeout=60, needs=BARE)
def bare(t):
    m = t.machine(config=guests.host_config(SECTION), smp=2,
                  modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"})
    guests.wait_console(m)
    guests.attach(m, "t")
    m.com1.expect(r"^tick (\d+) ok", timeout=20)
    m.ctl.request("migrate t local")
    row = wait(m, "t")
    print(row)
    assert row["phase"] == "done", row
    for _ in range(3):
        m.com1.expect(r"^tick (\d+) ok", timeout=20)


def move(m, name, options="", timeout=60):
    """To this host itself: the row of a move that succeeded."""
    m.ctl.request(f"migrate {name} local {options}")
    row = wait(m, name, timeout)
    print({k: row[k] for k in ("phase", "passes", "pages_sent", "pages_zero", "sent",
                               "downtime_us", "total_ms", "reason")})
    assert row["phase"] == "done", row["reason"]
    return row


@test(timeout=240, needs=NEEDS, cores=2)
def linux(t):
    """Two processors, a NIC, ping from a neighbour all the while."""
    m = start(t, section(1, cpus=2), section(2))
    on(m, 2, "ping -i 0.2 10.0.0.1 >/tmp/ping & sleep 1")
    for _ in range(5):
        move(m, "g1")
        assert "2" in on(m, 1, "nproc")
        print(on(m, 2, "tail -n 1 /tmp/ping"))
    ping(m, 1, 2)
    on(m, 1, "sh /tests/check-dmesg.sh")
    print(on(m, 2, "kill -INT %1; sleep 1; tail -n 3 /tmp/ping"))
