"""A proxy in front of an object store that can be away, slow or overloaded, or refuse everybody."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'


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

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is closed after one request."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            answer = self._fault()
            if self.away or answer is not None:
                self.refused += 1
                if answer is not None:
                    writer.write(answer)
                    writer.write_eof()
                    while await asyncio.wait_for(reader.read(65_536), 5):
                        pass
            else:
                await asyncio.sleep(self.delay_s)
                await self._pass_on(head, reader, writer)
        writer.close()

    def _fault(self) -> bytes | None:
        if self.revoked:
            return _answer(403, "Forbidden", "InvalidAccessKeyId", "the key does not exist")
        if self.overloaded_every and self.requests % self.overloaded_every == 0:
            return _answer(503, "Slow Down", "SlowDown", "please reduce your request rate")
        return None

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = re.sub(rb"\r\n[Cc]onnection:[^\r]*", b"", head)
        source, sink = await asyncio.open_connection("127.0.0.1", self._target)
        sink.write(head[:-2] + b"Connection: close\r\n\r\n")
        body = asyncio.create_task(_pipe(reader, sink))
        await _pipe(source, writer)  # the server closes it after its answer
        body.cancel()
        sink.close()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while content := await source.read(65_536):
        sink.write(content)
        await sink.drain()


def _answer(status: int, reason: str, code: str, message: str) -> bytes:
    body = _ERROR.format(code=code, message=message)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return f"{head}{body}".encode()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def faulty_proxy(port: int, target_port: int) -> Iterator[FaultyProxy]:
    """A proxy in a thread of its own."""
    proxy, loop = FaultyProxy(port, target_port), asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(proxy.handle, "127.0.0.1", port, limit=1 << 20)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
