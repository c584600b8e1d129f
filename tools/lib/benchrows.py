# SPDX-License-Identifier: Apache-2.0
"""What tools/bench and tools/peer share, so that both measure the same: the machine, the choice
of rows.
"""
NIC = ("-device", "pcie-root-port,id=rp0,chassis=1,slot=1",
       "-netdev", "hubport,id=n0,hubid=0", "-device", "igb,bus=rp0,netdev=n0")


def wanted(names, keys):
    """Whether one of the KEYS asks for a row that begins with one of NAMES (words)."""
    return not keys or any(k in name or k.startswith(name) for k in keys for name in names.split())
