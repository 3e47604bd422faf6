"""Drain URLs, and a line as each kind of receiver wants it."""

from datetime import UTC, datetime

import pytest

from paasd.domain.drain import chunks, dropped_line, frame_id, logplex_frame, parse_drain_url, syslog_frame
from paasd.domain.dyno import LogLine
from paasd.domain.errors import InvalidParams

NOW = datetime(2026, 11, 23, 6, 0, 0, 123456, tzinfo=UTC)


def line(text: str = "GET /", source: str = "app", process: str = "web.1") -> LogLine:
    return LogLine(NOW, source, process, text)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "bare"),
    [
        ("syslog://logs.example.org", "syslog", "logs.example.org", 514, "syslog://logs.example.org"),
        ("syslog+tls://logs.example.org:9", "syslog+tls", "logs.example.org", 9, "syslog+tls://logs.example.org:9"),
        ("https://a:b%40c@h.example/x?y=1#z", "https", "h.example", 443, "https://h.example/x?y=1"),
        ("http://[2001:db8::1]:80/", "http", "2001:db8::1", 80, "http://[2001:db8::1]:80/"),
    ],
)
def test_what_a_url_says(url: str, scheme: str, host: str, port: int, bare: str) -> None:
    found = parse_drain_url(url)
    assert (found.scheme, found.host, found.port, found.url) == (scheme, host, port, bare)
    assert (found.posts, found.sealed) == (scheme.startswith("http"), scheme in ("https", "syslog+tls"))


def test_the_password_is_taken_apart_and_not_shown() -> None:
    """Bites: without repr=False a logged Target shows it."""
    found = parse_drain_url("https://us%2Fer:pa%40ss@logs.example.org/")
    assert (found.user, found.password) == ("us/er", "pa@ss")
    assert "pa" not in repr(found).replace("paasd", "")


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, "", "logs.example.org", "ftp://logs.example.org", "syslog://", "https:///x", "syslog://h:0"),
        *(
            "syslog://h:99999",
            "https://h ost/",
            "https://hö.example/",
            "syslog://user:s3cret@h",
            "https://a%3Ab:s3cret@h/",
        ),
        *("https://s3cret" + "x" * 2000, "syslog://[::1", "https://-\x00"),
    ],
)
def test_what_is_no_drains_url(url: object) -> None:
    with pytest.raises(InvalidParams) as caught:
        parse_drain_url(url)
    assert caught.value.resource == "log_drain"
    assert "s3cret" not in caught.value.message and caught.value.message.endswith(".")


def test_frames_are_counted_in_octets() -> None:
    assert syslog_frame(line("é"), "d.1") == (b"60 <190>1 2026-11-23T06:00:00.123456+00:00 d.1 app web.1 - - \xc3\xa9")
    assert logplex_frame(line("é")) == (b"60 <190>1 2026-11-23T06:00:00.123456+00:00 host app web.1 - \xc3\xa9\n")
    assert syslog_frame(line("x", "heroku", "a b" * 100), "t").split(b" ")[5] == (b"ab" * 100)[:128]
    assert b" heroku - - - x" in syslog_frame(line("x", "heroku", ""), "t")


@pytest.mark.parametrize(
    ("source", "process", "priority"),
    [("app", "api", 190), ("heroku", "router", 158), ("heroku", "logplex", 172), ("heroku", "web.1", 45)],
)
def test_priorities_are_herokus(source: str, process: str, priority: int) -> None:
    assert b" <%d>1 " % priority in syslog_frame(line("x", source, process), "t")


def test_a_frames_id_tells_what_is_sent_twice() -> None:
    assert frame_id("t", 1, 5) == frame_id("t", 1, 5)
    assert len({frame_id("t", 1, 5), frame_id("t", 1, 6), frame_id("t", 2, 5), frame_id("u", 1, 5)}) == 4


def test_pieces_are_no_larger_than_they_may_be() -> None:
    entries = [(number, line("x" * size)) for number, size in enumerate((5, 5, 5, 50, 1, 1, 1, 1))]
    cut = [[number for number, _ in piece] for piece in chunks(entries, 3, 10)]
    assert cut == [[0, 1], [2], [3], [4, 5, 6], [7]]
    assert chunks([], 3, 10) == []


def test_what_was_dropped_is_said_as_heroku_does() -> None:
    said = dropped_line(3, NOW)
    assert said.text == "Error L10 (output buffer overflow): 3 messages dropped since 2026-11-23T06:00:00.123456+00:00."
    assert (said.source, said.process) == ("heroku", "logplex")
    assert dropped_line(3, None).text.endswith("3 messages dropped.")
