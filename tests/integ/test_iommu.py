# SPDX-License-Identifier: Apache-2.0
"""DMA and interrupt remapping: the host's edu device is blocked, translated, blocked again; its
interrupts pass through the remapping tables or nowhere. The steps are selftest_iommu.c's."""
import os
import re
import socket
import struct
import time

from lib import paths
from lib.registry import test

BOOT_S = 40
STEPS = (
    "quarantine blocks", "unmapped write blocked", "physical address blocked", "mapped",
    "write to a read-only page blocked", "mapped page translated", "unmapped",
    "page taken away blocked", "interrupt delivered", "interrupt blocked",
    "interrupt routed again", "interrupt freed", "interrupt of another blocked",
    "fault storm limited", "detached", "detached device blocked",
)
RECORDED = ("unmapped write recorded", "write to a read-only page recorded",
            "page taken away recorded", "fault storm recorded")


def selftest(t, iommu, steps, **options):
    """A machine that has run the steps, each of them answered yes."""
    m = t.machine(iommu=iommu, append="selftest=iommu", devices=("-device", "edu"),
                  config="[host]\nname = a\nconsole = ttyS0\nctl = ttyS1\n", **options)
    m.com1.expect(r"selftest: iommu: end$", timeout=BOOT_S)
    m.com1.expect(r" ready$", timeout=BOOT_S)
    said = dict(re.findall(r"selftest: iommu: (.*) (yes|no)$", m.com1.text, re.M))
    for step in steps:
        assert said.get(step) == "yes", f"{step}: {said.get(step, 'not said')}"
    return m


def vtd(t, iommu, **options):
    m = selftest(t, iommu, STEPS + RECORDED, **options)
    text = m.com1.text
    assert re.search(r"iommu: 00:[0-9a-f]{2}\.0 \(selftest\): write at 0x5000000: ", text)
    assert re.search(r"iommu: 00:[0-9a-f]{2}\.0 \(selftest\): interrupt 0x[0-9a-f]+: "
                     r"interrupt is blocked", text)
    assert re.search(r"interrupt 0: interrupt from a wrong source", text)
    # This one was not polled for: the unit's own interrupt tells of it.
    m.com1.expect(r"iommu: .* \(nobody\): write at 0x7777000: no context entry", timeout=10)
    reply = m.ctl.request("iommu")
    assert reply["kind"] == "VT-d" and int(reply["stray_faults"]) >= 1
    last = [r for r in reply if r.get("type")][-1]
    assert (last["owner"], last["type"], last["addr"]) == ("nobody", "write", "0x7777000"), last


@test(timeout=90)
def vtd_default(t):
    vtd(t, "intel-iommu,intremap=on")


@test(timeout=90)
def vtd_x2apic_destinations(t):
    vtd(t, "intel-iommu,intremap=on,eim=on")


@test(timeout=90)
def vtd_39_bits_caching_mode(t):
    vtd(t, "intel-iommu,intremap=on,aw-bits=39,caching-mode=on")


@test(timeout=90)
def vtd_device_iotlb(t):
    vtd(t, "intel-iommu,intremap=on,device-iotlb=on")


# The model's event log stays empty: what is recorded cannot be seen there.
@test(timeout=90)
def amdvi(t):
    selftest(t, "amd-iommu,intremap=on,pt=off",
             STEPS + ("compatibility-format interrupt blocked",))


@test(timeout=90)
def amdvi_x2apic_destinations(t):
    selftest(t, "amd-iommu,intremap=on,pt=off,xtsup=on", STEPS)


@test(timeout=60)
def none(t):
    m = t.machine(iommu="", append="selftest=iommu", devices=("-device", "edu"))
    m.com1.expect(r"iommu +none: devices cannot be given to guests$", timeout=BOOT_S)
    m.com1.expect(r"selftest: iommu: cannot run: ENODEV$")
    m.com1.expect(r" ready$")


@test(timeout=60)
def unusable(t):
    m = t.machine(iommu="intel-iommu,dma-translation=off")
    m.com1.expect(r"VT-d unit at 0xfed90000 has no DMA translation$", timeout=BOOT_S)
    m.com1.expect(r"iommu +none that can be used, ENOTSUP")
    m.com1.expect(r" ready$")


@test(timeout=60)
def no_interrupt_remapping(t):
    m = t.machine(iommu="intel-iommu,intremap=off")
    m.com1.expect(r"iommu +VT-d, .*interrupts not remapped$", timeout=BOOT_S)
    m.com1.expect(r" ready$")


def dmar_unit(mmio):
    """Body of a DMAR table with one unit that serves everything."""
    return struct.pack("<BB10x", 47, 1) + struct.pack("<HHBBHQ", 0, 16, 1, 0, 0, mmio)


def with_table(t, sig, body):
    path = t.dir / "table.bin"
    path.write_bytes(body)
    return t.machine(iommu="", devices=("-acpitable", f"sig={sig},rev=1,data={path}"))


@test(timeout=60)
def dmar_without_unit(t):
    m = with_table(t, "DMAR", dmar_unit(0xfed90000))
    m.com1.expect(r"no VT-d unit answers at 0xfed90000$", timeout=BOOT_S)
    m.com1.expect(r"iommu +none that can be used, ENODEV")
    m.com1.expect(r" ready$")


@test(timeout=60)
def dmar_malformed(t):
    m = with_table(t, "DMAR", dmar_unit(0xfed90000) + struct.pack("<HH", 1, 200))
    m.com1.expect(r"DMAR: offset 64: structure of 200 bytes, 4 are left$", timeout=BOOT_S)
    m.com1.expect(r"iommu +none that can be used, EPROTO")
    m.com1.expect(r" ready$")


@test(timeout=60)
def ivrs_without_unit(t):
    block = struct.pack("<BBHHHQHHI", 0x10, 0, 28, 0x10, 0x40, 0xfed80000, 0, 0, 0) + bytes(4)
    m = with_table(t, "IVRS", struct.pack("<I8x", 0) + block)
    m.com1.expect(r"no AMD-Vi unit is at 00:02.0$", timeout=BOOT_S)
    m.com1.expect(r"iommu +none that can be used, ENODEV")
    m.com1.expect(r" ready$")


class Qtest:
    """Writes to the machine's registers behind Godwit's back."""

    def __init__(self, directory):
        self.sock = socket.socket(socket.AF_UNIX)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{fd}/qtest.sock")
        finally:
            os.close(fd)
        self.file = self.sock.makefile("rw")

    def command(self, text):
        self.file.write(text + "\n")
        self.file.flush()
        words = self.file.readline().split()
        assert words[0] == "OK", words
        return int(words[1], 0) if len(words) > 1 else None


TWO_VMS = """[host]
name = a
console = ttyS0
ctl = ttyS1
[vm t]
memory = 16M
cpus = 1
kernel = bystander.elf
pci = 01:00.0
autostart = yes
[vm u]
memory = 16M
cpus = 1
kernel = bystander.elf
pci = 02:00.0
autostart = yes
[vm other]
memory = 16M
cpus = 1
kernel = bystander.elf
autostart = yes
"""


@test(timeout=120, needs=("godwit.elf", "guest-kernels/bystander.elf"))
def unit_stops_answering(t):
    """Queued invalidation is switched off under Godwit: VMs with a device behind the unit stop,
    others go on."""
    kernel = paths.BUILD / "guest-kernels/bystander.elf"
    m = t.machine(config=TWO_VMS, modules={"bystander.elf": kernel}, devices=(
        "-device", "pcie-root-port,id=rp0,chassis=1,slot=1", "-device", "igb,bus=rp0",
        "-device", "pcie-root-port,id=rp1,chassis=1,slot=2", "-device", "igb,bus=rp1",
        "-chardev", "socket,id=qt,path=qtest.sock,server=on,wait=off", "-qtest", "chardev:qt"))
    m.com1.expect("Type help", timeout=BOOT_S)
    assert m.ctl.request("vm info t")["state"] == "running"
    q = Qtest(m.dir)
    assert q.command("readl 0xfed9001c") & 0x86000000 == 0x86000000    # TE, QIE, IRE
    q.command("writel 0xfed90018 0x82000000")
    m.ctl.request("vm stop t")
    m.com1.expect(r"iommu: unit 0 at 0xfed90000 does not answer within 100 ms", timeout=20)
    m.com1.expect(r"vm u: .*02:00\.0 does not obey the IOMMU")
    m.com1.expect(r"vm t: its DMA domain is not given back: ETIMEDOUT")
    m.com1.expect(r"vm t: 16 MiB are lost")
    for _ in range(50):
        if m.ctl.request("vm info u")["state"] == "failed":
            break
        time.sleep(0.1)
    assert m.ctl.request("vm info u")["state"] == "failed"
    assert m.ctl.request("vm info other")["state"] == "running"
    m.com1.sendline("vm console other")
    first = int(m.com1.expect(r"^tick (\d+) ok", timeout=20).group(1))
    assert int(m.com1.expect(r"^tick (\d+) ok", timeout=20).group(1)) > first
