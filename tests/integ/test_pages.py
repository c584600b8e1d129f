# SPDX-License-Identifier: Apache-2.0
"""The log of writes to guest memory: exactly the pages that were written, by whatever wrote them."""
from lib import paths
from lib.ctl import CtlError
from lib.registry import test
from test_guest import LEAVE, VMX_MODEL
from test_migrate import move

PML_MODEL = "corei7_skylake_x"     # the CPU itself logs what guests write
BASE, PAGES = 16 << 20, 2048
ENTRY_PAGE = PAGES - 2      # which the guest uses as a page table
NEEDS = ("godwit.elf", "guest-kernels/writer.elf")
CONFIG = """
[host]
name = a
console = ttyS0
ctl = ttyS1
[vm w]
memory = 32M
cpus = 2
kernel = writer.elf
autostart = no
"""


def chosen(page, k):
    """As in tests/guest/writer.c."""
    return (page * 2654435761 ^ k * 40503) >> 13 & 1 and (page >> 1) % 3 == k % 3


def harvest(m):
    """Pages of the area written since the last call, by index; all of them were told."""
    reply = m.ctl.request("vm writes w", timeout=60)
    pages = set()
    for row in reply[1:]:
        if row.get("row") == "written":
            first = int(row["gpa"], 16) // 4096
            pages.update(range(first, first + int(row["pages"])))
    assert len(pages) == int(reply["pages"]), "the reply was cut"
    return {p - BASE // 4096 for p in pages if 0 <= p - BASE // 4096 < PAGES}


def say(m, line, answer, timeout=60):
    m.com1.send(line + "\r")
    return m.com1.expect(answer, timeout=timeout)


def account(m):
    return [(r["name"], r["used"]) for r in m.ctl.request("mem") if r.get("row") == "account"]


def sweep(m, slow):
    """Each page is written once while the log is taken again and again: each is told, and only one
    that the log was taken of between its fault and its write is told twice."""
    told = []
    m.com1.send("sweep\r")
    while "sweep done" not in m.com1.text:
        told.append(harvest(m))
    told.append(harvest(m))
    m.com1.expect("sweep done", timeout=60 * slow)
    assert set().union(*told) == set(range(PAGES - 2))
    assert sum(map(len, told)) < PAGES - 2 + len(told), [len(t) for t in told]
    return sum(1 for t in told if t)


def start(t, slow=1, **machine):
    m = t.machine(config=CONFIG, memory=512,
                  modules={"writer.elf": paths.BUILD / "guest-kernels/writer.elf"}, **machine)
    m.com1.expect("Type help", timeout=30 * slow)
    logs = [r["state"] for r in m.ctl.request("host", timeout=60)
            if r.get("name") == "page-modification logging"]
    assert logs == ({PML_MODEL: ["used"], None: []}.get(machine.get("bochs"), ["absent"])), logs
    before = account(m)
    m.ctl.request("vm start w")
    m.com1.sendline("vm console w")
    m.com1.expect("writer ready", timeout=60 * slow)
    return m, before


def exercise(t, slow=1, walks=True, **machine):
    m, before = start(t, slow, **machine)
    say(m, "pattern 1", "pattern 1 done", 60 * slow)
    m.ctl.request("vm writes w on")
    for k in range(2, 6):
        say(m, f"pattern {k}", f"pattern {k} done", 60 * slow)
        want = {p for p in range(PAGES - 2) if chosen(p, k)} | {ENTRY_PAGE}
        got = harvest(m) | (set() if walks else {ENTRY_PAGE})
        assert got == want, f"{k}: lost {sorted(want - got)[:9]}, too many {sorted(got - want)[:9]}"
    m.ctl.request("vm pause w")
    harvest(m)
    m.ctl.request("vm resume w")
    assert sweep(m, slow) > 1
    say(m, "check", "check ok", 60 * slow)
    try:
        m.ctl.request("vm writes w on")
        raise AssertionError("two logs")
    except CtlError as exc:
        assert exc.code == "EBUSY"
    m.ctl.request("vm writes w off")
    say(m, "pattern 7", "pattern 7 done", 60 * slow)
    say(m, "check", "check ok", 60 * slow)
    m.ctl.request("vm writes w on")     # the VM ends with its log on
    say(m, "pattern 8", "pattern 8 done", 60 * slow)
    m.com1.send(LEAVE)
    m.ctl.request("vm stop w")
    assert account(m) == before
    assert "were not given back" not in m.com1.text


@test(timeout=120, needs=NEEDS)
def written_svm(t):
    exercise(t, smp=2)


@test(timeout=400, needs=NEEDS)
def written_vmx(t):
    exercise(t, slow=3, smp=1, bochs=VMX_MODEL)


@test(timeout=400, needs=NEEDS)
def written_vmx_pml(t):
    exercise(t, slow=3, smp=1, bochs=PML_MODEL)


@test(timeout=400, needs=NEEDS)
def written_vmx_plain(t):
    """Neither the CPU's log nor accessed and dirty bits. There Bochs sets the accessed bit of a
    guest's page table without a look at the second stage, so that page is left out."""
    exercise(t, slow=3, walks=False, smp=1, bochs="corei5_arrandale_m520")


def moved(t, loops, slow=1, **machine):
    """A guest that writes while it is moved, at any rate, finds each of its writes where it left it."""
    m, _ = start(t, slow, **machine)
    for rate, pages in loops:
        m.com1.send(f"loop {rate} {pages}\r")
        m.com1.expect("loop begins", timeout=30 * slow)
        row = move(m, "w", "downtime=1", timeout=100 * slow)
        wrote, bad = map(int, say(m, "", r"loop wrote (\d+), (\d+) bad", 30 * slow).groups())
        print(f"{rate} writes/ms to {pages} pages: {wrote} writes, {row['passes']} passes, {row['downtime_us']} us")
        assert bad == 0 and wrote > 0, (wrote, bad)


@test(timeout=400, needs=NEEDS, cores=2)
def moved_svm(t):
    moved(t, ((2, 2000), (1000000, 2000), (1000000, 16)), smp=2)


@test(timeout=400, needs=NEEDS)
def moved_vmx(t):
    moved(t, ((1000000, 16),), slow=3, smp=1, bochs=VMX_MODEL)


@test(timeout=400, needs=NEEDS)
def moved_vmx_pml(t):
    """More pages than the CPU's log holds as well: it is emptied when it is full."""
    moved(t, ((1000000, 16), (1000000, 2000)), slow=3, smp=1, bochs=PML_MODEL)
