#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unit tests of the harness's own parsing. Run as a program."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True
from lib import accel, bochs, ctl, machine, stream  # noqa: E402


class BochsTest(unittest.TestCase):
    def test_end(self):
        off = "00049i[ACPI  ] x\n0005p[ACPI  ] >>PANIC<< ACPI control: soft power off\n"
        self.assertEqual(bochs.decode_log(off), ("off", 0))
        fault = "0005p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution\n"
        self.assertEqual(bochs.decode_log(fault)[0], "panic")
        self.assertEqual(bochs.decode_log(""), ("error", 1))

    def test_config(self):
        spec = machine.Spec(bochs="ryzen", smp=2, memory=300)
        text = bochs.config(spec, "x.iso", (1001, 1002))
        self.assertIn("cpu: model=ryzen, count=2,", text)
        self.assertIn("memory: guest=300, host=300", text)
        self.assertIn("com2: enabled=1, mode=socket-client, dev=127.0.0.1:1002", text)


class AccelTest(unittest.TestCase):
    """ACCEL=kvm on hosts that have nested virtualisation, and that have not."""

    def settle(self, leaves):
        env = {"ACCEL": "kvm"}
        with unittest.mock.patch.object(accel, "guest_cpuid", return_value=leaves):
            return accel.settle(env), env["ACCEL"]

    def test_nested(self):
        for leaves in ({1: (0, 0, 0x20, 0)}, {1: (0, 0, 0, 0), 0x80000001: (0, 0, 4, 0)}):
            self.assertEqual(self.settle(leaves),
                             ("ACCEL=kvm: nested hardware virtualisation", "kvm"))

    def test_falls_back(self):
        line, chosen = self.settle({1: (0x20, 0x20, 0x81202000, 0x20)})
        self.assertIn("neither VMX nor SVM", line)
        self.assertIn("emulated processors instead", line)
        self.assertEqual(chosen, "tcg")
        env = {"ACCEL": "kvm"}
        self.assertIn("No such file", accel.settle(env, "/nowhere/kvm"))
        self.assertEqual(env["ACCEL"], "tcg")

    def test_not_asked_for(self):
        env = {}
        self.assertIsNone(accel.settle(env))
        self.assertEqual(env, {})

    def test_the_runner_says_so(self):
        """tests/run itself: what it prints, and that the test it runs then passes."""
        root = pathlib.Path(__file__).resolve().parents[3]
        with tempfile.TemporaryDirectory() as tmp:
            env = os.environ | {"ACCEL": "kvm", "B": tmp}
            text = subprocess.run([root / "tests/run", "-k", "harness.accelerator"], env=env,
                                  capture_output=True, text=True, timeout=600, check=True).stdout
        self.assertIn(accel.settle({"ACCEL": "kvm"}), text)
        self.assertIn("1 passed, 0 failed", text)

    def test_arguments(self):
        args = machine.qemu_args(machine.Spec())
        self.assertEqual(args[args.index("-accel") + 1], "tcg")
        with unittest.mock.patch.dict(os.environ, ACCEL="kvm"):
            args = machine.qemu_args(machine.Spec())
        self.assertEqual(args[args.index("-accel") + 1], "kvm,kernel-irqchip=split")
        self.assertEqual(args[args.index("-cpu") + 1], "host")


class MatcherTest(unittest.TestCase):
    def test_consumes_in_order(self):
        m = stream.Matcher()
        m.feed(b"one two one")
        self.assertEqual(m.find(["two"])[1].group(), "two")
        self.assertEqual(m.find(["one"])[1].start(), 8)
        self.assertIsNone(m.find(["one"]))

    def test_earliest_pattern_wins(self):
        m = stream.Matcher()
        m.feed(b"panic then prompt")
        self.assertEqual(m.find(["prompt", "panic"])[0], 1)

    def test_escape_sequences_go_even_when_split(self):
        m = stream.Matcher()
        for part in (b"a\x1b", b"[1;3", b"1mb\x1b[", b"6nc\r\nd\x1b"):
            m.feed(part)
        self.assertEqual(m.text, "abc\nd")

    def test_line_anchors(self):
        m = stream.Matcher()
        m.feed(b"x ok\nok\n")
        self.assertEqual(m.find([r"^ok\n"])[1].start(), 5)

    def test_no_match_consumes_nothing(self):
        m = stream.Matcher()
        m.feed(b"abc")
        self.assertIsNone(m.find(["x"]))
        self.assertEqual(m.pos, 0)

    def test_bytes_that_are_not_text(self):
        m = stream.Matcher()
        m.feed(bytes(range(128, 256)) + b"\0end")
        self.assertIsNotNone(m.find(["end"]))


class StreamTest(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        ours, self.theirs = socket.socketpair()
        self.stream = stream.Stream(ours, "s", pathlib.Path(self.tmp.name) / "log")

    def tearDown(self):
        self.theirs.close()
        self.stream.close()
        self.tmp.cleanup()

    def test_waits_for_what_comes_later(self):
        threading.Timer(0.05, self.theirs.sendall, (b"hello 7\n",)).start()
        self.assertEqual(self.stream.expect(r"hello (\d)", timeout=10).group(1), "7")

    def test_deadline(self):
        self.theirs.sendall(b"something else\n")
        with self.assertRaisesRegex(stream.ExpectError, "passed without 'never'"):
            self.stream.expect("never", timeout=0.05)

    def test_end_of_stream_is_at_once(self):
        self.theirs.sendall(b"last words\n")
        self.theirs.close()
        with self.assertRaisesRegex(stream.ExpectError, "(?s)ended.*last words"):
            self.stream.expect("never", timeout=60)

    def test_text_before_the_end_is_found(self):
        self.theirs.sendall(b"last words\n")
        self.theirs.close()
        self.stream.wait_eof(10)
        self.stream.expect("last words", timeout=1)


class CtlTest(unittest.TestCase):
    def serve(self, answers):
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        s = stream.Stream(ours, "ctl", pathlib.Path(tmp.name) / "log")
        self.addCleanup(s.close)

        def answer():
            with theirs.makefile("rb") as requests:
                for want, text in answers:
                    self.assertEqual(requests.readline().strip(), want)
                    theirs.sendall(text)
        threading.Thread(target=answer, daemon=True).start()
        return ctl.Ctl(s)

    def test_records(self):
        c = self.serve([(b"vm list", b"vm=a state=running\r\nvm=b state=idle\r\nok\r\n"),
                        (b"version", b"version=0.1.0\nok\n")])
        reply = c.request("vm list", timeout=10)
        self.assertEqual(list(reply), [{"vm": "a", "state": "running"},
                                       {"vm": "b", "state": "idle"}])
        self.assertEqual(reply["vm"], "a")
        self.assertEqual(c.request("version", timeout=10)["version"], "0.1.0")

    def test_error(self):
        c = self.serve([(b"vm start x", b"error ENOENT no VM 'x'\n")])
        with self.assertRaises(ctl.CtlError) as caught:
            c.request("vm start x", timeout=10)
        self.assertEqual(caught.exception.code, "ENOENT")
        self.assertEqual(caught.exception.text, "no VM 'x'")

    def test_quoted_value(self):
        self.assertEqual(ctl.parse_line('a=1 b="two words"'), {"a": "1", "b": "two words"})

    def test_not_a_record(self):
        for line in ("word", "=1", "a=1 word"):
            with self.assertRaises(ValueError):
                ctl.parse_line(line)

    def test_ends(self):
        self.assertEqual(ctl.parse_end("ok"), ("ok",))
        self.assertEqual(ctl.parse_end("error EINVAL"), ("error", "EINVAL", ""))
        self.assertIsNone(ctl.parse_end("okay=1"))


class MachineTest(unittest.TestCase):
    def test_modules_in_order_config_first(self):
        spec = machine.Spec(config="[host]\n", modules={"vmlinuz": "/a", "initrd.img": "/b"})
        args = machine.qemu_args(spec)
        self.assertEqual(args[args.index("-initrd") + 1], "godwit.conf,vmlinuz,initrd.img")

    def test_firmware(self):
        args = machine.qemu_args(machine.Spec(boot="ovmf"), "x.iso", "/code.fd")
        self.assertIn("if=pflash,format=raw,unit=0,readonly=on,file=/code.fd", args)
        self.assertNotIn("-kernel", args)

    def test_icount_forces_the_emulated_processor(self):
        args = machine.qemu_args(machine.Spec(icount=True))
        self.assertEqual(args[args.index("-accel") + 1], "tcg")
        self.assertIn("shift=0,sleep=off", args)

    def test_status(self):
        for code, want in ((0, ("off", 0)), (33, ("debug-exit", 16)), (3, ("debug-exit", 1)),
                           (1, ("error", 1)), (134, ("signal", 6)), (-9, ("signal", 9)),
                           (2, ("error", 2))):
            self.assertEqual(machine.decode_status(code), want)


if __name__ == "__main__":
    unittest.main()
