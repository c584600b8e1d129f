# SPDX-License-Identifier: Apache-2.0
"""A VM into a file and back: `godwitctl save`, the host off and on, `godwitctl restore`."""
import json
import socket
import subprocess
import sys
import threading
import time

import test_courier
from lib import guests, paths
from lib.registry import test
from test_guest import VMX_MODEL

TALK, STATE = "guest-kernels/talk.elf", "guest-kernels/moved.elf"
GODWITCTL = paths.ROOT / "tools/godwitctl"


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


def join(port, path):
    """The one connection that Bochs makes to this port, for each in turn that comes to the path."""
    machine = port.accept()[0]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        tool = [None]

        def out():
            while data := machine.recv(65536):
                try:
                    tool[0].sendall(data)
                except (OSError, AttributeError):
                    pass            # nobody reads it any more
        threading.Thread(target=out, daemon=True).start()
        while True:
            tool[0] = server.accept()[0]
            pump(tool[0], machine)


def control_port(path, emulator):
    """What an emulator is told so that its third serial port is a socket at this path."""
    if emulator == "qemu":
        return ("-chardev", f"socket,id=tool,path={path},server=on,wait=off",
                "-device", "isa-serial,chardev=tool,index=2")
    port = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=join, args=(port, path), daemon=True).start()
    return (f"com3: enabled=1, mode=socket-client, dev=127.0.0.1:{port.getsockname()[1]}",)


def host(t, sections, modules, more=(), **options):
    """A machine whose control port is a socket, its prompt seen; and godwitctl for it."""
    path = t.dir / f"ctl{len(list(t.dir.glob('ctl*')))}"
    m = t.machine(config=f"[host]\nname = a\nctl = ttyS2\n{sections}", modules=modules,
                  devices=control_port(path, "bochs" if "bochs" in options else "qemu") + more,
                  **options)
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


@test(timeout=400, needs=("godwit.elf", TALK))
def other_backend(t):
    """A guest saved under SVM is refused under VMX and the other way round: with the reason, and
    nothing of it stays."""
    section = "[vm one]\nmemory = 8M\nkernel = talk.elf\ncmdline = I am one\n"
    modules = {"talk.elf": paths.BUILD / TALK}
    kinds = {"svm": {}, "vmx": {"bochs": VMX_MODEL, "smp": 1, "memory": 256}}
    hosts = {name: host(t, section, modules, **options) for name, options in kinds.items()}
    for name, (_, run) in hosts.items():
        run("vm", "start", "one")
        run("save", "one", t.dir / f"{name}.vm")
        assert "off" in run("vm", "list")[0]
    for name, (m, run) in hosts.items():
        used = memory(run)
        other = "vmx" if name == "svm" else "svm"
        why = run("restore", t.dir / f"{other}.vm", status=1)[1]
        print(f"{other} to {name}: {why.strip()}")
        assert f"from another kind of CPU, this host has {name}" in why, why
        assert memory(run) == used, "memory is not given back"
        run("restore", t.dir / f"{name}.vm")
        assert "running" in run("vm", "list")[0]


def numbers(m, command):
    return [float(x) for x in guests.run(m, command)[1].split()]


def remote_host(t, section):
    """A machine with a courier, and godwitctl by way of it."""
    port = test_courier.free_port()
    run = test_courier.Remote(t, port)
    m = t.machine(config=guests.host_config(test_courier.courier_section("10.0.0.1"), section),
                  modules=guests.modules() | {"courier.elf": paths.BUILD / "courier.elf",
                                              "psk.hex": run.key},
                  memory=768, devices=test_courier.outside(port))
    guests.wait_console(m, timeout=60)
    m.com1.expect("link up", timeout=60)
    return m, run


@test(timeout=400, needs=guests.needs() + ("courier.elf",), cores=2)
def linux(t):
    """A stock Linux guest with two processors at work: its clock goes on, its kernel is content."""
    section = guests.vm_section("linux", memory="128M").replace("autostart = yes\n", "")
    file = t.dir / "linux.vm"
    m, run = remote_host(t, section)
    run("vm", "start", "linux")
    guests.attach(m, "linux")
    guests.shell(m)
    guests.run(m, "(while :; do echo $((n += 1)) > /tmp/n; sleep 0.05; done) & sleep 987654 & true")
    uptime = numbers(m, "cut -d ' ' -f 1 /proc/uptime")[0]
    guests.leave(m)
    start = time.monotonic()
    run("save", "linux", str(file), timeout=300)
    print(f"{file.stat().st_size} bytes saved in {time.monotonic() - start:.1f} s")
    off(m)
    m, run = remote_host(t, section)
    start = time.monotonic()
    run("restore", str(file), timeout=300)
    print(f"restored in {time.monotonic() - start:.1f} s")
    guests.attach(m, "linux")
    m.com1.sendline("")
    m.com1.expect(r"^guest# ", timeout=60)
    later, count = numbers(m, "cut -d ' ' -f 1 /proc/uptime; cat /tmp/n")
    assert uptime < later < uptime + 600, f"uptime {uptime} before, {later} after"
    assert numbers(m, "sleep 1; cat /tmp/n")[0] > count, "a process stands still"
    assert numbers(m, "ps | grep -c '[9]87654'")[0] == 1, "a process is gone"
    guests.check_clean(m)


def state(t, moves, slow=1, **machine):
    """A guest that looks at all state it has moves to the host that it is on, again and again; a
    processor that waited for its startup IPI all the time starts."""
    section = "[vm s]\nmemory = 8M\ncpus = 3\nkernel = moved.elf\nautostart = yes\n"
    m = t.machine(config=guests.host_config(section), memory=256,
                  modules={"moved.elf": paths.BUILD / STATE}, **machine)
    guests.wait_console(m, timeout=60 * slow)
    for _ in range(moves + 1):
        guests.attach(m, "s")
        for _ in range(3):
            assert m.com1.expect(r"^state \d+ (ok|bad)", timeout=30 * slow).group(1) == "ok"
        guests.leave(m)
        m.ctl.request("migrate s local")
        m.com1.expect(r"vm s: came here", timeout=30 * slow)
    guests.attach(m, "s")
    m.com1.send("x")
    m.com1.expect(r"^late: CPU 2 runs", timeout=30 * slow)
    assert m.com1.expect(r"^state \d+ (ok|bad)", timeout=30 * slow).group(1) == "ok"


@test(timeout=120, needs=("godwit.elf", STATE))
def state_svm(t):
    state(t, 5)


@test(timeout=300, needs=("godwit.elf", STATE))
def state_vmx(t):
    state(t, 3, slow=3, bochs="corei7_skylake_x", smp=1)
