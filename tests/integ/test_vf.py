# SPDX-License-Identifier: Apache-2.0
"""Stock Linux guests with a VF of the host's 82576 each, under their own igbvf: ping and TCP
between them through the NIC's switch, to paravirtual guests, to a peer outside the machine."""
import contextlib
import os
import re
import socket
import struct
import threading
import time

from lib import guests, lab, paths, pcap
from lib.ctl import CtlError
from lib.guests import on
from lib.registry import test
from lib.stream import TIME_SCALE

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-assign.img")
NIC = "[nic lan0]\nmatch = 8086:10c9\nvfs = 7\nuplink = yes\n"
MAC = "52:54:00:00:00:0"
FILE_KIB = 2048
OUTSIDE = 9                     # the peer outside is 10.0.0.9
NIC_DEVICES = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
               "-netdev", "dgram,id=n0,local.type=unix,local.path=q.sock,"
                          "remote.type=unix,remote.path=p.sock",
               "-device", "igb,bus=rp0,netdev=n0", *pcap.device("n0", "wire.pcap"))
# The NIC on the root bus, where AMD-Vi's model knows functions by their right ids. (At 00:04.0 its
# first VF would have the number that the I/O APIC has for such a unit.)
ROOT_BUS = [d.replace("igb,bus=rp0", "igb,addr=5") for d in NIC_DEVICES[2:]]
NIC_MAC = "52:54:00:12:34:56"   # the emulator's first one


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Peer:
    """A station on the wire: answers ARP and ping for 10.0.0.9, keeps all frames it saw."""
    mac = bytes.fromhex("020000000099")
    ip = bytes((10, 0, 0, OUTSIDE))

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        # Through the directory's descriptor: a socket path holds 107 bytes only.
        self.far = f"/proc/self/fd/{self.fd}/q.sock"
        self.frames = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(f"/proc/self/fd/{self.fd}/p.sock")
        self.sock.settimeout(0.2)
        self.ends = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.ends = True
        self.thread.join()
        self.sock.close()
        os.close(self.fd)

    def run(self):
        while not self.ends:
            with contextlib.suppress(TimeoutError):
                frame = self.sock.recv(70000)
                self.frames.append(frame)
                answer = self.answer(frame)
                if answer:
                    self.send(answer)

    def send(self, frame):
        with contextlib.suppress(OSError):
            self.sock.sendto(frame, self.far)

    def answer(self, f):
        if f[12:14] == b"\x08\x06" and f[38:42] == self.ip:
            return f[6:12] + self.mac + f[12:20] + b"\0\2" + self.mac + self.ip + f[22:32]
        if f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 8 and f[30:34] == self.ip:
            size = struct.unpack(">H", f[16:18])[0] - 20
            icmp = b"\0\0\0\0" + f[38:34 + size]
            icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
            return f[6:12] + self.mac + f[12:26] + f[30:34] + f[26:30] + icmp
        return None


def section(i, net, more=""):
    """Guest number i, of address 10.0.0.i, that serves a file of its own."""
    return guests.vm_section(
        f"g{i}", cpus=1, memory="128M", more=f"net0 = {net} mac={MAC}{i} {more}\n",
        cmdline=f"godwit.run=net-up godwit.ip=10.0.0.{i}/24 godwit.file={FILE_KIB}")


def machine(t, *sections, iommu="intel-iommu,intremap=on", devices=NIC_DEVICES, nic=NIC,
            more_modules=None, **options):
    """A host whose NIC is a wire to a Peer; not waited for."""
    peer = Peer(t.dir / "m")
    m = t.machine(config=guests.host_config(nic, *sections), memory=1024, iommu=iommu,
                  modules={"vmlinuz": paths.GUEST / "vmlinuz-stock",
                           "initrd.img": paths.GUEST / "initrd-assign.img",
                           **(more_modules or {})},
                  devices=devices, **options)
    m.peer = peer
    return m


def check_wire(m):
    """What the capture of the wire shows: both guests' own addresses and the host's, no others;
    nothing that the NIC's switch carries between guests."""
    known = {bytes.fromhex(a.replace(":", "")): a for a in (MAC + "1", MAC + "2", NIC_MAC)}
    known[m.peer.mac] = "peer"
    seen = set()
    for frame in pcap.frames(m.dir / "wire.pcap"):
        assert frame[6:12] in known, f"a frame from {frame[6:12].hex(':')} on the wire"
        seen.add(known[frame[6:12]])
        pair = {known.get(frame[:6]), known[frame[6:12]]}
        assert pair != {MAC + "1", MAC + "2"}, "what two guests said was on the wire"
    assert seen >= {MAC + "1", MAC + "2", "peer"}, seen


def up(m, count):
    """Waits until guests g1 to gCOUNT are at their prompts, networks up."""
    guests.wait_console(m, timeout=90)
    for i in range(1, count + 1):
        guests.attach(m, f"g{i}")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)


def carrier(m, i):
    on(m, i, "n=0; while [ $n -lt 100 ] && [ \"$(cat /sys/class/net/eth0/carrier)\" != 1 ]; do "
             "n=$((n + 1)); sleep 0.1; done; [ $n -lt 100 ]")


def ping(m, i, j, size=56):
    text = on(m, i, f"ping -c 3 -i 0.2 -W 2 -s {size} 10.0.0.{j}")
    assert " 0% packet loss" in text, text


def fetch(m, i, j):
    """Guest i gets the file of guest j, whole and right."""
    on(m, i, f"cd /tmp; wget -q -O file http://10.0.0.{j}/file && "
       f"wget -q -O sum http://10.0.0.{j}/sum && sha256sum -c sum", timeout=120)


def between(t, *sections, **options):
    m = machine(t, *sections, **options)
    try:
        up(m, 2)
        for i in (1, 2):
            carrier(m, i)
        ping(m, 1, 2)
        ping(m, 2, 1, 1400)
        ping(m, 1, OUTSIDE)
        ping(m, 2, OUTSIDE, 1000)
        fetch(m, 1, 2)
        fetch(m, 2, 1)
        for i in (1, 2):
            on(m, i, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()
    check_wire(m)


@test(timeout=240, needs=NEEDS, cores=2)
def two_vfs(t):
    between(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"))


@test(timeout=240, needs=NEEDS, cores=2)
def two_vfs_amdvi(t):
    between(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"), devices=ROOT_BUS,
            iommu="amd-iommu,intremap=on,pt=off")


@test(timeout=240, needs=NEEDS, cores=2)
def two_vfs_amdvi_x2apic_destinations(t):
    between(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"), devices=ROOT_BUS,
            iommu="amd-iommu,intremap=on,pt=off,xtsup=on")


@test(timeout=240, needs=NEEDS, cores=2)
def vf_and_paravirtual(t):
    between(t, section(1, "vf nic=lan0"), section(2, "pv"))


@test(timeout=240, needs=NEEDS, cores=2)
def two_vfs_x2apic_destinations(t):
    between(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"),
            iommu="intel-iommu,intremap=on,eim=on")


def exits(m, name):
    """Exits of a VM by cause."""
    rows = [r for r in m.ctl.request(f"stat {name}") if r.get("row") == "exit"]
    return {r["exit"]: int(r["count"]) for r in rows}


@test(timeout=300, needs=NEEDS, cores=2)
def no_exit_for_a_packet(t):
    """5000 requests and as many answers between two VFs: nothing but interrupts leaves a guest."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"))
    try:
        up(m, 2)
        carrier(m, 1)
        carrier(m, 2)
        ping(m, 1, 2)
        before = exits(m, "g1")
        on(m, 1, "ping -q -A -c 5000 10.0.0.2 >/tmp/out; tail -2 /tmp/out", timeout=150)
        delta = {k: v - before.get(k, 0) for k, v in exits(m, "g1").items()}
        # What is left: a look at the control page every two seconds. Ports are the console's,
        # MSRs and windows the local APIC's and the timer's.
        assert delta.get("mem", 0) < 10000 * 0.02, delta
        rows = [r for r in m.ctl.request("vf list") if r.get("row") == "vf" and r["vm"] == "g1"]
        said = on(m, 1, "cat /sys/class/net/eth0/statistics/tx_packets")
        sent = int(re.search(r"^(\d+)\s*$", said, re.M).group(1))
        assert abs(int(rows[0]["tx_packets"]) - sent) <= 2, (rows[0], sent)
    finally:
        m.peer.close()


@test(timeout=90, needs=NEEDS)
def refused_without_iommu(t):
    m = machine(t, section(1, "vf nic=lan0"), iommu="")
    try:
        m.com1.expect(r"nic lan0: no virtual functions: DMA of devices is not translated", timeout=40)
        m.com1.expect(r"vm g1: not started: net0 = vf nic=lan0: that NIC has no VFs here", timeout=40)
    finally:
        m.peer.close()


# ---- a bare kernel with a driver of its own -------------------------------------------------

BARE_NEEDS = ("godwit.elf", "guest-kernels/dev_vf.elf", "guest-kernels/bystander.elf")


def bare_section(name, i, cmdline="", kernel="dev_vf", net=True):
    more = f"net0 = vf nic=lan0 mac={MAC}{i}\n" if net else ""
    return (f"[vm {name}]\nmemory = 16M\ncpus = 1\nkernel = {kernel}.elf\n"
            f"cmdline = lax=1 {cmdline}\nautostart = no\n{more}")


def bare_machine(t, vfs, *sections, devices=NIC_DEVICES):
    peer = Peer(t.dir / "m")
    m = t.machine(config=guests.host_config(NIC.replace("vfs = 7", f"vfs = {vfs}"), *sections),
                  modules=guests.bare_kernels("dev_vf", "bystander"), devices=devices)
    m.peer = peer
    guests.wait_console(m)
    return m


@test(timeout=90, needs=BARE_NEEDS)
def by_hand(t):
    m = bare_machine(t, 1, bare_section("one", 1))
    try:
        m.com1.expect(r"nic lan0: link up", timeout=20)
        guests.run_bare(m, "one")
        rows = [r for r in m.ctl.request("vf list") if r.get("row") == "vf"]
        assert len(rows) == 1 and rows[0]["vm"] == "-", rows
    finally:
        m.peer.close()


@test(timeout=90, needs=BARE_NEEDS)
def on_the_root_bus(t):
    """No bridge window says where the VFs' registers may lie."""
    m = bare_machine(t, 2, bare_section("one", 1), devices=ROOT_BUS)
    try:
        m.com1.expect(r"nic lan0: link up", timeout=20)
        guests.run_bare(m, "one")
    finally:
        m.peer.close()


def refused(m, code, request):
    try:
        m.ctl.request(request)
    except CtlError as e:
        assert e.code == code, (request, e.code, e.text)
        return
    raise AssertionError(f"{request}: not refused")


def owners(m):
    return [r["vm"] for r in m.ctl.request("vf list") if r.get("row") == "vf"]


@test(timeout=240, needs=(*NEEDS, *BARE_NEEDS[1:]), cores=2)
def attach_and_detach(t):
    """A running Linux guest gets a VF, uses it, gives it back; a VM that is off gets it then."""
    linux = guests.vm_section("g1", cpus=1, memory="128M", cmdline="godwit.ip=10.0.0.1/24")
    m = machine(t, linux, bare_section("one", 3, net=False),
                more_modules=guests.bare_kernels("dev_vf"))
    try:
        guests.wait_console(m, timeout=90)
        guests.attach(m, "g1")
        guests.shell(m)
        guests.leave(m)
        vf = f"nic=lan0 mac={MAC}1 rate=500M"
        refused(m, "ENOENT", f"vf attach nobody net0 {vf}")
        refused(m, "EINVAL", f"vf attach g1 net4 {vf}")
        refused(m, "EINVAL", "vf attach g1 net0 nic=lan0 mac=1")
        refused(m, "ENOENT", f"vf attach g1 net0 nic=lan1 mac={MAC}1")
        refused(m, "ENOENT", "vf detach g1 net0")
        for _ in range(2):      # the second time it has to be as new
            m.ctl.request(f"vf attach g1 net0 {vf}")
            assert owners(m)[0] == "g1"
            refused(m, "EBUSY", f"vf attach g1 net0 {vf}")
            refused(m, "EEXIST", f"vf attach one net0 {vf}")
            refused(m, "ENOTSUP", "vm writes g1 on")
            on(m, 1, "echo 1 >/sys/bus/pci/rescan; sh /tests/net-up.sh")
            carrier(m, 1)
            ping(m, 1, OUTSIDE)
            on(m, 1, "echo 1 >/sys/class/net/eth0/device/remove")
            m.ctl.request("vf detach g1 net0")
            assert set(owners(m)) == {"-"}
            m.ctl.request("vm writes g1 on")
            refused(m, "EBUSY", f"vf attach g1 net0 {vf}")
            m.ctl.request("vm writes g1 off")
        on(m, 1, "sh /tests/check-dmesg.sh")
        m.ctl.request(f"vf attach one net0 {vf}")
        assert set(owners(m)) == {"-"}
        guests.run_bare(m, "one")
        m.ctl.request("vf detach one net0")
        refused(m, "ENOENT", "vf detach one net0")
    finally:
        m.peer.close()


def counted(m, i):
    """What guest number i's driver says of its frames."""
    text = on(m, i, "cd /sys/class/net/eth0/statistics; "
                    "cat rx_packets tx_packets rx_bytes tx_bytes")
    return [int(w) for w in re.findall(r"^(\d+)\s*$", text, re.M)]


@test(timeout=240, needs=NEEDS, cores=2)
def twin_without_hardware(t):
    """A stock igbvf on a VF that is software from the start, no IOMMU needed."""
    between(t, section(1, "vf twin=yes"), section(2, "pv"), iommu="")


@test(timeout=240, needs=NEEDS, cores=2)
def twin_and_back(t):
    """A VF becomes its twin and hardware again while its guest's connections go on."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "vf nic=lan0"))
    try:
        up(m, 2)
        for i in (1, 2):
            carrier(m, i)
        ping(m, 1, 2)
        before = counted(m, 1)
        for _ in range(5):
            print("to the twin:", m.ctl.request("vf twin g1 net0"))
            assert "twin" in [r["nic"] for r in m.ctl.request("vf list")
                              if r.get("row") == "vf" and r["vm"] == "g1"]
            ping(m, 1, 2)
            ping(m, 2, 1, 1400)
            ping(m, 1, OUTSIDE)
            fetch(m, 2, 1)
            print("to hardware:", m.ctl.request("vf direct g1 net0"))
            ping(m, 1, 2)
            ping(m, 1, OUTSIDE)
            after = counted(m, 1)
            assert all(0 <= y - x < 1 << 28 for x, y in zip(before, after)), (before, after)
            before = after
        fetch(m, 1, 2)
        for i in (1, 2):
            on(m, i, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()
    check_wire(m)


def move(m, name, options="", phase="done"):
    """From the host to itself: the row of the move."""
    row = lab.move(m, name, "local", options)
    assert row["phase"] == phase, row
    return row


def at(m, name, nic):
    """Until the VF of a VM is at this NIC, or its twin."""
    end = time.monotonic() + 30 * TIME_SCALE
    while (rows := [r for r in m.ctl.request("vf list")
                    if r.get("row") == "vf" and r["vm"] == name])[0]["nic"] != nic:
        assert time.monotonic() < end, rows
        time.sleep(0.1)
    return rows[0]


@test(timeout=300, needs=NEEDS, cores=2)
def twin_moves(t):
    """A guest with a VF moves, under igbvf, from hardware to hardware, by its twin; then one that
    is its twin by choice; a stream of pings and a transfer go on, nothing in its log, its counters
    never go down. A cancelled move leaves it in hardware."""
    m = machine(t, section(1, "vf nic=lan0"), section(2, "pv"))
    try:
        up(m, 2)
        carrier(m, 1)
        ping(m, 1, 2)
        before = counted(m, 1)
        on(m, 2, "sh /tests/traffic.sh 10.0.0.1 >/tmp/traffic & true")
        stood = []
        for options, phase in (("", "done"), ("cancel=4000000", "failed"), ("", "done")):
            row = move(m, "g1", options, phase)
            assert row["functions"] == "1", row
            stood.append((row["functions_us"], row["downtime_us"]))
            at(m, "g1", "lan0")
        m.ctl.request("vf twin g1 net0")
        assert move(m, "g1")["functions"] == "0"
        assert at(m, "g1", "twin")["wants"] == "-"
        m.ctl.request("vf direct g1 net0")
        ping(m, 1, 2)
        ping(m, 1, OUTSIDE)
        text = on(m, 2, "touch /tmp/stop; wait; cat /tmp/traffic", timeout=120)
        assert re.search(r"fetched [1-9]\d* failed 0", text), text
        sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) packets", text).groups())
        print(f"stood {stood} us, {sent - got} of {sent} pings lost", text)
        assert sent - got <= 12, text
        after = counted(m, 1)
        assert all(0 <= y - x < 1 << 28 for x, y in zip(before, after)), (before, after)
        for i in (1, 2):
            on(m, i, "sh /tests/check-dmesg.sh")
    finally:
        m.peer.close()


@test(timeout=300, needs=NEEDS, cores=2)
def moves_while_it_changes(t):
    """While it is copied the guest takes its interface down and up, then reboots: it has its VF in
    hardware and its network afterwards."""
    m = machine(t, section(1, "vf nic=lan0"))
    try:
        up(m, 1)
        carrier(m, 1)
        ping(m, 1, OUTSIDE)
        m.ctl.request("migrate g1 local limit=40")
        on(m, 1, "ip link set eth0 down; ip link set eth0 up")
        carrier(m, 1)
        row = lab.ended(m, "g1")
        assert row["phase"] == "done" and row["functions"] == "1", row
        at(m, "g1", "lan0")
        ping(m, 1, OUTSIDE)
        on(m, 1, "sh /tests/check-dmesg.sh")
        m.ctl.request("migrate g1 local limit=40")
        guests.attach(m, "g1")
        m.com1.mark()
        m.com1.sendline("reboot -f")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)
        print(lab.ended(m, "g1"))       # it may have come before the last page, or too late
        at(m, "g1", "lan0")
        carrier(m, 1)
        ping(m, 1, OUTSIDE)
    finally:
        m.peer.close()


@test(timeout=400, needs=BARE_NEEDS)
def changes_hands_50_times(t):
    """Each owner finds nothing of the last one and leaves all registers dirty."""
    m = bare_machine(t, 1, bare_section("one", 1), bare_section("two", 2, "running=1"))
    try:
        for _ in range(25):
            guests.run_bare(m, "one")
            guests.run_bare(m, "two")
        assert len(re.findall(r"has 01:10.0 as", m.com1.text)) == 50
    finally:
        m.peer.close()


@test(timeout=120, needs=BARE_NEEDS)
def hostile_driver(t):
    """Descriptors, rings and registers that point elsewhere: blocked, recorded with the VF's
    number; a bystander's memory stays as it is, the next owner finds a clean VF."""
    m = bare_machine(t, 1, bare_section("evil", 1, "hostile=1 stray=1"), bare_section("next", 2),
                     bare_section("bystander", 0, kernel="bystander", net=False))
    try:
        m.com1.expect(r"nic lan0: link up", timeout=20)
        m.ctl.request("vm start bystander")
        guests.run_bare(m, "evil", timeout=60)
        log = guests.host_log(m)
        for what in ("write", "read"):
            assert re.search(rf"iommu: 01:10\.0 \(evil\): {what}", log), what
        assert re.search(r"iommu: .*: interrupt is blocked", log)
        # The emulator delivers these (docs/limits.md): exceptions' vectors, counted and no more.
        taken = {int(r["vector"]): int(r["count"]) for r in m.ctl.request("irq") if "vector" in r}
        assert all(taken.get(v, 0) == 1 for v in range(1, 32)), taken
        guests.run_bare(m, "next")
        guests.check_bystander(m)
    finally:
        m.peer.close()
