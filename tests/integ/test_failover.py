# SPDX-License-Identifier: Apache-2.0
"""Two NICs on one wire: a guest's VF changes NICs, by hand and as a link fails, under its driver."""
import contextlib
import re
import time

import test_hotplug
from lib import guests
from lib.ctl import CtlError
from lib.guests import on
from lib.registry import test
from lib.stream import TIME_SCALE
from test_vf import (MAC, NEEDS, OUTSIDE, at, carrier, counted, machine, move, ping, refused, section,
                     up)
from test_vfswitch import GUEST, NEEDS as ECHO_NEEDS, REPORT, Stream

NICS = ("[nic lan0]\npci = 01:00.0\nvfs = 2\nuplink = yes\n"
        "[nic lan1]\npci = 02:00.0\nvfs = 1\nuplink = backup\n")


def devices(count):
    """That many NICs on one wire."""
    return [word for i in range(count) for word in (
        "-device", f"pcie-root-port,id=rp{i},chassis={i + 1},slot={i + 1}",
        "-netdev", f"hubport,hubid=1,id=n{i}",
        "-device", f"igb,bus=rp{i},netdev=n{i},id=nic{i}")] + [
        "-netdev", "dgram,id=w,local.type=unix,local.path=q.sock,"
                   "remote.type=unix,remote.path=p.sock",
        "-netdev", "hubport,hubid=1,id=h,netdev=w"]


def lost(m, i, name):
    """Of a stream of pings that ends now."""
    text = on(m, i, f"kill -INT $(pidof ping); wait; tail -3 {name}; "
                    f"sed -n 's/.*seq=\\([0-9]*\\).*/\\1/p' {name} | "
                    "awk '$1 != n { print \"missing\", n, $1 } { n = $1 + 1 }'")
    sent, got = map(int, re.search(r"(\d+) packets tr\w+, (\d+) packets", text).groups())
    print(text)
    return sent - got


def shown(m):
    """How often the host has shown the first guest's address to the switches out there."""
    return [f[6:14] for f in m.peer.frames].count(GUEST + b"\x80\x35")


@test(timeout=300, needs=NEEDS, cores=2)
def link_fails(t):
    """The guest's own driver sees one link that came up once, whatever NIC it is."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "pv"), nic=NICS, devices=devices(2))
    try:
        up(m, 2)
        carrier(m, 1)
        ping(m, 1, 2)
        on(m, 1, f"ping -i 0.1 10.0.0.{OUTSIDE} >/tmp/out 2>&1 & true")
        refused(m, "ENOENT", "vf direct g1 net0 nic=lan2")
        refused(m, "EBUSY", "vf direct g1 net0 nic=lan0")
        before = shown(m)
        m.ctl.request("vf direct g1 net0 nic=lan1")
        at(m, "g1", "lan1")
        end = time.monotonic() + 10 * TIME_SCALE
        while shown(m) == before:
            assert time.monotonic() < end, "the switches out there look for it at the old place"
            time.sleep(0.1)
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


def pull(m, i):
    """The card behind root port i (00:0i+1.0) is out of reach: the port has no bus and no windows any
    more. (The emulator's own removal of an 82576 ends the emulator now and then.)"""
    for register in (4, 0x18):
        m.qmp.monitor(f"o /w 0xcf8 {0x80000000 | (i + 1) << 11 | register}")
        m.qmp.monitor("o /w 0xcfc 0")


@contextlib.contextmanager
def echoing(t, nics):
    """A bare guest with a VF sends frames back."""
    s = Stream(t.dir / "m")
    try:
        names = [f"[nic lan{i}]\npci = {i + 1:02}:00.0\nvfs = {vfs}\n{more}\n"
                 for i, (vfs, more) in enumerate(nics)]
        m = t.machine(config=guests.host_config(
            *names, "[vm echo]\nmemory = 16M\ncpus = 1\nkernel = vf_echo.elf\nautostart = no\n"
            f"pin = 1\nnet0 = vf nic=lan0 mac={MAC}1\n"),
            modules=guests.bare_kernels("vf_echo"), devices=devices(len(nics)))
        guests.wait_console(m)
        for i in range(len(nics)):
            m.com1.expect(rf"nic lan{i}: link up", timeout=30)
        m.ctl.request("vm start echo", timeout=240)
        s.ask(REPORT)
        s.flows = True
        yield m, s
    finally:
        s.close()


def after_death(m, s):
    """It is the twin; what was on its way is lost, and the rest comes."""
    row = at(m, "echo", "twin")
    s.lost += len(s.waits)
    s.waits.clear()
    s.until(50)
    sound(s)
    return row


def sound(s):
    """Frames may be lost with a NIC; none comes twice, or late to the guest. (On the way back the
    emulator's hub lets frames overtake those that it could not send at once.)"""
    r = s.report()
    print({"back": len(s.back), "lost": s.lost, "twice": s.twice, "late": s.late, "guest": r})
    assert not (s.twice or r["twice"] or r["late"] or r["bad_mail"]), r


@test(timeout=240, needs=ECHO_NEEDS, cores=2)
def function_dies(t):
    """A NIC is pulled, the next one has a fatal PCI Express error: the guest goes on by the one
    that is left. When that goes too it has no wire, and can be stopped as any."""
    with echoing(t, ((2, "uplink = yes"), (1, "uplink = backup"), (1, "uplink = backup"))) as (m, s):
        s.until(300)        # its rings have been seen by then
        pull(m, 0)
        assert after_death(m, s)["why"] == "it is dead"
        m.com1.expect(r"nic lan0: it does not answer any more", timeout=10)
        refused(m, "ENOENT", "vf direct echo net0 nic=lan0")
        m.ctl.request("vf direct echo net0 nic=lan1")
        s.until(50)
        m.qmp.monitor("pcie_aer_inject_error nic1 DLP")
        after_death(m, s)
        m.com1.expect(r"nic lan1: it has a fatal error", timeout=10)
        m.ctl.request("vf direct echo net0 nic=lan2")
        s.until(50)
        s.flows = False
        pull(m, 2)
        at(m, "echo", "twin")
        assert guests.state_of(m, "echo") == "running"
        m.ctl.request("vm stop echo")
        assert not re.search(r"assert|did not stop", m.com1.text)


def reset_on_the_way(t, points, to):
    """At each of these points of a change the NIC is reset, as if it broke. It is the uplink, the
    next one steps in."""
    with echoing(t, [(1, "uplink = " + ("backup" if i else "yes"))
                     for i in range(len(points) + 1)]) as (m, s):
        for i, point in enumerate(points):
            s.until(20)
            said = "done"
            m.ctl.request("vf twin echo net0" + (f" hook={10 + point}" if to == "twin" else ""))
            if to == "direct":
                try:
                    m.ctl.request(f"vf direct echo net0 nic=lan{i} hook={10 + point}")
                except CtlError as e:
                    said = e
            print(point, said)
            m.com1.expect(rf"nic lan{i}: it was reset", timeout=10)
            m.com1.expect(rf"nic lan{i + 1}: the uplink from now on", timeout=10)
            after_death(m, s)
            m.ctl.request(f"vf direct echo net0 nic=lan{i + 1}")


@test(timeout=300, needs=ECHO_NEEDS, cores=2)
def reset_on_the_way_to_the_twin(t):
    reset_on_the_way(t, range(1, 6), "twin")


@test(timeout=300, needs=ECHO_NEEDS, cores=2)
def reset_on_the_way_to_hardware(t):
    reset_on_the_way(t, range(6, 10), "direct")


@test(timeout=300, needs=NEEDS, cores=2)
def linux_survives(t):
    """A NIC is pulled from under igbvf: it says nothing, its counters never go down."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "pv"), nic=NICS, devices=devices(2))
    try:
        up(m, 2)
        carrier(m, 1)
        ping(m, 1, 2)
        before = counted(m, 1)
        on(m, 1, f"ping -i 0.1 10.0.0.{OUTSIDE} >/tmp/out 2>&1 & true")
        on(m, 2, "sh /tests/traffic.sh 10.0.0.1 >/tmp/traffic & true")
        pull(m, 0)
        at(m, "g1", "twin")
        ping(m, 1, OUTSIDE)
        ping(m, 2, 1)
        m.ctl.request("vf direct g1 net0 nic=lan1")
        ping(m, 1, OUTSIDE)
        ping(m, 2, 1)
        text = on(m, 2, "touch /tmp/stop; wait; cat /tmp/traffic", timeout=120)
        assert re.search(r"fetched [1-9]\d* failed 0", text), text
        print("lost", lost(m, 1, "/tmp/out"))
        after = counted(m, 1)
        assert all(0 <= y - x < 1 << 28 for x, y in zip(before, after)), (before, after)
        links = on(m, 1, "dmesg | grep -c 'igbvf.*Link is'")
        assert re.search(r"^1\s*$", links, re.M), links
        on(m, 1, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()


@test(timeout=300, needs=NEEDS, cores=2)
def team_loses_its_primary(t):
    """The NIC of a team's primary is pulled: to the guest the card is, and its standby goes on."""
    team = section(1, "pv", f"standby=yes\nnet1 = vf mac={MAC}1 hotplug=yes")
    m = machine(t, team, section(2, "pv"), nic=NICS, devices=devices(2))
    try:
        up(m, 2)
        # The emulated NIC gives a VF's own multicasts back to it: IPv6 would warn of its own address.
        on(m, 1, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        test_hotplug.plug(m)
        ping(m, 1, 2)
        pull(m, 0)
        test_hotplug.wait(m, 1, f"[ ! -e {test_hotplug.PRIMARY} ]")
        ping(m, 1, OUTSIDE)
        ping(m, 2, 1)
        assert guests.state_of(m, "g1") == "running"
        on(m, 1, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()
