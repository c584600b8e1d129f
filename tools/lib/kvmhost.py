# SPDX-License-Identifier: Apache-2.0
"""Linux with KVM and QEMU on an emulated machine, in Godwit's place: guests of the same kernels
and initramfs, driven through the host's shell. The host's files are those of initrd-peer.img.
"""
import re

from lib import guests, paths
from lib.machine import Machine

# Both IOMMU and TSC as a bare host would have them; the emulated TSC does not say it is invariant.
CMDLINE = "console=ttyS0 quiet intel_iommu=on iommu=nopt tsc=reliable"
QEMU = ("qemu-system-x86_64 -L /bin -machine pc -accel kvm -cpu host -nodefaults -no-user-config "
        "-display none -no-reboot")
VFS = ("0000:01:10.0", "0000:01:10.2")     # of the NIC behind the first root port
POLL = "until {}; do sleep 0.1; done"     # of the emulated clock: what runs meanwhile has its price


def counters(text):
    """{name: value} of `grep . /sys/kernel/debug/kvm/*`; histograms are left out."""
    return {name: int(value) for name, value in
            re.findall(r"^/sys/kernel/debug/kvm/(\w+):(\d+)$", text, re.M)}


def moved(text):
    """What the last `info migrate` in TEXT says: {status, total_ms, downtime_ms, bytes, passes,
    zero_pages, pages}; what it does not say is not in it."""
    text = text[max(text.rfind("\nStatus:"), text.rfind("\nMigration status:"), 0):]
    facts = {}
    for key, name, scale in (("total time", "total_ms", 1), ("downtime", "downtime_ms", 1),
                             ("transferred ram", "bytes", 1024), ("dirty sync count", "passes", 1),
                             ("duplicate", "zero_pages", 1), ("normal", "pages", 1)):
        found = re.search(rf"^{key}: (\d+)\b", text, re.M)
        if found:
            facts[name] = int(found.group(1)) * scale
    found = re.search(r"^(?:Migration s|S)tatus:\s+(\w+)", text, re.M)
    facts["status"] = found.group(1) if found else ""
    return facts


class KvmHost(Machine):
    """Use as a context manager, like every Machine."""

    def __init__(self, directory, **options):
        options = {"memory": 2048, "icount": True, **options}
        super().__init__(directory, kernel=paths.GUEST / "vmlinuz-peer", append=CMDLINE,
                         initrd=paths.GUEST / "initrd-peer.img", **options)

    def start(self):
        super().start()
        guests.shell(self, timeout=300)
        self.run("mount -t debugfs d /sys/kernel/debug")
        return self

    def run(self, command, timeout=120):
        """A command at the host's prompt: its output; it has to succeed."""
        status, text = guests.run(self, command, timeout=timeout)
        assert status == 0, f"KVM host: {command}: {text}"
        return text

    def guest(self, name, options):
        """Starts QEMU with its guest's serial port on pipes, its monitor too."""
        for end in ("in", "out"):
            self.run(f"mkfifo /tmp/{name}.{end} /tmp/{name}.mon.{end}")
        for log in (name, f"{name}.mon"):
            self.run(f"(tr -d '\\r' </tmp/{log}.out >/tmp/{log}.log &)")
        self.run(f"({QEMU} -serial pipe:/tmp/{name} -monitor pipe:/tmp/{name}.mon {options} "
                 f">/tmp/{name}.err 2>&1 &)")

    def linux(self, name, initrd, options, cmdline="", cpus=1, memory=128):
        self.guest(name, f"-smp {cpus} -m {memory} -kernel /bin/vmlinuz-stock -initrd /bin/{initrd} "
                         f"-append 'console=ttyS0 quiet {cmdline}' {options}")

    def bare(self, name, kernel, options="", cpus=1, memory=64, cmdline=""):
        self.guest(name, f"-smp {cpus} -m {memory} -kernel /bin/{kernel} -append '{cmdline}' {options}")

    def send(self, name, text):
        self.run(f"printf '{text}' >/tmp/{name}.in")

    def said(self, name):
        return self.run(f"cat /tmp/{name}.log; echo")

    def wait(self, name, pattern, timeout=300):
        """Until a line of the guest matches; all it has said."""
        self.run(POLL.format(f"grep -q '{pattern}' /tmp/{name}.log"), timeout=timeout)
        return self.said(name)

    def monitor(self, name, command):
        """A command of QEMU's monitor: all it has said so far."""
        self.run(f"printf '{command}\\n' >/tmp/{name}.mon.in; sleep 0.1")
        return self.said(f"{name}.mon")

    def counters(self):
        return counters(self.run("grep . /sys/kernel/debug/kvm/*"))

    def assign_vfs(self):
        """Two VFs of the NIC, bound to vfio-pci."""
        self.run("ifconfig eth0 up; echo 2 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs")
        for vf in VFS:
            self.run(f"echo vfio-pci >/sys/bus/pci/devices/{vf}/driver_override; "
                     f"echo {vf} >/sys/bus/pci/drivers_probe")
