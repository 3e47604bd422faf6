"""A program that is given all its input at once, and asked what it says: the same wherever it runs."""

from paasd.domain.errors import ProviderFailed
from paasd.ports import Shell


async def said_by(shell: Shell, given: str, what: str) -> str:
    """All that it says; then the shell is closed. ProviderFailed, with its last words, unless it exits 0."""
    try:
        await shell.write(given.encode())
        await shell.end_input()
        said = b"".join([chunk async for chunk in shell.output()]).decode(errors="replace")
        ended = await shell.wait()
    finally:
        await shell.close()
    if ended.code != 0:
        words = said.strip().rpartition("\n")[2][:300] or f"exit status {ended.code}"
        raise ProviderFailed(f"{what} failed: {words}.")
    return said
