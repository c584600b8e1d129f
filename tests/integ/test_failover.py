# SPDX-License-Identifier: Apache-2.0
"""Two NICs on one wire: a guest's VF changes NICs, by hand and as a link fails, under its driver."""
import re

from lib.guests import on
from lib.registry import test
from test_vf import NEEDS, OUTSIDE, at, carrier, machine, move, ping, refused, section, up

NICS = ("[nic lan0]\npci = 01:00.0\nvfs = 2\nuplink = yes\n"
        "[nic lan1]\npci = 02:00.0\nvfs = 1\nuplink = backup\n")
DEVICES = [word for i in (0, 1) for word in (
    "-device", f"pcie-root-port,id=rp{i},chassis={i + 1},slot={i + 1}",
    "-netdev", f"hubport,hubid=1,id=n{i}",
    "-device", f"igb,bus=rp{i},netdev=n{i},id=nic{i}")] + [
    "-netdev", "dgram,id=w,local.type=unix,local.path=q.sock,"
               "remote.type=unix,remote.path=p.sock", "-netdev", "hubport,hubid=1,id=h,netdev=w"]


def lost(m, i, name):
    """Of a stream of pings that ends now."""
    text = on(m, i, f"kill -INT $(pidof ping); wait; tail -3 {name}; "
                    f"sed -n 's/.*seq=\\([0-9]*\\).*/\\1/p' {name} | "
                    "awk '$1 != n { print \"missing\", n, $1 } { n = $1 + 1 }'")
    sent, got = map(int, re.search(r"(\d+) packets tr\w+, (\d+) packets", text).groups())
    print(text)
    return sent - got


@test(timeout=300, needs=NEEDS, cores=2)
def link_fails(t):
    """The guest's own driver sees one link that came up once, whatever NIC it is."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "pv"), nic=NICS, devices=DEVICES)
    try:
        up(m, 2)
        carrier(m, 1)
        ping(m, 1, 2)
        on(m, 1, f"ping -i 0.1 10.0.0.{OUTSIDE} >/tmp/out 2>&1 & true")
        refused(m, "ENOENT", "vf direct g1 net0 nic=lan2")
        refused(m, "EBUSY", "vf direct g1 net0 nic=lan0")
        m.ctl.request("vf direct g1 net0 nic=lan1")
        at(m, "g1", "lan1")
        ping(m, 1, OUTSIDE)
        ping(m, 1, 2)
        m.ctl.request("vf direct g1 net0 nic=lan0")
        ping(m, 1, 2)
        m.qmp.monitor("set_link nic0 off")
        row = at(m, "g1", "twin")
        assert (row["wants"], row["why"]) == ("lan0", "no link"), row
        ping(m, 1, OUTSIDE)
        ping(m, 2, 1)
        ping(m, 2, OUTSIDE)
        move(m, "g1")
        assert at(m, "g1", "twin")["why"] == "no link"      # it waits, as the one that was here
        m.qmp.monitor("set_link nic0 on")
        at(m, "g1", "lan0")
        ping(m, 1, OUTSIDE)
        ping(m, 2, 1)
        ping(m, 2, OUTSIDE)
        assert lost(m, 1, "/tmp/out") <= 15
        links = on(m, 1, "dmesg | grep -c 'igbvf.*Link is'")
        assert re.search(r"^1\s*$", links, re.M), links
        on(m, 1, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()
