"""Archives made by hand: what no packer would write."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """`size` announces more or less than there is."""

    name: str
    data: bytes = b"x"
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    size: int | None = None
    pax: Mapping[str, str] = field(default_factory=dict)


def packed(*entries: Entry, form: Literal[0, 1, 2] = tarfile.PAX_FORMAT) -> bytes:
    """A plain tar of them, in this order."""
    out = io.BytesIO()
    for entry in entries:
        info = tarfile.TarInfo(entry.name)
        info.type, info.linkname, info.mode = entry.kind, entry.link, entry.mode
        data = entry.data if entry.kind in (tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE) else b""
        info.size = len(data) if entry.size is None else entry.size
        info.pax_headers = dict(entry.pax)
        out.write(info.tobuf(form, "utf-8", "surrogateescape"))
        out.write(data + b"\0" * (-len(data) % 512))
    return out.getvalue() + b"\0" * 1024


def zipped(archive: bytes) -> bytes:
    """As gzip packs it."""
    return gzip.compress(archive, 6)
