# SPDX-License-Identifier: Apache-2.0
"""Frames of a capture that the emulator keeps while it runs."""
import struct


def device(netdev, path, queue="all"):
    """Emulator options: everything that passes NETDEV goes to a file in the machine's directory;
    queue=rx: what the machine sends."""
    return ("-object", f"filter-dump,id=dump-{queue}-{netdev},netdev={netdev},file={path},"
                       f"queue={queue}")


def frames(path):
    """All complete frames, in order."""
    return [frame for _, frame in timed(path)]


def timed(path):
    """The same, with the emulated machine's time in seconds; the second it begins with is another
    for each file."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert magic in (0xa1b2c3d4, 0xa1b23c4d) and link == 1, f"{path}: no Ethernet capture"
    at, found = 24, []
    while at + 16 <= len(data):
        second, micro, kept, length = struct.unpack_from("<IIII", data, at)
        assert kept <= length, f"{path}: malformed at {at}"
        found.append((second + micro / 1e6, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return found
