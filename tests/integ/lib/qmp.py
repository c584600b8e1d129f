# SPDX-License-Identifier: Apache-2.0
"""The emulator's own control socket: JSON lines."""
import json
import time

from lib.stream import TIME_SCALE


class QmpError(AssertionError):
    """The emulator refused a command or did not answer."""


class Qmp:
    def __init__(self, sock):
        self._sock = sock
        self._buf = b""
        self.events = []
        self._message(10)  # greeting
        self.command("qmp_capabilities")

    def _message(self, timeout):
        deadline = time.monotonic() + timeout * TIME_SCALE
        while b"\n" not in self._buf:
            self._sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._sock.recv(65536)
            except TimeoutError as exc:
                raise QmpError("no answer from the emulator") from exc
            if not data:
                raise QmpError("the emulator closed its control socket")
            self._buf += data
        line, self._buf = self._buf.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, timeout=20.0, **arguments):
        self._sock.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._message(timeout)
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise QmpError(f"{name}: {message['error'].get('desc')}")
            self.events.append(message)

    def monitor(self, line):
        """A command of the human monitor, its text."""
        return self.command("human-monitor-command", **{"command-line": line})

    def close(self):
        self._sock.close()
