# SPDX-License-Identifier: Apache-2.0
"""Bad input: configurations and boot modules with errors. Each is named where it is, and the other
guests start."""
import re

from lib import guests, paths
from lib.ctl import CtlError
from lib.registry import test

TALK = "guest-kernels/talk.elf"
NEEDS = ("godwit.elf", TALK)

CONFIG = """[host]
name = a
colour = blue
[vm good]
memory = 16M
kernel = talk.elf
autostart = yes
[vm key]
memory = 16M
kernel = talk.elf
autostart = yes
speed = fast
[vm mac1]
memory = 16M
kernel = talk.elf
net0 = pv mac=52:54:00:00:00:01
[vm mac2]
memory = 16M
kernel = talk.elf
net0 = pv mac=52:54:00:00:00:01
autostart = yes
[vm huge]
memory = 100G
kernel = talk.elf
autostart = yes
[vm module]
memory = 16M
kernel = missing.elf
autostart = yes
[vm pin]
memory = 16M
kernel = talk.elf
pin = 7
autostart = yes
[vm range]
memory = 16M
cpus = 99
kernel = talk.elf
autostart = yes
[vm good]
memory = 16M
kernel = talk.elf
[vm nothing]
garbage
"""

# Line, section, key, and what the message says, the allowed range included.
ERRORS = (
    (3, "host", "colour", "unknown key, known are name console ctl"),
    (12, "vm key", "speed", "unknown key, known are role memory cpus"),
    (20, "vm mac2", "net0", r"mac=52:54:00:00:00:01 is taken by \[vm mac1\], each must be unique"),
    (23, "vm huge", "memory", r"102400M is more than this host has for guests, \d+M"),
    (28, "vm module", "kernel", "missing module 'missing.elf': have .*talk.elf"),
    (33, "vm pin", "pin", "names CPU 7, this host has 0 to 1"),
    (37, "vm range", "cpus", "'99' must be 1 to 16"),
    (40, "vm good", None, "there is a section of this name already; the section is ignored"),
    (44, "vm nothing", None, r"'garbage' is neither \[section\] nor key = value"),
)


def refusal(m, request):
    """(code, text) of a request that must be refused."""
    try:
        m.ctl.request(request)
    except CtlError as exc:
        return exc.code, exc.text
    raise AssertionError(f"'{request}' was not refused")


def talks(m, name):
    """The guest runs and answers."""
    m.com1.sendline(f"vm console {name}")
    m.com1.expect(r"^talk: ready", timeout=30)
    m.com1.sendline("alive")
    m.com1.expect(r"^said: ALIVE")
    m.com1.send(guests.ESCAPE)
    m.com1.expect(r"^a> ")


@test(timeout=90, needs=NEEDS)
def config(t):
    """Every error with file, line, section, key, range; what is good starts."""
    m = t.machine(config=CONFIG, modules={"talk.elf": paths.BUILD / TALK})
    m.com1.expect(r"^a> ", timeout=40)
    log = m.debugcon()
    for line, section, key, text in ERRORS:
        where = rf"godwit\.conf:{line}: \[{section}\]" + (f" {key}" if key else "")
        assert re.search(where + ": " + text, log), f"the log does not say {where}: {text}"
    talks(m, "good")
    rows = {r["name"]: r["state"] for r in m.ctl.request("vm list") if r.get("row")}
    assert rows.pop("good") == "running" and "running" not in rows.values(), rows
    for name in ("key", "mac2", "huge", "module", "pin", "range", "nothing"):
        request = f"vm start {name}" if name in rows else f"vm create {name}"
        code, text = refusal(m, request)
        assert code in ("EINVAL", "ENOENT"), (request, code, text)


@test(timeout=90, needs=NEEDS)
def no_config(t):
    """Without a configuration the host is there with its defaults, and says so."""
    m = t.machine()
    m.com1.expect(r"no boot module named godwit.conf: default settings, no guests", timeout=40)
    m.com1.expect(r"^godwit> ")
    assert not [r for r in m.ctl.request("vm list") if r.get("row")]


@test(timeout=120, needs=NEEDS + guests.needs())
def images(t):
    """Kernels that are cut, foreign or empty: the reason, nothing leaks, another guest runs."""
    whole = (paths.GUEST / "vmlinuz-stock").read_bytes()
    elf = bytearray((paths.BUILD / TALK).read_bytes())
    elf[18:20] = b"\xb7\x00"                        # another processor's
    bad = {"head.img": whole[:300], "cut.img": whole[:100000], "empty.img": b"",
           "zero.img": bytes(8192), "text.img": b"#!/bin/sh\n" * 1000, "cut.elf": bytes(elf[:200]),
           "arm.elf": bytes(elf), "old.img": whole[:0x206] + b"\x01\x02" + whole[0x208:]}
    modules = {"talk.elf": paths.BUILD / TALK}
    sections = ["[host]\nname = a\n[vm good]\nmemory = 16M\nkernel = talk.elf\n"]
    for name, data in bad.items():
        path = t.dir / name
        path.write_bytes(data)
        modules[name] = path
        sections.append(f"[vm {name}]\nmemory = 64M\nkernel = {name}\nautostart = yes\n")
    m = t.machine(config="".join(sections), modules=modules)
    m.com1.expect(r"^a> ", timeout=40)
    used = m.ctl.request("mem")["used"]
    for name in bad:
        code, text = refusal(m, f"vm start {name}")
        assert len(text) > 10, (name, code, text)
        print(f"{name}: {code} {text}")
    assert m.ctl.request("mem")["used"] == used
    m.ctl.request("vm start good")
    talks(m, "good")
