# SPDX-License-Identifier: Apache-2.0
"""A byte stream from a machine and waiting for patterns in it, always with a deadline."""
import os
import re
import threading
import time

# Slow or shared hosts: every wait takes this much longer before it gives up.
TIME_SCALE = float(os.environ.get("GODWIT_TIME_SCALE", "1"))

_CSI = re.compile("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b[^\\[]")
_CSI_PARTIAL = re.compile("\x1b(\\[[0-9;?]*[ -/]*)?$")


class ExpectError(AssertionError):
    """The wanted text did not come: the deadline passed or the stream ended."""


class Matcher:
    """Collects text and finds patterns in what no earlier pattern has consumed.

    Escape sequences and carriage returns are taken out, so that a pattern sees lines as a
    person reads them.
    """

    def __init__(self):
        self.text = ""
        self.pos = 0
        self._held = ""

    def feed(self, data):
        text = self._held + data.decode("latin-1")
        partial = _CSI_PARTIAL.search(text)
        self._held = text[partial.start():] if partial else ""
        if partial:
            text = text[:partial.start()]
        self.text += _CSI.sub("", text).replace("\r", "").replace("\0", "")

    def find(self, patterns):
        """(index, match) of the pattern that matches earliest, consumed; else None."""
        best = None
        for index, pattern in enumerate(patterns):
            match = re.compile(pattern, re.M).search(self.text, self.pos)
            if match and (best is None or match.start() < best[1].start()):
                best = (index, match)
        if best:
            self.pos = best[1].end()
        return best

    def tail(self, lines=15):
        return "\n".join(self.text.splitlines()[-lines:])


class Stream:
    """Reads a connected socket in the background, so the sender never blocks on us."""

    def __init__(self, sock, name, log_path):
        self.name = name
        self._sock = sock
        self._matcher = Matcher()
        self._cond = threading.Condition()
        self._eof = False
        self._log = open(log_path, "wb", buffering=0)
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self):
        while True:
            try:
                data = self._sock.recv(65536)
            except OSError:
                data = b""
            with self._cond:
                if data:
                    self._log.write(data)
                    self._matcher.feed(data)
                else:
                    self._eof = True
                self._cond.notify_all()
            if not data:
                self._log.close()
                return

    def send(self, text):
        self._sock.sendall(text.encode() if isinstance(text, str) else text)

    def sendline(self, text=""):
        self.send(text + "\r")

    def expect(self, *patterns, timeout=30.0):
        """Waits for the first of the regular expressions; returns its match.

        The match carries `.re.pattern`; use expect_any() for the index.
        """
        return self.expect_any(*patterns, timeout=timeout)[1]

    def expect_any(self, *patterns, timeout=30.0):
        deadline = time.monotonic() + timeout * TIME_SCALE
        with self._cond:
            while True:
                found = self._matcher.find(patterns)
                if found:
                    return found
                left = deadline - time.monotonic()
                if self._eof or left <= 0:
                    why = "stream ended" if self._eof else f"{timeout:g} s passed"
                    raise ExpectError(f"{self.name}: {why} without {' or '.join(patterns)!r};"
                                      f" last lines:\n{self._matcher.tail()}")
                self._cond.wait(left)

    def wait_eof(self, timeout=30.0):
        with self._cond:
            if not self._cond.wait_for(lambda: self._eof, timeout * TIME_SCALE):
                raise ExpectError(f"{self.name}: still open after {timeout:g} s")

    @property
    def text(self):
        """All that came so far."""
        with self._cond:
            return self._matcher.text

    def mark(self):
        """Makes later expects ignore what has come so far."""
        with self._cond:
            self._matcher.pos = len(self._matcher.text)

    def close(self):
        try:
            self._sock.shutdown(2)
        except OSError:
            pass  # the other side was first
        self._sock.close()
        self._thread.join(5)
