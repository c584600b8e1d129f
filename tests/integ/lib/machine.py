# SPDX-License-Identifier: Apache-2.0
"""An emulated host that runs Godwit (or anything else that boots).

Sockets and logs lie in the machine's own directory, which is the emulator's working
directory too, so no path of the host reaches a command line of the guest and socket names
stay short. All sockets are created here before the emulator starts and connects to them:
not a byte of early output can be lost.
"""
import ctypes
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from lib import accel, bochs, paths
from lib.ctl import Ctl
from lib.qmp import Qmp
from lib.stream import TIME_SCALE, ExpectError, Stream

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
# What TCG cannot give is taken out of the model: it would only warn about each.
CPU = "EPYC,-fxsr-opt,-misalignsse,-osvw,-topoext,-nrip-save,-xsavec,+x2apic"
OVMF_DIRS = ("/usr/share/OVMF", "/usr/share/ovmf")
PR_SET_PDEATHSIG = 1


class MachineError(AssertionError):
    """The emulator did not start or ended unexpectedly."""


@dataclasses.dataclass
class Spec:
    """What a machine is made of. `modules` maps boot module names to files; `config` is the
    text of the module godwit.conf; `boot` is kernel (loaded by the emulator), bios or ovmf
    (both from an ISO through GRUB)."""
    kernel: pathlib.Path = paths.IMAGE
    append: str = ""
    config: str = ""
    modules: dict = dataclasses.field(default_factory=dict)
    initrd: pathlib.Path = None     # for plain Linux instead of modules
    boot: str = "kernel"
    smp: int = 2
    memory: int = 512               # MiB
    cpu: str = ""
    bochs: str = ""                 # CPU model of Bochs: that emulator, from the ISO
    bochs_bios: str = ""            # its firmware when not its own
    iommu: str = "intel-iommu,intremap=on"
    devices: tuple = ()             # more emulator arguments
    icount: bool = False            # time counts instructions; one thread
    reboot: bool = False            # a guest's reset restarts instead of ending the emulator

    def accel(self):
        return "tcg" if self.icount else os.environ.get("ACCEL", "tcg")


def find_ovmf():
    for directory in OVMF_DIRS:
        code = pathlib.Path(directory) / "OVMF_CODE_4M.fd"
        if code.exists():
            return code, code.with_name("OVMF_VARS_4M.fd")
    raise MachineError("no OVMF firmware (package ovmf)")


def qemu_args(spec, iso=None, ovmf_code=None):
    """The emulator's command line for SPEC: a pure function of its arguments."""
    cpu = spec.cpu or ("host" if spec.accel() == "kvm" else CPU)
    if spec.icount:     # the emulator stops at an x2APIC timer register ("Bad icount read")
        cpu = cpu.replace("+x2apic", "-x2apic")
    args = [QEMU, "-machine", "q35", "-accel", accel.qemu(spec.accel()), "-cpu", cpu, "-smp", str(spec.smp),
            "-m", str(spec.memory), "-nodefaults", "-display", "none", "-no-user-config"]
    for name in ("com1", "com2"):
        args += ["-chardev", f"socket,id={name},path={name}.sock", "-serial", f"chardev:{name}"]
    args += ["-chardev", "file,id=e9,path=e9.log", "-device", "isa-debugcon,iobase=0xe9,chardev=e9",
             "-chardev", "socket,id=qmp,path=qmp.sock", "-mon", "chardev=qmp,mode=control",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    if not spec.reboot:
        args += ["-no-reboot"]
    if spec.icount:
        args += ["-icount", "shift=0,sleep=off"]
    if spec.iommu:
        args += ["-device", spec.iommu]
    args += spec.devices
    if spec.boot == "kernel":
        args += ["-kernel", str(spec.kernel)]
        if spec.append:
            args += ["-append", spec.append]
        if spec.initrd:
            args += ["-initrd", str(spec.initrd)]
        elif spec.modules or spec.config:
            names = (["godwit.conf"] if spec.config else []) + list(spec.modules)
            args += ["-initrd", ",".join(names)]
    else:
        args += ["-boot", "d", "-cdrom", str(iso)]
        if spec.boot == "ovmf":
            args += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={ovmf_code}",
                     "-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]
    return args


def decode_status(code):
    """What an exit status of the emulator says: (kind, value)."""
    if code < 0:
        return ("signal", -code)
    if code == 0:
        return ("off", 0)           # power-off, or reset with -no-reboot
    if code >= 128:
        return ("signal", code - 128)
    if code & 1 and code > 1:
        return ("debug-exit", code >> 1)
    return ("error", code)          # the emulator's own complaint, or debug-exit of 0


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """Use as a context manager, or through a test's `t.machine(...)`, which closes it."""

    def __init__(self, directory, spec=None, **options):
        self.spec = spec or Spec(**options)
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._proc = None
        self._listen = {}
        self._fd = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        self.com1 = self.com2 = self.ctl = self.qmp = None
        self.start_time = None
        self.bare_runs = {}         # by VM, of lib.guests.run_bare

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    # ---- start ----

    def _prepare_files(self):
        spec = self.spec
        if spec.config:
            (self.dir / "godwit.conf").write_text(spec.config)
        for name, path in spec.modules.items():
            link = self.dir / name
            link.unlink(missing_ok=True)
            link.symlink_to(pathlib.Path(path).resolve())
        if spec.boot == "kernel" and not spec.bochs:
            return qemu_args(spec)
        self._make_iso()
        if spec.bochs:
            ports = [self._listen[n].getsockname()[1] for n in self._names()]
            for name, text in zip(bochs.FILES, (bochs.config(spec, "godwit.iso", ports),
                                                bochs.CONTINUE)):
                (self.dir / name).write_text(text)
            return bochs.args()
        code = None
        if spec.boot == "ovmf":
            code, variables = find_ovmf()
            shutil.copy(variables, self.dir / "vars.fd")
        return qemu_args(spec, iso="godwit.iso", ovmf_code=code)

    def _make_iso(self):
        spec = self.spec
        iso = self.dir / "godwit.iso"
        names = (["godwit.conf"] if spec.config else []) + list(spec.modules)
        subprocess.run([paths.ROOT / "tools/mkiso", "-o", iso, "--kernel", spec.kernel,
                        "--append", spec.append] + [f"{n}={self.dir / n}" for n in names],
                       check=True, stdout=subprocess.DEVNULL, timeout=60 * TIME_SCALE)

    def _names(self):
        return ("com1", "com2") if self.spec.bochs else ("com1", "com2", "qmp")

    def _listen_on(self, name):
        if self.spec.bochs:     # it knows no other sockets
            sock = socket.socket(socket.AF_INET)
            sock.bind(("127.0.0.1", 0))
        else:
            path = self.dir / f"{name}.sock"
            path.unlink(missing_ok=True)
            sock = socket.socket(socket.AF_UNIX)
            # Through the directory's descriptor: a socket path holds 107 bytes only.
            sock.bind(f"/proc/self/fd/{self._fd}/{name}.sock")
        sock.listen(1)
        self._listen[name] = sock

    def start(self):
        for name in self._names():
            self._listen_on(name)
        args = self._prepare_files()
        (self.dir / "command").write_text(" ".join(map(str, args)) + "\n")
        with open(self.dir / "qemu.log", "wb") as log:
            self._proc = subprocess.Popen(args, cwd=self.dir, stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.start_time = time.monotonic()
        self.com1 = Stream(self._accept("com1"), "com1", self.dir / "com1.log")
        self.com2 = Stream(self._accept("com2"), "com2", self.dir / "com2.log")
        self.ctl = Ctl(self.com2)
        if not self.spec.bochs:
            self.qmp = Qmp(self._accept("qmp"))
        return self

    def _accept(self, name):
        deadline = time.monotonic() + 20 * TIME_SCALE
        listener = self._listen[name]
        listener.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self._proc.poll() is not None:
                    break
        raise MachineError(f"emulator did not start: {self.emulator_log()}")

    # ---- state ----

    def elapsed(self):
        return time.monotonic() - self.start_time

    def emulator_log(self):
        path = self.dir / "qemu.log"
        return path.read_text(errors="replace").strip() if path.exists() else ""

    def debugcon(self):
        """What came out of port 0xE9 so far."""
        path = self.dir / "e9.log"
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def running(self):
        return self._proc is not None and self._proc.poll() is None

    def wait_exit(self, timeout=30.0):
        """Waits for the emulator to end by itself; its decoded status."""
        try:
            status = self._proc.wait(timeout * TIME_SCALE)
            if self.spec.bochs:
                return bochs.decode_log((self.dir / "bochs.log").read_text(errors="replace"))
            return decode_status(status)
        except subprocess.TimeoutExpired as exc:
            raise ExpectError(f"machine still runs after {timeout:g} s; console:\n"
                              f"{self.com1.text[-2000:]}") from exc

    def check_alive(self):
        if not self.running():
            raise MachineError(f"emulator ended: {decode_status(self._proc.returncode)} "
                               f"{self.emulator_log()}")

    def describe(self):
        """For a test that failed: what the machine is at, from outside and from inside, in a file `state`."""
        if self.qmp is None or not self.running():
            return
        with open(self.dir / "state", "w", encoding="utf-8") as out:
            try:
                for what in ("registers -a", *(f"lapic {i}" for i in range(self.spec.smp))):
                    out.write(f"# {what}\n" + self.qmp.monitor(f"info {what}") + "\n")
                guests = [r["name"] for r in self.ctl.request("vm list", timeout=5) if "name" in r]
                for ask in ("vm list", "irq", "host", "stat", "net list", *(f"vm {verb} {name}" for verb in ("info", "dump")
                            for name in guests), "log lines=60", "trace show last=400"):
                    out.write(f"# {ask}\n")
                    for record in self.ctl.request(ask, timeout=5):
                        out.write(" ".join(f"{k}={v}" for k, v in record.items()) + "\n")
            except (AssertionError, OSError, KeyError, ValueError) as exc:
                out.write(f"no more: {exc}\n")

    def close(self):
        if self._proc is not None and self._proc.poll() is None:
            self._proc.terminate()
            try:
                self._proc.wait(5)
            except subprocess.TimeoutExpired:
                self._proc.kill()
                self._proc.wait()
        for part in (self.com1, self.com2, self.qmp):
            if part is not None:
                part.close()
        for name, sock in self._listen.items():
            sock.close()
            (self.dir / f"{name}.sock").unlink(missing_ok=True)
        self._listen = {}
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
