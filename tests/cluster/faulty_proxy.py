"""A proxy in front of an object store that can be away, slow or overloaded, or refuse everybody."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
_BLOCK = 65_536


class FaultyProxy:
    """Passes requests on, each over a connection of its own.

    Attributes:
        away: connections are closed without an answer, as by a server that has gone.
        delay_s: seconds before each request is passed on.
        overloaded_every: one request in so many is answered by 503; 0 answers none so.
        revoked: every request is answered by 403.
        requests, refused: how many there were, and how many of them were not passed on.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target = port, target_port
        self.away, self.revoked, self.delay_s, self.overloaded_every = False, False, 0.0, 0
        self.requests = self.refused = 0

    def handle(self, client: socket.socket) -> None:
        """One connection, which is closed after one request."""
        head = b""
        while b"\r\n\r\n" not in head:
            received = client.recv(_BLOCK)
            if not received:
                return
            head += received
        self.requests += 1
        answer = self._fault()
        if self.away or answer is not None:
            self.refused += 1
            if answer is not None:
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(5)
                while client.recv(_BLOCK):  # or the answer would be lost with the connection
                    pass
            return
        time.sleep(self.delay_s)
        first, _, rest = head.partition(b"\r\n\r\n")
        first = re.sub(rb"\r\n[Cc]onnection:[^\r]*", b"", first)
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            server.sendall(first + b"\r\nConnection: close\r\n\r\n" + rest)
            sending = threading.Thread(target=_pipe, args=(client, server), daemon=True)
            sending.start()
            _pipe(server, client)  # the server closes it after its answer
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            sending.join()

    def _fault(self) -> bytes | None:
        if self.revoked:
            return _answer(403, "Forbidden", "InvalidAccessKeyId", "the key does not exist")
        if self.overloaded_every and self.requests % self.overloaded_every == 0:
            return _answer(503, "Slow Down", "SlowDown", "please reduce your request rate")
        return None


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(_BLOCK):
            sink.sendall(content)


def _answer(status: int, reason: str, code: str, message: str) -> bytes:
    body = _ERROR.format(code=code, message=message)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return f"{head}{body}".encode()


@contextmanager
def faulty_proxy(port: int, target_port: int) -> Iterator[FaultyProxy]:
    """A proxy in a thread of its own, with a thread for each connection."""
    proxy = FaultyProxy(port, target_port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                proxy.handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        request_queue_size = 128

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
