# SPDX-License-Identifier: Apache-2.0
"""A VF comes into and leaves a running stock Linux guest through a hot-plug slot."""
from lib import guests
from lib.registry import test
from test_vf import MAC, NEEDS, OUTSIDE, carrier, machine, on, owners, ping, refused, section


def gone(m, i):
    on(m, i, "n=0; while [ $n -lt 300 ] && [ -e /sys/class/net/eth0 ]; do "
             "n=$((n + 1)); sleep 0.1; done; [ $n -lt 300 ]")


@test(timeout=240, needs=NEEDS, cores=2)
def plug_and_unplug(t):
    linux = guests.vm_section("g1", cpus=1, memory="128M", cmdline="godwit.ip=10.0.0.1/24",
                              more=f"net0 = vf mac={MAC}1 hotplug=yes\n")
    m = machine(t, linux)
    try:
        guests.wait_console(m, timeout=90)
        guests.attach(m, "g1")
        guests.shell(m)
        guests.leave(m)
        refused(m, "ENOENT", "vf detach g1 net0")
        for _ in range(2):
            m.ctl.request("vf attach g1 net0 nic=lan0")
            assert owners(m)[0] == "g1"
            refused(m, "EBUSY", "vf attach g1 net0 nic=lan0")
            on(m, 1, "n=0; while [ $n -lt 100 ] && ! [ -e /sys/class/net/eth0 ]; do "
                     "n=$((n + 1)); sleep 0.1; done; sh /tests/net-up.sh")
            carrier(m, 1)
            ping(m, 1, OUTSIDE)
            assert m.ctl.request("vf detach g1 net0")["asked"] == "yes"
            gone(m, 1)
            m.com1.expect(r"vm g1: net0: the guest let go", timeout=30)
            assert set(owners(m)) == {"-"}
        on(m, 1, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()
