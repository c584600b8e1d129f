# SPDX-License-Identifier: Apache-2.0
"""What tools/bench and tools/peer share, so that both measure the same: machines, traffic, the
choice of rows.
"""
NIC = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
       "-netdev", "hubport,id=n0,hubid=0", "-device", "igb,bus=rp0,netdev=n0")
# Row: what netbench does, how often.
CASES = {"pingpong64": ("pingpong", 2000), "stream1500": ("datagrams", 20000),
         "tso": ("stream", 131072)}
# The same for the rows that KVM has as well, under which guests do not live long here (docs/figures.md).
SHORT_CASES = {case: (kind, n // 20) for case, (kind, n) in CASES.items()}
# Row: writes a millisecond that tests/guest/writer.c tries, in words; to how many pages in turn.
WRITERS = {"writer": (3, "12 MB/s"), "flood": (1000000, "all it can")}
WRITTEN = 2000


def wanted(names, keys):
    """Whether one of the KEYS asks for a row that begins with one of NAMES (words)."""
    return not keys or any(k in name or k.startswith(name) for k in keys for name in names.split())


def per_packet(traffic, kind, n):
    """(packets, instructions per packet, exits per packet). `traffic(kind, n)` gives (packets,
    instructions, exits). Typing the command costs as well: the difference of a long and a short run."""
    few, many = traffic(kind, n // 4), traffic(kind, n)
    packets, insns, exits = (b - a for a, b in zip(few, many))
    return packets, insns // packets, round(exits / packets, 3)
