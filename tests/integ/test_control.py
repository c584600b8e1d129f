# SPDX-License-Identifier: Apache-2.0
"""Control: the prompt for people, the port for tools, guest consoles on both, the verbs."""
import json
import re
import subprocess
import sys
import time

from lib import paths
from lib.ctl import CtlError
from lib.registry import test

TALK = "guest-kernels/talk.elf"
NEEDS = ("godwit.elf", TALK)
GODWITCTL = paths.ROOT / "tools/godwitctl"


def section(name, more=""):
    return f"[vm {name}]\nmemory = 16M\ncpus = 1\nkernel = talk.elf\ncmdline = I am {name}\n{more}"


def host(t, *sections, head="name = a\nconsole = ttyS0\nctl = ttyS1", **options):
    """A machine with these VMs, its prompt seen."""
    config = f"[host]\n{head}\n" + "".join(sections or (section("one"), section("two")))
    m = t.machine(config=config, modules={"talk.elf": paths.BUILD / TALK}, **options)
    m.com1.expect(r"^a> ", timeout=40)
    return m


def refused(m, request, code, text):
    try:
        m.ctl.request(request)
    except CtlError as exc:
        assert exc.code == code and re.search(text, exc.text), f"{request}: {exc}"
        return
    raise AssertionError(f"'{request}' was not refused")


def states(m):
    return {r["name"]: r["state"] for r in m.ctl.request("vm list") if r.get("row") == "vm"}


def wait_state(m, name, state, timeout=10):
    end = time.monotonic() + timeout
    while states(m)[name] != state:
        assert time.monotonic() < end, f"vm {name} is {states(m)[name]}, not {state}"
        time.sleep(0.1)


def memory(m):
    """Used bytes of each account; the pool's sums must agree."""
    reply = m.ctl.request("mem")
    assert reply["balanced"] == "yes"
    used = {r["name"]: int(r["used"]) for r in reply if r.get("row") == "account"}
    assert sum(used.values()) == int(reply["used"])
    assert int(reply["free"]) + int(reply["used"]) + int(reply["overhead"]) == int(reply["total"])
    return used


def raw_log(m):
    """The console's bytes, control sequences included."""
    return (m.dir / "com1.log").read_bytes()


@test(timeout=90, needs=NEEDS)
def prompt(t):
    """Editing, history, completion and errors as a person sees them."""
    m = host(t)
    m.com1.send("vrsion\x01\x1b[Ce\r")              # a character put in near the start
    m.com1.expect(r"^version +\d+\.\d+\.\d+\n")
    m.com1.send("\x1b[A\r")                         # the same again
    m.com1.expect(r"^version +\d+\.\d+\.\d+\n")
    m.com1.send("vm st\t")
    m.com1.expect(r"^start  stop  \n")
    m.com1.send("a\tt\t\r")                         # a, t: one verb and one VM left
    m.com1.expect(r"vm two: started")
    m.com1.sendline("vm fly")
    m.com1.expect(r"^error: vm fly: unknown, there is: list, info")
    m.com1.sendline("nothing")
    m.com1.expect(r"^error: unknown verb nothing, try help")
    m.com1.sendline("help vm start")
    m.com1.expect(r"^vm start VM +power on\n")
    m.com1.sendline("help")
    m.com1.expect(r"^poweroff +stop all VMs")


@test(timeout=90, needs=NEEDS)
def log_and_typing(t):
    """A log line that comes while someone types leaves the typed line whole."""
    m = host(t)
    m.com1.send("vers")
    m.com1.expect(r"vers")
    m.ctl.request("vm start one")
    m.com1.expect(r"vm one: started.*\n.*a> vers")
    m.com1.sendline("ion")
    m.com1.expect(r"^version +\d")


@test(timeout=90, needs=NEEDS)
def log_while_attached(t):
    """Log lines wait for the prompt; what the log no longer has is said."""
    m = host(t)
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    for _ in range(70):
        m.ctl.request("vm dump one")
    assert "rip" not in m.com1.text
    m.com1.send("\x1d")
    lost = m.com1.expect(r"\[(\d+) bytes of the log were overwritten\]\n *\d+\.\d{6} ").group(1)
    assert 0 < int(lost) < 200000
    m.com1.expect(r"^a> ", timeout=20)
    m.com1.sendline("version")
    m.com1.expect(r"^version +\d")


@test(timeout=120, needs=NEEDS)
def guest_console(t):
    """Attach, talk, leave; what was printed before is there."""
    m = host(t, section("one", "autostart = yes\n"), section("two", "autostart = yes\n"))
    wait_state(m, "two", "running")
    time.sleep(1)
    m.com1.sendline("vm console one")
    m.com1.expect(r"\[console of one, Ctrl-\] leaves\]\n")
    m.com1.expect(r"^talk: ready, I am one\n")
    m.com1.sendline("hello there")
    m.com1.expect(r"^said: HELLO THERE\n")
    m.com1.sendline("x" * 240)                      # typed ahead of the guest
    m.com1.expect(r"^said: X{240}\n")
    m.com1.send("\x1d")
    m.com1.expect(r"\[left console of one\]\n")
    m.com1.expect(r"^a> ")
    m.com1.sendline("vm console two")
    m.com1.expect(r"^talk: ready, I am two\n")
    m.com1.send("\x1d")
    m.com1.expect(r"^a> ")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^said: HELLO THERE\n")
    m.com1.sendline("burst")
    m.com1.expect(r"^burst line 2499\nsaid: BURST\n", timeout=60)
    lines = re.findall(r"^burst line +(\d+)$", m.com1.text, re.M)
    assert lines == [str(i) for i in range(2500)], f"{len(lines)} of 2500 lines"
    m.com1.send("\x1d")
    m.com1.expect(r"^a> ")
    m.com1.sendline("vm console one")               # all that is kept, at once
    m.com1.expect(r"^burst line 2499\nsaid: BURST\n", timeout=10)
    kept = m.com1.text.rpartition("[console of one")[2]
    assert 15000 < len(kept) < 17000, f"{len(kept)} bytes kept"
    m.com1.sendline("ask")                          # the terminal who and where it is
    m.com1.expect(r"said: ASK")
    asked = raw_log(m).count(b"\x1b[6n")
    m.com1.send("\x1d")
    m.com1.expect(r"^a> ")
    m.com1.sendline("vm console one")
    m.com1.expect(r"said: ASK")
    assert asked == 1 and raw_log(m).count(b"\x1b[6n") == 1, "an old query is asked again"


@test(timeout=90, needs=NEEDS)
def both_ports_on_one_guest(t):
    """The prompt and a tool look at the same console."""
    m = host(t)
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    m.com2.send("id=5 vm console one\n")
    m.com2.expect(r"^id=5\nok\n")
    m.com2.expect(r"^talk: ready")
    m.com2.send("from the tool\r")
    m.com1.expect(r"^said: FROM THE TOOL\n")
    m.com2.expect(r"^said: FROM THE TOOL\n")
    m.com1.sendline("leave")
    m.com2.expect("<\x1d\x1d\n\x1d\x1d>\n")         # the guest cannot end the raw mode
    m.com2.expect(r"said: LEAVE")
    m.com2.send("\x1d")
    m.com2.expect("\x1d\n")
    assert m.ctl.request("version")["version"]
    m.com1.expect(r"^said: LEAVE")


@test(timeout=120, needs=NEEDS)
def output_never_stalls(t):
    """A port that has more to send than one interrupt may take goes on by itself."""
    m = host(t)
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    for _ in range(2):
        m.com2.mark()
        m.com2.send("vm console one\n")
        m.com2.expect(r"^ok\n")
        m.com2.send("burst\r")
        m.com2.expect(r"^burst line 1000$", timeout=30)
        m.com2.send("\x1d")
        m.com2.expect("\x1d\n")
        for _ in range(80):                        # more requests and replies than fit
            m.com2.send("log lines=2000\n")
        m.com2.send("id=last version\n")
        m.com2.expect(r"^id=last\nversion=", timeout=60)
    ports = [r for r in m.ctl.request("irq") if r.get("row") == "serial"]
    assert all(p["rx_lost"] == "0" and p["tx_dropped"] == "0" for p in ports), ports


@test(timeout=90, needs=NEEDS)
def guest_goes_away(t):
    """Deleted, off and failed VMs give the port back or say what happened."""
    m = host(t)
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    m.ctl.request("vm delete one")
    m.com1.expect(r"\[left console of one\]\n")
    m.com1.expect(r"vm one: deleted")
    assert states(m) == {"two": "off"}
    m.ctl.request("vm create one")
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    m.com1.sendline("off")
    m.com1.expect(r"^\[one is off: .+\]\n")
    wait_state(m, "one", "off")
    m.ctl.request("vm start one")
    m.com1.expect(r"^talk: ready")
    m.com1.sendline("reset")
    m.com1.expect(r"^talk: ready")
    m.com1.sendline("die")
    m.com1.expect(r"^\[one is failed: triple fault\]\n")
    wait_state(m, "one", "failed")
    assert "triple fault" in m.ctl.request("vm info one")["reason"]
    m.com1.send("\x1d")
    m.com1.expect(r"vm one: stopped: triple fault")
    m.com1.sendline("vm start one")
    m.com1.expect(r"vm one: started")


@test(timeout=90, needs=NEEDS)
def life_cycle(t):
    """Every state and every refusal; the memory accounts balance after each round."""
    m = host(t)
    before = memory(m)
    for _ in range(3):
        m.ctl.request("vm start one")
        refused(m, "vm start one", "EBUSY", "is running")
        refused(m, "vm resume one", "EBUSY", "is running, not paused")
        m.ctl.request("vm pause one")
        assert states(m)["one"] == "paused"
        up = m.ctl.request("vm info one")["up_ms"]
        time.sleep(0.3)
        assert m.ctl.request("vm info one")["up_ms"] == up, "the clock of a paused VM runs"
        refused(m, "vm pause one", "EBUSY", "is paused, not running")
        m.ctl.request("vm resume one")
        m.ctl.request("vm reset one")
        assert memory(m)["one"] > 16 << 20
        m.ctl.request("vm stop one")
        refused(m, "vm stop one", "EBUSY", "is off")
        refused(m, "vm reset one", "EBUSY", "is off")
        refused(m, "vm dump one", "EBUSY", "is off")
        refused(m, "vm create one", "EEXIST", "exists")
        m.ctl.request("vm delete one")
        refused(m, "vm start one", "ENOENT", "no vm named one")
        m.ctl.request("vm create one")
        assert memory(m) == before
    refused(m, "vm create three", "ENOENT", r"no section \[vm three\]")


@test(timeout=90, needs=NEEDS)
def looking(t):
    """The verbs that only look, in the form for tools."""
    m = host(t)
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    dump = m.ctl.request("vm dump one")
    assert any("rip" in r.get("text", "") for r in dump), dump
    assert states(m)["one"] == "running"
    exits = {r["exit"]: int(r["count"]) for r in m.ctl.request("stat one") if r.get("row")}
    assert exits["io"] > 0, exits
    info = m.ctl.request("vm info one")
    assert info["memory"] == str(16 << 20) and info["cmdline"] == "I am one"
    h = m.ctl.request("host")
    assert h["name"] == "a" and h["cpus"] == "2"
    log = [r["text"] for r in m.ctl.request("log lines=1000")]
    assert any("processor" in line for line in log) and len(log) > 20
    assert len(m.ctl.request("log lines=3")) == 3
    irq = m.ctl.request("irq")
    taken = {r["handler"]: int(r["count"]) for r in irq if r.get("row") == "vector"}
    assert sum(taken.values()) > 0 and taken["serial_irq"] > 0, taken
    ports = [r for r in irq if r.get("row") == "serial"]
    assert [p["port"] for p in ports] == ["ttyS0", "ttyS1"]
    assert all(p["rx_lost"] == "0" and p["tx_dropped"] == "0" for p in ports)


@test(timeout=90, needs=NEEDS)
def trace(t):
    """Events are recorded between on and off, in the order of time."""
    m = host(t)
    assert not [r for r in m.ctl.request("trace show") if r.get("row")]
    m.ctl.request("trace on")
    m.ctl.request("vm start one")
    m.com1.sendline("vm console one")
    m.com1.expect(r"^talk: ready")
    m.ctl.request("trace off")
    reply = m.ctl.request("trace show last=500")
    assert reply["tracing"] == "off"
    events = [r for r in reply if r.get("row")]
    assert any(r["event"].startswith("exit io") and r["vcpu"] == "0.0" for r in events)
    times = [int(r["tsc"]) for r in events]
    assert len(times) > 100 and times == sorted(times)
    assert [r for r in m.ctl.request("trace show last=500") if r.get("row")] == events


@test(timeout=90, needs=NEEDS)
def tool_port(t):
    """The protocol: one reply a request, id echoed, what is malformed refused."""
    m = host(t)
    m.com2.send("id=a-1 version\nid=2 nothing\n\nversion x\n")
    m.com2.expect(r"^id=a-1\nversion=\d+\.\d+\.\d+\nok\nid=2\nerror ENOENT unknown verb nothing, "
                  r"try help\nerror EINVAL empty request\nerror EINVAL usage: version\n")
    m.com2.send("x" * 600 + "\nversion \"\n" + "half a line\x1dversion\r\n")
    m.com2.expect(r"^error EINVAL line longer than 511 characters\nerror EINVAL a quote is not closed\n"
                  r"version=\S+\nok\n")
    refused(m, "log lines=0", "ERANGE", "from 1 to 2000")
    refused(m, "log lines=many", "EINVAL", "number")
    refused(m, "log pages=1", "EINVAL", "unknown option pages=, known: lines")
    m.com2.send("".join(f"id={i} vm list\n" for i in range(100)))
    m.com2.expect(r"^id=99\ntable=vm\n(row=vm .*\n){2}ok\n")
    assert re.findall(r"^id=(\d+)$", m.com2.text, re.M)[1:] == [str(i) for i in range(100)]


@test(timeout=90, needs=NEEDS)
def port_choice(t):
    """The ports follow the configuration; one that is not there is said."""
    m = t.machine(config="[host]\nname = a\nconsole = ttyS1\nctl = ttyS3\n")
    m.com2.expect(r"^a> ", timeout=40)
    m.com2.sendline("version")
    m.com2.expect(r"^version +\d")
    assert "host.ctl: ttyS3 cannot be used: no 16550 answers" in m.debugcon()


@test(timeout=90, needs=NEEDS)
def ctl_none(t):
    m = host(t, head="name = a\nctl = none")
    m.com1.sendline("irq")
    m.com1.expect(r"^ttyS0 +yes")
    m.com1.expect(r"^a> ")
    assert "ttyS1" not in m.com1.text


@test(timeout=90, needs=NEEDS)
def ctl_on_com1(t):
    """No log line gets into the replies of the only port."""
    m = t.machine(config="[host]\nname = a\nconsole = none\nctl = ttyS0\n" + section("one"),
                  modules={"talk.elf": paths.BUILD / TALK})
    m.com1.expect(r" ready\n", timeout=40)
    m.com1.send("id=1 vm start one\nid=2 vm stop one\nid=3 log lines=2\n")
    m.com1.expect(r"^id=1\nok\nid=2\nok\nid=3\ntext=.*started.*\ntext=.*off.*\nok\n")
    assert m.com1.text.count("vm one: started") == 1


@test(timeout=90, needs=NEEDS)
def machine_ends(t):
    """poweroff and reboot stop the VMs and end the machine."""
    m = host(t, section("one", "autostart = yes\n"))
    m.com1.sendline("poweroff")
    m.com1.expect(r"vm one: off")
    m.com1.expect(r"power off")
    assert m.wait_exit() == ("off", 0)
    m = host(t, reboot=True)
    m.ctl.request("reboot")
    m.com1.expect(r"reboot")
    m.com1.expect(r"^Godwit \d", timeout=40)
    m.com1.expect(r"^a> ", timeout=40)


@test(timeout=90, needs=NEEDS)
def tool(t):
    """tools/godwitctl against the real port."""
    path = t.dir / "ctl"
    m = host(t, head="name = a\nctl = ttyS2",
             devices=("-chardev", f"socket,id=tool,path={path},server=on,wait=off",
                      "-device", "isa-serial,chardev=tool,index=2"))

    def run(*words, status=0):
        p = subprocess.run([sys.executable, GODWITCTL, "--socket", path, *words], timeout=60,
                           input=b"", capture_output=True, check=False)
        assert p.returncode == status, (words, p)
        return p.stdout.decode(), p.stderr.decode()

    run("vm", "start", "one")
    rows = json.loads(run("--json", "vm", "list")[0])["vm"]
    assert {r["name"]: r["state"] for r in rows} == {"one": "running", "two": "off"}
    assert "running" in run("vm", "list")[0]
    assert "ENOENT: no vm named x" in run("vm", "start", "x", status=1)[1]
    assert "usage: vm start VM" in run("vm", "start", status=2)[1]
    assert "talk: ready, I am one" in run("console", "one")[0]
    assert "2 CPUs" in run("--count", "1", "top")[0]
    assert len(json.loads(run("log", "lines=500", "--json")[0])["text"]) > 20
    assert m.com1.text.count("vm one: started") == 1
