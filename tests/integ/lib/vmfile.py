# SPDX-License-Identifier: Apache-2.0
"""A migration stream (docs/stream.md) taken apart, changed as a hostile sender would, and sealed again."""
import struct

HEADER, HEAD = 32, 16
DEVICE, END = 6, 7


def _table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = _table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def records(data):
    """[type, payload] of each record behind the header."""
    at, found = HEADER, []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        found.append([kind, bytearray(data[at + HEAD:at + HEAD + size])])
        at += HEAD + size
    return found


def seal(header, rows):
    """The stream of these records, with CRCs and a digest that are right."""
    out, digest = bytearray(header), 0

    def add(size, crc):
        mixed = (digest ^ (size << 32 | crc)) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
        return mixed ^ mixed >> 29

    digest = add(HEADER, crc32c(header[:28]))
    for number, (kind, payload) in enumerate(rows, 1):
        payload = struct.pack("<Q", digest) if kind == END else payload
        head = struct.pack("<III", kind, len(payload), number)
        crc = crc32c(head + payload)
        out += head + struct.pack("<I", crc) + payload
        digest = add(HEAD + len(payload), crc)
    return bytes(out)


def device(rows, name):
    """The payload of a device's record."""
    mark = bytes([len(name)]) + name.encode()
    return next(p for kind, p in rows if kind == DEVICE and p.startswith(mark))


def put(payload, field, index, value):
    """Sets an element of a field of a device's record; returns what it was."""
    name = bytes([len(field)]) + field.encode()
    at = payload.index(name) + len(name)
    size, count = struct.unpack_from("<BI", payload, at)
    assert index < count, f"{field} has {count} elements"
    at += 5 + index * size
    old = int.from_bytes(payload[at:at + size], "little")
    payload[at:at + size] = value.to_bytes(size, "little")
    return old
