"""The proxy of the storage tests passes requests on, and has the faults that it is told to have."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cluster.faulty_proxy import FaultyProxy, faulty_proxy
from tests.cluster.stored_study import free_port


class Echo(BaseHTTPRequestHandler):
    """Answers a request with its body."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def proxied() -> Iterator[FaultyProxy]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with faulty_proxy(free_port(), server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def put(proxy: FaultyProxy, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    try:
        connection.request("PUT", "/bucket/key", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_requests_are_passed_on_whole_and_every_fault_is_what_it_is_called() -> None:
    large = bytes(range(256)) * 4096
    with proxied() as proxy:
        assert put(proxy, large) == (200, large)
        proxy.overloaded_every = 2
        assert [put(proxy, b"x")[0] for _ in range(4)] == [503, 200, 503, 200]
        proxy.overloaded_every, proxy.revoked = 0, True
        status, body = put(proxy, large)
        assert status == 403 and b"InvalidAccessKeyId" in body
        proxy.revoked, proxy.away = False, True
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            put(proxy, b"x")
        proxy.away, proxy.delay_s = False, 0.2
        began = time.monotonic()
        assert put(proxy, b"x") == (200, b"x")
        assert time.monotonic() - began >= 0.2
        assert (proxy.requests, proxy.refused) == (8, 4)
