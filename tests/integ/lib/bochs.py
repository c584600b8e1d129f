# SPDX-License-Identifier: Apache-2.0
"""Bochs as the emulated host: the one emulator here that has VMX, and a second opinion on SVM.

Pure text: what Bochs is started with and what its log says about its end.
"""
import os
import re

BOCHS = os.environ.get("BOCHS", "bochs-bin")
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
SEABIOS = "/usr/share/seabios/bios.bin"
VGABIOS = "/usr/share/vgabios/vgabios.bin"
FILES = ("bochsrc", "continue.rc")
IPS = 50_000_000                    # instructions to an emulated second

# The internal debugger waits for a command at start and after a reset.
CONTINUE = "c\n" * 16

# Each orderly end is a panic of Bochs, and its exit status is 1 whatever happened.
_PANIC = re.compile(r">>PANIC<< (.*)")
_OFF = ("ACPI control: soft power off", "Shutdown port: shutdown requested")


def config(spec, iso, ports):
    """The configuration file for SPEC; `ports` are the harness's TCP ports for COM1, COM2. Its
    `devices` are further lines."""
    serial = "\n".join(f"com{n}: enabled=1, mode=socket-client, dev=127.0.0.1:{port}"
                       for n, port in enumerate(ports, 1))
    return f"""config_interface: textconfig
display_library: rfb, options="timeout=0, hideIPS, no_gui_console"
plugin_ctrl: unmapped=1, serial=1, biosdev=1, iodebug=0, gameport=0, parallel=0, speaker=0
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
cpu: model={spec.bochs}, count={spec.smp}, ips={IPS}, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={spec.memory}, host={spec.memory}
romimage: file={spec.bochs_bios or BIOS}, options=fastboot
vgaromimage: file={VGABIOS}
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
clock: sync=none, time0=1767225600
{serial}
{chr(10).join(spec.devices)}
mouse: enabled=0
log: bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def args():
    return [BOCHS, "-q", "-f", FILES[0], "-rc", FILES[1]]


def decode_log(log):
    """(kind, value) as machine.decode_status() has it for QEMU."""
    found = _PANIC.search(log)
    if not found:
        return ("error", 1)
    return ("off", 0) if found.group(1).strip() in _OFF else ("panic", found.group(1).strip())
