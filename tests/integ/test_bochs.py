# SPDX-License-Identifier: Apache-2.0
"""What only Bochs can show: processors that VMX must refuse, firmware that leaves it to us, and a
stock kernel under VMX. The guest kernels in Bochs are in test_guest.py."""
import re

from lib import bochs, guests, pv
from lib.registry import Skip, test
from test_guest import VMX_MODEL, Line, in_bochs
from test_migrate import move

# The one part that is slow: the kernel unpacks itself with every instruction emulated.
SHELL_S = 400
QUICK = "cryptomgr.notests nokaslr mitigations=off"


def refused(t, model, reason):
    m = t.machine(bochs=model, smp=1, memory=256)
    m.com1.expect(f"vmx: {reason}", timeout=90)
    m.com1.expect("this machine can run no guests")
    m.com1.expect("Type help")
    m.ctl.request("host")


@test(timeout=120)
def no_unrestricted_guest(t):
    """A processor without a required feature: named, and control stays up."""
    refused(t, "corei5_lynnfield_750", "VMX without unrestricted guest")


@test(timeout=120)
def no_ept(t):
    refused(t, "core2_penryn_t9600", "VMX without extended page tables")


def features(m):
    return {r["name"]: (r["need"], r["state"], r["instead"])
            for r in m.ctl.request("host", timeout=60) if r.get("row") == "feature"}


@test(timeout=120)
def features_of_vmx(t):
    """'host' has one table: what is required, used, and done without."""
    m = t.machine(bochs="corei5_arrandale_m520", smp=1, memory=256)
    m.com1.expect("vmx: no EPT accessed and dirty bits: write protection", timeout=90)
    m.com1.expect("Type help")
    rows = features(m)
    assert rows["unrestricted guest"] == ("required", "used", "")
    assert rows["VPID"] == ("optional", "used", "")
    assert rows["EPT accessed and dirty bits"] == ("optional", "absent", "write protection")


@test(timeout=120)
def features_of_svm(t):
    m = t.machine(bochs="ryzen", smp=1, memory=256)
    m.com1.expect("Type help", timeout=90)
    rows = features(m)
    assert rows["nested paging"] == ("required", "used", "")
    assert rows["next RIP"] == ("optional", "used", "")
    assert rows["decode assists"][:2] == ("optional", "absent")


@test(timeout=200, needs=("godwit.elf", "guest-kernels/exit_port.elf", "guest-kernels/bystander.elf"))
def firmware_left_vmx_off(t):
    """SeaBIOS does not touch IA32_FEATURE_CONTROL: it is ours to set and lock."""
    in_bochs(t, Line("exit_port", 1, "16M", "pass", ["vmx"], []), bochs_bios=bochs.SEABIOS)


@test(timeout=400, needs=("godwit.elf", "guest-kernels/hostile_race.elf",
                          "guest-kernels/bystander.elf"))
def two_host_cpus(t):
    """Two CPUs of the host under VMX at the same time, one guest on both."""
    in_bochs(t, Line("hostile_race", 2, "16M", "pass", ["vmx"], []), smp=2)


@test(timeout=400, needs=("godwit.elf", "guest-kernels/event_once.elf",
                          "guest-kernels/bystander.elf"))
def posted_interrupts(t):
    """Two CPUs of the host: what one guest CPU sends the other, that one's takes without an exit."""
    line = Line("event_once", 2, "16M", "pass", ["vmx"], ["x2=1", "rounds=1000"])
    m = in_bochs(t, line, "corei7_skylake_x", smp=2)
    if features(m)["posted interrupts"][1] == "absent":
        raise Skip("this Bochs has no posted interrupts: 2.8 and later have; BOCHS= names one")
    taken = {r["vector"]: int(r["count"]) for r in m.ctl.request("irq") if r.get("row") == "vector"}
    print(f"of 2000 interrupts {taken['252']} were kicks, {taken['250']} found no guest")
    assert taken["252"] + taken["250"] < 1000, taken


@test(timeout=600, needs=guests.needs())
def linux_on_vmx(t):
    """Stock Debian to its shell, its log without a warning."""
    vm = guests.vm_section("linux", cpus=1, memory="192M", cmdline=QUICK)
    m = t.machine(bochs=VMX_MODEL, smp=1, memory=384, config=guests.host_config(vm),
                  modules=guests.modules())
    guests.wait_console(m, timeout=120)
    guests.attach(m, "linux")
    guests.shell(m, timeout=SHELL_S)
    guests.check_clean(m)


def both_ways(m):
    """Ping and TCP between the guests, the data checked."""
    for i, j in ((1, 2), (2, 1)):
        text = guests.on(m, i, f"ping -c 5 -W 5 10.0.0.{j}", timeout=120)
        assert " 0% packet loss" in text, text
        guests.on(m, i, f"sh /tests/net-fetch.sh 10.0.0.{j}", timeout=600)


def load_of(m, i):
    """What moveload has seen in guest i: counters by name."""
    text = guests.on(m, i, "cat /tmp/moveload", timeout=120)
    return {k: int(v) for k, v in re.findall(r"([a-z]+) (\d+)", text)}


@test(timeout=2400, needs=pv.NEEDS)
def linux_pair_on_vmx(t):
    """Two stock guests with virtio-net: ping and TCP, and again after one of them was moved to its own
    host, which rewrites memory and answers the other's TCP, UDP and pings all the time."""
    m = t.machine(bochs=VMX_MODEL, smp=1, memory=768, modules=pv.modules(),
                  config=guests.host_config(*(pv.section(i, cmdline=QUICK) for i in (1, 2))))
    guests.wait_console(m, timeout=120)
    for i in (1, 2):
        guests.attach(m, f"g{i}")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=4 * SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)
    both_ways(m)
    guests.on(m, 1, "(moveload serve 400 &)", timeout=60)
    for start, file, seen in (("moveload drive 10.0.0.1", "moveload", "back [1-9]"),
                              ("ping -c 20 -W 5 10.0.0.1 >/tmp/ping", "ping", "seq=")):
        guests.on(m, 2, f"({start} &); until grep -q '{seen}' /tmp/{file}; do sleep 0.1; done",
                  timeout=300)
    before = load_of(m, 2)
    move(m, "g1", timeout=600)
    text = guests.on(m, 2, "until grep received /tmp/ping; do sleep 1; done", timeout=300)
    assert int(re.search(r"(\d+) packets received", text).group(1)) >= 15, text
    after, inside = load_of(m, 2), load_of(m, 1)
    print(before, after, inside)
    assert after["back"] > before["back"], (before, after)
    assert not after["differ"] and not after["broken"] and not after["twice"], after
    assert not inside["wrong"] and not inside["backward"], inside
    guests.on(m, 1, "killall moveload", timeout=60)     # the other's ends without its peer
    both_ways(m)
    for i in (1, 2):
        guests.on(m, i, "sh /tests/check-dmesg.sh")
