# SPDX-License-Identifier: Apache-2.0
"""The guest test kernels of tests/guest/list: under Godwit, and on the bare emulator, whose
processor is the second opinion on what each of them expects."""
import collections
import random
import re
import time

from lib import guests, paths
from lib.ctl import CtlError
from lib.registry import test

LIST = paths.ROOT / "tests/guest/list"
# Bochs: one model runs the whole list, and on it delivery of interrupts by the CPU is absent, which
# Bochs 2.7 does wrongly when the host is interrupted meanwhile (docs/vmx.md); those with other
# features run the kernels that depend on them most, and an AMD model, as second opinion on SVM,
# those it can.
VMX_MODEL = "corei3_cnl"
FEATURE_KERNELS = ("exit_cr", "event_basic", "paging", "smp_modes", "hostile_race")
OTHER_MODELS = {"vmx_arrandale": ("corei5_arrandale_m520", FEATURE_KERNELS),
                "vmx_skylake": ("corei7_skylake_x",
                                FEATURE_KERNELS + ("event_apic", "dev_irq", "state", "dev_clock")),
                "vmx_tigerlake": ("tigerlake", FEATURE_KERNELS),
                "svm_ryzen": ("ryzen", ("exit_cpuid", "exit_msr", "event_apic", "dev_irq",
                                        "dev_pci", "reset"))}
LEAVE = "\x1d"    # Ctrl-]: from a guest's console back to the prompt
Line = collections.namedtuple("Line", "name cpus memory expect backends options")


def lines():
    for text in LIST.read_text().splitlines():
        words = text.split("#")[0].split()
        if words:
            yield Line(words[0], int(words[1]), words[2], words[3], words[4].split(","), words[5:])


def mib(line):
    return int(line.memory.removesuffix("M"))


def bystander(line):
    """The kernel of the guest beside it: one with a NIC where that is what is attacked."""
    return line.name if any(w.startswith("net=") for w in line.options) else "bystander"


def host_cpus(line):
    """Two; one for each virtual processor where they race against the hypervisor at work for both."""
    return 2 if bystander(line) == "bystander" else line.cpus + 1


def config(line):
    options = dict(w.split("=", 1) for w in line.options if w.startswith(("cpu=", "net=")))
    words = " ".join(w for w in line.options if w.split("=")[0] not in (*options, "disks"))
    disks = [f"disk{i} = module=bystander.elf{ro}" for i, ro in enumerate(("", " ro"))
             if "disks=2" in line.options]
    net = [f"net0 = {options['net']} mac=52:54:00:00:00:0{n}" if "net" in options else "" for n in (1, 2)]
    return f"""
[host]
name = a
console = ttyS0
ctl = ttyS1
[vm t]
memory = {line.memory}
cpus = {line.cpus}
cpu = {options.get('cpu', 'godwit-v1')}
kernel = {line.name}.elf
cmdline = lax=1 {words}
autostart = no
{net[0]}
{chr(10).join(disks)}
[vm bystander]
memory = 16M
cpus = 1
kernel = {bystander(line)}.elf
cmdline = peer=1
autostart = no
{net[1]}
"""


def check_result(stream, timeout):
    match = stream.expect(r"^RESULT (\d+) passed, (\d+) failed", r"^FAIL trap[^\n]*\n", r"vm t: stopped",
                          timeout=timeout)
    failed = re.findall(r"^FAIL .*", stream.text, re.M)
    assert match.lastindex == 2 and match.group(2) == "0" and not failed, "; ".join(failed) or match.group(0)


def check_bystander(m):
    """The other guest goes on, unharmed."""
    m.ctl.request("host")
    m.com1.sendline("vm console bystander")
    first = int(m.com1.expect(r"^tick (\d+) ok", timeout=20).group(1))
    second = int(m.com1.expect(r"^tick (\d+) ok", timeout=20).group(1))
    assert second > first
    assert "tick bad" not in m.com1.text


def wait_off(m):
    """The guest has ended, by itself or stopped; nothing of the host complained."""
    for _ in range(50):
        state = m.ctl.request("vm info t")["state"]
        if state != "running":
            return
        time.sleep(0.1)
    raise AssertionError(f"VM is {state}")


def under_godwit(t, line, slow=1, **machine):
    modules = {f"{n}.elf": paths.BUILD / f"guest-kernels/{n}.elf" for n in (line.name, bystander(line))}
    hostile = line.name.startswith("hostile")
    m = t.machine(config=config(line), modules=modules, memory=max(512, mib(line) + 256),
                  **({"smp": host_cpus(line)} | machine))
    m.com1.expect("Type help", timeout=30 * slow)
    if hostile:
        m.ctl.request("vm start bystander")
    m.ctl.request("vm start t")
    if line.expect.startswith("stopped:"):
        reason = line.expect.removeprefix("stopped:").replace("_", " ")
        m.com1.expect(f"vm t: stopped: .*{reason}", timeout=60 * slow)
        m.com1.expect(r"vm t: vcpu \d: exit")     # the dump
    else:
        m.com1.sendline("vm console t")
        if line.expect == "runs":
            m.com1.expect("endless now", timeout=60 * slow)
        else:
            check_result(m.com1, timeout=100 * slow)
        m.com1.send(LEAVE)
    if hostile:
        check_bystander(m)
    if line.expect == "runs":
        assert m.ctl.request("vm info t")["state"] == "running"
        m.ctl.request("vm stop t")
    wait_off(m)
    return m


def in_bochs(t, line, model=VMX_MODEL, **machine):
    """One processor: several are emulated in turns, so they would only be slower."""
    return under_godwit(t, line, slow=3, bochs=model, **({"smp": 1} | machine))


def on_emulator(t, line):
    m = t.machine(kernel=paths.BUILD / f"guest-kernels/{line.name}.elf", cpu="max", iommu="",
                  smp=line.cpus, memory=max(128, mib(line)), append=" ".join(line.options))
    check_result(m.com1, timeout=60)
    assert m.wait_exit() == ("error", 1)    # debug-exit of 0


@test(timeout=60, needs=("godwit.elf", "guest-kernels/echo.elf", "guest-kernels/bystander.elf"))
def console_echo(t):
    """What a person types reaches the guest, pasted lines included, and nothing is lost."""
    line = Line("echo", 1, "16M", "pass", ["svm"], [])
    modules = {f"{n}.elf": paths.BUILD / f"guest-kernels/{n}.elf" for n in ("echo", "bystander")}
    m = t.machine(config=config(line), modules=modules, smp=2)
    m.com1.expect("Type help", timeout=30)
    m.ctl.request("vm start t")
    m.com1.sendline("vm console t")
    m.com1.expect("^echo ready")
    m.com1.sendline("one")
    m.com1.expect("^echo 1 one$")
    for first in range(2, 62, 4):   # a paste fits the 256 bytes a guest need not have read
        paste = [f"line {n} " + "x" * (n % 40) for n in range(first, first + 4)]
        m.com1.send("".join(text + "\r" for text in paste))
        for n, text in enumerate(paste, first):
            m.com1.expect(f"^echo {n} {text}$")
    m.com1.send(LEAVE)
    m.com1.expect("a> ")
    m.com1.sendline("vm console t")
    m.com1.expect("console of t")
    m.com1.sendline("bye")
    check_result(m.com1, timeout=30)
    m.com1.send(LEAVE)
    wait_off(m)


@test(timeout=200, needs=("godwit.elf", "guest-kernels/event_once.elf", "guest-kernels/bystander.elf"))
def event_once_halted(t):
    """Each interrupt exactly once, while the emulator stops its processors over and over: it
    delivers what an entry injected a second time when it is stopped at the wrong moment."""
    m = t.machine(config=config(Line("event_once", 2, "16M", "pass", ["svm"], ["rounds=3000"])),
                  modules=guests.bare_kernels("event_once", "bystander"), smp=2)
    m.com1.expect("Type help", timeout=30)
    m.ctl.request("vm start t")
    m.com1.sendline("vm console t")
    guests.halt_often(m, r"^RESULT|^FAIL|stopped:")
    check_result(m.com1, timeout=20)


def register(line):
    kernels = (f"guest-kernels/{line.name}.elf", "guest-kernels/bystander.elf")
    options = "".join("_" + re.sub(r"\W", "", w) for w in line.options)
    suffix = f"{line.name}_{line.cpus}{options}"
    for backend, run in (("svm", under_godwit), ("vmx", in_bochs), ("tcg", on_emulator)):
        if backend not in line.backends:
            continue
        needs = kernels + (("godwit.elf",) if backend != "tcg" else ())

        def body(t, line=line, run=run):
            run(t, line)
        body.__name__ = f"{suffix}_{backend}"
        body.__module__ = __name__
        test(timeout=400 if backend == "vmx" else 150, needs=needs)(body)


CROWD = ("hostile_race", "hostile_sweep", "state", "event_apic", "hostile_fatal", "smp_modes")
CROWD_SECONDS = 30


def crowd_config():
    text = "[host]\nname = a\nconsole = ttyS0\nctl = ttyS1\n"
    for name in CROWD + ("bystander",):
        text += (f"[vm {name}]\nmemory = 16M\ncpus = {1 if name == 'bystander' else 2}\n"
                 f"kernel = {name}.elf\ncmdline = lax=1 mode=23\nautostart = no\n")
    return text


def disturb(m, rng, name):
    """One random verb on one VM; what does not fit its state is refused, and that is fine."""
    verbs = (("pause", "resume"), ("reset",), ("stop",), ("delete", "create"), ("info",), ())
    for verb in rng.choice(verbs):
        try:
            m.ctl.request(f"vm {verb} {name}", timeout=60)
        except CtlError as exc:
            assert exc.code in ("EBUSY", "ENOENT"), exc


@test(timeout=180, cores=2, needs=("godwit.elf", "guest-kernels/bystander.elf",
                                   *(f"guest-kernels/{n}.elf" for n in CROWD)))
def hostile_crowd(t):
    """Six guests that do their worst on two processors, started, paused, reset and deleted at
    random: the seventh notices nothing and not a frame is lost."""
    rng = random.Random(1)
    modules = {f"{n}.elf": paths.BUILD / f"guest-kernels/{n}.elf" for n in CROWD + ("bystander",)}
    m = t.machine(config=crowd_config(), modules=modules, smp=2, memory=1024)
    m.com1.expect("Type help", timeout=30)
    used = [(r["name"], r["used"]) for r in m.ctl.request("mem") if r.get("row") == "account"]
    m.ctl.request("vm start bystander")
    end = time.monotonic() + CROWD_SECONDS
    while time.monotonic() < end:
        for name in CROWD:
            if m.ctl.request(f"vm info {name}", timeout=60)["state"] != "running":
                m.ctl.request(f"vm start {name}", timeout=60)
            disturb(m, rng, name)
        time.sleep(0.3)
    check_bystander(m)
    m.com1.send(LEAVE)
    for name in CROWD + ("bystander",):
        m.ctl.request(f"vm delete {name}", timeout=60)
    left = dict((r["name"], r["used"]) for r in m.ctl.request("mem") if r.get("row") == "account")
    for name, before in used:
        assert left.get(name, "0") == before or name not in CROWD, f"{name}: {left[name]} bytes"


def register_models(line):
    for label, (model, kernels) in OTHER_MODELS.items():
        if line.name not in kernels:
            continue

        def body(t, line=line, model=model):
            in_bochs(t, line, model)
        body.__name__ = f"{line.name}_{line.cpus}_{label}"
        body.__module__ = __name__
        test(timeout=400, needs=("godwit.elf", f"guest-kernels/{line.name}.elf",
                                 "guest-kernels/bystander.elf"))(body)


for entry in lines():
    register(entry)
    if "vmx" in entry.backends and not entry.options:
        register_models(entry)
