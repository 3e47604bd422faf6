"""Apps' own pages: files beside the saved table, named by the SHA-256 of their bytes, and few of them in memory.

A table names hundreds of them in as many lines; carried in it, 256 kB each, it would take seconds to publish.
"""

import hashlib
import os
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from router.table import PAGE_BYTES, PAGE_HASH

_IN_MEMORY = 32
_KEPT_SECONDS = 600.0


class PageError(ValueError):
    """A page that is not what it is said to be; its message is one sentence."""


class CustomPages:
    """Reads and keeps pages. Those that are not there are None: the router has pages of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "pages"
        self._read: OrderedDict[str, bytes] = OrderedDict()

    def get(self, page: str) -> bytes | None:
        """The bytes of a page, from memory or from the disk."""
        body = self._read.get(page)
        if body is None:
            if not PAGE_HASH.fullmatch(page):
                return None
            try:
                body = (self._directory / page).read_bytes()
            except OSError:
                return None
            if hashlib.sha256(body).hexdigest() != page:
                return None
            self._read[page] = body
            if len(self._read) > _IN_MEMORY:
                self._read.popitem(last=False)
        else:
            self._read.move_to_end(page)
        return body

    def put(self, page: str, body: bytes) -> None:
        """Save a page durably; the same again is fine. Raises PageError, OSError."""
        if len(body) > PAGE_BYTES:
            raise PageError(f"The page has {len(body)} bytes: send at most {PAGE_BYTES}.")
        if hashlib.sha256(body).hexdigest() != page:
            raise PageError("The page's bytes are not those of its name: send it again.")
        self._directory.mkdir(mode=0o750, exist_ok=True)
        aside = self._directory / f"{page}.new"
        with aside.open("wb") as handle:
            handle.write(body)
            handle.flush()
            os.fsync(handle.fileno())
        aside.replace(self._directory / page)

    def known(self) -> list[str]:
        """The names of all pages on the disk."""
        with suppress(FileNotFoundError):
            return sorted(file.name for file in self._directory.iterdir() if PAGE_HASH.fullmatch(file.name))
        return []

    def keep(self, named: frozenset[str]) -> None:
        """Forget what no route names any more; one that has just come waits for the table that names it."""
        for page in set(self.known()) - named:
            with suppress(OSError):
                file = self._directory / page
                if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                    file.unlink()
