# SPDX-License-Identifier: Apache-2.0
"""A plain PCI function given to a VM by its address: an NVMe controller under Linux's own driver."""
import contextlib
import re

from lib import guests, paths
from lib.ctl import CtlError
from lib.registry import test
from test_failover import pull

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-assign.img")
DISK_MIB = 16


def machine(t, address):
    disk = t.dir / "disk.img"
    t.dir.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(bytes(DISK_MIB << 20))
    devices = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
               "-drive", "if=none,id=d0,format=raw,file=../disk.img",
               "-device", "nvme,serial=n0,bus=rp0,drive=d0")
    section = guests.vm_section("one", cpus=2, memory="128M", more=f"pci = {address}\n")
    m = t.machine(config=guests.host_config(section), devices=devices,
                  modules={"vmlinuz": paths.GUEST / "vmlinuz-stock",
                           "initrd.img": paths.GUEST / "initrd-assign.img"})
    guests.wait_console(m)
    return m, disk


@test(timeout=300, needs=NEEDS, cores=2)
def nvme(t):
    """Written by one life of the VM, read by the next."""
    m, disk = machine(t, "01:00.0")
    guests.attach(m, "one")
    guests.shell(m)
    status, text = guests.run(m, "cd /tmp; dd if=/dev/urandom of=a bs=64k count=32 2>/dev/null; "
                                 "dd if=a of=/dev/nvme0n1 bs=64k 2>/dev/null; sync; sha256sum <a",
                              timeout=60)
    assert status == 0, text
    guests.check_clean(m)
    guests.leave(m)
    sum_written = text.split()[0]
    m.ctl.request("vm stop one")
    assert disk.read_bytes()[:32 << 16] != bytes(32 << 16)
    m.ctl.request("vm start one")
    m.com1.mark()
    guests.attach(m, "one")
    guests.shell(m)             # of the first life
    guests.shell(m)
    status, text = guests.run(m, "dd if=/dev/nvme0n1 bs=64k count=32 2>/dev/null | sha256sum",
                              timeout=60)
    assert status == 0 and text.split()[0] == sum_written, (text, sum_written)


@test(timeout=60, needs=NEEDS)
def refusals(t):
    for address, reason in (("00:01.0", r"is a bridge"), ("05:00.0", r"no such function")):
        m, _ = machine(t, address)
        said = rf"vm one: not started: pci = {address}: .*{reason}"
        assert re.search(said, m.com1.text), m.com1.text
        m.close()


@test(timeout=60, needs=("godwit.elf", "guest-kernels/bystander.elf"), cores=2)
def pulled(t):
    """A function is pulled: its VM is stopped, with the reason, and starts no more; others go on."""
    vms = [f"[vm {name}]\nmemory = 16M\ncpus = 1\nkernel = bystander.elf\n{more}"
           for name, more in (("one", "pci = 01:00.0\n"), ("bystander", ""))]
    m = t.machine(config=guests.host_config(*vms), modules=guests.bare_kernels("bystander"),
                  devices=("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
                           "-device", "nvme,serial=n0,bus=rp0"))
    guests.wait_console(m)
    for name in ("one", "bystander"):
        m.ctl.request(f"vm start {name}")
    pull(m, 0)
    m.com1.expect(r"vm one: stopped: assigned 01:00.0 does not answer any more", timeout=20)
    guests.check_bystander(m)
    m.ctl.request("vm stop one")
    with contextlib.suppress(CtlError):
        m.ctl.request("vm start one")
        raise AssertionError("it has started")
    guests.check_bystander(m)
