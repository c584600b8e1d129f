# SPDX-License-Identifier: Apache-2.0
"""A VM into a file and back: `godwitctl save`, the host off and on, `godwitctl restore`."""
import json
import subprocess
import sys

from lib import guests, paths
from lib.registry import test

TALK = "guest-kernels/talk.elf"
GODWITCTL = paths.ROOT / "tools/godwitctl"


def host(t, sections, modules, **options):
    """A machine whose control port is a socket, its prompt seen; and godwitctl for it."""
    path = t.dir / f"ctl{len(list(t.dir.glob('ctl*')))}"
    m = t.machine(config=f"[host]\nname = a\nctl = ttyS2\n{sections}", modules=modules,
                  devices=("-chardev", f"socket,id=tool,path={path},server=on,wait=off",
                           "-device", "isa-serial,chardev=tool,index=2"), **options)
    m.com1.expect(r"^a> ", timeout=90)

    def run(*words, status=0):
        p = subprocess.run([sys.executable, GODWITCTL, "--socket", path, *map(str, words)],
                           timeout=600, input=b"", capture_output=True, check=False)
        assert p.returncode == status, (words, p)
        return p.stdout.decode(), p.stderr.decode()

    return m, run


def memory(run):
    return json.loads(run("--json", "mem")[0])["used"]


def off(m):
    m.com1.sendline("poweroff")
    assert m.wait_exit() == ("off", 0)


@test(timeout=120, needs=("godwit.elf", TALK))
def small(t):
    """A small guest, and what must be refused."""
    section = "[vm one]\nmemory = 16M\ncpus = 2\nkernel = talk.elf\ncmdline = I am one\n"
    modules = {"talk.elf": paths.BUILD / TALK}
    file = t.dir / "one.vm"
    m, run = host(t, section, modules)
    assert "EBUSY: vm one is off" in run("save", "one", file, status=1)[1]
    run("vm", "start", "one")
    guests.attach(m, "one")
    m.com1.expect(r"^talk: ready, I am one\n")
    m.com1.sendline("before")
    m.com1.expect(r"^said: BEFORE\n")
    guests.leave(m)
    run("save", "one", file, "resume")
    assert "EEXIST: a vm named one exists" in run("restore", file, status=1)[1]
    guests.attach(m, "one")
    m.com1.sendline("after")
    m.com1.expect(r"^said: AFTER\n")
    guests.leave(m)
    run("save", "one", file)
    assert "off" in run("vm", "list")[0]
    off(m)
    m, run = host(t, section, modules)
    data = file.read_bytes()
    used = memory(run)
    for at in range(0, len(data), len(data) // 12):
        bad = bytearray(data)
        bad[at] ^= 1
        (t.dir / "bad.vm").write_bytes(bad)
        assert run("restore", t.dir / "bad.vm", status=1)[1], f"byte {at}"
    assert memory(run) == used, "memory is not given back"
    run("restore", file)
    guests.attach(m, "one")
    m.com1.sendline("elsewhere")
    m.com1.expect(r"^said: ELSEWHERE\n")
    guests.leave(m)


def numbers(m, command):
    return [float(x) for x in guests.run(m, command)[1].split()]


@test(timeout=900, needs=guests.needs(), cores=2)
def linux(t):
    """A stock Linux guest with two processors at work: its clock goes on, its kernel is content."""
    section = guests.vm_section("linux", memory="128M").replace("autostart = yes\n", "")
    modules = guests.modules()
    file = t.dir / "linux.vm"
    m, run = host(t, section, modules, memory=512)
    run("vm", "start", "linux")
    guests.attach(m, "linux")
    guests.shell(m)
    guests.run(m, "(while :; do echo $((n += 1)) > /tmp/n; sleep 0.05; done) & dmesg -n 8")
    guests.run(m, "cat /proc/[0-9]*/comm | sort > /tmp/before")
    uptime = numbers(m, "cat /proc/uptime")[0]
    guests.leave(m)
    run("save", "linux", file)
    print(f"{file.stat().st_size} bytes")
    off(m)
    m, run = host(t, section, modules, memory=512)
    run("restore", file)
    guests.attach(m, "linux")
    m.com1.sendline("")
    m.com1.expect(r"^guest# ", timeout=60)
    later, count = numbers(m, "cut -d ' ' -f 1 /proc/uptime; cat /tmp/n")
    assert uptime < later < uptime + 600, f"uptime {uptime} before, {later} after"
    assert numbers(m, "sleep 1; cat /tmp/n")[0] > count, "a process stands still"
    _, text = guests.run(m, "cat /proc/[0-9]*/comm | sort | diff /tmp/before - | grep -v kworker")
    assert not [x for x in text.splitlines() if x[0] == "<"], f"processes are gone: {text}"
    guests.check_clean(m)
