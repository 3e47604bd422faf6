"""BuildKit's progress messages: real ones from an engine, and bytes that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paasd.adapters.buildkit_trace import Trace, Vertex, VertexLog, decode_trace, fields

RUN = "sha256:1186e53c2b38cac9a9ca0ac572981c33a7118a1a1e2a5043bdca46ba3edc0574"
COPY = "sha256:33287ff3cd44c0998699a20d12da7a13bc846ee42253b5f8b63e197ce6e39299"
FROM = "sha256:5fda12e7085db45822e48f1040ab0db460448b1b37b56a72027106f47332ea06"

LOG = b'\x1a]\nG%s\x12\x0b\x08\xec\xf8\x92\xd8\x06\x10\xb9\xd7\xcdc\x18\x01"\x03hi\n' % RUN.encode()
FAILED = (
    b"\n\x91\x02\nG%s\x12G%s\x1a\x1b[2/2] RUN echo hi && exit 3*\x0c\x08\xed\xf8\x92\xd8\x06\x10\xcc\xf3\xef\xd1\x02"
    b"2\x0c\x08\xed\xf8\x92\xd8\x06\x10\x88\x90\xdc\xd6\x03"
    b":Dexecutor failed running [/bin/sh -c echo hi && exit 3]: exit code: 3"
) % (COPY.encode(), FROM.encode())
CACHED = (
    b"\n\x92\x01\nG%s\x1a)[1/2] FROM docker.io/paasd/stack:bookworm \x01"
    b"*\x0c\x08\xed\xf8\x92\xd8\x06\x10\xf8\x93\x8c\xd1\x02"
    b"2\x0c\x08\xed\xf8\x92\xd8\x06\x10\xc6\xba\x91\xd1\x02"
) % FROM.encode()


def test_a_line_of_a_step_is_read() -> None:
    assert decode_trace(LOG) == Trace((), (VertexLog(RUN, 1, b"hi\n"),))


def test_a_failed_step_is_read_with_its_error() -> None:
    (vertex,) = decode_trace(FAILED).vertices
    error = "executor failed running [/bin/sh -c echo hi && exit 3]: exit code: 3"
    assert vertex == Vertex(COPY, "[2/2] RUN echo hi && exit 3", started=True, completed=True, error=error)


def test_a_cached_step_is_marked_and_messages_may_be_joined() -> None:
    cached = Vertex(FROM, "[1/2] FROM docker.io/paasd/stack:bookworm", started=True, completed=True, cached=True)
    assert decode_trace(CACHED + LOG) == Trace((cached,), (VertexLog(RUN, 1, b"hi\n"),))


def test_nothing_is_an_empty_trace() -> None:
    assert decode_trace(b"") == Trace((), ())


def test_fixed_size_fields_are_stepped_over() -> None:
    assert list(fields(b"\x09" + b"\1" * 8 + b"\x15" + b"\2" * 4 + b"\x08\x96\x01")) == [
        (1, b"\1" * 8),
        (2, b"\2" * 4),
        (1, 150),
    ]


@pytest.mark.parametrize("message", [b"\n\x05abc", b"\x08", b"\x0b", b"\x08" + b"\xff" * 20])
def test_bytes_that_are_no_message_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="protobuf"):
        decode_trace(message)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    try:
        decode_trace(message)
    except ValueError as error:
        assert "protobuf" in str(error)
