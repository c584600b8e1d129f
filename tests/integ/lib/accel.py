# SPDX-License-Identifier: Apache-2.0
"""Whether the host can run the suite by hardware virtualisation: KVM, and its guests have it too."""
import fcntl
import os
import struct

KVM = "/dev/kvm"
KVM_GET_SUPPORTED_CPUID = 0xc008ae05
ENTRY = struct.Struct("10I")        # function, index, flags, eax, ebx, ecx, edx, padding
ENTRIES = 256


def guest_cpuid(device):
    """{function: (eax, ebx, ecx, edx)} that KVM offers its guests; OSError when it cannot be asked."""
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        reply = bytearray(struct.pack("2I", ENTRIES, 0) + bytes(ENTRY.size * ENTRIES))
        fcntl.ioctl(fd, KVM_GET_SUPPORTED_CPUID, reply)
    finally:
        os.close(fd)
    count = struct.unpack_from("I", reply)[0]
    words = [ENTRY.unpack_from(reply, 8 + ENTRY.size * i) for i in range(count)]
    return {w[0]: w[3:7] for w in words}


def missing(device=KVM):
    """What this host lacks for ACCEL=kvm, None when nothing."""
    try:
        leaves = guest_cpuid(device)
    except OSError as exc:
        return f"{device}: {exc.strerror}"
    none = (0, 0, 0, 0)
    vmx = leaves.get(1, none)[2] >> 5 & 1
    svm = leaves.get(0x80000001, none)[2] >> 2 & 1
    return None if vmx or svm else "KVM has neither VMX nor SVM for its guests (no nesting)"


def settle(environ, device=KVM):
    """Makes ACCEL in ENVIRON one that works here; a line that says so when one was asked for."""
    if environ.get("ACCEL", "tcg") != "kvm":
        return None
    why = missing(device)
    if why is None:
        return "ACCEL=kvm: nested hardware virtualisation"
    environ["ACCEL"] = "tcg"
    return f"ACCEL=kvm: {why}: emulated processors instead"


def qemu(accel):
    """QEMU's -accel argument: the IOMMU's interrupt remapping needs its interrupt controllers."""
    return "kvm,kernel-irqchip=split" if accel == "kvm" else accel
