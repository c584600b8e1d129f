# SPDX-License-Identifier: Apache-2.0
"""The platform alone: guests' kernel and initramfs work without Godwit under them, so that a
failure of the same guest on Godwit is Godwit's."""
from lib import paths
from lib.registry import test

LINUX = "console=ttyS0 quiet"


def linux_alone(t, flavour):
    m = t.machine(kernel=paths.GUEST / f"vmlinuz-{flavour}", initrd=paths.GUEST / "initrd.img",
                  append=LINUX, iommu="")
    m.com1.expect("godwit-guest: kernel=.* cpus=2 ", timeout=60)
    m.com1.expect("godwit-guest: shell ready")
    m.com1.expect("guest# ")
    m.com1.sendline("echo $((6 * 7)) processors $(nproc)")
    m.com1.expect("^42 processors 2$")
    m.com1.sendline("poweroff -f")
    assert m.wait_exit() == ("off", 0)


@test(timeout=120, needs=("guest/vmlinuz-stock", "guest/initrd.img"))
def linux_stock(t):
    linux_alone(t, "stock")
