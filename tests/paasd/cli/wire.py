"""A stand-in for the daemon's API: a real HTTP server that gives prepared answers and records what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
DEADLINE = 20.0
TOKEN = "t0ken-0123456789-s3cret"


@dataclass(frozen=True)
class Seen:
    """One request: `target` is its path with the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any


class Wire:
    """Answers by (method, path with query): a prepared JSON body, the next of several, or a handler's own."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def reply(
        self, method: str, target: str, *bodies: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Each request takes the next body; the last is given for ever."""
        left = list(bodies)

        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            body = left.pop(0) if len(left) > 1 else left[0]
            return web.json_response(body, status=status, headers=headers)

        self._handlers[method, target] = answer

    def fail(self, method: str, target: str, status: int, error_id: str, message: str, **more: Any) -> None:
        self.reply(method, target, {"id": error_id, "message": message, **more}, status=status)

    def text(self, target: str, body: bytes, *, status: int = 200) -> None:
        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(body=body, status=status, content_type="text/plain")

        self._handlers["GET", target] = answer

    def handle(self, method: str, target: str, handler: Handler) -> None:
        self._handlers[method, target] = handler

    def asked(self, method: str, target: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.target) == (method, target)]

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    def _run(self) -> None:
        runner = self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())

    async def _serve(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        data = await request.read()
        target = request.path_qs
        body = data if data.startswith(b"\x1f\x8b") else json.loads(data) if data else None
        self.seen.append(Seen(request.method, target, dict(request.headers), body))
        handler = self._handlers.get((request.method, target))
        if handler is None:
            return web.json_response({"id": "not_found", "message": f"No {request.method} {target}."}, status=404)
        return await handler(request)


def app(name: str = "shop", **changes: Any) -> dict[str, Any]:
    return {
        "id": "01234567-89ab-cdef-0123-456789abcdef",
        "name": name,
        "acm": False,
        "git_url": f"https://127.0.0.1:5500/{name}.git",
        "web_url": f"http://{name}.localhost:8080/",
        "maintenance": False,
        "repo_size": 4096,
        "slug_size": 52428800,
        "owner": {"id": "u1", "email": "owner@localhost"},
        "region": {"id": "r1", "name": "us"},
        "stack": {"id": "s1", "name": "bookworm"},
        "build_stack": {"id": "s1", "name": "bookworm"},
        **changes,
    }


def release(version: int, description: str = "Deploy 9f3c21ab", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-0000-0000-{version:012d}",
        "version": version,
        "description": description,
        "status": "succeeded",
        "current": False,
        "eligible_for_rollback": True,
        "output_stream_url": None,
        "addon_plan_names": [],
        "user": {"id": "u1", "email": "owner@localhost"},
        "created_at": "2026-11-23T06:00:00Z",
        "updated_at": "2026-11-23T06:00:00Z",
        **changes,
    }


EXTENDED: dict[str, Any] = {
    "commit": {
        "sha": "9f3c21ab" * 5,
        "author": "Ada <ada@example.org>",
        "subject": "Greet \x1b]0;owned\x07everybody",
    },
    "image": "sha256:" + "ab" * 32,
    "process_types": {"web": "gunicorn shop", "worker": "python work.py"},
    "formation": {"web": 2, "worker": 0},
    "stages": [
        {"stage": "build", "detail": "python", "at": "2026-11-23T06:00:00Z", "seconds": 12.34},
        {"stage": "release_phase", "detail": None, "at": "2026-11-23T06:00:12Z", "seconds": 0.25},
        {"stage": "promote", "detail": None, "at": "2026-11-23T06:00:13Z", "seconds": None},
    ],
    "failure": None,
    "user": {"email": "owner@localhost", "token": "laptop", "address": "127.0.0.1"},
    "diff": {
        "against": 3,
        "config": {"added": ["GREETING"], "removed": ["OLD"], "changed": ["DEBUG"]},
        "process_types": {"added": ["worker"], "removed": [], "changed": []},
        "image_changed": True,
        "commit_changed": True,
    },
}
