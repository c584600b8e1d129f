# SPDX-License-Identifier: Apache-2.0
"""Several guests at once, and one guest many times."""
import time

from lib import guests, paths
from lib.registry import test

NAMES = ("one", "two", "three", "four")


def accounts(m):
    """Used bytes by account; the pool's sums agree to the page."""
    reply = m.ctl.request("mem")
    assert reply["balanced"] == "yes"
    return {r["name"]: int(r["used"]) for r in reply if r.get("row") == "account"}


@test(timeout=400, needs=guests.needs(), cores=2)
def four_linux_one_spins(t):
    """Four Linux guests on two processors, each console at hand; one takes all it can get."""
    sections = [guests.vm_section(n, cpus=1, memory="128M") for n in NAMES]
    m = t.machine(config=guests.host_config(*sections), modules=guests.modules(), memory=1024)
    guests.wait_console(m, timeout=90)
    for name in NAMES:
        guests.attach(m, name)
        guests.shell(m, timeout=200)
        guests.leave(m)
    guests.attach(m, "one")
    m.com1.sendline("while :; do :; done")
    time.sleep(1)
    guests.leave(m)
    for name in NAMES[1:]:
        guests.attach(m, name)
        begin = time.monotonic()
        status, text = guests.run(m, f"echo I am $((6 * 7)) && cat /proc/uptime", timeout=30)
        assert status == 0 and "I am 42" in text, text
        assert time.monotonic() - begin < 10, "the others starve"
        guests.leave(m)
    used = {r["name"]: int(r["cpu_ms"]) for r in m.ctl.request("vm list") if r.get("row")}
    time.sleep(2)
    more = {r["name"]: int(r["cpu_ms"]) for r in m.ctl.request("vm list") if r.get("row")}
    assert more["one"] - used["one"] > 1000, "the spinning guest does not spin"
    m.ctl.request("vm stop one")
    guests.attach(m, "two")
    assert guests.run(m, "true")[0] == 0


@test(timeout=300, needs=guests.needs() + ("guest-kernels/talk.elf",), cores=2)
def fifty_starts(t):
    """Started and stopped fifty times, in every phase of its boot: not a page is lost."""
    section = guests.vm_section("linux", cpus=2, memory="128M").replace("autostart = yes", "")
    talk = "[vm talk]\nmemory = 16M\nkernel = talk.elf\nautostart = yes\n"
    modules = guests.modules() | {"talk.elf": paths.BUILD / "guest-kernels/talk.elf"}
    m = t.machine(config=guests.host_config(section, talk), modules=modules, memory=512)
    guests.wait_console(m)
    before = accounts(m)
    for i in range(50):
        m.ctl.request("vm start linux")
        time.sleep(0.04 * (i % 25))
        if i % 5 == 0:
            m.ctl.request("vm reset linux")
        if i % 5 == 1:
            m.ctl.request("vm pause linux")
        if i % 5 == 2:
            m.ctl.request("vm delete linux")
            m.ctl.request("vm create linux")
        else:
            m.ctl.request("vm stop linux")
        assert accounts(m) == before, f"after {i + 1} rounds"
    guests.attach(m, "talk")
    m.com1.sendline("still here")
    m.com1.expect(r"^said: STILL HERE")
