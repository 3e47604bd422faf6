"""Reads BuildKit's progress: just enough protobuf for its StatusResponse, so that no generated code is needed."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vertex:
    """One step of a build, as it now stands. It is sent again at each change."""

    digest: str
    name: str
    started: bool = False
    completed: bool = False
    cached: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class VertexLog:
    """A piece of a step's output, not necessarily whole lines. `stream` is 1 or 2."""

    digest: str
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """One progress message."""

    vertices: tuple[Vertex, ...]
    logs: tuple[VertexLog, ...]


Value = int | bytes


def decode_trace(message: bytes) -> Trace:
    """The steps and logs of one message. Raises ValueError if the bytes are not one; unknown fields are left out."""
    vertices: list[Vertex] = []
    logs: list[VertexLog] = []
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            vertices.append(_vertex(value))
        elif number == 3 and isinstance(value, bytes):
            logs.append(_log(value))
    return Trace(tuple(vertices), tuple(logs))


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """(field number, value) of a protobuf message; fixed-size and length-delimited values stay bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            size, position = _varint(message, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"protobuf wire type {wire_type} at byte {position}")
        if position + size > len(message):
            raise ValueError(f"protobuf field {key >> 3} ends beyond the message")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError(f"protobuf number at byte {position} has no end")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value, position


def _vertex(message: bytes) -> Vertex:
    found = dict(fields(message))
    return Vertex(
        digest=_text(found.get(1)),
        name=_text(found.get(3)),
        cached=bool(found.get(4)),
        started=5 in found,
        completed=6 in found,
        error=_text(found.get(7)),
    )


def _log(message: bytes) -> VertexLog:
    found = dict(fields(message))
    stream, data = found.get(3), found.get(4)
    return VertexLog(
        digest=_text(found.get(1)),
        stream=stream if isinstance(stream, int) else 1,
        data=data if isinstance(data, bytes) else b"",
    )


def _text(value: Value | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
