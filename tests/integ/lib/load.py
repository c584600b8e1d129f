# SPDX-License-Identifier: Apache-2.0
"""A Linux guest g1 that moves between the hosts of a lab under load, and g2 on the first host, which
stays and talks to it: one TCP connection, numbered datagrams, pings. All is checked byte by byte."""
import re

from lib import guests, paths, pv

NEEDS = ("godwit.elf", "courier.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img")
WRITER_KIB_S = 800          # memory that g1 rewrites each second


def section(i, cpus, memory):
    return guests.vm_section(
        f"g{i}", cpus=cpus, memory=memory, more=f"net0 = pv mac={pv.MAC}{i}\n",
        cmdline=f"godwit.run=net-up godwit.ip=10.0.0.{100 + i}/24")


def sections():
    """Of the first host."""
    return section(1, 2, "256M"), section(2, 1, "128M")


def modules():
    return pv.modules()


def start(m):
    """On the first host: waits for both guests, starts what they do."""
    for i in (1, 2):
        guests.attach(m, f"g{i}")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        guests.leave(m)
    guests.on(m, 1, f"(moveload serve {WRITER_KIB_S} &)")
    guests.on(m, 2, "ping -c 1 10.0.0.101")
    guests.on(m, 2, "(moveload drive 10.0.0.101 &); (ping -i 0.1 10.0.0.101 >/tmp/ping &)")


def peer(m):
    """What g2 has seen so far: counters by name."""
    text = guests.on(m, 2, "cat /tmp/moveload; grep -c seq= /tmp/ping; tail -n 1 /tmp/ping;"
                       " awk '/^Tcp: [0-9]/{print \"resets\", $9 + $15}' /proc/net/snmp")
    counts = {k: int(v) for k, v in re.findall(r"([a-z]+) (\d+)", text)}
    answers = int(re.search(r"^(\d+)$", text, re.M).group(1))
    last = int(re.search(r"seq=(\d+)", text).group(1))
    return counts | {"pings": last + 1, "pings_lost": last + 1 - answers}


def inside(m):
    """What g1 has seen, on the host where it is: counters by name."""
    text = guests.on(m, 1, "cat /tmp/moveload; sh /tests/check-dmesg.sh || true", timeout=120)
    return {k: int(v) for k, v in re.findall(r"([a-z]+) (\d+)", text)}
