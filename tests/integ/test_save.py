# SPDX-License-Identifier: Apache-2.0
"""A VM into a file and back: `godwitctl save`, the host off and on, `godwitctl restore`."""
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
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    (t.dir / "bad.vm").write_bytes(data)
    used = run("--json", "mem")[0]
    assert "damaged" in run("restore", t.dir / "bad.vm", status=1)[1]
    run("vm", "create", "one")
    run("restore", file)
    guests.attach(m, "one")
    m.com1.sendline("elsewhere")
    m.com1.expect(r"^said: ELSEWHERE\n")
    guests.leave(m)
