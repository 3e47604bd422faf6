"""pg_dump, pg_restore and psql on streams: a database's data out, and in again as one transaction."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from paasd.domain.errors import InvalidParams, PaasError, ProviderFailed
from paasd.ports import AddonProvider, Order, Shell
from paasd.services.background import Background, together

Note = Callable[[str], None]

PLAIN = ("--no-owner", "--no-acl")  # roles are each add-on's own
DUMP = ("pg_dump", "--format=custom", *PLAIN)
SCRIPT = ("pg_dump", "--format=plain", *PLAIN)
EXTRACT = ("pg_restore", "--file=-", *PLAIN)
PSQL = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
EXTENSION = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
LINE_CHARACTERS = 2000
# All that the app's user has made goes, in the transaction that brings the new: a restore that fails changes nothing.
WIPE = b"""BEGIN;
SET LOCAL lock_timeout = '60s';
SET LOCAL client_min_messages = warning;
DO $wipe$
DECLARE found record;
BEGIN
  FOR found IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname);
  END LOOP;
  FOR found IN SELECT oid FROM pg_largeobject_metadata LOOP
    PERFORM lo_unlink(found.oid);
  END LOOP;
END
$wipe$;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
SET LOCAL lock_timeout = 0;
"""
COMMIT = b"\nCOMMIT;\n"


class Lines:
    """What a tool says on stderr, line by line to `note`; the last of it is its reason when it fails."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._begun = b""
        self.last = ""

    def feed(self, data: bytes) -> None:
        """Some of it."""
        *whole, self._begun = (self._begun + data).split(b"\n")
        for line in whole:
            self._say(line)
        if len(self._begun) > LINE_CHARACTERS:
            self.end()

    def end(self) -> None:
        """What has no line's end."""
        if self._begun:
            self._say(self._begun)
            self._begun = b""

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()[:LINE_CHARACTERS]
        if text:
            self._note(text)
            self.last = text if not self.last or "error" in text.lower() else self.last


@dataclass(frozen=True, slots=True)
class DumpTools:
    """The tools of whatever server has the database. All raise Unavailable, and ProviderFailed when a tool fails."""

    background: Background

    async def dump(self, provider: AddonProvider, order: Order, note: Note) -> AsyncGenerator[bytes]:
        """In pg_dump's own format, compressed."""
        async for chunk in self._output(provider, order, DUMP, note):
            yield chunk

    async def script(self, provider: AddonProvider, order: Order, note: Note) -> AsyncGenerator[bytes]:
        """As SQL."""
        async for chunk in self._output(provider, order, SCRIPT, note):
            yield chunk

    async def extract(
        self, provider: AddonProvider, order: Order, dump: AsyncGenerator[bytes], note: Note
    ) -> AsyncGenerator[bytes]:
        """The SQL of a dump."""
        async for chunk in self._output(provider, order, EXTRACT, note, dump):
            yield chunk

    async def replace(
        self,
        provider: AddonProvider,
        order: Order,
        script: AsyncGenerator[bytes],
        note: Note,
        extensions: Sequence[str] = (),
    ) -> None:
        """Put what `script` makes in the place of all that is there; wholly, or not at all."""
        lines = Lines(note)
        await provider.hang_up(order)  # what is left open in a transaction would hold its locks against this
        shell = await provider.tool(order, PSQL, errors=lines.feed)
        try:
            await together(_drain(shell), _feed(shell, script, create(extensions)))
            await _succeeded(shell, "psql", lines)
        finally:
            await self.background.finish("end psql", shell.close())

    async def run(self, provider: AddonProvider, order: Order, sql: bytes, note: Note) -> None:
        """A few statements, as one transaction."""
        lines = Lines(note)
        shell = await provider.tool(order, (*PSQL, "--single-transaction"), errors=lines.feed)
        try:
            await shell.write(sql)
            await shell.end_input()
            await _drain(shell)
            await _succeeded(shell, "psql", lines)
        finally:
            await self.background.finish("end psql", shell.close())

    async def _output(
        self,
        provider: AddonProvider,
        order: Order,
        argv: Sequence[str],
        note: Note,
        fed: AsyncGenerator[bytes] | None = None,
    ) -> AsyncGenerator[bytes]:
        lines = Lines(note)
        shell = await provider.tool(order, argv, errors=lines.feed)
        feeding = self.background.spawn(f"feed {argv[0]}", _pour(shell, fed))
        try:
            async for chunk in shell.output():
                yield chunk
            await feeding
            await _succeeded(shell, argv[0], lines)
        finally:
            feeding.cancel()
            await self.background.finish(f"end {argv[0]}", shell.close())


def create(extensions: Sequence[str]) -> bytes:
    """The SQL that makes them. InvalidParams for what is no extension's name."""
    for name in extensions:
        if EXTENSION.fullmatch(name) is None:
            raise InvalidParams(f"{name[:64]!r} is no extension's name; name them as --extensions pgcrypto,hstore.")
    return "".join(f'CREATE EXTENSION IF NOT EXISTS "{name}";\n' for name in extensions).encode()


async def _pour(shell: Shell, chunks: AsyncGenerator[bytes] | None) -> None:
    if chunks is not None:
        async with aclosing(chunks):
            async for chunk in chunks:
                await shell.write(chunk)
    await shell.end_input()


async def _drain(shell: Shell) -> None:
    async for _ in shell.output():
        pass


async def _feed(shell: Shell, script: AsyncGenerator[bytes], first: bytes) -> None:
    """An error of the script's breaks off before COMMIT: the server then takes all of it back."""
    async with aclosing(script):
        await shell.write(WIPE + first)
        async for chunk in script:
            await shell.write(chunk)
    await shell.write(COMMIT)
    await shell.end_input()


async def _succeeded(shell: Shell, tool: str, lines: Lines) -> None:
    lines.end()
    try:
        how = await shell.wait()
    except PaasError as error:
        raise ProviderFailed(f"How {tool} ended can't be known ({error.message}); try again.") from error
    if how.code:
        reason = lines.last or f"it ended with status {how.code}"
        raise ProviderFailed(f"{tool} failed, and nothing was changed: {reason}")
