# SPDX-License-Identifier: Apache-2.0
"""The paravirtual NIC under a driver that is not Linux's, and iperf3 between all kinds of NICs."""
import contextlib
import os
import re
import socket
import subprocess

from lib import guests, paths, pv
from lib.pv import on
from lib.registry import test

NIC = "[nic lan0]\nmatch = 8086:10c9\nuplink = yes\n"
OUTSIDE = ("-netdev", "user,id=u,net=10.0.0.0/24,host=10.0.0.254,dns=10.0.0.253,"
           "dhcpstart=10.0.0.100",
           "-device", "pcie-root-port,id=rp,slot=1,chassis=1", "-device", "igb,bus=rp,netdev=u")


def machine(t, initrd, *sections, nic=NIC):
    modules = pv.modules() | {initrd: paths.GUEST / initrd}
    return t.machine(config=guests.host_config(nic, *sections), modules=modules, memory=1280,
                     devices=OUTSIDE)


def drops(m):
    return " ".join(p["drops"] for p in m.ctl.request("net list") if "name" in p)


@test(timeout=600, needs=("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img",
                          "guest/initrd-dpdk.img"), cores=2)
def dpdk(t):
    """DPDK's driver, with split rings used in order and with packed ones: an address by DHCP from
    outside, ping, a file of Linux's driver whole and right."""
    plain = guests.vm_section(
        "g2", cpus=2, memory="384M", cmdline=f"godwit.mac={pv.MAC}2",
        more=f"net0 = pv mac={pv.MAC}2\n").replace("initrd.img", "initrd-dpdk.img")
    m = machine(t, "initrd-dpdk.img", pv.section(1), plain)
    pv.wait(m, 1)
    guests.attach(m, "g2")
    guests.shell(m)
    guests.leave(m)
    for option in ("", "packed_vq=1"):
        on(m, 2, f"sh /tests/net-dpdk.sh {option}", timeout=120)
        on(m, 2, "ip link set tap0 up")
        text = on(m, 2, "udhcpc -i tap0 -n -q -t 10 -s /bin/true", timeout=60)
        assert "obtained" in text, text
        on(m, 2, "ip addr add 10.0.0.2/24 dev tap0")
        for i, j in ((2, 1), (1, 2), (2, 254)):
            text = on(m, i, f"ping -c 3 -i 0.2 -W 2 10.0.0.{j}")
            assert " 0% packet loss" in text, text
        on(m, 2, "sh /tests/net-fetch.sh 10.0.0.1", timeout=120)
        on(m, 2, "killall tail; while pidof dpdk-testpmd; do sleep 0.2; done")
    assert not re.search("offload|ring|runt|spoof|oversize", drops(m)), drops(m)


@contextlib.contextmanager
def server_outside():
    """iperf3 on this machine, with the libraries it was built for; its port."""
    root = paths.GUEST / "programs-iperf3"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    libraries = ":".join(str(root / d) for d in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    with subprocess.Popen([root / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries,
                           root / "usr/bin/iperf3", "-s", "-p", str(port)],
                          stdout=subprocess.DEVNULL, env=os.environ) as server:
        try:
            yield port
        finally:
            server.kill()


def transfer(m, i, address, megabytes, more=""):
    """iperf3 from guest i, then to it. The receiver's count ends when the sender says so, with some
    bytes under way; that all arrive whole is pvnet's to show."""
    for way in ("", "-R"):
        text = on(m, i, f"iperf3 -c {address} -n {megabytes}M -i 0 {way} {more}", timeout=150)
        got = re.search(r"([\d.]+) MBytes .*receiver", text)
        assert got and float(got.group(1)) >= 0.8 * megabytes, text


@test(timeout=600, needs=("godwit.elf", "guest/vmlinuz-stock", "guest/initrd-virtio.img",
                          "guest/initrd-iperf3.img"), cores=2)
def iperf3(t):
    """Paravirtual to paravirtual NIC, to a VF, and both to outside, each in both directions; no
    checksum that a guest's kernel looked at was wrong."""
    sections = [pv.section(1), pv.section(2),
                pv.section(3).replace("pv mac", "vf nic=lan0 mac")]
    m = machine(t, "initrd-iperf3.img",
                *(s.replace("initrd.img", "initrd-iperf3.img") for s in sections),
                nic=NIC + "vfs = 2\n")
    pv.wait(m, 3)
    on(m, 3, "until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.2; done")
    for i in (2, 3):
        on(m, i, "iperf3 -s -D")
    transfer(m, 1, "10.0.0.2", 24)
    transfer(m, 1, "10.0.0.3", 6)
    with server_outside() as port:
        for i in (1, 3):
            transfer(m, i, "10.0.0.254", 4, f"-p {port}")
    # What left by the uplink was read by the NIC where the guest has it, but for the heads.
    up = next(p for p in m.ctl.request("net list") if p.get("name") == "uplink.lan0")
    assert int(up["rx_direct"]) > 0.85 * (4 << 20), up
    for i in (1, 2, 3):
        text = on(m, i, "grep -A1 InCsumErrors /proc/net/snmp")
        sums = on(m, i, "awk '/^(Tcp|Udp|Icmp):/ { for (k = 1; k <= NF; k++) "
                        "if (name[k] == \"InCsumErrors\") print $k; "
                        "split($0, name) }' /proc/net/snmp").split()
        assert set(sums) == {"0"}, text
        on(m, i, "sh /tests/check-dmesg.sh")
