# SPDX-License-Identifier: Apache-2.0
"""Linux guests on a Godwit host: configuration, boot modules, their consoles."""
import itertools
import re
import time

from lib import paths
from lib.machine import CPU
from lib.stream import TIME_SCALE

SHELL_S = 90                        # seconds to a guest's prompt on a loaded machine
PROMPT = r"^[a-z]> "              # of a host with a name of one letter
ESCAPE = "\x1d"                     # Ctrl-]: leaves a guest's console
MARKS = itertools.count(1)
CPU_XAPIC = CPU.replace("+x2apic", "-x2apic")


def vm_section(name, cpus=2, memory="256M", kernel="vmlinuz", cmdline="", more=""):
    """The section of one Linux guest."""
    return (f"[vm {name}]\nmemory = {memory}\ncpus = {cpus}\nkernel = {kernel}\n"
            f"initrd = initrd.img\ncmdline = console=ttyS0 quiet {cmdline}\nautostart = yes\n{more}")


def host_config(*sections):
    return "[host]\nname = a\nconsole = ttyS0\nctl = ttyS1\n" + "".join(sections)


def modules(flavour="stock"):
    return {"vmlinuz": paths.GUEST / f"vmlinuz-{flavour}", "initrd.img": paths.GUEST / "initrd.img"}


def needs(flavour="stock"):
    """What `make` must have made for a guest of this flavour."""
    return ("godwit.elf", f"guest/vmlinuz-{flavour}", "guest/initrd.img")


def wait_console(m, timeout=60):
    """The host's prompt: commands are read from here on."""
    m.com1.expect(PROMPT, timeout=timeout)


def attach(m, name):
    """From the host's prompt to the guest's console."""
    m.com1.sendline(f"vm console {name}")
    m.com1.expect(rf"\[console of {name},")


def leave(m):
    m.com1.send(ESCAPE)
    m.com1.expect(PROMPT)


def shell(m, timeout=SHELL_S):
    """On an attached console: the guest's prompt; (kernel release, processors)."""
    found = m.com1.expect(r"godwit-guest: kernel=(\S+) cpus=(\d+)", timeout=timeout)
    m.com1.expect(r"^guest# ", timeout=timeout)
    return found.group(1), int(found.group(2))


def answer(m, command, timeout):
    """A command at the attached guest's prompt; (exit status, output). The console shows old text
    again when it is attached, so each command has marks of its own."""
    mark = next(MARKS)
    m.com1.sendline(f"echo begin{mark}; {command}; echo status{mark} $?.")
    m.com1.expect(rf"^begin{mark}\n", timeout=timeout)
    which, found = m.com1.expect_any(rf"(?s)(.*?)^status{mark} (\d+)\.$",
                                     r"^\[\S+ is failed: .*\]$", timeout=timeout)
    assert which == 0, f"{command}: {found.group(0)}"
    return int(found.group(2)), found.group(1)


def run(m, command, timeout=30):
    """The same, when the prompt is back."""
    result = answer(m, command, timeout)
    m.com1.expect(r"^guest# ", timeout=timeout)
    return result


def ask(m, command, timeout=120):
    """The output of a command that has to succeed."""
    status, text = answer(m, command, timeout)
    assert status == 0, f"{command}: {text}"
    return text


def on(m, i, command, timeout=60):
    """The same in guest gI, from the host's prompt."""
    attach(m, f"g{i}")
    status, text = answer(m, command, timeout)
    leave(m)
    assert status == 0, f"g{i}: {command}: {text}"
    return text


def check_clean(m):
    """No warning of the guest's kernel."""
    status, text = run(m, "sh /tests/check-dmesg.sh")
    assert status == 0, text


def halt_often(m, pattern):
    """Stops and continues the emulator's processors, wherever they are, until the console has a line like pattern."""
    m.com1.mark()
    at, times = len(m.com1.text), 0
    while not re.search(pattern, m.com1.text[at:], re.M):
        m.qmp.command("stop")
        m.qmp.command("cont")
        times += 1
    assert times > 100, f"{times} stops only"


# ---- bare kernels ----------------------------------------------------------------------------

def bare_kernels(*names):
    """Boot modules NAME.elf."""
    return {f"{name}.elf": paths.BUILD / f"guest-kernels/{name}.elf" for name in names}


def state_of(m, name):
    return next(r["state"] for r in m.ctl.request("vm list") if r.get("name") == name)


def run_bare(m, name, timeout=40):
    """The VM's kernel from start to power-off: no check of it may have failed."""
    earlier = m.bare_runs.get(name, 0)      # what they said comes again
    m.bare_runs[name] = earlier + 1
    attach(m, name)
    at = len(m.com1.text)
    m.ctl.request(f"vm start {name}")
    for _ in range(earlier + 1):
        m.com1.expect(r"^RESULT \d+ passed, \d+ failed", timeout=timeout)
    leave(m)
    failed = re.findall(r"^FAIL .*", m.com1.text[at:], re.M)
    assert not failed, "; ".join(failed)
    end = time.monotonic() + timeout * TIME_SCALE
    while state_of(m, name) != "off":
        assert time.monotonic() < end, f"{name} is {state_of(m, name)} after {timeout} s"


def host_log(m):
    """The host's log: what it says while a console is attached comes to the screen later only."""
    return "\n".join(r["text"] for r in m.ctl.request("log lines=1000") if "text" in r)


def check_bystander(m):
    """The VM `bystander`, which looks at its memory all the time, goes on and found nothing bad."""
    at = len(m.com1.text)
    attach(m, "bystander")
    m.com1.mark()
    m.com1.expect(r"^tick \d+ ok", timeout=20)
    leave(m)
    assert "bad" not in m.com1.text[at:]
