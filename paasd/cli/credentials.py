"""git's question for a password, answered before click is loaded: git asks on every push, and a person waits."""

from __future__ import annotations

import sys

NAME = "git:credentials"


def answer(operation: str, host: str, token: str) -> None:
    """Read git's question; name user and token on stdout if it asks for our own API (HOST:PORT), else say nothing."""
    question = sys.stdin.read()
    if operation != "get":
        return  # `store` and `erase`: there is nothing to keep, and nothing of ours to forget
    asked = dict(line.split("=", 1) for line in question.splitlines() if "=" in line)
    if asked.get("protocol") in ("http", "https") and asked.get("host") == host:
        sys.stdout.write(f"username=heroku\npassword={token}\n")


def quick(arguments: list[str]) -> int | None:
    """Answer the call that git makes by the helper line of `git:remote`; None for every other one. The exit code."""
    match arguments:
        case [name, operation] if name == NAME and not operation.startswith("-"):
            home = None
        case [name, "--home", home, operation] if name == NAME and not operation.startswith("-"):
            pass
        case _:
            return None
    if operation != "get":
        sys.stdin.read()  # `store` and `erase`: git tells what it knows already
        return 0
    # Only now: `store` follows each `get`, and each millisecond of both is waited for.
    from paasd.cli.errors import CliError
    from paasd.cli.settings import load

    try:
        settings = load(home)
        answer(operation, settings.host, settings.token)
    except CliError as error:
        error.show()
        return error.exit_code
    return 0
