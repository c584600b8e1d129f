# SPDX-License-Identifier: Apache-2.0
"""Live migration from a host to itself: guests go on, whatever happens on the way."""
import itertools
import re
import time

from lib import guests, lab, paths
from lib.ctl import CtlError
from lib.guests import on
from lib.pv import NEEDS, section, start
from lib.registry import test

BARE = ("godwit.elf", "guest-kernels/bystander.elf")
SECTION = "[vm t]\nmemory = 16M\ncpus = 1\nkernel = bystander.elf\nautostart = yes\n"
NOTE = 176          # bytes of a note of the handover, with its record's head
TIMES = 16          # notes that ask for the time, and as many answers
HEADER = 32
TABLES = 64 << 10   # second-stage tables of a small VM, at most


def status(m, name):
    """The newest move of this VM out of here."""
    rows = [r for r in m.ctl.request(f"migrate-status {name}") if r.get("direction") == "out"]
    return max(rows, key=lambda r: int(r["number"]))


def wait(m, name, timeout=60, phases=("done", "failed")):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        row = status(m, name)
        if row["phase"] in phases:
            return row
        time.sleep(0.01)
    raise AssertionError(f"the move does not end: {row}")


def move(m, name, options="", phase="done", timeout=60):
    """To this host itself; the row of the move when it is over."""
    m.ctl.request(f"migrate {name} local {options}")
    row = wait(m, name, timeout)
    print(options, {k: row[k] for k in ("phase", "passes", "pages_sent", "pages_zero", "sent",
                                        "received", "downtime_us", "total_ms", "reason")})
    assert row["phase"] == phase, f"{options}: {row['phase']}: {row['reason']}"
    return row


def accounts(m):
    """Bytes in use by account; the sums have to agree."""
    reply = m.ctl.request("mem")
    assert reply["balanced"] == "yes", reply
    return {r["name"]: int(r["used"]) for r in reply if "used" in r and "name" in r}


def alone(m, state="running"):
    """There is one VM t and nothing left of another."""
    vms = [(r["name"], r["state"]) for r in m.ctl.request("vm list") if "name" in r]
    assert vms == [("t", state)], vms


def settled(m, before):
    """All memory is back, when both ends have hung up. A VM's tables depend on what it touched last."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        now = accounts(m)
        if now.keys() == before.keys() and \
           all(abs(now[k] - before[k]) <= (TABLES if k == "t" else 0) for k in now):
            return
        time.sleep(0.02)
    raise AssertionError(f"memory before {before}, now {now}")


def bare_host(t, *sections, **options):
    m = t.machine(config=guests.host_config(*(sections or (SECTION,))), **({"smp": 2} | options),
                  modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"})
    guests.wait_console(m, timeout=180)
    guests.attach(m, "t")
    m.com1.expect(r"^tick (\d+) ok", timeout=60)
    return m


def check_ticks(m):
    """The guest never stopped, and what it keeps in memory and devices was right each time."""
    last = int(m.com1.expect(r"^tick (\d+) ok", timeout=60).group(1))
    m.com1.expect(rf"^tick {last + 2} ok", timeout=60)
    ticks = re.findall(r"^tick (\d+) (ok|bad)", m.com1.text, re.M)
    assert ticks == [(str(i + 1), "ok") for i in range(len(ticks))], ticks


@test(timeout=60, needs=BARE)
def bare(t):
    """A kernel that checks itself; running, paused, and under a rate limit."""
    to_itself(t)


@test(timeout=600, needs=BARE)
def bare_vmx(t):
    to_itself(t, bochs="corei7_skylake_x", smp=1)


def to_itself(t, **options):
    m = bare_host(t, **options)
    before = accounts(m)
    for words in ("", "limit=100 downtime=50"):
        move(m, "t", words)
        settled(m, before)
        alone(m)
    m.ctl.request("vm pause t")
    move(m, "t")
    assert m.ctl.request("vm info t")["state"] == "paused"
    m.ctl.request("vm resume t")
    check_ticks(m)


# None that expects another processor to have run after some time: it may all have been a stop.
KERNELS = (("state", 4), ("exit_msr", 1))
MORE_KERNELS = (("event_apic", 4), ("dev_irq", 1), ("paging", 2), ("dev_pci", 2),
                ("reset", 2))


def kernels_needed(which):
    return ("godwit.elf", *(f"guest-kernels/{n}.elf" for n, _ in which))


@test(timeout=240, cores=2, needs=kernels_needed(KERNELS))
def kernels(t):
    """Test kernels that look at every register and device are moved all the time, and notice nothing."""
    move_kernels(t, KERNELS)


@test(timeout=240, cores=2, needs=kernels_needed(MORE_KERNELS))
def more_kernels(t):
    move_kernels(t, MORE_KERNELS)


def move_kernels(t, which):
    sections = [f"[vm {n}]\nmemory = 16M\ncpus = {cpus}\nkernel = {n}.elf\ncmdline = lax=1\n"
                "autostart = no\n" for n, cpus in which]
    m = t.machine(config=guests.host_config(*sections), smp=2, memory=512,
                  modules={f"{n}.elf": paths.BUILD / f"guest-kernels/{n}.elf" for n, _ in which})
    guests.wait_console(m)
    moves = 0
    for name, _ in which:
        m.com1.sendline(f"vm console {name}")
        m.com1.expect(rf"\[console of {name},")
        m.ctl.request(f"vm start {name}")
        phases = []
        while m.ctl.request(f"vm info {name}")["state"] == "running":
            try:
                m.ctl.request(f"migrate {name} local")
                phases.append(wait(m, name)["phase"])
            except CtlError as exc:     # it went off meanwhile
                assert exc.code in ("EBUSY", "ENOENT"), exc
        m.com1.expect(r"^RESULT [1-9]\d* passed, 0 failed", timeout=10)
        guests.leave(m)
        print(name, phases.count("done"), "moves")
        # A guest that powers off or resets itself just then stays for it.
        assert "failed" not in phases[:-1] or name == "reset", phases
        moves += phases.count("done")
    assert moves > 3


def refused(m, request, code):
    try:
        m.ctl.request(request)
    except CtlError as exc:
        assert exc.code == code, exc
        return exc.text
    raise AssertionError(f"{request!r} is not refused")


@test(timeout=60, needs=BARE)
def refusals(t):
    """What cannot be moved, and what must not be done meanwhile."""
    m = bare_host(t)
    before = accounts(m)
    refused(m, "migrate nobody local", "ENOENT")
    refused(m, "migrate t elsewhere", "ENODEV")
    refused(m, "migrate t local fault=fire", "EINVAL")
    refused(m, "migrate t local:99999", "ERANGE")
    refused(m, "migrate-cancel t", "ENOENT")
    m.ctl.request("migrate t local limit=1")
    wait(m, "t", phases=("copying",))
    for verb in ("stop", "pause", "reset", "delete"):
        assert "moved" in refused(m, f"vm {verb} t", "EBUSY")
    assert "already" in refused(m, "migrate t local", "EBUSY")
    m.ctl.request("migrate-cancel t")
    row = wait(m, "t")
    assert (row["phase"], row["reason"]) == ("failed", "cancelled"), row
    settled(m, before)
    alone(m)
    check_ticks(m)


@test(timeout=60, needs=BARE)
def disks(t):
    """A VM with a disk stays, and is told so at once."""
    (t.dir / "disk.img").write_bytes(bytes(1 << 20))
    m = t.machine(config=guests.host_config(SECTION + "disk0 = module=disk.img\n"), memory=256,
                  modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf",
                           "disk.img": t.dir / "disk.img"})
    guests.wait_console(m)
    assert "disk" in refused(m, "migrate t local", "ENOTSUP")
    alone(m)


@test(timeout=60, needs=BARE)
def no_memory(t):
    """The receiver has not enough: refused before a page moves."""
    m = t.machine(config=guests.host_config(SECTION.replace("16M", "256M")), smp=2, memory=512,
                  modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"})
    guests.wait_console(m)
    before = accounts(m)
    row = move(m, "t", phase="failed")
    assert "memory" in row["reason"] and row["passes"] == "0", row
    settled(m, before)
    alone(m)


@test(timeout=120, cores=2, needs=BARE + ("courier.elf",))
def taken(t):
    """Refused before a page moves: the name is taken, or the address of a NIC, whatever its kind. A
    VM that is off gives its name to the one that comes."""
    moving = SECTION + "net0 = vf twin=yes mac=52:54:00:00:03:01\n"
    off = SECTION.replace("yes", "no")
    other = SECTION.replace("vm t", "vm u") + "net0 = pv mac=52:54:00:00:03:01\n"
    with lab.Lab(t.dir, sections=[(moving,), (off, other)], memory=320,
                 modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"}) as hosts:
        hosts.ready()
        a, b = hosts.machine
        before = accounts(b)
        for word, verb in (("address", "vm stop u"), ("exists", "vm stop t")):
            a.ctl.request(f"migrate t {lab.address(1)}")
            row = wait(a, "t")
            assert row["phase"] == "failed" and row["passes"] == "0", row
            assert word in row["reason"], row
            settled(b, before)
            b.ctl.request(verb)
            if word == "address":
                b.ctl.request("vm start t")
                before = accounts(b)
        a.ctl.request(f"migrate t {lab.address(1)}")
        assert wait(a, "t")["phase"] == "done"
        assert "t" not in [r.get("name") for r in a.ctl.request("vm list")]
        assert b.ctl.request("vm info t")["state"] == "running"


def faults(whole):
    """Options of `migrate` for a fault at every step of the protocol. The way there: header, intro,
    notes, pages, machine, END; GO and ACK. The way back: header, HELLO, ACCEPT, notes, READY; TAKEN."""
    sent, back = int(whole["sent"]), int(whole["received"])
    assert back == HEADER + (4 + TIMES) * NOTE, back
    stream = sent - 2 * NOTE
    there = [0, HEADER - 1, HEADER, HEADER + 20, 200, 500, 900, *range(1500, 5000, 500), stream // 4,
             stream // 2]
    answers = [HEADER + k * NOTE + i for k in (0, 1, 2, 1 + TIMES, 2 + TIMES) for i in (0, NOTE // 2)]
    there += list(range(stream - 3500, stream, 250)) + [stream - 24, stream - 1]
    for kind in ("cut", "flip"):
        for at in there:
            yield f"fault={kind} at={at}", "failed"
        for at in [0, HEADER // 2] + answers:
            # A bit that is flipped in READY, too: the source gives up before it says GO.
            yield f"fault={kind} back={at}", "failed"
        # In doubt now. The GO that is cut off never comes, and the copy there goes with its
        # connection; the TAKEN that is cut off has happened; and the ACK matters to nobody.
        yield f"fault={kind} at={stream}", "failed"
        yield f"fault={kind} at={stream + 100}", "failed"
        yield f"fault={kind} back={back - NOTE}", "done"
        yield f"fault={kind} back={back - 1}", "done"
        yield f"fault={kind} at={stream + NOTE + 20}", "done"
    for at in (1, HEADER, 500, stream // 2, stream - 3000, stream - 1):
        yield f"cancel={at}", "failed"


@test(timeout=600, needs=BARE)
def every_step_vf(t):
    """The same with a VF: whatever happens, it is in hardware again, here or there."""
    devices = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
               "-netdev", "hubport,id=n0,hubid=0", "-device", "igb,bus=rp0,netdev=n0")

    def in_hardware(m):
        end = time.monotonic() + 60
        while (rows := [r["nic"] for r in m.ctl.request("vf list")
                        if r.get("row") == "vf" and r["vm"] == "t"]) != ["lan0"]:
            assert time.monotonic() < end, rows
            time.sleep(0.05)

    at_each_step(bare_host(t, "[nic lan0]\nmatch = 8086:10c9\nvfs = 2\n",
                           SECTION + "net0 = vf nic=lan0 mac=52:54:00:00:03:01\n",
                           devices=devices), in_hardware)


@test(timeout=150, needs=BARE)
def every_step(t):
    """A fault at each step: exactly one copy runs afterwards, intact, and all memory is back. The
    guest runs between the moves and is paused for them, so that all have the same steps."""
    at_each_step(bare_host(t), lambda m: None)


def at_each_step(m, check):
    before = accounts(m)
    m.ctl.request("vm pause t")
    for options, phase in faults(move(m, "t")):
        move(m, "t", options, phase)
        check(m)
        settled(m, before)
        alone(m, "paused")
        m.ctl.request("vm resume t")
        m.ctl.request("vm pause t")
    m.ctl.request("vm resume t")
    check_ticks(m)


def starve(m, n):
    """From here on the n-th allocation of this host fails; how many were to come before the last one."""
    return int(m.ctl.request(f"mem fail={n}")["fail_in"])


@test(timeout=300, needs=BARE)
def no_memory_at_any_step(t):
    """Each allocation of a move, on either side, fails in turn, until one needs fewer than there are."""
    m = bare_host(t)
    move(m, "t")
    before = accounts(m)
    ends = []
    m.ctl.request("vm pause t")
    for n in itertools.count(1):
        starve(m, n)
        try:
            m.ctl.request("migrate t local")
            row = wait(m, "t")
            ends.append(row["reason"] or row["phase"])
        except CtlError as exc:
            assert exc.code == "ENOMEM", exc
            ends.append(exc.text)
        left = starve(m, 0)
        settled(m, before)
        alone(m, "paused")
        m.ctl.request("vm resume t")
        m.ctl.request("vm pause t")
        if left:
            break
    print(*(f"{ends.count(e)} times: {e}" for e in dict.fromkeys(ends)), sep="\n")
    assert ends[-1] == "done" and len(ends) > 20, ends
    m.ctl.request("vm resume t")
    check_ticks(m)


@test(timeout=150, needs=BARE)
def silence(t):
    """Bytes vanish and nobody is told: TAKEN does not come. In doubt the guest stands here, to cancel
    needs force, and after ten seconds of silence the question is asked again."""
    m = bare_host(t)
    before = accounts(m)
    m.ctl.request(f"migrate t local fault=lose back={HEADER + (3 + TIMES) * NOTE}")
    wait(m, "t", phases=("given",))
    assert "force=yes" in refused(m, "migrate-cancel t", "EBUSY")
    assert wait(m, "t")["phase"] == "done"
    settled(m, before)
    alone(m)
    check_ticks(m)


def under_load(t, moves):
    """Guest 1 writes and checks memory on two processors, answers pings and serves a file that is
    fetched all the time: nothing differs, no connection breaks, no warning, the clocks go on."""
    m = start(t, section(1, cpus=2), section(2))
    on(m, 1, "sh /tests/load.sh & true")
    on(m, 2, "sh /tests/traffic.sh 10.0.0.1 >/tmp/traffic & true")
    begin = lab.clock(m, "g1")
    rows = [move(m, "g1", "downtime=100", timeout=120) for _ in range(moves)]
    assert on(m, 1, "nproc").strip() == "2"
    lab.check_clock(m, "g1", begin)
    load = on(m, 1, "touch /tmp/stop; wait; cat /tmp/load.*", timeout=120)
    assert re.findall(r"rounds [1-9]\d* bad (\d+)", load) == ["0", "0"], load
    text = on(m, 2, "touch /tmp/stop; wait; cat /tmp/traffic", timeout=120)
    print(text)
    assert re.search(r"fetched [1-9]\d* failed 0", text), text
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) packets", text).groups())
    stood = [int(r["downtime_us"]) // 1000 for r in rows]
    print(f"{sent - received} of {sent} pings lost in {moves} moves, stood {stood} ms")
    # Ten a second: those of the time it stood, one at each end of that, and the last of all.
    assert sent - received <= sum(stood) / 100 + 2 * moves + 1, text
    on(m, 1, "sh /tests/check-dmesg.sh")
    on(m, 2, "sh /tests/check-dmesg.sh")


@test(timeout=300, needs=NEEDS, cores=2)
def linux(t):
    under_load(t, 2)


@test(timeout=900, needs=NEEDS, cores=2)
def twenty(t):
    under_load(t, 20)


def lab_wait(m, phases, timeout=120):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        row = status(m, "t")
        if row["phase"] in phases:
            return row
        time.sleep(0.1)
    raise AssertionError(f"no phase of {phases}: {row}")


def owner(hosts, i):
    """Host i runs the guest, which is whole; the other has nothing of it."""
    here, there = hosts.machine[i], hosts.machine[1 - i]
    end = time.monotonic() + 60
    while any(r.get("name", "").startswith("t") for r in there.ctl.request("vm list")):
        assert time.monotonic() < end, "the copy at the other host stays"   # 10 s of silence
        time.sleep(0.2)
    assert here.ctl.request("vm info t")["state"] == "running"
    here.com1.sendline("vm console t")
    here.com1.expect("console of t")
    for _ in range(2):
        match = here.com1.expect(r"^tick \d+ (ok|bad)", timeout=60)
        assert match.group(1) == "ok"
    here.com1.send(guests.ESCAPE)


@test(timeout=900, cores=2, needs=BARE + ("courier.elf",))
def between_hosts(t):
    """Two hosts and a network: faults on the wire at each step; the destination killed before and
    after GO, reset after GO, the courier killed, the source killed."""
    with lab.Lab(t.dir, sections=[(SECTION,)], memory=320,
                 modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"}) as hosts:
        hosts.ready()
        a, b = hosts.machine
        there = lab.address(1)
        a.ctl.request(f"migrate t {there}")
        whole = lab_wait(a, ("done", "failed"))
        assert whole["phase"] == "done", whole
        owner(hosts, 1)
        memory = accounts(a)
        back = HEADER + (3 + TIMES) * NOTE
        b.ctl.request(f"migrate t {lab.address(0)}")
        assert lab_wait(b, ("done", "failed"))["phase"] == "done"
        owner(hosts, 0)
        for kind in ("cut", "flip", "lose"):
            for at in (20, 300, 100000, f"{back - NOTE // 2}"):
                word = "back" if isinstance(at, str) else "at"
                a.ctl.request(f"migrate t {there} fault={kind} {word}={at}")
                row = lab_wait(a, ("done", "failed"))
                print(kind, word, at, row["phase"], row["reason"])
                assert row["phase"] == "failed", row
                owner(hosts, 0)
        print("destination killed while memory goes over")
        a.ctl.request(f"migrate t {there} limit=1")
        lab_wait(a, ("copying",))
        hosts.machine[1].close()
        print(lab_wait(a, ("failed",)))
        hosts.boot(1)
        hosts.ready()
        owner(hosts, 0)
        print("destination reset after GO: what it had is gone, so the guest goes on at the source")
        a.ctl.request(f"migrate t {there} fault=lose back={back}")
        lab_wait(a, ("given",))
        hosts.boot(1)
        hosts.ready()
        assert lab_wait(a, ("done", "failed"))["phase"] == "failed"
        owner(hosts, 0)
        print("destination killed after GO: an operator decides")
        a.ctl.request(f"migrate t {there} fault=lose back={back}")
        lab_wait(a, ("given",))
        refused(a, "migrate-cancel t", "EBUSY")
        hosts.machine[1].close()
        a.ctl.request("migrate-cancel t force=yes")
        assert lab_wait(a, ("done", "failed"))["phase"] == "failed"
        hosts.boot(1)
        hosts.ready()
        owner(hosts, 0)
        print("TAKEN is lost: asked again, it has happened")
        a.ctl.request(f"migrate t {there} fault=lose back={back}")
        assert lab_wait(a, ("done", "failed"))["phase"] == "done"
        owner(hosts, 1)
        print("courier killed")
        b = hosts.machine[1]
        b.ctl.request(f"migrate t {lab.address(0)} limit=1")
        lab_wait(b, ("copying",))
        b.ctl.request("vm reset courier")
        assert lab_wait(b, ("done", "failed"))["phase"] == "failed"
        owner(hosts, 1)
        print("source killed")
        b.ctl.request(f"migrate t {lab.address(0)} limit=1")
        lab_wait(b, ("copying",))
        b.close()
        settled(a, memory)
        assert "t~" not in [r.get("name") for r in a.ctl.request("vm list")]
