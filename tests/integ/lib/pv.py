# SPDX-License-Identifier: Apache-2.0
"""Linux guests with a paravirtual NIC each: gN has the address 10.0.0.N and serves a file."""
import re

from lib import guests, paths
from lib.guests import on

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img")
FILE_KIB = 4096
MAC = "52:54:00:00:00:0"


def section(i, options="", cpus=1, cmdline=""):
    """Guest number i, of address 10.0.0.i, that serves a file of its own."""
    return guests.vm_section(
        f"g{i}", cpus=cpus, memory="128M", more=f"net0 = pv mac={MAC}{i} {options}\n",
        cmdline=f"godwit.run=net-up godwit.ip=10.0.0.{i}/24 godwit.file={FILE_KIB} {cmdline}")


def modules():
    return {"vmlinuz": paths.GUEST / "vmlinuz-stock",
            "initrd.img": paths.GUEST / "initrd-virtio.img"}


def wait(m, n):
    """Until guests g1..gN have their network."""
    guests.wait_console(m, timeout=90)
    for i in range(1, n + 1):
        guests.attach(m, f"g{i}")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)


def start(t, *sections, **options):
    m = t.machine(config=guests.host_config(*sections), modules=modules(), memory=1024, **options)
    wait(m, sum(s.startswith("[vm") for s in sections))
    return m


def exits(m):
    """Exits of all guests so far."""
    return sum(int(row["exits"]) for vm in m.ctl.request("vm list") if "name" in vm
               for row in m.ctl.request(f"vm info {vm['name']}") if "exits" in row)


def traffic(m, kind, n):
    """netbench from g2 to g1: (packets, nanoseconds of the guest's time, exits of both)."""
    before = exits(m)
    text = on(m, 2, f"netbench {kind} 10.0.0.1 {n}", timeout=60)
    packets, ns = re.search(r"packets (\d+) ns (\d+)", text).groups()
    return int(packets), int(ns), exits(m) - before
