# SPDX-License-Identifier: Apache-2.0
"""TLS with a pre-shared key, as the courier speaks it, by the system's OpenSSL: Python's own
module knows pre-shared keys only from 3.13 on."""
import ctypes
import ctypes.util
import select
import socket
import threading

CIPHER = b"ECDHE-PSK-CHACHA20-POLY1305"
IDENTITY = b"godwit"
TLS_1_2 = 0x303
SET_MIN, SET_MAX = 123, 124         # SSL_CTRL_SET_MIN_PROTO_VERSION and _MAX_
ASK_KEY = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p,
                           ctypes.c_uint, ctypes.c_void_p, ctypes.c_uint)


class TlsError(Exception):
    """No connection, or it ended."""


def read_key(path):
    """The key of a file of hexadecimal digits, as the courier reads it."""
    with open(path, encoding="ascii") as f:
        key = bytes.fromhex("".join(f.read().split()))
    if not 16 <= len(key) <= 64:
        raise ValueError("a key has 16 to 64 bytes")
    return key


def library():
    name = ctypes.util.find_library("ssl")
    if not name:
        raise TlsError("OpenSSL's library is missing (package libssl3)")
    lib = ctypes.CDLL(name)
    for fn in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, fn).restype = ctypes.c_void_p
    lib.SSL_CTX_new.argtypes = [ctypes.c_void_p]
    lib.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    lib.SSL_CTX_set_cipher_list.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.SSL_CTX_set_psk_client_callback.argtypes = [ctypes.c_void_p, ASK_KEY]
    lib.SSL_new.argtypes = [ctypes.c_void_p]
    lib.SSL_set_fd.argtypes = [ctypes.c_void_p, ctypes.c_int]
    for fn in ("SSL_connect", "SSL_pending", "SSL_shutdown"):
        getattr(lib, fn).argtypes = [ctypes.c_void_p]
    for fn in ("SSL_read", "SSL_write"):
        getattr(lib, fn).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    lib.SSL_get_error.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return lib


class Tls:
    """A connection to a courier: read() and write() block."""

    def __init__(self, sock, key):
        self.sock, self.lib = sock, library()
        self.ask = ASK_KEY(self._key(key))     # kept: OpenSSL calls it
        context = self.lib.SSL_CTX_new(self.lib.TLS_client_method())
        self.lib.SSL_CTX_ctrl(context, SET_MIN, TLS_1_2, None)
        self.lib.SSL_CTX_ctrl(context, SET_MAX, TLS_1_2, None)
        if not self.lib.SSL_CTX_set_cipher_list(context, CIPHER):
            raise TlsError(f"OpenSSL lacks {CIPHER.decode()}")
        self.lib.SSL_CTX_set_psk_client_callback(context, self.ask)
        self.ssl = self.lib.SSL_new(context)
        self.lib.SSL_set_fd(self.ssl, sock.fileno())
        if self.lib.SSL_connect(self.ssl) != 1:
            raise TlsError("no courier there, or it has another key")

    @staticmethod
    def _key(key):
        def ask(_ssl, _hint, identity, identity_max, psk, psk_max):
            if identity_max <= len(IDENTITY) or psk_max < len(key):
                return 0
            ctypes.memmove(identity, IDENTITY + b"\0", len(IDENTITY) + 1)
            ctypes.memmove(psk, key, len(key))
            return len(key)
        return ask

    def read(self):
        """At least one byte; b"" at the end."""
        buf = ctypes.create_string_buffer(16384)
        n = self.lib.SSL_read(self.ssl, buf, len(buf))
        return buf.raw[:n] if n > 0 else b""

    def write(self, data):
        if self.lib.SSL_write(self.ssl, data, len(data)) != len(data):
            raise TlsError("connection lost")

    def pump(self, plain):
        """Between the connection and the socket `plain`, until either ends."""
        try:
            while True:
                ready = [self.sock] if self.lib.SSL_pending(self.ssl) else \
                    select.select([self.sock, plain], [], [])[0]
                if self.sock in ready:
                    data = self.read()
                    if not data:
                        break
                    plain.sendall(data)
                if plain in ready:
                    data = plain.recv(16384)
                    if not data:
                        break
                    self.write(data)
        except (OSError, TlsError):
            pass
        self.lib.SSL_shutdown(self.ssl)
        plain.close()
        self.sock.close()


def connect(host, port, key, timeout):
    """A descriptor to read and write plain text with, of a TLS connection to a courier."""
    sock = socket.create_connection((host, port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A limit for the handshake that OpenSSL, which sees the descriptor only, keeps too.
    sock.settimeout(None)
    seconds = int(timeout).to_bytes(8, "little") + bytes(8)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
    tls = Tls(sock, key)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(16))
    ours, theirs = socket.socketpair()
    threading.Thread(target=tls.pump, args=(theirs,), daemon=True).start()
    return ours.detach()
