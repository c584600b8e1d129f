# SPDX-License-Identifier: Apache-2.0
"""A VF and its twin in turns while numbered frames go to a bare guest (tests/guest/vf_echo.c) and
back: none lost, none twice, none late, whatever else happens meanwhile."""
import contextlib
import re
import struct
import threading
import time

from lib import guests
from lib.ctl import CtlError
from lib.registry import test
from lib.stream import TIME_SCALE
from test_vf import MAC, NIC, NIC_DEVICES, ROOT_BUS, Peer, bare_section

NEEDS = ("godwit.elf", "guest-kernels/vf_echo.elf")
ECHO, REPORT, REOPEN, FLR, HALF_MAIL, END_MAIL, STALL, REBOOT, NAP = range(9)
WORDS = ("highest", "lost", "twice", "late", "resets", "bad_mail", "received", "sent", "rx_head",
         "tx_head", "mask", "interrupts")
GUEST = bytes.fromhex((MAC + "1").replace(":", ""))
QUIET_S = 5 * TIME_SCALE        # without an echo: what is on its way is lost


class Stream(Peer):
    """Sends numbered frames, a few ahead of those that came back."""
    ahead = 16

    def __init__(self, directory):
        self.flows = False
        self.number = 0
        self.waits = set()
        self.back = set()
        self.lost, self.twice, self.late, self.last = 0, 0, 0, 0
        self.answers = {}
        super().__init__(directory)

    def frame(self, op, number=0, argument=0, to=GUEST):
        return to + self.mac + struct.pack("<HIHH", 0xb588, number, op, argument) + bytes(60)

    def send(self, frame):
        """The emulator may be slow to take it."""
        while not self.ends:
            try:
                self.sock.sendto(frame, self.far)
                return
            except TimeoutError:
                continue
            except OSError:         # it is gone
                return

    def run(self):
        heard = time.monotonic()
        while not self.ends:
            while self.flows and len(self.waits) < self.ahead:
                self.number += 1
                self.waits.add(self.number)
                self.send(self.frame(ECHO, self.number))
            with contextlib.suppress(TimeoutError):
                f = self.sock.recv(70000)
                if f[12:14] == b"\x88\xb5" and f[:6] == self.mac:
                    self.take(f)
                    heard = time.monotonic()
            if not self.waits:
                heard = time.monotonic()
            elif time.monotonic() - heard > QUIET_S:
                self.lost += len(self.waits)
                self.waits.clear()
                heard = time.monotonic()

    def take(self, f):
        _, number, op, _ = struct.unpack_from("<HIHH", f, 12)
        if op != ECHO:
            self.answers[op] = f
            return
        if number in self.back:
            self.twice += 1
            return
        self.late += number < self.last
        self.last = max(self.last, number)
        self.back.add(number)
        self.waits.discard(number)

    def until(self, number):
        """Waits for that many more echoes; returns how many came by then."""
        want = len(self.back) + number
        end = time.monotonic() + 60 * TIME_SCALE
        while len(self.back) < want:
            assert time.monotonic() < end, f"{len(self.back)} echoes, {self.lost} lost"
            time.sleep(0.01)

    def stop(self):
        self.flows = False
        while self.waits:
            time.sleep(0.02)

    def ask(self, op, argument=0):
        """A request to the guest; its answer. Such frames may be lost where others may."""
        for _ in range(20):
            self.answers.pop(op, None)
            self.send(self.frame(op, 0, argument))
            for _ in range(100):
                if op in self.answers:
                    return self.answers.pop(op)
                time.sleep(0.01 * TIME_SCALE)
        raise AssertionError(f"no answer to {op}")

    def report(self):
        return dict(zip(WORDS, struct.unpack_from("<12I", self.ask(REPORT), 22)))


def config(vfs, pin):
    return guests.host_config(
        NIC.replace("vfs = 7", f"vfs = {vfs}"),
        "[vm echo]\nmemory = 16M\ncpus = 1\nkernel = vf_echo.elf\nautostart = no\n"
        f"pin = {pin}\nnet0 = vf nic=lan0 mac={MAC}1\n")


@contextlib.contextmanager
def echoing(t, vfs=3, pin=1, devices=NIC_DEVICES, **options):
    """A host and its guest, frames on their way."""
    s = Stream(t.dir / "m")
    try:
        m = t.machine(config=config(vfs, pin), modules=guests.bare_kernels("vf_echo"),
                      devices=devices, **options)
        guests.wait_console(m)
        m.com1.expect(r"nic lan0: link up", timeout=30)
        m.ctl.request("vm start echo", timeout=240)
        s.ask(REPORT)
        s.flows = True
        yield m, s
    finally:
        s.close()


def switch(m, to, more=""):
    """{us, stopped_us, frames} of one change."""
    reply = m.ctl.request(f"vf {to} echo net0 {more}", timeout=240)
    return {name: int(reply[name]) for name in ("us", "stopped_us", "frames")}


def intact(s):
    """What both ends say when the stream is over."""
    s.stop()
    r = s.report()
    said = {"frames": len(s.back), "lost": s.lost, "twice": s.twice, "late": s.late, "guest": r}
    print(said)
    assert not (s.lost or s.twice or s.late), said
    assert not (r["lost"] or r["twice"] or r["late"] or r["bad_mail"]), said
    return r


def back_and_forth(m, s, rounds, echoes=3):
    rows = {"twin": [], "direct": []}
    for _ in range(rounds):
        for to, said in rows.items():
            said.append(switch(m, to))
            s.until(echoes)
    for to, said in rows.items():
        stood = sorted(r["stopped_us"] for r in said)
        print(f"to {to}: stood {stood[0]}, median {stood[len(stood) // 2]}, {stood[-1]} us; frames in "
              f"the host's queue {sum(r['frames'] for r in said)}")
    return rows


@test(timeout=240, needs=NEEDS, cores=2)
def fifty(t):
    with echoing(t) as (m, s):
        back_and_forth(m, s, 25)
        intact(s)


@test(timeout=240, needs=NEEDS, cores=2)
def one_vf(t):
    """The only VF: its reset has to be over before it is taken again. On AMD-Vi."""
    with echoing(t, vfs=1, devices=ROOT_BUS, iommu="amd-iommu,intremap=on,pt=off") as (m, s):
        back_and_forth(m, s, 10)
        intact(s)


def exits(m):
    rows = [r for r in m.ctl.request("stat echo") if r.get("row") == "exit"]
    return {r["exit"]: int(r["count"]) for r in rows}


@test(timeout=3000, needs=NEEDS, cores=2)
def thousand(t):
    """Afterwards direct frames have no more exits than before: an interrupt's end each, no other."""
    with echoing(t) as (m, s):
        seen = []
        for rounds in (0, 50, 450):
            if rounds:
                back_and_forth(m, s, rounds, 1)
            before, count, r = exits(m).get("mem", 0), len(s.back), s.report()
            s.until(1000)
            seen.append((exits(m).get("mem", 0) - before,
                         s.report()["interrupts"] - r["interrupts"], len(s.back) - count))
        print("exits for memory, interrupts, frames:", seen)
        intact(s)
        assert all(abs(n - ends) <= 20 for n, ends, _ in seen), seen
        assert not re.search(r"did not|is cut off", m.com1.text)


@test(timeout=240, needs=NEEDS, cores=2)
def stops_on_the_way(t):
    """20 ms at each point of a change: what comes meanwhile is neither lost nor doubled. Only where
    the NIC delivers already while older frames wait in the host's queue (9) may some come late."""
    with echoing(t) as (m, s):
        for point in (*range(1, 6), *range(1, 6)):
            print(point, switch(m, "twin", f"hook={point}"))
            s.until(20)
            to = 6 + point % 3
            print(to, switch(m, "direct", f"hook={to}"))
            s.until(20)
        intact(s)
        s.flows = True
        switch(m, "twin")
        switch(m, "direct", "hook=9")
        s.until(50)
        s.stop()
        r = s.report()
        assert not (s.lost or s.twice or r["lost"] or r["twice"]), (s.lost, s.twice, r)


def is_twin(m):
    return "twin" in [r["nic"] for r in m.ctl.request("vf list") if r.get("row") == "vf"]


@test(timeout=240, needs=NEEDS, cores=2)
def heads(t):
    """The other ways to begin in the middle of a ring: dummy descriptors, waiting for its end."""
    with echoing(t) as (m, s):
        assert "VFs that keep heads written" in m.com1.text
        for _ in range(3):
            switch(m, "twin")
            s.until(30)
            print(switch(m, "direct", "head=dummy"))
            s.until(30)
        r = intact(s)
        assert abs(r["received"] - r["sent"]) <= 40, r      # dummies are not counted
        s.flows = True
        switch(m, "twin")
        switch(m, "direct", "head=wrap")
        switch(m, "twin")       # ends the wait
        assert is_twin(m)
        s.until(10)
        switch(m, "direct", "head=wrap")
        for _ in range(2000):
            if not is_twin(m):
                break
            for _ in range(12):     # not answered, so that the two rings do not go in step
                s.send(GUEST + s.mac + b"\x88\xb6" + bytes(60))
            time.sleep(0.02)
        assert not is_twin(m)
        s.until(100)
        s.stop()
        r = s.report()
        assert not (s.lost or s.twice or r["lost"] or r["twice"]), (s.lost, s.twice, r)
        assert not re.search(r"iommu: 01:", m.com1.text)


@test(timeout=240, needs=("godwit.elf", "guest-kernels/dev_vf.elf", "guest-kernels/bystander.elf"),
      cores=2)
def hostile(t):
    """The hostile driver of vf.hostile_driver at a twin, with frames coming in; then at a VF that
    becomes its twin and hardware again meanwhile, which may be refused. A bystander stays whole."""
    s = Stream(t.dir / "m")
    try:
        m = t.machine(config=guests.host_config(
            NIC, bare_section("twin", 1, "hostile=1 twin=1").replace("nic=lan0", "twin=yes"),
            bare_section("both", 2, "hostile=1 twin=1"),
            bare_section("bystander", 0, kernel="bystander", net=False)),
            modules=guests.bare_kernels("dev_vf", "bystander"), devices=NIC_DEVICES)
        guests.wait_console(m)
        m.com1.expect(r"nic lan0: link up", timeout=30)
        m.ctl.request("vm start bystander")
        ends = threading.Event()

        def noise():
            while not ends.is_set():
                for to in (GUEST, GUEST[:5] + b"\2", b"\xff" * 6):
                    s.send(s.frame(ECHO, 1, to=to))
                time.sleep(0.002)

        thread = threading.Thread(target=noise, daemon=True)
        thread.start()
        guests.run_bare(m, "twin", timeout=60)
        m.ctl.request("vm start both")
        said = {"done": 0}
        while guests.state_of(m, "both") == "running":
            for request in ("vf twin both net0", "vf direct both net0",
                            "vf twin both net0", "vf direct both net0 head=dummy"):
                try:
                    m.ctl.request(request, timeout=60)
                    said["done"] += 1
                except CtlError as e:
                    said[e.code] = said.get(e.code, 0) + 1
        ends.set()
        thread.join()
        print(said)
        assert said["done"] >= 4, said
        guests.check_bystander(m)
    finally:
        s.close()


def meanwhile(m, s, does, rounds=8):
    """Changes one way and the other while a thread does something else."""
    ends = threading.Event()

    def run():
        while not ends.is_set():
            does()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        for _ in range(rounds):
            for to in ("twin", "direct"):
                switch(m, to)
                time.sleep(0.02)
    finally:
        ends.set()
        thread.join()


def resets(t, op):
    with echoing(t) as (m, s):
        meanwhile(m, s, lambda: s.ask(op))
        s.until(20)
        s.stop()
        s.number += 1000        # what is on its way is lost with the rings; it may not come late
        before = s.report()
        s.lost = 0
        s.flows = True
        back_and_forth(m, s, 2)
        s.stop()
        after = s.report()
        print(before, after)
        assert before["resets"] >= 2 and after["resets"] == before["resets"]
        assert not (s.lost or s.twice or after["twice"] or after["bad_mail"]), (s.lost, s.twice)
        assert after["late"] == before["late"] and after["received"] >= before["received"]


@test(timeout=240, needs=NEEDS, cores=2)
def driver_resets(t):
    """The driver shuts the interface and opens it again, all the time."""
    resets(t, REOPEN)


@test(timeout=240, needs=NEEDS, cores=2)
def function_resets(t):
    """The guest resets the function, all the time."""
    resets(t, FLR)


@test(timeout=240, needs=NEEDS, cores=2)
def odd_moments(t):
    """A mailbox transaction cut in half; no receive buffer left; no link with frames to send."""
    with echoing(t) as (m, s):
        for to in ("twin", "direct"):
            s.ask(HALF_MAIL)
            switch(m, to)
            s.ask(END_MAIL)
            s.until(5)
        intact(s)
        for to in ("twin", "direct"):
            before = s.report()
            s.send(s.frame(STALL, 0, 400))
            for _ in range(100):        # some sixty find a buffer
                s.number += 1
                s.send(s.frame(ECHO, s.number))
            time.sleep(0.1)
            switch(m, to)
            r = s.report()
            dropped = s.number - r["highest"]
            assert 30 <= dropped <= 45, (s.number, r)
            s.flows = True
            s.until(50)
            s.stop()
            r = s.report()
            assert r["lost"] == before["lost"] + dropped and not (r["twice"] or r["late"]), r
            assert not (s.lost or s.twice or s.late), (s.lost, s.twice, s.late)
        for to in ("twin", "direct"):
            s.flows = True
            s.until(20)
            s.send(s.frame(STALL, 0, 300))
            m.qmp.monitor("set_link n0 off")
            switch(m, to)
            m.qmp.monitor("set_link n0 on")
            m.com1.expect(r"nic lan0: link up", timeout=60)
            s.ask(REPORT)
            s.lost = 0
            s.until(20)
            s.stop()
        r = s.report()
        assert not (s.twice or r["twice"] or r["bad_mail"]), (s.twice, r)


def free_vfs(m):
    return [r["vm"] for r in m.ctl.request("vf list") if r.get("row") == "vf"].count("-")


@test(timeout=300, needs=NEEDS, cores=2)
def reboots_on_the_way(t):
    """The guest reboots while each point of a change is held; the operator resets it, stops and
    starts it, while it waits to become hardware. Its only VF is free afterwards, each time."""
    with echoing(t, vfs=1) as (m, s):
        s.stop()
        for to, points in (("twin", range(1, 6)), ("direct", range(6, 10))):
            for point in points:
                m.ctl.request("vf direct echo net0" if is_twin(m) else "vf twin echo net0")
                if is_twin(m) == (to == "twin"):
                    m.ctl.request("vf direct echo net0" if is_twin(m) else "vf twin echo net0")
                s.send(s.frame(REBOOT))
                switch(m, to, f"hook={point}")
                m.com1.expect(r"vm echo: reset", timeout=30)
                r = s.ask(REPORT)
                assert r[22:26] == bytes(4), "it did not begin anew"
                assert is_twin(m) == (to == "twin") and free_vfs(m) == (to == "twin")
        for verbs in (("reset",), ("stop", "start")):
            if not is_twin(m):
                switch(m, "twin")
            switch(m, "direct", "head=wrap")
            for verb in verbs:
                m.ctl.request(f"vm {verb} echo", timeout=60)
            s.ask(REPORT)
            print(verbs, is_twin(m), free_vfs(m))
        if not is_twin(m):
            switch(m, "twin")
        switch(m, "direct")
        s.ask(REPORT)
        m.ctl.request("vm stop echo")
        assert free_vfs(m) == 1


def received(m):
    return next(int(r["rx_packets"]) for r in m.ctl.request("vf list") if r.get("vm") == "echo")


def wait_for(what, true):
    end = time.monotonic() + 20 * TIME_SCALE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@test(timeout=120, needs=NEEDS, cores=2)
def owed_interrupts(t):
    """Frames come while the driver has its interrupts masked, at the VF or in the MSI-X table, and
    then the VF changes. Unmasked, it gets the one interrupt that it is owed, before any new frame."""
    with echoing(t) as (m, s):
        s.until(5)
        s.stop()
        guests.attach(m, "echo")
        for by_table in (0, 1):
            for to in ("direct", "twin", "twin", "direct"):
                before = received(m)
                s.answers.pop(NAP, None)
                s.send(s.frame(NAP, 0, by_table))
                m.com1.expect("echo: naps", timeout=30)
                for _ in range(3):
                    s.number += 1
                    s.waits.add(s.number)
                    s.send(s.frame(ECHO, s.number))
                wait_for("frames", lambda n=before + 4: received(m) == n)
                changes = is_twin(m) != (to == "twin")
                if changes:
                    switch(m, to)
                m.com1.send("x")
                wait_for("an answer", lambda: NAP in s.answers)
                tx, rx = struct.unpack_from("<2I", s.answers[NAP], 22)
                print(by_table, to, "interrupts of reception, of sending:", rx, tx)
                assert rx == 1 and tx <= changes, (by_table, to, rx, tx)
        intact(s)
