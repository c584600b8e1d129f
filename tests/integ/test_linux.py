# SPDX-License-Identifier: Apache-2.0
"""Stock Linux guests: to the shell without a warning of their kernel, however the host came up."""
from lib import guests
from lib.registry import test


def to_shell(t, flavour="stock", cpus=2, **options):
    """One guest at its prompt, looked over; the machine."""
    section = guests.vm_section("linux", cpus=cpus)
    m = t.machine(config=guests.host_config(section), modules=guests.modules(flavour),
                  memory=1024, **options)
    guests.wait_console(m, timeout=90)
    guests.attach(m, "linux")
    kernel, found = guests.shell(m)
    assert found == cpus, f"{found} processors in the guest, not {cpus}"
    assert (flavour == "cloud") == ("cloud" in kernel), kernel
    guests.check_clean(m)
    return m


@test(timeout=180, needs=guests.needs(), cores=2)
def stock(t):
    m = to_shell(t)
    _, source = guests.run(m, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    assert source.strip() in ("kvm-clock", "tsc"), f"clock source {source}"
    _, lines = guests.run(m, "cat /proc/interrupts | grep -c ttyS0")
    assert lines.strip() == "1", "serial port without its interrupt"


@test(timeout=180, needs=guests.needs("cloud"), cores=2)
def cloud(t):
    to_shell(t, "cloud")


@test(timeout=180, needs=guests.needs("backports"), cores=2)
def backports(t):
    to_shell(t, "backports")


@test(timeout=180, needs=guests.needs(), cores=2)
def one_processor(t):
    to_shell(t, cpus=1)


@test(timeout=180, needs=guests.needs(), cores=1)
def host_of_1(t):
    to_shell(t, smp=1)


@test(timeout=180, needs=guests.needs(), cores=2)
def host_of_4(t):
    to_shell(t, smp=4)


@test(timeout=180, needs=guests.needs(), cores=2)
def host_xapic(t):
    to_shell(t, cpu=guests.CPU_XAPIC)


@test(timeout=180, needs=guests.needs(), cores=2)
def iso_bios(t):
    to_shell(t, boot="bios")


@test(timeout=240, needs=guests.needs(), cores=2)
def iso_ovmf(t):
    to_shell(t, boot="ovmf")


@test(timeout=180, needs=guests.needs(), cores=2)
def power_off_and_start_again(t):
    """From inside the guest; then the operator starts it a second time."""
    m = to_shell(t)
    m.com1.sendline("poweroff -f")
    m.com1.expect(r"reboot: Power down", timeout=30)
    guests.leave(m)
    m.com1.expect(r"vm linux: .*off", timeout=30)
    assert m.ctl.request("mem")["balanced"] == "yes"
    m.ctl.request("vm start linux")
    guests.attach(m, "linux")
    guests.shell(m)


@test(timeout=240, needs=guests.needs(), cores=2)
def reboot(t):
    m = to_shell(t)
    m.com1.sendline("reboot -f")
    guests.shell(m)
    guests.check_clean(m)


@test(timeout=240, needs=guests.needs(), cores=2)
def halted(t):
    """As guest.event_once_halted, most interrupts into user code."""
    m = to_shell(t)
    spin = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo spun"
    m.com1.sendline(f"({spin}) & ({spin}) & wait; echo all; echo done")
    guests.halt_often(m, "^done")
    m.com1.expect("^guest# ")
    guests.check_clean(m)
