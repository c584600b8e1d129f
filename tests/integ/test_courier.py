# SPDX-License-Identifier: Apache-2.0
"""The courier's ports, with stock Linux and its virtio_console in the courier's place."""
import re

from lib import guests, pv
from lib.registry import test

COURIER = ("[vm g1]\nrole = courier\nmemory = 128M\ncpus = 1\nkernel = vmlinuz\n"
           "initrd = initrd.img\ncmdline = console=ttyS0 quiet\nautostart = yes\n"
           "net0 = pv mac=52:54:00:00:00:f0\nip = 10.0.0.1/24\npsk = psk.hex\n")

def shell(m):
    guests.attach(m, "g1")
    m.com1.expect(r"^guest# ", timeout=guests.SHELL_S)
    guests.leave(m)


@test(timeout=300, needs=pv.NEEDS)
def linux_ports(t):
    """Named ports; requests through one of them, as long as you like; it comes back when it dies."""
    t.dir.mkdir(parents=True, exist_ok=True)
    (t.dir / "key").write_text("00" * 32)
    m = t.machine(config=guests.host_config(COURIER), memory=768,
                  modules=pv.modules() | {"psk.hex": t.dir / "key"})
    guests.wait_console(m, timeout=90)
    shell(m)
    names = pv.on(m, 1, "cat /sys/class/virtio-ports/*/name").split()
    assert names == ["godwit.ctl", "godwit.mig"], names
    text = pv.on(m, 1, "sh /tests/ask.sh version nonsense 'id=7 vm list'")
    assert re.search(r"^version=\S+\nok\nerror ENOENT .*\nid=7\n(.*\n)*.*name=g1 .*\nok$", text.strip()), text
    # What was not sent as a whole is gone with who sent it; and many in a row.
    pv.on(m, 1, "echo -n 'half a requ' >/dev/vport*p0")
    text = pv.on(m, 1, "sh /tests/ask.sh version log log log >/tmp/all; head -n 2 /tmp/all; "
                       "grep -c text= /tmp/all; tail -n 1 /tmp/all")
    assert re.fullmatch(r"version=\S+\nok\n\d{3}\nok", text.strip()), text
    pv.on(m, 1, "sh /tests/check-dmesg.sh")
    m.ctl.request("vm pause g1")
    m.ctl.request("vm resume g1")
    assert "ok" in pv.on(m, 1, "sh /tests/ask.sh version")
    guests.attach(m, "g1")
    m.com1.sendline("poweroff -f")
    m.com1.expect(r"g1 is off")
    m.com1.expect(r"^guest# ", timeout=guests.SHELL_S)
    guests.leave(m)
    assert "ok" in pv.on(m, 1, "sh /tests/ask.sh version")
    m.ctl.request("vm stop g1")
    assert m.ctl.request("vm info g1")["state"] == "off"
