# SPDX-License-Identifier: Apache-2.0
"""A stock Linux guest with VFs under its own igbvf goes from host to host and back, under load from
a station outside (`make demo` shows it live)."""
import time

from lib import lab, load, paths, pcap
from lib.registry import test
from lib.stream import TIME_SCALE

RARP = b"\x80\x35"
MAC = bytes.fromhex(load.MAC.replace(":", ""))
SECOND = "52:54:00:00:00:21"
THIRD = "52:54:00:00:00:31"


def vfs(m):
    """Where the VFs of g1 are, by interface."""
    rows = [r for r in m.ctl.request("vf list") if r.get("row") == "vf" and r["vm"] == "g1"]
    return [r["nic"] for r in sorted(rows, key=lambda r: r["net"])]


def settled(m, *want):
    """Until the VFs are there."""
    end = time.monotonic() + 60 * TIME_SCALE
    while (seen := vfs(m)) != list(want):
        assert time.monotonic() < end, f"{seen}, not {want}"
        time.sleep(0.2)


def sides(directory):
    """Who sent each frame that came from g1's address, as the wire of a host saw it: (True: this
    host, frame). One frame has the same time in both captures, but for whole seconds."""
    everything, sent = (pcap.timed(directory / f"{n}.pcap") for n in ("all", "out"))
    first = next(t for t, frame in everything if frame == sent[0][1])
    shift = round(first - sent[0][0])
    times = {}
    for t, frame in sent:
        times.setdefault(frame, []).append(t + shift)
    return [(any(abs(t - u) < 0.1 for u in times.get(frame, ())), frame)
            for t, frame in everything if frame[6:12] == MAC]


def check_wire(directory, moves):
    """Once it has moved nothing of it comes from the old host, and the new one has shown it."""
    seen = sides(directory)
    runs = [0] + [i for i in range(1, len(seen)) if seen[i][0] != seen[i - 1][0]]
    assert len(runs) == moves + 1, f"{moves} moves, sent by {[seen[i][0] for i in runs]} in turn"
    for begin, end in zip(runs[1:], (*runs[2:], len(seen))):
        shown = [i for i in range(begin, end) if seen[i][1][12:14] == RARP]
        assert shown, f"not announced after frame {begin}"


def go(hosts, where, before):
    """To the host of index where and back, in turns: what the station saw then."""
    seen = load.inside(hosts.machine[1 - where])
    end = lab.move(hosts.machine[1 - where], "g1", lab.address(where))
    print(end)
    assert end["phase"] == "done", end
    after = load.peer(hosts)
    now = load.inside(hosts.machine[where])
    print(after, now)
    assert after["back"] > before.get("back", 0) and not after["differ"], after
    assert not after["broken"] and not after["twice"], after
    assert now["igbvf"] == seen["igbvf"] and not load.went_back(seen, now), (seen, now)
    return after


def under_load(t, hardware, nets, expect):
    """There and back; expect: where its VFs are on either host."""
    with lab.Lab(t.dir, sections=[load.sections(nets)], memory=768, modules=load.modules(),
                 hardware=hardware) as hosts:
        hosts.add_station()
        hosts.ready()
        load.start(hosts)
        settled(hosts.machine[0], *expect[0])
        seen = load.peer(hosts)
        since = lab.clock(hosts.machine[0], "g1")
        for where in (1, 0):
            seen = go(hosts, where, seen)
            settled(hosts.machine[where], *expect[where])
            seen = load.peer(hosts)
        lab.check_clock(hosts.machine[0], "g1", since)
        inside = load.inside(hosts.machine[0])
        assert not inside["wrong"] and not inside["backward"] and not inside["warnings"], inside
    check_wire(t.dir / "a", 2)


@test(timeout=240, needs=("godwit.elf", "courier.elf", "guest-kernels/bystander.elf"), cores=2)
def clock(t):
    """Twenty moves, each of them known to a fraction of a millisecond by the notes that go before."""
    section = "[vm t]\nmemory = 16M\ncpus = 1\nkernel = bystander.elf\nautostart = yes\n"
    with lab.Lab(t.dir, sections=[(section,)], memory=320,
                 modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"}) as hosts:
        hosts.ready()
        print([m.ctl.request("host")["tsc_khz"] for m in hosts.machine])
        since = lab.clock(hosts.machine[0], "t")
        for k in range(20):
            end = lab.move(hosts.machine[k % 2], "t", lab.address(1 - k % 2))
            assert end["phase"] == "done", end
            print({k: end[k] for k in ("downtime_us", "total_ms", "clock_us")})
            if k % 2:
                lab.check_clock(hosts.machine[0], "t", since)


def three_nics(t, there):
    under_load(t, (lab.Hardware(vfs=3, capture=True), there),
               load.VF + f"net1 = vf nic=lan0 mac={SECOND}\nnet2 = pv mac={THIRD}\n",
               (["lan0", "lan0"], ["lan0", "lan0"]))


@test(timeout=600, needs=load.NEEDS, cores=2)
def linux_under_load(t):
    """Two VFs and a paravirtual NIC; hardware on either host."""
    three_nics(t, lab.Hardware(vfs=3))


@test(timeout=600, needs=load.NEEDS, cores=2)
def to_amdvi(t):
    """The same; VT-d here, AMD-Vi there."""
    three_nics(t, lab.Hardware(vfs=3, amd=True))


@test(timeout=600, needs=load.NEEDS, cores=2)
def no_vf_there(t):
    """The other host has no VF: it goes on in software there, and in hardware again back here."""
    under_load(t, (lab.Hardware(vfs=1, capture=True),), load.VF, (["lan0"], ["twin"]))
