# SPDX-License-Identifier: Apache-2.0
"""A VF comes into and leaves a running stock Linux guest through a hot-plug slot, as the primary of
a team with a paravirtual NIC (net_failover)."""
import re

from lib import guests
from lib.guests import on
from lib.registry import test
from test_vf import MAC, NEEDS, OUTSIDE, machine, move, owners, ping, refused, section, up

# The master of the team is eth0, its standby eth1, the primary eth2.
PRIMARY = "/sys/class/net/eth2"


def wait(m, i, condition):
    on(m, i, f"n=0; while [ $n -lt 300 ] && ! {condition}; do n=$((n + 1)); sleep 0.1; done; "
             "[ $n -lt 300 ]", timeout=90)


def plug(m):
    m.ctl.request("vf attach g1 net1 nic=lan0")
    assert owners(m)[0] == "g1"
    wait(m, 1, f"[ \"$(cat {PRIMARY}/carrier 2>/dev/null)\" = 1 ]")


def unplug(m):
    assert m.ctl.request("vf detach g1 net1")["asked"] == "yes"
    m.com1.expect(r"vm g1: net1: the guest let go", timeout=60)
    assert set(owners(m)) == {"-"}


def sent(m):
    """Frames of the VF of g1."""
    return int(next(r for r in m.ctl.request("vf list") if r.get("vm") == "g1")["tx_packets"])


@test(timeout=300, needs=NEEDS, cores=2)
def team_moves(t):
    """Pings of a team go on while its VF comes, goes for a move, and comes again."""
    g1 = section(1, "pv", f"standby=yes\nnet1 = vf mac={MAC}1 hotplug=yes")
    m = machine(t, g1, section(2, "pv"))
    try:
        up(m, 2)
        refused(m, "ENOENT", "vf detach g1 net1")
        # The emulated NIC gives a VF's own multicasts back to it: IPv6 would warn of its own address.
        on(m, 1, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        on(m, 1, f"ping -i 0.1 10.0.0.{OUTSIDE} >/tmp/out 2>&1 & true")
        on(m, 2, "ping -i 0.1 10.0.0.1 >/tmp/in 2>&1 & true")
        plug(m)
        refused(m, "EBUSY", "vf attach g1 net1 nic=lan0")
        ping(m, 1, 2)
        ping(m, 1, OUTSIDE)
        assert sent(m) > 10
        unplug(m)
        ping(m, 2, 1)
        move(m, "g1")
        plug(m)
        ping(m, 2, 1)
        ping(m, 1, OUTSIDE)
        assert sent(m) > 10
        for i, name in ((1, "out"), (2, "in")):
            text = on(m, i, f"kill -INT $(pidof ping); wait; tail -3 /tmp/{name}; "
                            f"grep -c DUP /tmp/{name}; true")
            print(name, text)
            pings, got = map(int, re.search(r"(\d+) packets tr\w+, (\d+) packets", text).groups())
            assert got > 50 and pings - got <= 15, text
            on(m, i, "sh /tests/check-dmesg.sh")
        m.ctl.request("vf detach g1 net1 now=yes")  # as if it was pulled
        wait(m, 1, f"[ ! -e {PRIMARY} ]")
        ping(m, 1, 2)
    finally:
        m.peer.close()
