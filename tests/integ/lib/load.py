# SPDX-License-Identifier: Apache-2.0
"""A Linux guest g1 that moves between the hosts of a lab under load, and a plain Linux on their network
that talks to it: one TCP connection, numbered datagrams, pings. All is checked byte by byte."""
import re

from lib import guests, paths, pv

NEEDS = ("godwit.elf", "courier.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img",
         "guest/initrd-assign.img")
WRITER_KIB_S = 800          # memory that g1 rewrites each second
ADDRESS = "10.0.0.101"
MAC = pv.MAC + "1"
COUNTERS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes")
VF = f"net0 = vf nic=lan0 mac={MAC}\n"


def sections(nets=VF):
    """Of the first host."""
    return (guests.vm_section("g1", cpus=2, memory="256M", more=nets,
                              cmdline=f"godwit.run=net-up godwit.ip={ADDRESS}/24"),)


def modules():
    return {"vmlinuz": paths.GUEST / "vmlinuz-stock",
            "initrd.img": paths.GUEST / "initrd-assign.img"}


def start(hosts):
    """Waits for the guest on the first host and for the station, starts what they do."""
    station = hosts.station
    for m in (hosts.machine[0], station):
        if m is not station:
            guests.attach(m, "g1")
        m.com1.expect(r"godwit-guest: net-up exit 0", timeout=guests.SHELL_S)
        m.com1.expect(r"^guest# ", timeout=60)
        if m is not station:
            guests.leave(m)
    guests.on(hosts.machine[0], 1, f"(moveload serve {WRITER_KIB_S} &)")
    guests.ask(station, f"ping -c 1 -w 60 {ADDRESS}")
    guests.ask(station, f"(moveload drive {ADDRESS} &); (ping -i 0.1 {ADDRESS} >/tmp/ping &)")


def peer(hosts):
    """What the station has seen so far: counters by name."""
    # Of the pings whole lines only: ping's last one may be half written.
    text = guests.ask(hosts.station, "cat /tmp/moveload; awk -F 'seq=' '/seq=.* ms$/{n++; last = $2 + 1}"
                      " END{print \"answers\", n + 0, \"pings\", last + 0}' /tmp/ping;"
                      " awk '/^Tcp: [0-9]/{print \"resets\", $9 + $15}' /proc/net/snmp")
    counts = {k: int(v) for k, v in re.findall(r"([a-z]+) (\d+)", text)}
    return counts | {"pings_lost": counts["pings"] - counts["answers"]}


def inside(m):
    """What g1 has seen, on the host where it is: counters by name; those of its NIC's driver, and
    the lines that the VF's driver has logged."""
    text = guests.on(m, 1, "cat /tmp/moveload; sh /tests/check-dmesg.sh || true; "
                           "echo igbvf $(dmesg | grep -c igbvf); cd /sys/class/net/eth0/statistics; "
                           f"for i in {' '.join(COUNTERS)}; do echo $i $(cat $i); done", timeout=120)
    return {k: int(v) for k, v in re.findall(r"([a-z_]+) (\d+)", text)}


def went_back(before, after):
    """Counters of the driver that are smaller than they were, or far too big (a wrap it made up)."""
    return [k for k in COUNTERS if not 0 <= after[k] - before[k] < 1 << 30]
