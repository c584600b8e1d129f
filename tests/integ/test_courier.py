# SPDX-License-Identifier: Apache-2.0
"""The courier's ports, with stock Linux and its virtio_console in the courier's place."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from lib import guests, lab, paths, pv
from lib.registry import test

sys.path.insert(0, str(paths.ROOT / "tools/lib"))
import psk  # noqa: E402

COURIER = ("[vm g1]\nrole = courier\nmemory = 128M\ncpus = 1\nkernel = vmlinuz\n"
           "initrd = initrd.img\ncmdline = console=ttyS0 quiet\nautostart = yes\n"
           "net0 = pv mac=52:54:00:00:00:f0\nip = 10.0.0.1/24\npsk = psk.hex\n")

def shell(m):
    guests.attach(m, "g1")
    m.com1.expect(r"^guest# ", timeout=guests.SHELL_S)
    guests.leave(m)


@test(timeout=300, needs=pv.NEEDS)
def linux_ports(t):
    """Named ports; requests through one of them, as long as you like; it comes back when it dies."""
    t.dir.mkdir(parents=True, exist_ok=True)
    (t.dir / "key").write_text("00" * 32)
    m = t.machine(config=guests.host_config(COURIER), memory=768,
                  modules=pv.modules() | {"psk.hex": t.dir / "key"})
    guests.wait_console(m, timeout=90)
    shell(m)
    names = guests.on(m, 1, "cat /sys/class/virtio-ports/*/name").split()
    assert names == ["godwit.ctl", "godwit.mig"], names
    text = guests.on(m, 1, "sh /tests/ask.sh version nonsense 'id=7 vm list'")
    assert re.search(r"^version=\S+\nok\nerror ENOENT .*\nid=7\n(.*\n)*.*name=g1 .*\nok$", text.strip()), text
    # What was not sent as a whole is gone with who sent it; and many in a row.
    guests.on(m, 1, "echo -n 'half a requ' >/dev/vport*p0")
    text = guests.on(m, 1, "sh /tests/ask.sh version log log log >/tmp/all; head -n 2 /tmp/all; "
                       "grep -c text= /tmp/all; tail -n 1 /tmp/all")
    assert re.fullmatch(r"version=\S+\nok\n\d{3}\nok", text.strip()), text
    guests.on(m, 1, "sh /tests/check-dmesg.sh")
    m.ctl.request("vm pause g1")
    m.ctl.request("vm resume g1")
    assert "ok" in guests.on(m, 1, "sh /tests/ask.sh version")
    guests.attach(m, "g1")
    m.com1.sendline("poweroff -f")
    m.com1.expect(r"g1 is off")
    m.com1.expect(r"^guest# ", timeout=guests.SHELL_S)
    guests.leave(m)
    assert "ok" in guests.on(m, 1, "sh /tests/ask.sh version")
    m.ctl.request("vm stop g1")
    assert m.ctl.request("vm info g1")["state"] == "off"


# ---- the courier itself -----------------------------------------------------------------------

NEEDS = ("godwit.elf", "courier.elf", "guest-kernels/talk.elf")
CTL_PORT, MIG_PORT = 7001, 7000


def courier_section(address):
    return ("[nic lan0]\nmatch = 8086:10c9\nuplink = yes\n"
            "[vm courier]\nrole = courier\nmemory = 16M\nkernel = courier.elf\nautostart = yes\n"
            f"net0 = pv mac=52:54:00:00:00:f0\nip = {address}/24\npsk = psk.hex\n")


def outside(port, to=CTL_PORT):
    """The uplink, to which the machine's own TCP port leads; 10.0.0.254 leads out of the emulator."""
    return ("-netdev", f"user,id=u,net=10.0.0.0/24,host=10.0.0.254,"
            f"hostfwd=tcp:127.0.0.1:{port}-10.0.0.1:{to}",
            "-device", "pcie-root-port,id=rp,slot=1,chassis=1",
            "-device", "igb,bus=rp,netdev=u,mac=52:54:00:aa:00:01")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Remote:
    """tools/godwitctl by way of the courier."""

    def __init__(self, t, port, key="5a" * 32):
        self.port, self.key = port, t.dir / f"key{key[:4]}"
        t.dir.mkdir(parents=True, exist_ok=True)
        self.key.write_text(key + "\n")

    def start(self, *words, timeout=60):
        return subprocess.Popen(
            [sys.executable, paths.ROOT / "tools/godwitctl", "-H", f"127.0.0.1:{self.port}", "--key",
             self.key, "--timeout", str(timeout), *words], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *words, status=0, **options):
        p = self.start(*words, **options)
        out, err = p.communicate(timeout=options.get("timeout", 60) + 60)
        assert p.returncode == status, f"{words}: {p.returncode} {out} {err}"
        return out + err


@test(timeout=240, needs=NEEDS)
def remote(t):
    """Tools reach the host through the network: several at once, consoles, only with the key."""
    port = free_port()
    ask, stranger = Remote(t, port), Remote(t, port, key="5b" * 32)
    talk = "[vm talk]\nmemory = 16M\ncpus = 1\nkernel = talk.elf\nautostart = yes\n"
    m = t.machine(config=guests.host_config(courier_section("10.0.0.1"), talk), memory=512,
                  modules={"psk.hex": ask.key, "courier.elf": paths.BUILD / "courier.elf",
                           "talk.elf": paths.BUILD / "guest-kernels/talk.elf"},
                  devices=outside(port))
    guests.wait_console(m, timeout=60)
    m.com1.expect("link up", timeout=60)
    assert json.loads(ask("--json", "vm", "list"))["vm"][0]["name"] == "courier"
    assert "ENOENT" in ask("nonsense", status=1)
    assert "another key" in stranger("version", status=1)
    with socket.create_connection(("127.0.0.1", port)) as s:    # no TLS at all
        s.sendall(b"version\n" * 1000)
        while s.recv(4096):
            pass
    several = [ask.start("log") for _ in range(6)]
    for p in several:
        out, err = p.communicate(timeout=120)
        assert p.returncode == 0 and "ready" in out, err
    # Who is attached to a console holds the others up until it goes, however it goes.
    first = ask.start("console", "talk")
    assert "guest kernel" in first.stdout.readline()
    second = ask.start("version")
    first.kill()
    first.communicate()
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0 and "version" in out, err
    m.ctl.request("vm reset courier")
    assert "version" in ask("version")


@test(timeout=240, needs=NEEDS, cores=2)
def two_hosts(t):
    """A guest goes from one host to the other and back, a few times; nowhere when nobody is there."""
    talk = "[vm talk]\nmemory = 16M\ncpus = 1\nkernel = talk.elf\nautostart = yes\n"
    with lab.Lab(t.dir, sections=[(talk,)], memory=320,
                 modules={"talk.elf": paths.BUILD / "guest-kernels/talk.elf"}) as hosts:
        hosts.ready()
        for i in (0, 1, 0):
            here, there = hosts.machine[i], hosts.machine[1 - i]
            end = lab.move(here, "talk", lab.address(1 - i))
            assert end["phase"] == "done", end
            assert "talk" not in [r.get("name") for r in here.ctl.request("vm list")]
            assert there.ctl.request("vm info talk")["state"] == "running"
            there.com1.sendline("vm console talk")
            there.com1.sendline("hello")
            there.com1.expect("HELLO")
            there.com1.send(guests.ESCAPE)
        end = lab.move(hosts.machine[1], "talk", "10.0.0.77")
        assert end["phase"] == "failed" and "does not answer" in end["reason"], end
        hosts.key.write_text("77" * 32)
        hosts.boot(0)
        hosts.ready([0])
        end = lab.move(hosts.machine[1], "talk", lab.address(0))
        assert end["phase"] == "failed" and "another key" in end["reason"], end
        assert end["passes"] == end["pages_sent"] == "0", end
        assert hosts.machine[1].ctl.request("vm info talk")["state"] == "running"


# ---- who stands between two hosts --------------------------------------------------------------

def carry(source, sink, record=None):
    """Bytes from one descriptor to another until either ends, in the background."""
    def run():
        with contextlib.suppress(OSError):
            while data := os.read(source, 16384):
                if record is not None:
                    record.extend(data)
                while data:
                    data = data[os.write(sink, data):]
        with contextlib.suppress(OSError):
            os.close(sink)
    threading.Thread(target=run, daemon=True).start()


def record_raw(a, port):
    """Moves `talk` through a listener that sees what is on the wire: the row, what the source sent."""
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        a.ctl.request(f"migrate talk 10.0.0.254:{listener.getsockname()[1]}")
        here, _ = listener.accept()
    there = socket.create_connection(("127.0.0.1", port))
    carry(here.fileno(), os.dup(there.fileno()), seen)
    carry(there.fileno(), os.dup(here.fileno()))
    return lab.ended(a, "talk"), bytes(seen)


def record_inside(a, port, key):
    """The same through one who has the key, and sees what is within TLS."""
    seen, own = bytearray(), free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-nocert", "-tls1_2", "-accept", f"127.0.0.1:{own}",
         "-cipher", psk.CIPHER.decode(), "-psk_identity", "godwit", "-psk", key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while f":{own:04X} 00000000:0000 0A" not in pathlib.Path("/proc/net/tcp").read_text():
            assert server.poll() is None and time.monotonic() < end, "openssl does not listen"
            time.sleep(0.02)
        there = psk.connect("127.0.0.1", port, bytes.fromhex(key), 60)
        carry(server.stdout.fileno(), os.dup(there), seen)
        carry(there, os.dup(server.stdin.fileno()))
        end = lab.move(a, "talk", f"10.0.0.254:{own}")
    finally:
        server.kill()
        server.wait()
    return end, bytes(seen)


def say_again(fd, data):
    """All of data, as far as the other side takes it; what it answers until it hangs up."""
    answer = bytearray()
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(fd, data):]
    with contextlib.suppress(OSError):
        while more := os.read(fd, 16384):
            answer += more
    os.close(fd)
    return bytes(answer)


@test(timeout=300, needs=NEEDS, cores=2)
def replayed(t):
    """What one host said to another is of no use a second time: neither the bytes on the wire, nor,
    for one who has the key, those within TLS."""
    talk = "[vm talk]\nmemory = 16M\ncpus = 1\nkernel = talk.elf\nautostart = no\n"
    key, ports = "5a" * 32, [free_port(), free_port()]
    (t.dir / "key").write_text(key + "\n")
    modules = {"psk.hex": t.dir / "key", "courier.elf": paths.BUILD / "courier.elf",
               "talk.elf": paths.BUILD / "guest-kernels/talk.elf"}
    a, b = (t.machine(config=guests.host_config(courier_section("10.0.0.1"), vms), memory=320,
                      modules=modules, devices=outside(port, MIG_PORT))
            for vms, port in zip((talk, ""), ports))
    for m in (a, b):
        guests.wait_console(m, timeout=60)
        lab.wait_network(m, time.monotonic() + 60)
    for inside in (False, True):
        a.ctl.request("vm start talk")
        end, said = record_inside(a, ports[1], key) if inside else record_raw(a, ports[1])
        assert end["phase"] == "done" and len(said) > 10000, (end, len(said))
        for verb in ("stop", "delete"):
            b.ctl.request(f"vm {verb} talk")
        if inside:
            answer = say_again(psk.connect("127.0.0.1", ports[1], bytes.fromhex(key), 60), said)
            assert b"made for another receiver" in answer, answer
        else:
            say_again(socket.create_connection(("127.0.0.1", ports[1])).detach(), said)
            a.ctl.request("vm create talk")
        assert [r["name"] for r in b.ctl.request("vm list") if "name" in r] == ["courier"]
        log = guests.host_log(b)
        assert log.count("vm talk: came here") == 1 + inside and "move here failed" not in log, log


# ---- compression ---------------------------------------------------------------------------------

def no_block(port, key):
    """One who has the key agrees to compress and then sends what is no block: hung up on."""
    peer = subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-tls1_2", "-connect", f"127.0.0.1:{port}", "-alpn",
         "godwit-lz4", "-cipher", psk.CIPHER.decode(), "-psk_identity", "godwit", "-psk", key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peer.stdin.write(b"\xff\x3f\x00\x10" + bytes(100))
    peer.stdin.flush()
    peer.stdout.read()
    peer.kill()
    peer.wait()


@test(timeout=300, needs=NEEDS + ("guest-kernels/writer.elf",), cores=2)
def compressed(t):
    """What can be compressed is, when both ends may; else it goes as it is. The guest's pages differ in
    a few bytes each."""
    t.dir.mkdir(parents=True, exist_ok=True)
    key = "5a" * 32
    (t.dir / "key").write_text(key + "\n")
    ports = [free_port() for _ in range(3)]
    machines = []
    for i, port in enumerate(ports):
        courier = courier_section("10.0.0.1") + ("cmdline = compress=no\n" if i == 2 else "")
        machines.append(t.machine(
            config=guests.host_config(courier, "" if i else WRITER), memory=256,
            modules={"psk.hex": t.dir / "key", "courier.elf": paths.BUILD / "courier.elf",
                     "writer.elf": paths.BUILD / "guest-kernels/writer.elf"},
            devices=outside(port, MIG_PORT)))
    for m in machines:
        guests.wait_console(m, timeout=60)
        lab.wait_network(m, time.monotonic() + 60)
    check_writer(machines[0], 1)
    for here, there, shrinks in ((0, 1, True), (1, 2, False)):
        row = lab.move(machines[here], "w", f"10.0.0.254:{ports[there]}")
        print({k: row[k] for k in ("phase", "sent", "wire", "total_ms", "reason")})
        sent, wire = int(row["sent"]), int(row["wire"])
        assert row["phase"] == "done" and wire, row
        assert wire < sent / 2 if shrinks else sent - 65536 <= wire <= sent, row
        check_writer(machines[there], 2 + here)
    no_block(ports[0], key)
    machines[0].com1.expect("a channel ended: what came is no compressed block", timeout=30)


WRITER = ("[vm w]\nmemory = 32M\ncpus = 2\nkernel = writer.elf\nautostart = yes\n")


def check_writer(m, k):
    """The guest writes some of its pages, then finds all as it left them."""
    m.com1.sendline("vm console w")
    for line, answer in ((f"pattern {k}", f"pattern {k} done"), ("check", "check ok")):
        m.com1.sendline(line)
        m.com1.expect(answer, timeout=60)
    m.com1.send(guests.ESCAPE)


def cable(m, plugged):
    m.qmp.monitor(f"set_link lan {'on' if plugged else 'off'}")


def begin_slowly(m, host):
    """A move that has begun to copy and takes a while."""
    m.ctl.request(f"migrate w {host} limit=4")
    end = time.monotonic() + 60
    while True:
        row = lab.newest(m, "w")
        if row["phase"] == "copying" and int(row["sent"]) > 100000:
            return
        assert row["phase"] not in ("done", "failed") and time.monotonic() < end, row
        time.sleep(0.05)


def stays(m, k, why):
    """The move fails for this reason, and the guest is whole."""
    end = lab.ended(m, "w", timeout=120)
    assert end["phase"] == "failed" and re.search(why, end["reason"]), end
    assert m.ctl.request("vm info w")["state"] == "running"
    check_writer(m, k)


def gone(m):
    """Nothing of a guest that did not come is left."""
    end = time.monotonic() + 60
    while any(r.get("name", "courier") != "courier" for r in m.ctl.request("vm list")):
        assert time.monotonic() < end, m.ctl.request("vm list")
        time.sleep(0.1)


@test(timeout=600, needs=("godwit.elf", "courier.elf", "guest-kernels/writer.elf"), cores=2)
def faults(t):
    """Couriers that die, a link that is cut, a host that is: the guest goes on where it was."""
    with lab.Lab(t.dir, sections=[(WRITER,)], memory=320,
                 modules={"writer.elf": paths.BUILD / "guest-kernels/writer.elf"}) as hosts:
        a, b = hosts.machine
        hosts.ready()
        a.com1.sendline("vm console w")
        a.com1.expect("writer ready", timeout=60)
        a.com1.send(guests.ESCAPE)
        for k, m in enumerate((a, b)):
            begin_slowly(a, "10.0.0.2")
            m.ctl.request("vm reset courier")
            stays(a, k, "connection")
            gone(b)
        begin_slowly(a, "10.0.0.2")
        a.ctl.request("migrate-cancel w")
        stays(a, 3, "cancelled")
        gone(b)
        begin_slowly(a, "10.0.0.2")
        cable(a, False)
        stays(a, 4, "no sign")
        gone(b)
        cable(a, True)
        begin_slowly(a, "10.0.0.2")
        b.close()
        stays(a, 5, "connection|no sign|does not answer")
        hosts.boot(1)
        hosts.ready([1])
        assert lab.move(a, "w", "10.0.0.2")["phase"] == "done"
        check_writer(hosts.machine[1], 6)


def linux(i):
    """A guest of address 10.0.0.(50 + i)."""
    return guests.vm_section(f"g{i}", cpus=1, memory="96M", more=f"net0 = pv mac={pv.MAC}{i}\n",
                             cmdline=f"godwit.run=net-up godwit.ip=10.0.0.{50 + i}/24")


@test(timeout=400, needs=pv.NEEDS + ("courier.elf",), cores=2)
def linux_moves(t):
    """Stock Linux goes to another host while its neighbour, who stays, pings it; the replies
    come back from there."""
    with lab.Lab(t.dir, sections=[(linux(1), linux(2))], modules=pv.modules(), memory=640) as hosts:
        a, b = hosts.machine
        hosts.ready()
        for i in (1, 2):
            guests.attach(a, f"g{i}")
            a.com1.expect(r"^guest# ", timeout=guests.SHELL_S)
            guests.leave(a)
        guests.on(a, 2, "ping -i 0.2 10.0.0.51 >/tmp/ping & echo $! >/tmp/pid")
        end = lab.move(a, "g1", lab.address(1), timeout=200)
        assert end["phase"] == "done", end
        print({k: end[k] for k in ("sent", "passes", "downtime_us", "total_ms")})
        text = guests.on(a, 2, "n=$(grep -c seq= /tmp/ping); until [ $(grep -c seq= /tmp/ping) -gt "
                               "$((n + 5)) ]; do sleep 0.1; done; "
                               "kill -INT $(cat /tmp/pid); wait; tail -n 3 /tmp/ping")
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) packets", text).groups())
        assert received >= sent - 2, text
        guests.on(a, 2, "ping -c 3 -W 2 10.0.0.51")
        b.com1.sendline("vm console g1")
        b.com1.sendline("sh /tests/check-dmesg.sh; echo $?.")
        b.com1.expect(r"^0\.$", timeout=60)
