# SPDX-License-Identifier: Apache-2.0
"""Moves of VMs as tools/godwitctl shows them: progress, an estimate, cancelling, the result."""
import sys
import time

PAGE = 4096
LOOK_S = 0.5
MIB = 1 << 20


class Moved(Exception):
    """A move ended without the VM having moved; the reason."""


def newest(port, vm):
    """The row of the VM's latest move out of this host."""
    rows = [r for r in port.request(["migrate-status", vm]).tables.get("move", [])
            if r["direction"] == "out" and r["vm"] == vm]
    return max(rows, key=lambda r: int(r["number"])) if rows else None


class Progress:
    """One line that changes on a terminal, a line each otherwise."""

    def __init__(self):
        self.width, self.last = 0, None

    def rate(self, row):
        """Bytes a second of late."""
        now = (int(row["total_ms"]), int(row["sent"]))
        before, self.last = self.last or (0, 0), now
        return (now[1] - before[1]) * 1000 / (now[0] - before[0]) if now[0] > before[0] else 0

    def show(self, row):
        rate, left = self.rate(row), int(row["pages_left"]) * PAGE
        text = (f"{row['vm']} -> {row['peer']}: {row['phase']}, pass {row['passes']}, "
                f"{left / MIB:.0f} MiB left, {int(row['sent']) / MIB:.0f} MiB sent")
        if int(row["functions"]):
            text += f", {row['functions']} VFs in software"
        if rate and row["phase"] == "copying":
            text += f", {rate / MIB:.1f} MiB/s, about {left / rate:.0f} s"
            if int(row["estimate_us"]):     # none before the end of the first pass
                text += f"; would stand {int(row['estimate_us']) / 1000:.0f} ms"
        if sys.stdout.isatty():
            print("\r" + text.ljust(self.width), end="", flush=True)
            self.width = len(text)
        else:
            print(text, flush=True)

    def end(self):
        if sys.stdout.isatty() and self.width:
            print("\r" + " " * self.width + "\r", end="")


def result(row):
    return (f"{row['vm']} runs on {row['peer']}: stood {int(row['downtime_us']) / 1000:.1f} ms "
            f"(estimated {int(row['estimate_us']) / 1000:.1f}), "
            f"took {int(row['total_ms']) / 1000:.1f} s, {row['passes']} passes, "
            f"{int(row['sent']) / MIB:.1f} MiB sent")


def follow(port, vm, live):
    """Until the VM's move has ended: its row. Ctrl-C cancels and waits for that."""
    progress, cancelled = Progress(), False
    while True:
        try:
            row = newest(port, vm)
            if row is None or row["phase"] in ("done", "failed"):
                break
            if live:
                progress.show(row)
            time.sleep(LOOK_S)
        except KeyboardInterrupt:
            if cancelled:
                raise
            cancelled = True
            port.request(["migrate-cancel", vm])
    progress.end()
    if row is None:
        raise Moved(f"{vm}: the host knows nothing of this move any more")
    if row["phase"] == "failed":
        raise Moved(f"{vm} was not moved to {row['peer']} and goes on here: {row['reason']}")
    return row


def migrate(port, words):
    """`migrate VM HOST ... ` with progress; the result for people."""
    port.request(words)
    return result(follow(port, words[1], True))


def evacuate(port, host, options):
    """All running VMs but the courier, one after another; what stays is named at the end."""
    vms = [r for r in port.request(["vm", "list"]).tables.get("vm", [])
           if r["state"] in ("running", "paused")]
    stayed = []
    for row in vms:
        name = row["name"]
        if port.request(["vm", "info", name]).facts.get("role") == "courier":
            continue
        try:
            port.request(["migrate", name, host, *options])
            print(result(follow(port, name, sys.stdout.isatty())), flush=True)
        except KeyboardInterrupt:
            raise
        except Exception as exc:    # whatever hinders one VM, the others go
            print(f"godwitctl: {name}: {exc}", file=sys.stderr, flush=True)
            stayed.append(name)
    if stayed:
        raise Moved("still here: " + ", ".join(stayed))
