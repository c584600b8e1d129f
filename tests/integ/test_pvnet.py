# SPDX-License-Identifier: Apache-2.0
"""Stock Linux guests with their own virtio_net, through the switch: ping, TCP both ways."""
import hashlib
import random
import re
import socketserver
import threading

from lib import guests, pcap
from lib.guests import on
from lib.pv import FILE_KIB, MAC, NEEDS, section, start
from lib.registry import test
from test_vf import NIC_DEVICES, Peer


def ping(m, i, j, size=56):
    text = on(m, i, f"ping -c 3 -i 0.2 -W 2 -s {size} 10.0.0.{j}")
    assert " 0% packet loss" in text, text


def fetch(m, i, j):
    """Guest i gets the file of guest j, whole and right; seconds of the guest's time."""
    text = on(m, i, f"sh /tests/net-fetch.sh 10.0.0.{j}", timeout=120)
    begin, end = re.search(r"took (\S+) (\S+)", text).groups()
    return float(end) - float(begin)


def both_ways(m):
    ping(m, 1, 2)
    ping(m, 2, 1, 1400)
    ping(m, 1, 2, 8000)
    fetch(m, 1, 2)
    fetch(m, 2, 1)
    for i in (1, 2):
        on(m, i, "sh /tests/check-dmesg.sh")


def ports(m):
    return {p["name"]: p for p in m.ctl.request("net list") if "name" in p}


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


@test(timeout=300, needs=NEEDS, cores=2)
def queues_and_lines(t):
    """Two pairs of queues; and a guest whose interrupts are lines; both paused, and started again."""
    m = start(t, section(1, cpus=2), section(2, cpus=2, cmdline="pci=nomsi"))
    assert on(m, 1, "ls /sys/class/net/eth0/queues | grep -c rx").strip() == "2"
    on(m, 2, "! grep MSI /proc/interrupts")
    both_ways(m)
    for i in (1, 2):
        m.ctl.request(f"vm pause g{i}")
        m.ctl.request(f"vm resume g{i}")
        ping(m, 1, 2)
    m.ctl.request("vm stop g2")
    assert "g2.net0" not in ports(m)
    m.ctl.request("vm start g2")
    on(m, 1, "until wget -q -O /tmp/sum http://10.0.0.2/sum; do sleep 1; done", timeout=guests.SHELL_S)
    fetch(m, 1, 2)


@test(timeout=400, needs=NEEDS, cores=2)
def four_queues(t):
    """Four pairs of queues on four processors each, with traffic on all of them at once."""
    m = start(t, section(1, cpus=4), section(2, cpus=4), smp=4)
    both_ways(m)
    for i, j in ((1, 2), (2, 1)):
        on(m, i, f"sh /tests/net-parallel.sh 10.0.0.{j}", timeout=200)
    for i in (1, 2):
        counts = re.findall(r"virtio0-(\w+)\.(\d)", on(m, i, "awk '$2+$3+$4+$5' /proc/interrupts"))
        assert {c for c in counts if c[0] == "input"} >= {("input", str(q)) for q in range(4)}, counts
        assert len({q for kind, q in counts if kind == "output"}) == 4, counts


@test(timeout=300, needs=NEEDS, cores=2)
def without_offloads(t):
    """One driver without checksum and segmentation offload: the switch finishes frames for it."""
    m = start(t, section(1), section(2, "packed=no"))
    on(m, 2, "sh /tests/net-plain.sh")
    both_ways(m)
    on(m, 1, "sh /tests/net-plain.sh")
    both_ways(m)
    drops = " ".join(p["drops"] for p in ports(m).values())
    assert not re.search("offload|ring|runt|spoof|oversize", drops), drops


def value(m, request, key):
    return int(next(r[key] for r in m.ctl.request(request) if key in r))


def losses(m):
    """Drops by port; group addresses nobody listens to (IPv6 speaks to some) are none."""
    return {name: re.sub(r"\brx_filter=\d+|none", "", p["drops"]) for name, p in ports(m).items()}


def rate_holds(m):
    """g1 floods g3 at a rate of 2 Mbit/s for 10 s of the host's clock, which is the guests' too;
    frames of g2, below that rate, are all answered meanwhile, and nobody drops anything."""
    m.ctl.request("net set g2.net0 vlan=7")
    for i in (1, 2):
        m.ctl.request(f"net set g{i}.net0 rate=2M")
    on(m, 3, "(netbench serve &)")
    on(m, 1, "(netbench datagrams 10.0.0.3 1000000 &)")
    on(m, 2, "netbench pingpong 10.0.0.3 100")      # the burst is over
    before = losses(m)

    def sample():
        return value(m, "vm info g1", "up_ms"), int(ports(m)["g1.net0"]["tx_bytes"])
    begin = end = sample()
    while end[0] - begin[0] < 10000:
        on(m, 2, "netbench pingpong 10.0.0.3 100")
        end = sample()
    bps = (end[1] - begin[1]) * 8000 / (end[0] - begin[0])
    assert 1.9e6 <= bps <= 2.1e6, f"{bps} bit/s at a rate of 2M"
    assert before == losses(m), (before, losses(m))
    on(m, 1, "killall netbench")


@test(timeout=300, needs=NEEDS, cores=2)
def rights(t):
    """Spoofed addresses, VLANs, the link and the rate: what the operator says holds."""
    m = start(t, section(1), section(2), section(3, "vlan=7"))
    on(m, 1, "! ping -c 1 -W 1 10.0.0.3")
    on(m, 1, "! ip link set eth0 address 52:54:00:00:00:77")      # refused by the device
    m.ctl.request("net set g2.net0 link=off")
    on(m, 2, "sleep 1; grep 0 /sys/class/net/eth0/carrier")
    m.ctl.request("net set g2.net0 link=on")
    on(m, 2, "sleep 1; grep 1 /sys/class/net/eth0/carrier")
    ping(m, 1, 2)
    m.ctl.request("net set g1.net0 vlan=7")
    on(m, 1, "! ping -c 1 -W 1 10.0.0.2")
    ping(m, 1, 3)
    rate_holds(m)


OUTSIDE = ("-netdev", "user,id=u,net=10.0.0.0/24,host=10.0.0.254,dhcpstart=10.0.0.100",
           "-device", "pcie-root-port,id=rp,slot=1,chassis=1", "-device", "igb,bus=rp,netdev=u,mac=52:54:00:aa:00:01")


class Server(socketserver.ThreadingTCPServer):
    """A station outside: sends DATA to who connects, keeps what it is sent until the end."""
    data = random.Random(1).randbytes(FILE_KIB * 512)
    daemon_threads = True

    def __init__(self, sends):
        super().__init__(("127.0.0.1", 0), self.serve)
        self.sends, self.got, self.done = sends, b"", threading.Event()
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def serve(self, sock, _address, _server):
        if self.sends:
            sock.sendall(self.data)
            return
        while part := sock.recv(65536):
            self.got += part
        self.done.set()


def tcp_outside(m, i):
    """Bulk both ways, verified end to end."""
    with Server(True) as source, Server(False) as sink:
        text = on(m, i, f"nc 10.0.0.254 {source.port} </dev/null | tee /tmp/out | sha256sum", timeout=120)
        want = hashlib.sha256(Server.data).hexdigest()
        assert want in text, (want, text)
        on(m, i, f"nc -w 60 10.0.0.254 {sink.port} </tmp/out >/dev/null", timeout=120)
        assert sink.done.wait(60) and sink.got == Server.data, len(sink.got)


@test(timeout=300, needs=NEEDS, cores=2)
def outside(t):
    """Through the uplink: an address by DHCP, ping; and the neighbour inside stays reachable."""
    m = start(t, "[nic lan0]\nmatch = 8086:10c9\nuplink = yes\n", section(1), section(2),
              devices=OUTSIDE)
    ping(m, 1, 254)
    text = on(m, 2, "udhcpc -i eth0 -n -q -t 5 -s /bin/true", timeout=60)
    assert "obtained" in text, text
    ping(m, 1, 2)
    tcp_outside(m, 1)
    # What it sent there the NIC read where the guest has it, but for the heads; what came, it
    # wrote there, while the guest had buffers.
    now = ports(m)
    assert int(now["uplink.lan0"]["rx_direct"]) > 0.85 * len(Server.data), now
    assert int(now["g1.net0"]["rx_direct"]) > 0.5 * len(Server.data), now
    both_ways(m)


class TaggedPeer(Peer):
    """Answers frames of VLAN 7 with its tag, and untagged ones without."""
    tag = b"\x81\0\0\7"

    def answer(self, f):
        if f[12:16] != self.tag:
            return super().answer(f)
        a = super().answer(f[:12] + f[16:])
        return a and a[:12] + self.tag + a[12:]


def tags_on_the_wire(m):
    """By the guest's number, the types of the frames it sent there."""
    seen = {1: set(), 2: set()}
    for f in pcap.frames(m.dir / "wire.pcap"):
        for i, types in seen.items():
            if f[6:12] == bytes.fromhex(MAC.replace(":", "") + str(i)):
                types.add(f[12:18] if f[12:14] == b"\x81\0" else f[12:14])
    return seen


def storm_is_cut(m):
    """g2 sends multicasts as fast as it can: no more get through than the limit says."""
    def sample():
        p = ports(m)["g2.net0"]
        cut = re.search(r"tx_storm=(\d+)", p["drops"])
        return value(m, "vm info g2", "up_ms"), int(p["tx_frames"]), int(cut.group(1)) if cut else 0
    begin = sample()
    on(m, 2, "ip route add 224.0.0.0/4 dev eth0; netbench datagrams 224.9.9.9 20000", timeout=120)
    end = sample()
    ms, through, cut = (b - a for a, b in zip(begin, end))
    assert through + cut >= 20000, (begin, end)
    assert through <= 2000 * ms / 1000 + 2000 + 50, (begin, end)


@test(timeout=300, needs=NEEDS, cores=2)
def trunk_mirror_storm(t):
    """VLAN of a port is a tag, one, on the wire; a mirror port gets copies of what another port
    sends and gets; multicasts beyond the limit are dropped."""
    peer = TaggedPeer(t.dir / "m")
    try:
        m = start(t, "[nic lan0]\nmatch = 8086:10c9\nuplink = yes\n", section(1, "vlan=7"),
                  section(2), section(3), devices=NIC_DEVICES)
        ping(m, 1, 9)
        ping(m, 2, 9, 1400)
        on(m, 3, "ip link set eth0 promisc on")
        m.ctl.request("net set g3.net0 mirror=on")
        before = int(ports(m)["g3.net0"]["rx_frames"])
        on(m, 2, "ping -c 5 -i 0.2 -W 2 10.0.0.9")
        assert int(ports(m)["g3.net0"]["rx_frames"]) - before >= 10, ports(m)
        m.ctl.request("net set g3.net0 mirror=off")
        storm_is_cut(m)
    finally:
        peer.close()
    seen = tags_on_the_wire(m)
    ip, arp = b"\x08\0", b"\x08\6"
    assert {TaggedPeer.tag + ip, TaggedPeer.tag + arp} <= seen[1], seen
    assert all(kind[:4] == TaggedPeer.tag and kind[4:6] != b"\x81\0" for kind in seen[1]), seen
    assert {ip, arp} <= seen[2] and all(len(kind) == 2 for kind in seen[2]), seen
