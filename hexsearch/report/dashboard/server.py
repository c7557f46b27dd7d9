"""The web server of the dashboard: starlette's routes, run by uvicorn."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hexsearch.errors import ConfigError, HexsearchError
from hexsearch.report.dashboard.fragments import live_part, studies_part
from hexsearch.report.dashboard.pages import broken_page, studies_page, study_page
from hexsearch.report.dashboard.watched import (
    Look,
    Stamp,
    WatchedFolder,
    WatchedStudy,
    stamp_text,
)
from hexsearch.report.html.markup import paragraph

_EVERY_S = 1.0
_CLOSING_S = 5
_UNTOLD: Stamp = (-1, 0)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_JOURNAL = "optuna.journal"
_HEADERS = {
    # Nothing is fetched from elsewhere, and no other page may frame this one.
    b"content-security-policy": b"default-src 'none'; script-src 'unsafe-inline'; "
    b"style-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


class ReadOnly:
    """Answers GET only, with headers that isolate a page from others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] != "GET":
            refusal = PlainTextResponse(
                "this dashboard is read-only: it answers GET only", 405, {"allow": "GET"}
            )
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Dashboard:
    """The routes for the studies of one folder."""

    def __init__(self, results: Path) -> None:
        self._folder = WatchedFolder(results)
        self.is_closing: Callable[[], bool] = lambda: False  # ends the streams of events

    def app(self, hosts: list[str]) -> Starlette:
        """The application.

        Args:
            hosts: host names that are accepted; `*` accepts all. Other names are refused, so that
                no foreign page can read this one through a name of its own (DNS rebinding).
        """
        return Starlette(
            routes=[
                Route("/", self._list),
                Route("/events", self._list_events),
                Route("/study/{name}/", self._study),
                Route("/study/{name}/events", self._study_events),
                Route("/study/{name}/parts", self._parts),
            ],
            middleware=[
                Middleware(ReadOnly),
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            ],
        )

    async def _list(self, request: Request) -> HTMLResponse:
        return HTMLResponse(
            studies_page(self._folder.results, await run_in_threadpool(self._studies_part))
        )

    async def _list_events(self, request: Request) -> StreamingResponse:
        async def tell() -> AsyncIterator[str]:
            told = None
            while not self.is_closing():
                part = await run_in_threadpool(self._studies_part)
                if part != told:
                    yield _event("live", part)
                    told = part
                await asyncio.sleep(_EVERY_S)

        return _stream(tell())

    async def _study(self, request: Request) -> HTMLResponse:
        watched = await self._named(request)
        look = await run_in_threadpool(watched.look)
        live = live_part(look, time.time())
        try:
            stamp, parts = await run_in_threadpool(watched.parts)
        except HexsearchError as error:
            broken = live if look.fault else live + paragraph(str(error))
            return HTMLResponse(broken_page(watched.folder.name, broken))
        journal = watched.folder.path / _JOURNAL
        known = journal if journal.exists() else None
        return HTMLResponse(study_page(parts, live, known, stamp_text(stamp)))

    async def _study_events(self, request: Request) -> StreamingResponse:
        watched = await self._named(request)

        async def tell() -> AsyncIterator[str]:
            told, stamp = None, _UNTOLD
            while not self.is_closing():
                look = await run_in_threadpool(watched.look)
                part = live_part(look, time.time())
                if part != told:
                    yield _event("live", part)
                    told = part
                if await run_in_threadpool(watched.has_news, stamp):
                    stamp = await run_in_threadpool(_stamp_of_page, watched)
                    yield _event("report", stamp_text(stamp))
                await asyncio.sleep(_EVERY_S)

        return _stream(tell())

    async def _parts(self, request: Request) -> JSONResponse:
        watched = await self._named(request)
        try:
            stamp, parts = await run_in_threadpool(watched.parts)
        except HexsearchError as error:
            raise HTTPException(503, str(error)) from error
        return JSONResponse({**asdict(parts), "stamp": stamp_text(stamp)})

    async def _named(self, request: Request) -> WatchedStudy:
        """The study of the address. Its name must be a known one; it never becomes a path."""
        studies = await run_in_threadpool(self._folder.studies)
        name = request.path_params["name"]
        if name not in studies:
            raise HTTPException(404, f"no study {name!r} here")
        return studies[name]

    def _studies_part(self) -> str:
        looks: dict[str, Look] = {
            name: study.look() for name, study in self._folder.studies().items()
        }
        return studies_part(looks)


def _stamp_of_page(watched: WatchedStudy) -> Stamp:
    """The stamp of the ledger from which a page is made now."""
    try:
        return watched.parts()[0]
    except HexsearchError:
        return None


def _event(kind: str, text: str) -> str:
    return f"event: {kind}\ndata: {json.dumps(text)}\n\n"


def _stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream")


def serve(results: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve a folder until Ctrl-C.

    Raises:
        ConfigError: no such folder, or the address cannot be taken.
    """
    if not results.is_dir():
        raise ConfigError(f"{results}: no such folder; give the folder of the studies")
    if (results / "ledger.jsonl").exists():
        raise ConfigError(f"{results}: is a study; give the folder that contains it")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened on ({error}); give another --port"
        ) from error
    with listener:
        where = f"[{host}]" if ":" in host else host
        say(f"dashboard of {results}: http://{where}:{listener.getsockname()[1]}/ (Ctrl-C ends it)")
        if host not in _LOOPBACK:
            say(
                "warning: everyone who reaches this address can read the studies without a password"
            )
        hosts = [*_LOOPBACK, "[::1]"] if host in _LOOPBACK else ["*"]
        dashboard = Dashboard(results)
        config = uvicorn.Config(
            dashboard.app(hosts), log_level="warning", timeout_graceful_shutdown=_CLOSING_S
        )
        server = uvicorn.Server(config)
        dashboard.is_closing = lambda: server.should_exit
        server.run(sockets=[listener])
