"""A dashboard that is served from a thread, and studies for it that a test moves on."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

_PATIENCE_S = 60.0


@contextmanager
def served(results: Path) -> Iterator[int]:
    """The port of a dashboard of this folder."""
    from hexsearch.report.dashboard.server import Dashboard

    dashboard = Dashboard(results)
    config = uvicorn.Config(dashboard.app(["127.0.0.1"]), log_level="error")
    server = uvicorn.Server(config)
    dashboard.is_closing = lambda: server.should_exit
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(_PATIENCE_S)
            assert not thread.is_alive()


def ask(
    port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and body; the path is sent as it stands, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Events:
    """Server-sent events of a page, as they come."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        self._connection.request("GET", path)
        self._answer = self._connection.getresponse()
        assert self._answer.getheader("content-type", "").startswith("text/event-stream")

    def next(self) -> tuple[str, str]:
        """Kind and text of the next event."""
        lines: list[str] = []
        while not (line := self._answer.readline().decode().rstrip("\n")) == "" or not lines:
            if line:
                lines.append(line)
        kind, data = (part.partition(": ")[2] for part in lines)
        return kind, json.loads(data)

    def until(self, kind: str, text: str = "") -> str:
        """The first event of a kind that holds a text."""
        ends = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends:
            found = self.next()
            if found[0] == kind and text in found[1]:
                return found[1]
        raise AssertionError(f"no event {kind!r} with {text!r}")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = _PATIENCE_S) -> None:
    """Until a page has done what it should, or the test's patience ends."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.1)
