# SPDX-License-Identifier: Apache-2.0
"""What a hostile peer may say of a VF: nothing that the hardware here would reach foreign memory by."""
import json
import time

import test_save
from lib import guests, paths, vmfile
from lib.registry import test
from lib.stream import TIME_SCALE

NIC = "[nic lan0]\nmatch = 8086:10c9\nvfs = 2\n"
ONE = ("[vm one]\nmemory = 16M\ncpus = 1\nkernel = dev_vf.elf\ncmdline = lax=1 bench=1\n"
       "net0 = vf nic=lan0 mac=52:54:00:00:00:01\n")
BYSTANDER = "[vm bystander]\nmemory = 16M\ncpus = 1\nkernel = bystander.elf\n"
DEVICES = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
           "-netdev", "hubport,id=n0,hubid=0", "-device", "igb,bus=rp0,netdev=n0")
# Registers of a ring, by their place in the record.
BAL, BAH, LEN, HEAD, TAIL, WBAL, WBAH = 0, 1, 2, 4, 6, 14, 15
REFUSED = (
    ("igbvf", ("twin.tx", HEAD, 32)), ("igbvf", ("twin.rx", TAIL, 32)),     # of 32 places
    ("igbvf", ("twin.tx", LEN, 520)), ("igbvf", ("twin.rx", LEN, 1 << 20)),
    ("igbvf", ("twin.rx", BAL, 0x10)), ("igbvf", ("twin.irq", 0, 8)), ("igbvf", ("twin.irq", 7, 1 << 30)),
    ("igbvf", ("soft.vf[0].max_frame", 0, 0xffff)), ("igbvf", ("soft.vf[0].hashes", 0, 31)),
    ("igbvf", ("page.mbox", 0, 1)),
    ("assigned", ("small_msix", 1, 1 << 40)), ("assigned", ("small_msix", 0, 3)),
    ("assigned", ("small_pba", 0, 1 << 3)), ("assigned", ("v.cfg.value", 0, 0x87)),
)
# Beyond the guest's 16 MiB: the host's memory, device registers, above all RAM.
ELSEWHERE = 0x8000000, 0xfec00000, 0x200000000


def changed(file, device, change):
    header, rows = file[:vmfile.HEADER], vmfile.records(file)
    vmfile.put(vmfile.device(rows, device), *change)
    return vmfile.seal(header, rows)


def point(file, address):
    """Its send queue has frames to fetch, there, and reports there what it sent."""
    header, rows = file[:vmfile.HEADER], vmfile.records(file)
    record = vmfile.device(rows, "igbvf")
    for ring in ("twin.tx", "twin.rx"):
        vmfile.put(record, ring, BAL, address & 0xffffffff)
        vmfile.put(record, ring, BAH, address >> 32)
    head = vmfile.put(record, "twin.tx", HEAD, 0)
    vmfile.put(record, "twin.tx", TAIL, 7 if head != 7 else 6)
    vmfile.put(record, "twin.tx", WBAL, address & 0xffffffff | 1)
    vmfile.put(record, "twin.tx", WBAH, address >> 32)
    return vmfile.seal(header, rows)


def in_hardware(run):
    end = time.monotonic() + 30 * TIME_SCALE
    while not any(r.get("vm") == "one" and r["nic"] == "lan0"
                  for r in json.loads(run("--json", "vf", "list")[0])["vf"]):
        assert time.monotonic() < end, "it stays in software"
        time.sleep(0.1)


@test(timeout=120, needs=("godwit.elf", "guest-kernels/dev_vf.elf", "guest-kernels/bystander.elf"))
def foreign_memory(t):
    """A saved VM's record of its VF is changed, CRCs and digest put right: places outside of rings,
    other bits that no register has: refused. Rings elsewhere: its queues go there in hardware, and
    the IOMMU blocks each access; a bystander's memory stays as it is."""
    m, run = test_save.host(t, NIC + ONE + BYSTANDER, guests.bare_kernels("dev_vf", "bystander"),
                            more=DEVICES)
    path = t.dir / "one.vm"

    def restore(data, status=0):
        path.write_bytes(data)
        return run("restore", path, status=status)[1]

    run("vm", "start", "bystander")
    run("vm", "start", "one")
    guests.attach(m, "one")
    m.com1.expect(r"^bench begins", timeout=60)
    guests.leave(m)
    run("save", "one", path)
    file = path.read_bytes()
    assert vmfile.seal(file[:vmfile.HEADER], vmfile.records(file)) == file
    for device, change in REFUSED:
        said = restore(changed(file, device, change), status=1)
        assert "could not resume" in said, (device, change, said)
    for address in ELSEWHERE:
        before = run("log", "lines=1000")[0].count("(one): ")
        assert not restore(point(file, address))
        in_hardware(run)
        log = run("log", "lines=1000")[0]
        assert log.count("(one): ") > before, f"{address:#x}: no access was blocked:\n{log}"
        run("vm", "stop", "one")
    guests.check_bystander(m)
    restore(file)
    in_hardware(run)
