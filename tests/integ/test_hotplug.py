# SPDX-License-Identifier: Apache-2.0
"""A VF comes into and leaves a running stock Linux guest through a hot-plug slot, as the primary of
a team with a paravirtual NIC (net_failover)."""
import re
import time

import test_courier
import test_failover
from lib import guests, lab, load, paths
from lib.guests import on
from lib.registry import test
from lib.stream import TIME_SCALE
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


# The port's configuration space in the guest, and where its MSI capability's control word is.
PORT = "/sys/bus/pci/devices/0000:00:19.0/config"
MSI = (f"f={PORT}; b() {{ od -An -tu1 -j$1 -N1 $f; }}; p=$(b 52); "
       "while [ $(b $p) -ne 5 ]; do p=$(b $((p + 1))); done; ")


def listens(m, yes):
    """Whether the port's interrupts reach g1: without them its driver sees nothing."""
    on(m, 1, MSI + f"printf '\\x{0x81 if yes else 0x80:x}' | "
                   "dd of=$f bs=1 seek=$((p + 2)) conv=notrunc 2>/dev/null")


def in_team(m):
    """The guest has its VF, as the primary of the team."""
    wait(m, 1, f"[ \"$(cat {PRIMARY}/carrier 2>/dev/null)\" = 1 ]")
    assert "master=eth0." in on(m, 1, f"echo master=$(basename $(readlink {PRIMARY}/master)).")


def primary(m):
    """The same, and it uses it."""
    in_team(m)
    assert owners(m)[0] == "g1"
    before = sent(m)
    ping(m, 2, 1)
    assert sent(m) > before


@test(timeout=400, needs=NEEDS, cores=2)
def team_moves_by_itself(t):
    """One 'migrate' takes a team's primary out and plugs one in again; a guest that does not let
    go stays, and so does one whose move is cancelled, each with its primary."""
    g1 = section(1, "pv", f"standby=yes\nnet1 = vf mac={MAC}1 hotplug=yes")
    m = machine(t, g1, section(2, "pv"))
    try:
        up(m, 2)
        on(m, 1, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        plug(m)
        primary(m)
        on(m, 2, "sh /tests/traffic.sh 10.0.0.1 >/tmp/traffic & true")
        listens(m, False)
        row = move(m, "g1", phase="failed")
        assert "net1: the guest did not let go of it within 20 s" in row["reason"], row
        listens(m, True)
        primary(m)
        m.ctl.request("migrate g1 local")
        assert lab.newest(m, "g1")["phase"] == "unplugging"
        refused(m, "EBUSY", "vf detach g1 net1")
        wait(m, 1, "dmesg | grep -qi 'power.* off'")
        m.ctl.request("migrate-cancel g1")
        wait(m, 1, "dmesg | grep -q ancel")
        primary(m)
        for options, phase in (("cancel=4000000", "failed"), ("", "done")):
            row = move(m, "g1", options, phase)
            print(row)
            m.com1.expect(r"vm g1: net1: the guest let go", timeout=60)
            primary(m)
        m.ctl.request("vm pause g1")
        refused(m, "EBUSY", "migrate g1 local")
        m.ctl.request("vm resume g1")
        primary(m)
        text = on(m, 2, "touch /tmp/stop; wait; cat /tmp/traffic", timeout=120)
        print(text)
        assert re.search(r"fetched [1-9]\d* failed 0", text), text
        for i in (1, 2):
            on(m, i, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()


@test(timeout=400, needs=NEEDS, cores=2)
def team_of_another_kind(t):
    """A whole NIC with a driver of its own is the primary before a move, a VF after it; and a NIC
    that dies then."""
    g1 = section(1, "pv", f"standby=yes\nnet1 = vf mac={MAC}1 hotplug=yes")
    devices = [d.replace("id=nic1", f"id=nic1,mac={MAC}1") for d in test_failover.devices(2)]
    m = machine(t, g1, section(2, "pv"), devices=devices,
                nic="[nic lan0]\npci = 01:00.0\nvfs = 1\nuplink = yes\n")
    try:
        up(m, 2)
        on(m, 1, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        refused(m, "ENODEV", "vf attach g1 net1 pci=05:00.0")
        m.ctl.request("vf attach g1 net1 pci=02:00.0")
        for driver in ("igb", "igbvf"):
            in_team(m)
            on(m, 1, f"[ $(basename $(readlink {PRIMARY}/device/driver)) = {driver} ]")
            frames = f"cat {PRIMARY}/statistics/rx_packets {PRIMARY}/statistics/tx_packets"
            before = [int(n) for n in re.findall(r"^(\d+)\s*$", on(m, 1, frames), re.M)]
            for i, j in ((1, OUTSIDE), (2, 1)):
                ping(m, i, j)
            after = [int(n) for n in re.findall(r"^(\d+)\s*$", on(m, 1, frames), re.M)]
            assert all(y >= x + 6 for x, y in zip(before, after)), (before, after)
            move(m, "g1")
            if driver == "igb":
                wait(m, 1, f"[ ! -e {PRIMARY} ]")
                ping(m, 2, 1)
                m.ctl.request("vf attach g1 net1 nic=lan0")
        primary(m)
        for i in (1, 2):
            on(m, i, "sh /tests/check-dmesg.sh")
        m.ctl.request("vf detach g1 net1 now=yes")
        m.ctl.request("vf attach g1 net1 pci=02:00.0")
        wait(m, 1, f"readlink {PRIMARY}/device/driver | grep -q 'igb$'")
        in_team(m)
        test_failover.pull(m, "nic1")
        wait(m, 1, f"[ ! -e {PRIMARY} ]")
        ping(m, 2, 1)
    finally:
        m.peer.close()


@test(timeout=500, needs=(*NEEDS, "courier.elf"), cores=2)
def team_saved(t):
    """Saved, a guest goes on with its primary; restored, it gets one again."""
    port = test_courier.free_port()
    run = test_courier.Remote(t, port)
    nic = test_courier.courier_section("10.0.0.1").replace("uplink", "vfs = 1\nuplink")
    g1 = section(1, "pv", f"standby=yes\nnet1 = vf mac={MAC}1 hotplug=yes").replace(".1/24", ".3/24")
    m = t.machine(config=guests.host_config(nic, g1), memory=768, devices=test_courier.outside(port),
                  modules=load.modules() | {"courier.elf": paths.BUILD / "courier.elf",
                                            "psk.hex": run.key})
    up(m, 1)
    plug(m)
    for words in (("save", "g1", t.dir / "g1.vm", "resume"), ("save", "g1", t.dir / "g1.vm"),
                  ("restore", t.dir / "g1.vm")):
        run(*map(str, words), timeout=200)
        if words[0] == "save":
            m.com1.expect(r"vm g1: net1: the guest let go")
        if words[-1] == "resume" or words[0] == "restore":
            in_team(m)
            assert "g1" in owners(m)


TEAM = (f"net0 = pv mac={load.MAC} standby=yes\n"
        f"net1 = vf mac={load.MAC} hotplug=yes\n")


def slot(m):
    """(where the primary of g1 is, what it wants, why it has not)"""
    row = next(r for r in m.ctl.request("vf list") if r.get("vm") == "g1" and r.get("net") == "1")
    return row["nic"], row["wants"], row["why"]


def goes_on(hosts, was):
    """Until the station's connection has carried more; what it has seen then."""
    end = time.monotonic() + 60 * TIME_SCALE
    while (seen := load.peer(hosts))["back"] <= was["back"]:
        assert time.monotonic() < end, seen
        time.sleep(0.2)
    print(seen)
    assert not seen["differ"] + seen["broken"], seen
    return seen


@test(timeout=600, needs=load.NEEDS, cores=2)
def team_between_hosts(t):
    """To a host without a VF and back, by one 'migrate' each, under load from a station outside: no
    byte of its connection wrong; with the standby alone there, then with a NIC of another kind and
    driver as primary; with a VF again back here."""
    with lab.Lab(t.dir, sections=[load.sections(TEAM)], memory=768, modules=load.modules(),
                 hardware=(lab.Hardware(vfs=1), lab.Hardware(second=load.MAC))) as hosts:
        hosts.add_station()
        hosts.ready()
        load.start(hosts)
        a, b = hosts.machine
        on(a, 1, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        plug(a)
        seen = load.peer(hosts)
        since = lab.clock(a, "g1")
        for m, there, host in ((a, b, 1), (b, a, 0)):
            end = lab.move(m, "g1", lab.address(host))
            print(end)
            assert end["phase"] == "done", end
            if there is a:
                in_team(a)
                assert slot(a) == ("lan0", "-", "-")
                before = sent(a)
            else:
                on(b, 1, f"[ ! -e {PRIMARY} ]")
                assert slot(b) == ("slot", "lan0", "not plugged")
                b.ctl.request("vf attach g1 net1 pci=02:00.0")
                in_team(b)
                on(b, 1, f"[ $(basename $(readlink {PRIMARY}/device/driver)) = igb ]")
            for _ in range(2):
                seen = goes_on(hosts, seen)
        assert sent(a) > before
        lab.check_clock(a, "g1", since)
        inside = load.inside(a)
        print(inside)
        assert not inside["wrong"] and not inside["backward"] and not inside["warnings"], inside
