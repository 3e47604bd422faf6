"""The wire: Platform API v3 over HTTP. Prints nothing but the API's own warnings; urllib3 is imported on first use."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from paasd.cli.errors import ApiError, CliError, Unreachable, print_warning
from paasd.cli.settings import Settings

ACCEPT = "application/vnd.heroku+json; version=3"
CONNECT_SECONDS = 5.0
UPLOADED_SECONDS = 600.0
ANSWER_SECONDS = 65.0  # a write may wait 50 s for the release before it


class Body(Protocol):
    """What is used of a reply while it arrives."""

    @property
    def chunked(self) -> bool: ...
    def stream(self, amt: int, decode_content: bool | None = None) -> Iterator[bytes]: ...
    def read1(self, amt: int, decode_content: bool | None = None) -> bytes: ...


class Refused(CliError):
    """A stream's address did not answer with 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The stream answered with HTTP {status}: ask for it again.")
        self.status = status


def path(*parts: str) -> str:
    """`path("apps", name)` -> `/apps/NAME`, each part percent-encoded."""
    return "/" + "/".join(quote(part, safe="~") for part in parts)


class Api:
    """The daemon's API with the user's token. Every method raises ApiError, Unreachable or CliError."""

    def __init__(self, settings: Settings, *, password_of: str | None = None) -> None:
        """`password_of`: an e-mail address; the settings' token is its password then."""
        import urllib3

        self.settings = settings
        self._password_of = password_of
        self._pool = urllib3.PoolManager(retries=False, maxsize=4)

    def get(self, where: str, *, range_: str | None = None) -> Any:
        return self._call("GET", where, range_=range_)[0]

    def get_all(self, where: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        items: list[dict[str, Any]] = []
        range_: str | None = None
        while True:
            page, range_ = self._call("GET", where, range_=range_)
            items += page
            if not range_:
                return items

    def post(self, where: str, body: object = None) -> Any:
        return self._call("POST", where, body)[0]

    def patch(self, where: str, body: object) -> Any:
        return self._call("PATCH", where, body)[0]

    def put(self, where: str, body: object) -> Any:
        return self._call("PUT", where, body)[0]

    def put_bytes(self, where: str, body: bytes, kind: str) -> Any:
        """A body that is not JSON; `kind` is its media type."""
        return self._call("PUT", where, raw=(body, kind))[0]

    def upload(self, url: str, body: Iterator[bytes], size: int) -> Any:
        """PUT `size` bytes to a capability URL; the token is not sent. The server may take its time to look at them."""
        import urllib3

        headers = {"User-Agent": "paas", "Content-Length": str(size)}
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=UPLOADED_SECONDS)
        with self._translated():
            reply = self._pool.request("PUT", url, body=body, headers=headers, timeout=timeout, redirect=False)
        return self._decoded(reply.status, reply.data)

    def delete(self, where: str, body: object = None) -> Any:
        return self._call("DELETE", where, body)[0]

    @contextmanager
    def stream(self, url: str, *, accept: str = "*/*", last_event_id: str | None = None) -> Iterator[Iterator[bytes]]:
        """The bytes of a capability URL as they arrive, for as long as it takes. The token is not sent.

        Raises Refused unless the answer is 200, Unreachable when the connection breaks.
        """
        import urllib3

        headers = {"Accept": accept, "User-Agent": "paas"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=None)
        with self._translated():
            reply = self._pool.request("GET", url, headers=headers, preload_content=False, timeout=timeout)
        try:
            if reply.status != 200:
                raise Refused(reply.status)
            yield self._chunks(reply)
        finally:
            reply.close()

    def _chunks(self, reply: Any) -> Iterator[bytes]:
        body: Body = reply
        with self._translated():
            if body.chunked:
                yield from body.stream(65536, decode_content=False)
                return
            while data := body.read1(65536, decode_content=False):
                yield data

    def _call(
        self,
        method: str,
        where: str,
        body: object = None,
        range_: str | None = None,
        raw: tuple[bytes, str] | None = None,
    ) -> tuple[Any, str | None]:
        """-> the JSON body, and the range that asks for the next page if there is one."""
        import urllib3

        headers = {
            "Accept": ACCEPT,
            "User-Agent": "paas",
            "Request-Id": str(uuid.uuid4()),
            "Authorization": self._authorization(),
        }
        if range_:
            headers["Range"] = range_
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        elif raw is not None:
            data, headers["Content-Type"] = raw
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        with self._translated():
            reply = self._pool.request(
                method, self.settings.api + where, body=data, headers=headers, timeout=timeout, redirect=False
            )
        for name in ("X-Heroku-Warning", "Warning-Message"):
            if reply.headers.get(name):
                print_warning(reply.headers[name])
        return self._decoded(reply.status, reply.data), reply.headers.get("Next-Range")

    def _authorization(self) -> str:
        if self._password_of is None:
            return f"Bearer {self.settings.token}"
        pair = f"{self._password_of}:{self.settings.token}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _decoded(self, status: int, data: bytes) -> Any:
        try:
            body = json.loads(data) if data else None
        except ValueError:
            raise CliError(
                f"{self.settings.api} answered with HTTP {status} and something that is not JSON: "
                "check with `paas env` that this is paasd's address."
            ) from None
        if 200 <= status < 300:
            return body
        known = body if isinstance(body, dict) else {}
        message = known.get("message") or f"The API answered with HTTP {status} and no reason: see the daemon's log."
        if status == 401 and self._password_of is None:
            message = (
                f"{self.settings.api} did not accept the token from {self.settings.token_source}: "
                'run eval "$(paas env)" with the home of that daemon, or take the token that `paasd token` prints.'
            )
        app = known.get("app")
        raise ApiError(
            status,
            str(known.get("id") or ""),
            str(message),
            app=app.get("name") if isinstance(app, dict) else None,
            url=known.get("url"),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """urllib3's errors -> ours."""
        from urllib3 import exceptions

        api = self.settings.api
        try:
            yield
        except exceptions.ReadTimeoutError as error:
            raise Unreachable(f"{api} gave no answer in time: see `paasd doctor`, then try again.") from error
        except exceptions.SSLError as error:
            raise CliError(
                f"The certificate of {api} is not trusted: use the http:// address of `paas env`."
            ) from error
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.NameResolutionError) as error:
            home = f" --home {self.settings.home}" if self.settings.home else ""
            raise Unreachable(f"The daemon is not running at {api}: start it with `paasd serve{home}`.") from error
        except (exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"The connection to {api} broke ({type(error).__name__}): try again.") from error
