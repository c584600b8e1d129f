# SPDX-License-Identifier: Apache-2.0
"""Stock Linux guests with their own virtio_blk over a RAM disk and over an NVMe namespace of the
host: filesystems, power cuts, what may only be read."""
import hashlib
import os
import re

from lib import guests, paths
from lib.ctl import CtlError
from lib.guests import ask
from lib.registry import test

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-disk.img")
DISK_MIB = 24
RO_BYTES = 300 * 1024 + 100         # no whole number of sectors
RECORDS = 12
NVME = "nvme pci=01:00.0 ns=1"


CONTROLLER = ("-device", "nvme,serial=one,drive=d0,bus=rp0")
WITH_VFS = ("-device", "nvme-subsys,id=s0",
            "-device", "nvme,serial=one,subsys=s0,bus=rp0,"
                       "sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2",
            "-device", "nvme-ns,drive=d0,nsid=1,shared=on")


def machine(t, *sections, iommu="intel-iommu,intremap=on", controller=CONTROLLER):
    """A host with an NVMe controller and boot modules for disks: an empty one and a file."""
    directory = t.dir / "m"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("m/nvme.img", "empty.img"):
        with open(t.dir / name, "wb") as f:
            f.truncate(DISK_MIB << 20)
    (t.dir / "file.img").write_bytes(os.urandom(RO_BYTES))
    return t.machine(
        config=guests.host_config(*sections), memory=768, iommu=iommu,
        modules={"vmlinuz": paths.GUEST / "vmlinuz-stock",
                 "initrd.img": paths.GUEST / "initrd-disk.img",
                 "empty.img": t.dir / "empty.img", "file.img": t.dir / "file.img"},
        devices=("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
                 "-drive", "if=none,id=d0,format=raw,file=nvme.img", *controller))


def section(name, *disks, cpus=2, memory="160M"):
    return guests.vm_section(name, cpus=cpus, memory=memory,
                             more="".join(f"disk{i} = {d}\n" for i, d in enumerate(disks)))


def figures(m, name):
    return {r["disk"]: r for r in m.ctl.request(f"vm info {name}") if "disk" in r}


def cut(m, devs):
    """The power goes while the guest writes; what it was told is on the disks is there."""
    m.com1.sendline("".join(f"sh /tests/disk-cut.sh make {dev} & " for dev in devs))
    marks = [rf"mark {dev} {RECORDS}\n" for dev in devs]
    m.com1.expect(f"(?s){'.*'.join(marks)}|{'.*'.join(reversed(marks))}", timeout=200)
    m.ctl.request("vm stop g1")
    m.com1.expect(r"\[g1 is off")
    m.ctl.request("vm start g1")    # its console stays attached
    guests.shell(m)
    for dev in devs:
        last = max(int(n) for n in re.findall(rf"mark {dev} (\d+)\n", m.com1.text))
        assert f"whole {dev} {last}" in ask(m, f"sh /tests/disk-cut.sh check {dev} {last}")
    guests.check_clean(m)


@test(timeout=600, needs=NEEDS, cores=2)
def disks(t):
    m = machine(t, section("g1", "module=empty.img", NVME, "module=file.img ro"))
    guests.wait_console(m, timeout=60)
    guests.attach(m, "g1")
    guests.shell(m)
    assert ask(m, "cat /sys/block/vd[abc]/ro /sys/block/vd[abc]/size").split() == \
        ["0", "0", "1", str(DISK_MIB << 11), str(DISK_MIB << 11), str(RO_BYTES // 512)]
    assert ask(m, "ls /sys/block/vdb/mq").split() == ["0", "1"]
    assert ask(m, "grep -h . /sys/block/vda/serial /sys/block/vdb/serial").split("\n")[:2] == \
        ["empty.img", "nvme 01:00.0 n1"]
    whole = (t.dir / "file.img").read_bytes()[:RO_BYTES // 512 * 512]
    assert ask(m, "sha256sum </dev/vdc").split()[0] == hashlib.sha256(whole).hexdigest()
    ask(m, "! dd if=/dev/zero of=/dev/vdc count=1 conv=fsync 2>/dev/null")
    cut(m, ("vda", "vdb"))
    ask(m, "echo kept >/tmp/k; dd if=/tmp/k of=/dev/vda conv=fsync,sync 2>/dev/null")
    m.ctl.request("vm pause g1")
    m.ctl.request("vm resume g1")
    assert ask(m, "head -n 1 /dev/vda").strip() == "kept"
    rows = figures(m, "g1")
    assert int(rows["disk0"]["reads"]) > 0 and rows["disk2"]["backend"] == "file.img ro", rows
    assert all(r["errors"] == "0" for r in rows.values()), rows
    guests.leave(m)
    faults = [r for r in m.ctl.request("iommu") if r.get("type")]
    assert not faults, faults


@test(timeout=600, needs=NEEDS, cores=2)
def owners(t):
    """One namespace, one writer; a RAM disk is each VM's own and goes with it; no IOMMU needed."""
    m = machine(t, section("g1", NVME, "module=empty.img", cpus=1),
                section("g2", NVME, cpus=1).replace("autostart = yes", "autostart = no"), iommu="")
    guests.wait_console(m, timeout=60)
    try:
        m.ctl.request("vm start g2")
        raise AssertionError("a namespace with two writers")
    except CtlError as e:
        assert "EBUSY" in e.text, e.text
    guests.attach(m, "g1")
    guests.shell(m)
    ask(m, "for d in vda vdb; do echo mine >/tmp/k; "
           "dd if=/tmp/k of=/dev/$d conv=fsync,sync 2>/dev/null; done")
    m.com1.sendline("reboot -f")
    guests.shell(m)
    assert ask(m, "head -n 1 /dev/vdb").strip() == "mine"
    guests.leave(m)
    m.ctl.request("vm delete g1")
    free = m.ctl.request("mem")
    assert not [r for r in free if "disk" in r.get("name", "")], free
    m.ctl.request("vm create g1")
    m.ctl.request("vm start g2")
    guests.attach(m, "g2")
    guests.shell(m)
    assert ask(m, "head -n 1 /dev/vda").strip() == "mine"
    guests.leave(m)
    m.ctl.request("vm stop g2")
    m.ctl.request("vm start g1")
    guests.attach(m, "g1")
    guests.shell(m)
    assert ask(m, "head -n 1 /dev/vda").strip() == "mine"
    assert ask(m, "head -c 4 /dev/vdb | od -An -tx4").strip() == "00000000"
    guests.check_clean(m)


@test(timeout=600, needs=NEEDS, cores=2)
def vf(t):
    """A disk on an NVMe VF that the host drives, through a power cut."""
    m = machine(t, section("g1", "nvme pci=01:00.1 ns=1"), controller=WITH_VFS)
    guests.wait_console(m, timeout=60)
    guests.attach(m, "g1")
    guests.shell(m)
    assert ask(m, "grep -h . /sys/block/vda/serial").strip() == "nvme 01:00.1 n1"
    cut(m, ("vda",))
    rows = figures(m, "g1")
    assert rows["disk0"]["errors"] == "0" and int(rows["disk0"]["writes"]) > 0, rows
    guests.leave(m)
    faults = [r for r in m.ctl.request("iommu") if r.get("type")]
    assert not faults, faults
