# SPDX-License-Identifier: Apache-2.0
"""Frames of a capture that the emulator keeps while it runs."""
import struct


def device(netdev, path):
    """Emulator options: everything that passes NETDEV goes to a file in the machine's directory."""
    return ("-object", f"filter-dump,id=dump-{netdev},netdev={netdev},file={path}")


def frames(path):
    """All complete frames, in order."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert magic in (0xa1b2c3d4, 0xa1b23c4d) and link == 1, f"{path}: no Ethernet capture"
    at, found = 24, []
    while at + 16 <= len(data):
        kept, length = struct.unpack_from("<II", data, at + 8)
        assert kept <= length, f"{path}: malformed at {at}"
        found.append(data[at + 16:at + 16 + kept])
        at += 16 + kept
    return found
