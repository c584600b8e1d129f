# SPDX-License-Identifier: Apache-2.0
"""Several emulated hosts on one network: each has a courier and its NIC as the switch's uplink.

The network is an emulator of its own, without a machine: a hub with a stream socket for each host.
Host i (from 0) is named by the i-th letter; its courier has the address 10.0.0.(i + 1). A host
that ends leaves the network standing. A plain Linux can be a station of it, too.
"""
import dataclasses
import pathlib
import secrets
import subprocess
import time

from lib import paths, pcap
from lib.machine import QEMU, Machine, MachineError, Spec, die_with_parent
from lib.stream import TIME_SCALE


def name(i):
    return chr(ord("a") + i)


def address(i):
    return f"10.0.0.{i + 1}"


@dataclasses.dataclass
class Hardware:
    """Of a host."""
    vfs: int = 0                    # of its NIC
    amd: bool = False               # AMD-Vi and not VT-d
    second: str = ""                # address of another NIC on the same wire, at 02:00.0
    capture: bool = False           # all.pcap and out.pcap: what passes its NIC, what it sends

    def iommu(self):
        return "amd-iommu,intremap=on,pt=off" if self.amd else "intel-iommu,intremap=on"

    def nic(self, i, path):
        """Emulator arguments: the NIC of host i, on the socket `path` of the hub. With AMD-Vi on
        the root bus, where its model knows functions by their right ids."""
        port = () if self.amd else ("-device", "pcie-root-port,id=rp,slot=1,chassis=1")
        if self.second:
            return ("-netdev", f"stream,id=wire,server=off,addr.type=unix,addr.path={path}",
                    "-netdev", "hubport,hubid=1,id=hub,netdev=wire",
                    *(word for k, mac in enumerate((f"52:54:00:00:02:{i + 1:02x}", self.second))
                      for word in ("-device", f"pcie-root-port,id=rp{k},slot={k + 1},chassis={k + 1}",
                                   "-netdev", f"hubport,hubid=1,id=n{k}",
                                   "-device", f"igb,bus=rp{k},netdev=n{k},mac={mac}")))
        dumps = (pcap.device("lan", "all.pcap") + pcap.device("lan", "out.pcap", "rx")
                 if self.capture else ())
        return ("-netdev", f"stream,id=lan,server=off,addr.type=unix,addr.path={path}", *port,
                "-device", f"igb,{'addr=5' if self.amd else 'bus=rp'},netdev=lan,"
                           f"mac=52:54:00:00:02:{i + 1:02x}", *dumps)


def config(i, hardware, *sections):
    """godwit.conf of host i."""
    return (f"[host]\nname = {name(i)}\nconsole = ttyS0\nctl = ttyS1\n"
            f"[nic lan0]\nmatch = 8086:10c9\nuplink = yes\nvfs = {hardware.vfs}\n"
            "[vm courier]\nrole = courier\nmemory = 16M\nkernel = courier.elf\nautostart = yes\n"
            f"net0 = pv mac=52:54:00:00:01:{i + 1:02x}\nip = {address(i)}/24\npsk = psk.hex\n"
            + "".join(sections))


def station(path):
    """A plain Linux at the network, of address 10.0.0.102."""
    return Spec(kernel=paths.GUEST / "vmlinuz-stock", initrd=paths.GUEST / "initrd-virtio.img",
                append="console=ttyS0 quiet godwit.run=net-up godwit.ip=10.0.0.102/24",
                smp=1, memory=192, iommu="",
                devices=("-netdev", f"stream,id=lan,server=off,addr.type=unix,addr.path={path}",
                         "-device", "virtio-net-pci,netdev=lan,mac=52:54:00:00:00:ff"))


def hub_args(n):
    args = [QEMU, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"]
    for i in range(n):
        args += ["-netdev", f"stream,id=n{i},server=on,addr.type=unix,addr.path=net{i}.sock",
                 "-netdev", f"hubport,id=h{i},hubid=0,netdev=n{i}"]
    return args


def newest(m, vm):
    """The latest move of a VM out of machine m."""
    rows = [r for r in m.ctl.request(f"migrate-status {vm}") if r.get("direction") == "out"]
    return max(rows, key=lambda r: int(r["number"]))


def ended(m, vm, timeout=120):
    """The same when it has ended."""
    end = time.monotonic() + timeout * TIME_SCALE
    while (row := newest(m, vm))["phase"] not in ("done", "failed"):
        assert time.monotonic() < end, f"{vm} has not moved: {row}"
        time.sleep(0.1)
    return row


def move(m, vm, host, options="", timeout=120):
    """Moves a VM from machine m to a host; the row when it has ended."""
    m.ctl.request(f"migrate {vm} {host} {options}")
    return ended(m, vm, timeout)


def wait_network(m, end):
    """Until the host's courier and uplink are there; end: by time.monotonic()."""
    while not all(any(word in row.get("text", "") for row in m.ctl.request("log"))
                  for word in ("link up", "ready to reach other hosts")):
        assert time.monotonic() < end, "a host has no network"
        time.sleep(0.2)


CLOCK_OFF_NS = 10_000_000   # at most, a guest's clock from its host's, after any number of moves


def clock(m, vm):
    """(what the guest reads as the time, the host's clock), in ns, at one instant."""
    info = m.ctl.request(f"vm info {vm}")
    return int(info["clock_ns"]), int(info["host_ns"])


def check_clock(m, vm, since):
    """Both clocks have gone on by the same since clock() said `since` on this host."""
    guest, host = (now - then for now, then in zip(clock(m, vm), since))
    print(f"{host / 1e9:.3f} s on, the guest's clock is off by {(guest - host) / 1e6:+.3f} ms")
    assert abs(guest - host) <= CLOCK_OFF_NS, (guest, host)


class Lab:
    """Use as a context manager; `machine[i]` is host i."""

    def __init__(self, directory, n=2, sections=(), modules=None, memory=512, hardware=()):
        self.dir = pathlib.Path(directory)
        self.n, self.memory = n, memory
        self.hardware = list(hardware) + [Hardware()] * (n - len(hardware))
        self.station = None
        self.sections = list(sections) + [()] * (n - len(sections))
        self.modules = modules or {}
        self.key = self.dir / "psk.hex"
        self.machine = [None] * n
        self._hub = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc):
        self.close()

    def spec(self, i):
        """What host i is made of."""
        modules = {"courier.elf": paths.BUILD / "courier.elf", "psk.hex": self.key}
        hardware = self.hardware[i]
        return Spec(config=config(i, hardware, *self.sections[i]), modules=modules | self.modules,
                    memory=self.memory, iommu=hardware.iommu(),
                    devices=hardware.nic(i, f"../net{i}.sock"))

    def start_network(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.key.write_text(secrets.token_hex(32) + "\n")
        for i in range(self.n + 1):
            (self.dir / f"net{i}.sock").unlink(missing_ok=True)
        with open(self.dir / "hub.log", "wb") as log:
            self._hub = subprocess.Popen(hub_args(self.n + 1), cwd=self.dir, stdout=log,
                                         stderr=log, stdin=subprocess.DEVNULL,
                                         preexec_fn=die_with_parent)
        end = time.monotonic() + 20 * TIME_SCALE
        while not all((self.dir / f"net{i}.sock").exists() for i in range(self.n + 1)):
            if self._hub.poll() is not None or time.monotonic() > end:
                raise MachineError("no network: " + (self.dir / "hub.log").read_text())
            time.sleep(0.02)

    def start(self):
        self.start_network()
        for i in range(self.n):
            self.boot(i)
        return self

    def boot(self, i):
        """Power host i on (again)."""
        if self.machine[i]:
            self.machine[i].close()
        self.machine[i] = Machine(self.dir / name(i), self.spec(i)).start()

    def add_station(self):
        self.station = Machine(self.dir / "station", station(f"../net{self.n}.sock")).start()

    def ready(self, which=None, timeout=60):
        """Until these hosts, or all, have booted and have their network."""
        end = time.monotonic() + timeout * TIME_SCALE
        for i in range(self.n) if which is None else which:
            m = self.machine[i]
            m.com1.expect(rf"^{name(i)}> ", timeout=timeout)
            wait_network(m, end)

    def close(self):
        for m in (*self.machine, self.station):
            if m:
                m.close()
        if self._hub:
            self._hub.terminate()
            self._hub.wait()
        self._hub = None
