# SPDX-License-Identifier: Apache-2.0
"""Live migration between two hosts: each step of the protocol meets each fault that a machine, its
courier or the network can have. One copy of the guest is there afterwards, whole; both hosts answer
and have all their memory back.

A move is held at a byte, in either direction, by losing all that follows (docs/migration.md, "Faults
on purpose"); then the fault happens. The guest is paused for the moves, so that all are alike.
"""
import itertools
import time

from lib import guests, lab, paths
from lib.ctl import CtlError
from lib.registry import test
from lib.stream import TIME_SCALE
from test_migrate import BARE, HEADER, NOTE, SECTION, TIMES, accounts, settled, starve

NEEDS = BARE + ("courier.elf",)
A, B = 0, 1


def steps(whole):
    """(name, direction, byte at which it is held, who has the guest afterwards)."""
    stream, answers = int(whole["sent"]) - 2 * NOTE, HEADER + 2 * NOTE
    return (("HELLO", "back", 0, A), ("header", "at", HEADER - 1, A), ("intro", "at", 600, A),
            ("ACCEPT", "back", HEADER + NOTE, A), ("time", "back", answers + 3 * NOTE, A),
            ("memory", "at", stream // 2, A), ("machine", "at", stream - 2500, A),
            ("END", "at", stream - 4, A), ("READY", "back", answers + TIMES * NOTE, A),
            ("GO", "at", stream + 10, A), ("TAKEN", "back", answers + (TIMES + 1) * NOTE, B),
            ("ACK", "at", stream + NOTE + 10, B))


class Pair:
    """Two hosts; the guest is paused on the first, and comes back there."""

    def __init__(self, t):
        self.lab = lab.Lab(t.dir, sections=[(SECTION,)], memory=320,
                           modules={"bystander.elf": paths.BUILD / "guest-kernels/bystander.elf"})

    def __enter__(self):
        self.lab.__enter__()
        self.lab.ready()
        self.host(A).ctl.request("vm pause t")
        self.memory = [accounts(self.host(i)) for i in (A, B)]
        self.whole = self.go()
        self.check(B)
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def host(self, i):
        return self.lab.machine[i]

    def begin(self, options="", reached=lambda row: True, here=A):
        """A move to the other host, as far as that; again while a courier is not back yet."""
        end = time.monotonic() + 90 * TIME_SCALE
        while time.monotonic() < end:
            try:
                self.host(here).ctl.request(f"migrate t {lab.address(1 - here)} {options}")
            except CtlError as exc:
                assert exc.code == "ENODEV", exc
                time.sleep(0.1)
                continue
            while (row := lab.newest(self.host(here), "t"))["phase"] != "failed":
                if reached(row):
                    return
                assert time.monotonic() < end, row
                time.sleep(0.02)
            assert int(row["received"]) == 0, row
        raise AssertionError(f"no move begins: {row}")

    def go(self, here=A):
        """The whole way, without a fault."""
        self.begin("", lambda row: int(row["received"]) > 0, here)
        row = lab.ended(self.host(here), "t")
        assert row["phase"] == "done", row
        return row

    def owner(self, timeout=90):
        """Who has the guest, when the other has nothing of it any more."""
        end = time.monotonic() + timeout * TIME_SCALE
        while True:
            names = [[r["name"] for r in self.host(i).ctl.request("vm list")
                      if r.get("name", "").startswith("t")] for i in (A, B)]
            row = lab.newest(self.host(A), "t")
            if sorted(names) == [[], ["t"]] and row["phase"] in ("done", "failed"):
                return A if names[A] else B
            assert time.monotonic() < end, (names, row)
            time.sleep(0.1)

    def check(self, i):
        """It is whole there; then it is back, and all memory with it."""
        m = self.host(i)
        assert guests.state_of(m, "t") == "paused"
        guests.attach(m, "t")
        m.ctl.request("vm resume t")
        for _ in range(2):
            assert m.com1.expect(r"^tick \d+ (ok|bad)", timeout=60).group(1) == "ok"
        guests.leave(m)
        m.ctl.request("vm pause t")
        if i == B:
            self.go(B)
        for k in (A, B):
            settled(self.host(k), self.memory[k])

    def hold(self, step):
        _, direction, at, _ = step
        key = "sent" if direction == "at" else "received"
        self.begin(f"fault=lose {direction}={at}", lambda row: int(row[key]) >= at)

    def every(self, fault, last="ACK"):
        """The fault at each step up to the last one; it returns who has the guest, or None: as ever."""
        for step in steps(self.whole):
            self.hold(step)
            want = fault(step)
            want = step[3] if want is None else want
            got = self.owner()
            row = lab.newest(self.host(A), "t")
            print(f"{step[0]}: {'ab'[got]} has it, {row['phase']}: {row['reason']}", flush=True)
            assert got == want and row["phase"] == ("done" if got else "failed"), row
            self.check(got)
            if step[0] == last:
                return


@test(timeout=900, needs=NEEDS, cores=2)
def courier_killed(t):
    """The couriers of either host, at each step."""
    with Pair(t) as pair:
        for m in (pair.host(A), pair.host(B)):
            def kill(_step, m=m):
                m.ctl.request("vm reset courier")
            pair.every(kill)


@test(timeout=900, needs=NEEDS, cores=2)
def link_cut(t):
    """The source's cable is out until the move has failed, or for as long as it takes to see that
    nobody answers; in again it is asked who has the guest."""
    with Pair(t) as pair:
        def cut(step):
            m = pair.host(A)
            m.qmp.monitor("set_link lan off")
            phases = ("done", "failed") if step[0] not in ("GO", "TAKEN") else ("given",)
            end = time.monotonic() + 90 * TIME_SCALE
            while lab.newest(m, "t")["phase"] not in phases:
                assert time.monotonic() < end, lab.newest(m, "t")
                time.sleep(0.1)
            m.qmp.monitor("set_link lan on")
        pair.every(cut)


@test(timeout=900, needs=NEEDS, cores=2)
def destination_killed(t):
    """It comes back and knows nothing: the guest goes on at the source. With ACK it was the one."""
    with Pair(t) as pair:
        def kill(_step):
            pair.lab.boot(B)
            pair.lab.ready([B])
            pair.memory[B] = accounts(pair.host(B))
            return A
        pair.every(kill, last="TAKEN")


@test(timeout=600, needs=NEEDS, cores=2)
def cancelled(t):
    """By the operator, as long as that is his to do."""
    with Pair(t) as pair:
        def cancel(step):
            try:
                pair.host(A).ctl.request("migrate-cancel t")
                assert step[0] not in ("GO", "TAKEN", "ACK")
            except CtlError as exc:
                assert step[0] in ("GO", "TAKEN") and "force=yes" in exc.text or \
                    step[0] == "ACK" and exc.code == "ENOENT", (step, exc)
        pair.every(cancel)


@test(timeout=1500, needs=NEEDS, cores=2)
def no_memory_there(t):
    """Each allocation of the receiver fails in turn, until the move needs fewer than there are."""
    with Pair(t) as pair:
        ends = []
        for n in itertools.count(1):
            starve(pair.host(B), n)
            row = lab.move(pair.host(A), "t", lab.address(B))
            left = starve(pair.host(B), 0)
            ends.append(row["reason"] or row["phase"])
            pair.check(pair.owner())
            if left:
                break
        print(*(f"{ends.count(e)} times: {e}" for e in dict.fromkeys(ends)), sep="\n")
        assert ends[-1] == "done" and len(ends) > 10, ends
