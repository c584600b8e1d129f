# SPDX-License-Identifier: Apache-2.0
"""An assigned NVMe controller under a stock Linux guest's own driver with each kind of IOMMU
(test_assign.py has the default one), and refused without."""
import hashlib
import re

from lib import guests, paths
from lib.ctl import CtlError
from lib.guests import ask
from lib.registry import test

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-assign.img")
DISK_MIB = 32
DATA_MIB = 8


def machine(t, iommu, where, bdf, **options):
    """A host with an NVMe controller at BDF, which belongs to guest g1."""
    directory = t.dir / "m"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "disk.img", "wb") as f:
        f.truncate(DISK_MIB << 20)
    section = guests.vm_section("g1", cpus=2, memory="256M", more=f"pci = {bdf}\n")
    return t.machine(
        config=guests.host_config(section), iommu=iommu, memory=768,
        modules={"vmlinuz": paths.GUEST / "vmlinuz-stock",
                 "initrd.img": paths.GUEST / "initrd-assign.img"},
        devices=("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
                 "-drive", "if=none,id=d0,format=raw,file=disk.img",
                 "-device", f"nvme,serial=one,drive=d0,{where}"), **options)


def session(m):
    """The guest's prompt, its disk there."""
    guests.wait_console(m, timeout=60)
    guests.attach(m, "g1")
    guests.shell(m)
    assert int(ask(m, "cat /sys/block/nvme0n1/size")) == DISK_MIB << 11


def vectors(m):
    """Interrupts that the controller's own vectors had."""
    lines = ask(m, "grep nvme /proc/interrupts").splitlines()
    return sum(int(w) for line in lines for w in line.split()[1:3] if w.isdigit())


def write_and_read(t, iommu, where, bdf):
    m = machine(t, iommu, where, bdf)
    session(m)
    before = vectors(m)
    text = ask(
        m, f"dd if=/dev/urandom of=/tmp/f bs=1M count={DATA_MIB} 2>/dev/null && "
           "dd if=/tmp/f of=/dev/nvme0n1 bs=1M 2>/dev/null && sync && "
           "echo 3 >/proc/sys/vm/drop_caches && "
           f"dd if=/dev/nvme0n1 bs=1M count={DATA_MIB} 2>/dev/null | cmp - /tmp/f && "
           "sha256sum </tmp/f")
    assert vectors(m) > before
    want = text.split()[0]
    with open(t.dir / "m/disk.img", "rb") as f:
        assert hashlib.sha256(f.read(DATA_MIB << 20)).hexdigest() == want
    guests.check_clean(m)
    guests.leave(m)
    # Off and on again: reset between, the same contents.
    m.ctl.request("vm stop g1")
    m.ctl.request("vm start g1")
    guests.attach(m, "g1")
    m.com1.expect(r"\[g1 is off\]")
    guests.shell(m)
    text = ask(m, f"dd if=/dev/nvme0n1 bs=1M count={DATA_MIB} 2>/dev/null | sha256sum")
    assert text.split()[0] == want, text
    guests.leave(m)
    faults = [r for r in m.ctl.request("iommu") if r.get("type")]
    assert not faults, faults


@test(timeout=240, needs=NEEDS, cores=2)
def vtd_x2apic_destinations(t):
    write_and_read(t, "intel-iommu,intremap=on,eim=on", "bus=rp0", "01:00.0")


# On the root bus, as the model knows functions elsewhere by wrong ids (docs/limits.md).
@test(timeout=240, needs=NEEDS, cores=2)
def amdvi(t):
    write_and_read(t, "amd-iommu,intremap=on,pt=off", "addr=6", "00:06.0")


@test(timeout=240, needs=NEEDS, cores=2)
def amdvi_x2apic_destinations(t):
    write_and_read(t, "amd-iommu,intremap=on,pt=off,xtsup=on", "addr=6", "00:06.0")


@test(timeout=60, needs=NEEDS)
def refused_without_iommu(t):
    m = machine(t, "", "bus=rp0", "01:00.0")
    m.com1.expect(r"vm g1: not started: .*", timeout=40)


@test(timeout=60, needs=NEEDS)
def refused_without_interrupt_remapping(t):
    m = machine(t, "intel-iommu,intremap=off", "bus=rp0", "01:00.0")
    m.com1.expect(r"vm g1: not started: .*the IOMMU does not remap interrupts", timeout=40)


# ---- virtual functions ----------------------------------------------------------------------

VF_DEVICES = ("-device", "nvme-subsys,id=s0",
              "-drive", "if=none,id=d0,format=raw,file=disk.img")
VF_QUEUES = "sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2"
VF_NAMESPACE = ("-device", "nvme-ns,drive=d0,nsid=1,shared=on")


def vf_machine(t, sections, *, iommu="intel-iommu,intremap=on", where="bus=rp0", kernels=()):
    """A host with an NVMe controller that has virtual functions."""
    directory = t.dir / "m"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "disk.img", "wb") as f:
        f.truncate(DISK_MIB << 20)
    return t.machine(
        config=guests.host_config(*sections), iommu=iommu, memory=1024,
        modules=guests.bare_kernels(*kernels) if kernels else
        {"vmlinuz": paths.GUEST / "vmlinuz-stock", "initrd.img": paths.GUEST / "initrd-assign.img"},
        devices=("-device", "pcie-root-port,id=rp0,chassis=1,slot=1", *VF_DEVICES,
                 "-device", f"nvme,serial=one,subsys=s0,{VF_QUEUES},{where}", *VF_NAMESPACE))


def vf_section(name, bdf, autostart="no"):
    section = guests.vm_section(name, cpus=1, memory="192M", more=f"pci = {bdf}\n")
    return section.replace("autostart = yes", f"autostart = {autostart}")


def vf_disk(m, name):
    """The prompt of a guest, its VF's disk there."""
    guests.attach(m, name)
    guests.shell(m)
    assert int(ask(m, "cat /sys/block/nvme0n1/size")) == DISK_MIB << 11


MOUNT = "mkdir -p /tmp/d && mount -t ext4 /dev/nvme0n1 /tmp/d && cd /tmp/d"
UNMOUNT = "cd / && umount /tmp/d"


def vf_changes_owner(t, bdf, **options):
    """A filesystem made and filled by one guest through a VF, read and written by the next owner of
    the same VF, read through the other VF by a third one."""
    other = bdf[:-1] + str(int(bdf[-1]) + 1)
    m = vf_machine(t, (vf_section("one", bdf, "yes"), vf_section("two", bdf),
                       vf_section("three", other)), **options)
    guests.wait_console(m, timeout=60)
    assert "VFs, 2 queue pairs and 1 interrupts each" in m.com1.text, m.com1.text
    vf_disk(m, "one")
    ask(m, f"mke2fs -I 256 /dev/nvme0n1 >/dev/null && {MOUNT}")
    ask(m, f"dd if=/dev/urandom of=one bs=1M count={DATA_MIB} 2>/dev/null && mkdir -p a/b && "
           f"cp one a/b/copy && sha256sum one a/b/copy >sums && {UNMOUNT}")
    assert vectors(m) > 0
    guests.check_clean(m)
    guests.leave(m)
    try:
        m.ctl.request("vm start two")
        raise AssertionError("a VF with two owners")
    except CtlError as e:
        assert "another VM" in e.text + m.com1.text, e.text
    m.ctl.request("vm stop one")
    for name in ("two", "three"):
        m.ctl.request(f"vm start {name}")
        vf_disk(m, name)
        ask(m, f"{MOUNT} && sha256sum -c sums && rm one && cp a/b/copy one && {UNMOUNT}")
        guests.check_clean(m)
        guests.leave(m)
    faults = [r for r in m.ctl.request("iommu") if r.get("type")]
    assert not faults, faults


@test(timeout=300, needs=NEEDS, cores=2)
def vf(t):
    vf_changes_owner(t, "01:00.1")


@test(timeout=300, needs=NEEDS, cores=2)
def vf_amdvi(t):
    vf_changes_owner(t, "00:06.1", iommu="amd-iommu,intremap=on,pt=off", where="addr=6")


# ---- a bare kernel with a driver of its own -------------------------------------------------

BARE_NEEDS = ("godwit.elf", "guest-kernels/dev_nvme.elf", "guest-kernels/bystander.elf")


def bare_section(name, kernel, more=""):
    return (f"[vm {name}]\nmemory = 16M\ncpus = 1\nkernel = {kernel}.elf\nautostart = no\n{more}")


@test(timeout=240, needs=BARE_NEEDS)
def hostile_driver(t):
    """Queues and buffers outside of the guest's memory: blocked and recorded with the VF's number; a
    bystander's memory stays as it is, the next owner finds a VF that works."""
    vf = "pci = 01:00.1\n"
    m = vf_machine(t, (bare_section("evil", "dev_nvme", vf + "cmdline = lax=1 hostile=1\n"),
                       bare_section("next", "dev_nvme", vf + "cmdline = lax=1\n"),
                       bare_section("bystander", "bystander")),
                   kernels=("dev_nvme", "bystander"))
    guests.wait_console(m)
    m.ctl.request("vm start bystander")
    guests.run_bare(m, "evil", timeout=120)
    log = guests.host_log(m)
    for what in ("write", "read"):
        assert re.search(rf"iommu: 01:00\.1 \(evil\): {what} at", log), what
    # Without a requester in this emulator (docs/limits.md).
    assert re.search(r"iommu: .*: interrupt is blocked", log)
    guests.run_bare(m, "next")
    guests.check_bystander(m)
