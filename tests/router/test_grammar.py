"""What the fast lane takes, and that all the rest is left to the careful path."""

import pytest

from router.grammar import Reader
from tests.router.hazards import CARRIED, REFUSED

GET = b"GET /a?b HTTP/1.1\r\nHost: shop.localhost:8080\r\nAccept: */*\r\n"


def test_a_plain_request() -> None:
    found = Reader().request(GET + b"Connection: keep-alive\r\nCookie: a\r\n\r\n")
    assert found is not None
    method, target, headers = found
    assert (method, target, headers.host, headers.authority) == (
        b"GET",
        b"/a?b",
        "shop.localhost",
        b"shop.localhost:8080",
    )
    assert headers.lines == b"\r\nHost: shop.localhost:8080\r\nAccept: */*\r\nCookie: a\r\n"


@pytest.mark.parametrize("again", range(2))
@pytest.mark.parametrize("name", REFUSED)
def test_nothing_refused_is_taken(name: str, again: int) -> None:
    reader = Reader()
    reader.request(GET + b"\r\n")
    assert reader.request(REFUSED[name].data) is None


@pytest.mark.parametrize("name", CARRIED)
def test_only_a_whole_request_is_taken(name: str) -> None:
    found = Reader().request(CARRIED[name].data)
    assert found is None or CARRIED[name].data.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 0", b"Connection: close", b"Connection: keep-alive, X", b"Keep-Alive: 5", b"TE: trailers",
        b"Trailer: X", b"Upgrade: websocket", b"Expect: 100-continue", b"Proxy: x", b"Proxy-Connection: x",
        b"X-Forwarded-For: 1", b"X-Request-ID: 1", b"X_Forwarded_For: 1", b"Transfer-Encoding: chunked", b"HOST: b",
        b"Connection: keep-alive\r\nConnection: keep-alive", b"host: shop.localhost", b"A: b\nC: d", b"A : b", b" A: b",
    ],
)  # fmt: skip
def test_what_needs_care_is_left_to_it(header: bytes) -> None:
    assert Reader().request(GET + header + b"\r\n\r\n") is None
    assert Reader().request(GET + header.swapcase() + b"\r\n\r\n") is None


def test_only_what_is_small() -> None:
    assert Reader().request(GET + b"A: b\r\n" * 98 + b"\r\n") is not None
    assert Reader().request(GET + b"A: b\r\n" * 99 + b"\r\n") is None
    assert Reader().request(GET + b"A: " + b"b" * 8190 + b"\r\n\r\n") is None


def test_a_plain_answer() -> None:
    reader = Reader()
    data = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\nKeep-Alive: 5\r\nA: b\r\n\r\nhello"
    for _ in range(2):
        answer = reader.answer(data)
        assert answer is not None
        assert (answer.status, answer.length, answer.keeps, answer.size) == (200, 5, True, len(data) - 5)
        assert answer.lines == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\nVia: 1.1 paasd-router\r\n\r\n"
    closing = reader.answer(b"HTTP/1.1 404 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert closing is not None and not closing.keeps


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x01\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
    ],
)  # fmt: skip
def test_answers_that_need_care(head: bytes) -> None:
    assert Reader().answer(head) is None
