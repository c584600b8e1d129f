# SPDX-License-Identifier: Apache-2.0
"""Client of the machine-readable control port: one request line, one reply.

A reply is lines of `key=value` (several to a line form one record), then `ok` or
`error CODE TEXT`.
"""
import shlex


class CtlError(AssertionError):
    """The hypervisor refused a request."""

    def __init__(self, request, code, text):
        super().__init__(f"{request!r}: error {code} {text}")
        self.code = code
        self.text = text


def parse_line(line):
    """`a=1 b="two words"` to {"a": "1", "b": "two words"}; ValueError when malformed."""
    record = {}
    for word in shlex.split(line):
        key, eq, value = word.partition("=")
        if not eq or not key:
            raise ValueError(f"not key=value: {word!r} in {line!r}")
        record[key] = value
    return record


def parse_end(line):
    """None while the reply goes on; ("ok",) or ("error", code, text) at its end."""
    if line == "ok":
        return ("ok",)
    if line.startswith("error "):
        _, code, text = (line + "  ").split(" ", 2)
        return ("error", code, text.strip())
    return None


class Reply(list):
    """Records in order; `reply["key"]` is the first record's value of that key."""

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        for record in self:
            if key in record:
                return record[key]
        raise KeyError(key)


class Ctl:
    def __init__(self, stream):
        self._stream = stream

    def request(self, line, timeout=30.0):
        """Sends LINE, returns its Reply; CtlError when refused."""
        self._stream.mark()
        self._stream.send(line + "\n")
        reply = Reply()
        while True:
            text = self._stream.expect(r"^([^\n]*)\n", timeout=timeout).group(1).strip()
            if not text:
                continue
            end = parse_end(text)
            if end is None:
                reply.append(parse_line(text))
            elif end[0] == "ok":
                return reply
            else:
                raise CtlError(line, end[1], end[2])
