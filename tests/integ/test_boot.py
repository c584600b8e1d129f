# SPDX-License-Identifier: Apache-2.0
"""The host comes up: every way the image is loaded, every number of processors; what firmware
and loaders do not give; the rights of the hypervisor's own memory, read back and provoked."""
import re

from lib import guests, paths
from lib.registry import test

# Seconds until a host that boots at all has said so, on a loaded machine.
BOOT_S = 40
OVMF_BOOT_S = 90


def boots(t, limit=BOOT_S, **options):
    """A machine that came up to its main loop and still runs."""
    m = t.machine(**options)
    m.com1.expect(r"^Godwit \d+\.\d+\.\d+$", timeout=limit)
    found, _ = m.com1.expect_any(r" ready$", r"panic: stopped", timeout=limit)
    assert found == 0, "panicked"
    m.check_alive()
    return m


def says(m, pattern):
    """The match of PATTERN in what the console said so far."""
    match = re.search(pattern, m.com1.text, re.M)
    assert match, f"console does not say {pattern!r}"
    return match


@test(timeout=60)
def multiboot1(t):
    m = boots(t, append="some words of=ours")
    says(m, r'loader +multiboot1 by qemu.*options ".*some words of=ours"')


@test(timeout=60)
def log_on_debug_port(t):
    m = boots(t)
    for line in ("Godwit ", "] processor", "] audit"):
        assert line in m.debugcon(), f"'{line}' not on port 0xe9"


@test(timeout=90)
def iso_bios(t):
    m = boots(t, boot="bios", append="first second=2", config="[host]\nname = iso\n")
    says(m, r'loader +multiboot2 by GRUB.* 1 modules, options "first second=2"')


@test(timeout=150)
def iso_ovmf(t):
    m = boots(t, limit=OVMF_BOOT_S, boot="ovmf", config="[host]\nname = iso\n")
    says(m, r"loader +multiboot2 by GRUB.*\(EFI\), 1 modules")


def all_up(m, n):
    says(m, rf"cpus +{n} up, 0 missing")


@test(timeout=60)
def cpus_1(t):
    all_up(boots(t, smp=1), 1)


@test(timeout=60)
def cpus_2(t):
    all_up(boots(t, smp=2), 2)


@test(timeout=60, cores=2)
def cpus_4(t):
    all_up(boots(t, smp=4), 4)


@test(timeout=60)
def xapic(t):
    m = boots(t, cpu=guests.CPU_XAPIC)
    says(m, "local APIC in xAPIC mode")
    all_up(m, 2)


@test(timeout=60)
def memory_above_4g(t):
    m = boots(t, memory=3500)
    mib = int(says(m, r"memory +(\d+) MiB RAM").group(1))
    assert 3400 <= mib <= 3500, f"{mib} MiB found"


@test(timeout=60)
def no_iommu(t):
    boots(t, iommu="")


# ---- what a loader may get wrong ----------------------------------------------------------

@test(timeout=60)
def no_modules(t):
    m = boots(t)
    says(m, r"no boot module named godwit\.conf: default settings, no guests$")
    m.com1.expect(r"^godwit> ")
    assert m.ctl.request("version")["version"]


@test(timeout=60)
def modules_without_configuration(t):
    m = boots(t, modules={"thing": paths.IMAGE, "other": paths.IMAGE})
    says(m, r"loader .* 2 modules")
    says(m, r"no boot module named godwit\.conf")


@test(timeout=60)
def too_many_modules(t):
    m = boots(t, modules={f"m{n}": paths.ROOT / "README.md" for n in range(40)},
              config="[host]\nname = a\n")
    says(m, r'boot module 40 "m39" is not used')
    m.com1.expect(r"^a> ")


@test(timeout=60)
def long_command_line(t):
    m = boots(t, append="word " * 1000)
    says(m, r"strings cut: yes")


@test(timeout=60)
def unknown_options(t):
    m = boots(t, append="crash=nonsense debug-exit=horse = =x \"'%n%s")
    says(m, r"crash=nonsense: no such fault$")


@test(timeout=60)
def audit(t):
    m = boots(t)
    says(m, r"audit: ok, \d+ mappings$")
    listed = re.findall(r"audit: ([0-9a-f]{16})\.\.([0-9a-f]{16}) ([u-]r[w-][x-]) (.*)", m.com1.text)
    assert listed, "no mapping listed"
    assert not [r for _, _, r, _ in listed if "u" in r or "wx" in r], "for users, or W and X"
    executable = [(int(a, 16), int(b, 16)) for a, b, r, _ in listed if "x" in r]
    code = says(m, r"audit: code ([0-9a-f]+)\.\.([0-9a-f]+) ")
    assert executable == [(int(code.group(1), 16), int(code.group(2), 16))], \
        "executable is more than the image's code"
    stacks = [(int(a, 16), int(b, 16)) for a, b, _, what in listed if what == "stacks"]
    assert len(stacks) >= 2, "stacks"
    assert all(b[0] > a[1] + 1 for a, b in zip(stacks, stacks[1:])), "no guard below a stack"


# ---- faults planted by the command line are caught, named and dumped ----------------------

def planted(t, name, sign):
    m = t.machine(append=f"debug-exit=0xf4 crash={name}")
    m.com1.expect(rf"crash={name}: on purpose$", timeout=BOOT_S)
    m.com1.expect(rf"panic on CPU 0: .*{sign}", timeout=10)
    m.com1.expect(r"panic: stopped")
    m.wait_exit()
    assert "went unnoticed" not in m.com1.text, "fault went unnoticed"


@test(timeout=60)
def crash_null(t):
    planted(t, "null", "#PF")


@test(timeout=60)
def crash_stack(t):
    planted(t, "stack", "#(DF|PF)")


@test(timeout=60)
def crash_text(t):
    planted(t, "text", "#PF")


@test(timeout=60)
def crash_text_alias(t):
    planted(t, "text-alias", "#PF")


@test(timeout=60)
def crash_exec_data(t):
    planted(t, "exec-data", "#PF")


@test(timeout=60)
def crash_canary(t):
    planted(t, "canary", "stack overrun")


@test(timeout=60)
def crash_lock_order(t):
    planted(t, "lock-order", "outer")


@test(timeout=60)
def crash_assert(t):
    planted(t, "assert", "assertion failed")
