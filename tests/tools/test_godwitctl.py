# SPDX-License-Identifier: Apache-2.0
"""tools/godwitctl against a fake host: a thread that answers on a Unix socket."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/godwitctl"


def load():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("godwitctl", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("godwitctl", loader))
    loader.exec_module(module)
    return module


godwitctl = load()

LIST = ("table=vm\n"
        "row=vm name=web state=running vcpus=2 memory=268435456 cpu_ms={0} up_ms=9000 reason=\"\"\n"
        "row=vm name=7 state=off vcpus=1 memory=1572864 cpu_ms=0 up_ms=0 reason=\"a \\\"b\\\"\"\n")
HOST = ("name=a\nversion=0.1.0\ncpus=2\nmemory=1073741824\nmemory_free=536870912\nup_ms={0}\n"
        "table=cpu\nrow=cpu id=0\n")


class Host:
    """Answers requests from a dictionary: request without its id -> reply text (or a function
    of how often it came). Bytes before a Ctrl-] are forgotten, as the real port does."""

    def __init__(self, replies, raw=None, greeting=b"", pending=b""):
        self.replies, self.raw, self.greeting = replies, raw, greeting
        self.requests, self.pending = [], pending   # what an earlier client left unfinished
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "ctl")
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.close()
        self.thread.join(5)
        self.dir.cleanup()

    def answer(self, conn, line):
        ident = re.match(r"id=(\S+) (.*)", line)
        if not ident:
            return
        request = ident[2]
        self.requests.append(request)
        reply = self.replies.get(request, "error ENOENT unknown verb\n")
        if callable(reply):
            reply = reply(self.requests.count(request))
        if reply is None:
            return
        conn.sendall(f"id={ident[1]}\n{reply}".encode())
        if self.raw and request.startswith(("vm console", "save", "restore")):
            self.raw(conn)

    def run(self):
        try:
            conn, _ = self.server.accept()
        except OSError:
            return
        with conn:
            with contextlib.suppress(BrokenPipeError):
                conn.sendall(self.greeting)
            data = self.pending
            while True:
                try:
                    more = conn.recv(4096)
                except OSError:
                    return
                if not more:
                    return
                data += more
                while b"\n" in data:
                    line, data = data.split(b"\n", 1)
                    self.answer(conn, line.rpartition(b"\x1d")[2].decode())


def run(argv):
    """(exit status, stdout, stderr) of the tool, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = godwitctl.main(argv)
        except SystemExit as exc:
            status = exc.code
        finally:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)   # the tool wants to die of it
    return status, out.getvalue(), err.getvalue()


class Words(unittest.TestCase):
    def test_quote_and_split(self):
        for value in ("plain-1/2:3", "", "a b", 'q"q', "back\\slash", "tab\tnl\n", "'", "#!&~"):
            self.assertEqual(godwitctl.split_words("k=" + godwitctl.quote(value)), ["k=" + value])

    def test_request_line(self):
        line = godwitctl.request_line(["vm", "start", "my vm", "lines=5", "text=a b"])
        self.assertEqual(line, 'vm start "my vm" lines=5 text="a b"')
        for words in (["x" * 600], ["a\0b"]):
            with self.assertRaises(godwitctl.Failure) as caught:
                godwitctl.request_line(words)
            self.assertEqual(caught.exception.status, 2)

    def test_malformed(self):
        for line in ("novalue", "=x", 'a="open', 'a="\\xzz"', ""):
            with self.assertRaises(ValueError):
                godwitctl.Reply().add(line)

    def test_json_types(self):
        reply = godwitctl.Reply()
        for line in ("name=12", "count=12", "zero=0", "code=007", "table=none", "table=t",
                     "row=t name=1 n=2", 'text="a  b"', "text=c"):
            reply.add(line)
        self.assertEqual(reply.as_json(), {"name": "12", "count": 12, "zero": 0, "code": "007",
                                           "none": [], "t": [{"name": "1", "n": 2}],
                                           "text": ["a  b", "c"]})

    def test_unescape(self):
        whole = b"ab\x1d\x1dc\x1dx\x1d\nrest"
        for cut in range(len(whole)):
            u = godwitctl.Unescape()
            out = u.feed(whole[:cut])
            if not u.ended:
                out += u.feed(whole[cut:])
            self.assertEqual(out, b"ab\x1dc\x1dx")
            self.assertTrue(u.ended)


class Requests(unittest.TestCase):
    def ask(self, replies, *argv, **options):
        with Host(replies, **options) as host:
            result = run(["--socket", host.path, "--timeout", "5", *argv])
            self.requests = host.requests
        return result

    def test_text(self):
        status, out, err = self.ask({"vm list": LIST.format(1) + "ok\n"}, "vm", "list")
        self.assertEqual((status, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["name", "state", "vcpus", "memory", "cpu", "ms", "up", "ms",
                                            "reason"])
        self.assertIn("256 MiB", lines[1])
        self.assertIn("1.5 MiB", lines[2])
        self.assertEqual(lines[1].index("256 MiB") + 7, lines[2].index("1.5 MiB") + 7)

    def test_json(self):
        status, out, _ = self.ask({"vm list": LIST.format(1) + "ok\n"}, "--json", "vm", "list")
        self.assertEqual(status, 0)
        rows = json.loads(out)["vm"]
        self.assertEqual([r["name"] for r in rows], ["web", "7"])
        self.assertEqual(rows[1]["reason"], 'a "b"')
        self.assertEqual(rows[0]["memory"], 268435456)

    def test_json_after_the_verb(self):
        status, out, _ = self.ask({"version": "version=0.1.0\nok\n"}, "version", "--json")
        self.assertEqual((status, json.loads(out)), (0, {"version": "0.1.0"}))

    def test_refused(self):
        status, out, err = self.ask({"vm stop x": "error ENOENT no vm named x\n"}, "vm", "stop", "x")
        self.assertEqual((status, out, err), (1, "", "godwitctl: ENOENT: no vm named x\n"))

    def test_usage_from_the_host(self):
        status, _, err = self.ask({"vm stop": "error EINVAL usage: vm stop VM\n"}, "vm", "stop")
        self.assertEqual((status, err), (2, "godwitctl: EINVAL: usage: vm stop VM\n"))

    def test_stale_output_is_skipped(self):
        stale = b"guest text \xff\nid=9\nx=1\nok\nerror EIO old\nhalf"
        status, out, _ = self.ask({"version": "version=1\nok\n"}, "version", greeting=stale + b"\n",
                                  pending=b"vm stop we")
        self.assertEqual((status, out.split()), (0, ["version", "1"]))

    def test_malformed_reply(self):
        status, _, err = self.ask({"version": "what is this\nok\n"}, "version")
        self.assertEqual(status, 1)
        self.assertIn("malformed", err)

    def test_silence(self):
        with Host({"version": lambda n: None}) as host:
            status, _, err = run(["--socket", host.path, "--timeout", "0.2", "version"])
        self.assertEqual((status, err), (1, "godwitctl: no answer within 0.2 s\n"))

    def test_no_host(self):
        status, _, err = run(["--socket", "/nonexistent/ctl", "version"])
        self.assertEqual((status, err), (1, "godwitctl: /nonexistent/ctl: No such file or directory\n"))
        status, _, err = run(["--tty", "/nonexistent/tty", "version"])
        self.assertEqual(status, 1)

    def test_closed(self):
        near, far = socket.socketpair()
        far.close()
        with self.assertRaises(godwitctl.Failure), godwitctl.Port(near.detach(), 1) as port:
            port.request(["version"])

    def test_wrong_usage(self):
        os.environ.pop("GODWIT_SOCKET", None)
        for argv in ([], ["version"], ["--socket", "x"], ["--socket", "x", "console"],
                     ["--socket", "x", "top", "y"], ["--socket", "x", "save", "y"],
                     ["--socket", "x", "restore"], ["--socket", "x", "vm", "console", "y"],
                     ["-H", "host", "version"], ["-H", "h:1", "--socket", "x", "version"],
                     ["--socket", "x", "--timeout", "0", "version"]):
            self.assertEqual(run(argv)[0], 2, argv)

    def test_environment(self):
        with Host({"version": "version=1\nok\n"}) as host:
            os.environ["GODWIT_SOCKET"] = host.path
            try:
                self.assertEqual(run(["version"])[0], 0)
            finally:
                del os.environ["GODWIT_SOCKET"]

    def test_tcp(self):
        server = socket.create_server(("127.0.0.1", 0))
        host = Host({"version": "version=1\nok\n"})
        host.server.close()
        host.server = server
        with host:
            where = f"127.0.0.1:{server.getsockname()[1]}"
            self.assertEqual(run(["-H", where, "version"])[:2], (0, "version           1\n"))

    def test_tty(self):
        master, slave = pty.openpty()

        def serve():
            line = b""
            while not line.endswith(b"\n"):
                line += os.read(master, 100)
            ident = re.search(rb"id=(\S+) version", line)[1]
            os.write(master, b"id=" + ident + b"\nversion=1\nok\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        status, out, err = run(["--tty", os.ttyname(slave), "--timeout", "5", "version"])
        thread.join(5)
        self.assertEqual((status, out, err), (0, "version           1\n", ""))
        os.close(master)
        os.close(slave)

    def test_top(self):
        replies = {"host": lambda n: HOST.format(1000 * n) + "ok\n",
                   "vm list": lambda n: LIST.format(500 * n) + "ok\n"}
        status, out, err = self.ask(replies, "--interval", "0", "--count", "2", "top")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("512 MiB of 1 GiB free", out)
        first, second = out.split("a: Godwit")[1:]
        self.assertRegex(first, r"web +running +2 +256 MiB +- +9")
        self.assertRegex(second, r"web +running +2 +256 MiB +50\.0 +9")
        status, out, _ = self.ask(replies, "--json", "--interval", "0", "--count", "1", "top")
        self.assertEqual(json.loads(out)["vm"][0]["name"], "web")


def moving(phase, number=1, sent=1 << 20, reason="", estimate=11000):
    return ("table=move\n"
            f"row=move number={number} vm=web direction=out peer=10.0.0.2 phase={phase} passes=2 "
            f"pages_left=512 pages_sent=256 pages_zero=0 sent={sent} received=9 bytes_per_s=0 "
            f"downtime_us=12345 estimate_us={estimate} total_ms={sent >> 10} functions=2 functions_us=9 "
            f"reason=\"{reason}\"\nok\n")


class Moves(unittest.TestCase):
    def ask(self, replies, *argv):
        with Host(replies) as host:
            return (*run(["--socket", host.path, "--timeout", "5", *argv]), host.requests)

    def test_live(self):
        states = [moving("copying", estimate=0), moving("copying", sent=3 << 20), moving("done")]
        code, out, err, _ = self.ask({"migrate web 10.0.0.2 downtime=9": "ok\n",
                                      "migrate-status web": lambda n: states[min(n - 1, 2)]},
                                     "migrate", "web", "10.0.0.2", "downtime=9", "--live")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, "1 MiB sent, 2 VFs in software, 1.0 MiB/s, about 2 s\n")
        self.assertIn("copying, pass 2, 2 MiB left, 3 MiB sent, 2 VFs in software, 1.0 MiB/s, about 2 s; "
                      "would stand 11 ms", out)
        self.assertIn("web runs on 10.0.0.2: stood 12.3 ms (estimated 11.0), took 1.0 s, 2 passes, 1.0 MiB sent", out)

    def test_failed(self):
        code, _, err, _ = self.ask({"migrate web x": "ok\n",
                                    "migrate-status web": moving("failed", reason="no memory")},
                                   "migrate", "web", "x", "--live")
        self.assertEqual(code, 1)
        self.assertIn("goes on here: no memory", err)

    def test_evacuate(self):
        answers = {"vm list": LIST.format(0) + "row=vm name=c state=running\nok\n",
                   "vm info web": "role=guest\nok\n", "vm info c": "role=courier\nok\n",
                   "migrate web 10.0.0.2": "ok\n", "migrate-status web": moving("done")}
        code, out, err, requests = self.ask(answers, "evacuate", "10.0.0.2")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("web runs on 10.0.0.2", out)
        self.assertNotIn("migrate c 10.0.0.2", requests)
        answers["migrate web 10.0.0.2"] = "error EBUSY it is busy\n"
        code, _, err, _ = self.ask(answers, "evacuate", "10.0.0.2")
        self.assertEqual(code, 1)
        self.assertIn("web: it is busy", err)
        self.assertIn("still here: web", err)


def record(kind, payload):
    return (kind.to_bytes(4, "little") + len(payload).to_bytes(4, "little") + bytes(8) + payload)


def read_until(conn, end):
    data = b""
    while not data.endswith(end):
        data += conn.recv(65536)
    return data


class Files(unittest.TestCase):
    """save and restore; the fake host does not look into records."""

    ALL = bytes(range(256)) * 40
    STREAM = b"h" * 32 + record(3, ALL) + record(1, b"") + record(7, b"8 bytes.")

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.dir.name, "web.vm")

    def tearDown(self):
        self.dir.cleanup()

    def save(self, stream, *words):
        def raw(conn):
            for at in range(0, len(stream), 1000):
                conn.sendall(stream[at:at + 1000].replace(b"\x1d", b"\x1d\x1d"))
            read_until(conn, b"\x1d")
            conn.sendall(b"\x1d\n")

        replies = {"save web": "ok\n", "vm stop web": "ok\n", "vm resume web": "ok\n"}
        with Host(replies, raw=raw) as host:
            return run(["--socket", host.path, "save", "web", str(self.file), *words]), host.requests

    def test_save(self):
        (status, _, err), requests = self.save(self.STREAM)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.file.read_bytes(), self.STREAM)
        self.assertEqual(requests, ["save web", "vm stop web"])
        self.assertEqual(self.save(self.STREAM, "resume")[1], ["save web", "vm resume web"])

    def test_incomplete(self):
        """The VM is left alone, and there is no file of that name."""
        (status, _, err), requests = self.save(self.STREAM[:-24] + record(8, b"it was powered off before"))
        self.assertEqual(status, 1)
        self.assertIn("powered off before", err)
        self.assertEqual(requests, ["save web"])
        self.assertFalse(self.file.exists())

    def restore(self, answer, at_once=False):
        got = []

        def raw(conn):
            size = sum(1 + (b in (0x1c, 0x1d)) for b in self.STREAM)
            while not at_once and sum(map(len, got)) < size:
                got.append(conn.recv(65536))
            conn.sendall(answer)
            read_until(conn, b"\x1d")
            conn.sendall(b"\x1d\n")

        self.file.write_bytes(self.STREAM)
        with Host({"restore": "ok\n"}, raw=raw) as host:
            status, _, err = run(["--socket", host.path, "restore", str(self.file)])
        plain = b"".join(got).replace(b"\x1c\x01", b"\x1d").replace(b"\x1c\x00", b"\x1c")
        return status, err, plain

    def test_restore(self):
        self.assertEqual(self.restore(b"ok\n"), (0, "", self.STREAM))

    def test_restore_refused(self):
        status, err, _ = self.restore(b"error EEXIST a vm named web exists\n", at_once=True)
        self.assertEqual((status, err), (1, "godwitctl: EEXIST: a vm named web exists\n"))

    def test_no_file(self):
        with Host({}) as host:
            status, _, err = run(["--socket", host.path, "restore", str(self.file)])
        self.assertEqual(status, 1)
        self.assertIn("No such file", err)


class Console(unittest.TestCase):
    """The tool as a process of its own: it needs real descriptors."""

    def console(self, raw, typed, replies=None):
        with Host(replies or {"vm console web": "ok\n"}, raw=raw) as host:
            p = subprocess.run([sys.executable, str(TOOL), "--socket", host.path, "--timeout", "5",
                                "console", "web"], input=typed, capture_output=True, timeout=30)
        return p.returncode, p.stdout, p.stderr

    def test_leave(self):
        seen = []

        def raw(conn):
            conn.sendall(b"old text\x1d\x1d!")
            data = b""
            while b"\x1d" not in data:
                data += conn.recv(100)
            seen.append(data)
            conn.sendall(b"bye\x1d\n")

        status, out, err = self.console(raw, b"ls\r\x1dnot sent")
        self.assertEqual((status, out, err), (0, b"old text\x1d!bye", b""))
        self.assertEqual(seen, [b"ls\r\x1d"])

    def test_end_of_input(self):
        seen = []

        def raw(conn):
            data = b""
            while b"\x1d" not in data:
                data += conn.recv(100)
                if data == b"ls\n":
                    conn.sendall(b"file\n")
            seen.append(data)
            conn.sendall(b"\x1d\n")

        begin = time.monotonic()
        status, out, _ = self.console(raw, b"ls\n")
        self.assertLess(time.monotonic() - begin, 4.5)
        self.assertEqual((status, out), (0, b"file\n"))
        self.assertEqual(seen, [b"ls\n\x1d"])

    def test_vm_goes_away(self):
        def raw(conn):
            conn.sendall(b"last words\x1d\n")

        self.assertEqual(self.console(raw, b"")[:2], (0, b"last words"))

    def test_refused(self):
        status, _, err = self.console(None, b"", {"vm console web": "error ENOENT no vm named web\n"})
        self.assertEqual((status, err), (1, b"godwitctl: ENOENT: no vm named web\n"))

    def test_connection_lost(self):
        status, _, err = self.console(lambda conn: conn.shutdown(socket.SHUT_RDWR), b"")
        self.assertEqual((status, err), (1, b"godwitctl: the host closed the connection\n"))


if __name__ == "__main__":
    unittest.main()
