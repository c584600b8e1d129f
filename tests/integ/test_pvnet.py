# SPDX-License-Identifier: Apache-2.0
"""Stock Linux guests with their own virtio_net, through the switch: ping, TCP both ways."""
import itertools

from lib import guests, paths
from lib.registry import test

NEEDS = ("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img")
FILE_KIB = 4096
MARKS = itertools.count(1)
MAC = "52:54:00:00:00:0"


def section(i, options="", cpus=1, cmdline=""):
    """Guest number i, of address 10.0.0.i, that serves a file of its own."""
    return guests.vm_section(
        f"g{i}", cpus=cpus, memory="128M", more=f"net0 = pv mac={MAC}{i} {options}\n",
        cmdline=f"godwit.run=net-up godwit.ip=10.0.0.{i}/24 godwit.file={FILE_KIB} {cmdline}")


def start(t, *sections, **options):
    modules = {"vmlinuz": paths.GUEST / "vmlinuz-stock",
               "initrd.img": paths.GUEST / "initrd-virtio.img"}
    m = t.machine(config=guests.host_config(*sections), modules=modules, memory=1024, **options)
    guests.wait_console(m, timeout=90)
    for i in range(1, len(sections) + 1):
        guests.attach(m, f"g{i}")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)
    return m


def on(m, i, command, timeout=60):
    """A command in guest number i: its output; it has to succeed. The console shows old text
    again when it is attached, so each command has marks of its own."""
    mark = next(MARKS)
    guests.attach(m, f"g{i}")
    m.com1.sendline(f"echo begin{mark}; {command}; echo status{mark} $?.")
    m.com1.expect(rf"^begin{mark}\n", timeout=timeout)
    found = m.com1.expect(rf"(?s)(.*?)^status{mark} (\d+)\.$", timeout=timeout)
    guests.leave(m)
    assert found.group(2) == "0", f"g{i}: {command}: {found.group(1)}"
    return found.group(1)


def ping(m, i, j, size=56):
    text = on(m, i, f"ping -c 3 -i 0.2 -W 2 -s {size} 10.0.0.{j}")
    assert " 0% packet loss" in text, text


def fetch(m, i, j):
    """Guest i gets the file of guest j, whole and right."""
    on(m, i, f"cd /tmp; wget -q -O file http://10.0.0.{j}/file && "
       f"wget -q -O sum http://10.0.0.{j}/sum && sha256sum -c sum", timeout=120)


def both_ways(m):
    ping(m, 1, 2)
    ping(m, 2, 1, 1400)
    ping(m, 1, 2, 8000)
    fetch(m, 1, 2)
    fetch(m, 2, 1)
    for i in (1, 2):
        on(m, i, "sh /tests/check-dmesg.sh")


@test(timeout=240, needs=NEEDS, cores=2)
def packed(t):
    m = start(t, section(1), section(2))
    features = on(m, 1, "cat /sys/bus/virtio/devices/virtio0/features").strip()
    assert features[34] == "1", f"no packed rings: {features}"
    both_ways(m)


@test(timeout=240, needs=NEEDS, cores=2)
def split(t):
    m = start(t, section(1, "packed=no"), section(2, "packed=no"))
    features = on(m, 1, "cat /sys/bus/virtio/devices/virtio0/features").strip()
    assert features[34] == "0", f"packed rings: {features}"
    both_ways(m)
