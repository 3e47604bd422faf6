"""Log drains: where an app's lines are sent as they come, and how one line is written for a drain."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import SplitResult, unquote, urlsplit

from paasd.domain.dyno import LogLine
from paasd.domain.errors import InvalidParams

URL_CHARACTERS = 2000
PORTS = {"syslog": 514, "syslog+tls": 6514, "http": 80, "https": 443}
NAME_CHARACTERS, PROCESS_CHARACTERS = 48, 128  # RFC 5424, section 6
HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
# Facility * 8 + severity, as Heroku has them: local7.info, local3.info, local5.warning, syslog.notice.
APP, ROUTER, LOGPLEX, PLATFORM = 190, 158, 172, 45

Entry = tuple[int, LogLine]


@dataclass(frozen=True, slots=True)
class Drain:
    """`url` may hold a password. `position` is the number of the last line that was delivered or is not to be."""

    id: str
    app_id: str
    token: str
    url: str = field(repr=False)
    position: int
    created_at: datetime
    updated_at: datetime

    @property
    def host(self) -> str:
        """All of the URL that may be logged."""
        return _split(self.url).hostname or ""

    def named(self, name: str) -> bool:
        """Whether this is its id, its token or its URL."""
        return name in (self.id, self.token, self.url)


@dataclass(frozen=True, slots=True)
class Target:
    """What a drain's URL says. `user` and `password` are for Basic authentication, None without."""

    scheme: str
    host: str
    port: int
    url: str = field(repr=False)  # without user and password
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def posts(self) -> bool:
        """Over HTTP; else as syslog."""
        return self.scheme in ("http", "https")

    @property
    def sealed(self) -> bool:
        """Under TLS."""
        return self.scheme in ("https", "syslog+tls")


def parse_drain_url(url: object) -> Target:
    """InvalidParams for what is no drain's URL; never does the message hold it."""
    if not isinstance(url, str) or not 0 < len(url) <= URL_CHARACTERS:
        raise _wrong("url is missing; send the drain's URL, such as syslog+tls://logs.example.org:6514.")
    if any(not 32 < ord(character) < 127 for character in url):
        raise _wrong("The drain's URL holds spaces or letters beyond ASCII; send it percent-encoded.")
    try:
        parts = _split(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _wrong("The drain's URL can't be read; send one such as https://logs.example.org/app.") from None
    if parts.scheme not in PORTS:
        raise _wrong("A drain's URL begins with syslog://, syslog+tls://, https:// or http://; send such a one.")
    if not host or HOST.fullmatch(host) is None or port == 0:
        raise _wrong("The drain's URL names no host; send one such as syslog+tls://logs.example.org:6514.")
    authority = parts.netloc.rpartition("@")[2]
    found = Target(
        parts.scheme,
        host,
        port or PORTS[parts.scheme],
        parts._replace(netloc=authority, fragment="").geturl(),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )
    if not found.posts and (found.user is not None or found.password is not None):
        raise _wrong("syslog has no user names or passwords; leave them out of the drain's URL.")
    if found.user is not None and ":" in found.user:
        raise _wrong("The user name in the drain's URL holds a colon, which HTTP can't carry; use another.")
    return found


def syslog_frame(line: LogLine, token: str) -> bytes:
    """RFC 5424, octet-counted (RFC 6587); the drain's token is the host, so that it tells whose line it is."""
    return _counted(f"{_head(line, token)} - - {line.text}")


def logplex_frame(line: LogLine) -> bytes:
    """As Logplex posts it: RFC 5424 without structured data, which those who read it do not expect."""
    return _counted(f"{_head(line, 'host')} - {line.text}\n")


def frame_id(token: str, first: int, last: int) -> str:
    """The same for the same lines, so that a receiver can tell what it got twice."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{token}/{first}/{last}"))


def dropped_line(count: int, since: datetime | None) -> LogLine:
    """What a drain is told in the place of the lines it was not sent."""
    begin = "" if since is None else f" since {since.isoformat(timespec='microseconds')}"
    text = f"Error L10 (output buffer overflow): {count} messages dropped{begin}."
    return LogLine(datetime.now(UTC), "heroku", "logplex", text)


def chunks(entries: Sequence[Entry], most_lines: int, most_characters: int) -> list[list[Entry]]:
    """Pieces no larger than that; a longer line is one of its own."""
    found: list[list[Entry]] = []
    room = 0
    for entry in entries:
        if not found or len(found[-1]) >= most_lines or len(entry[1].text) > room:
            found.append([])
            room = most_characters
        found[-1].append(entry)
        room -= len(entry[1].text)
    return found


def _split(url: str) -> SplitResult:
    return urlsplit(url)


def _head(line: LogLine, host: str) -> str:
    source, process = _name(line.source, NAME_CHARACTERS), _name(line.process, PROCESS_CHARACTERS)
    return f"<{_priority(line)}>1 {line.at.isoformat(timespec='microseconds')} {host} {source} {process}"


def _priority(line: LogLine) -> int:
    if line.source == "app":
        return APP
    return {"router": ROUTER, "logplex": LOGPLEX}.get(line.process, PLATFORM)


def _name(text: str, most: int) -> str:
    """What RFC 5424 allows of it."""
    return "".join(character for character in text if 32 < ord(character) < 127)[:most] or "-"


def _counted(text: str) -> bytes:
    data = text.encode(errors="replace")
    return b"%d %s" % (len(data), data)


def _wrong(message: str) -> InvalidParams:
    return InvalidParams(message, resource="log_drain")
