"""The entry point of `paas`."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from paasd.cli import credentials


def main() -> None:
    """Run one command and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if (code := credentials.quick(sys.argv[1:])) is not None:
        sys.exit(code)
    from paasd.cli.commands import run

    run()


if __name__ == "__main__":
    main()
