"""The logins in ~/.netrc, one a host: the heroku CLI reads and writes the same. What else is in the file stays."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from paasd.cli.errors import CliError

_PAIR = r"(?:login|account|password)[ \t\n]+\S+"


class Login(NamedTuple):
    """What is known of a host. (No dataclass: git's question does not wait for that.)"""

    login: str
    password: str

    def __repr__(self) -> str:
        return f"Login(login={self.login!r})"


def find(file: Path, host: str) -> Login | None:
    """The entry of HOST:PORT; None without one, and without a file that can be read."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    entry = _entry(host).search(text)
    if entry is None:
        return None
    words = entry[0].split()[2:]
    known = dict(zip(words[::2], words[1::2], strict=True))
    return Login(known.get("login", ""), known["password"]) if "password" in known else None


def keep(file: Path, host: str, login: Login) -> None:
    """In the place of what there was for this host. Raises CliError."""
    entry = f"machine {host}\n  login {login.login}\n  password {login.password}\n"
    text = _without(_read(file), host)
    _write(file, text + ("" if not text or text.endswith("\n") else "\n") + entry)


def forget(file: Path, host: str) -> None:
    """None there: fine. Raises CliError."""
    before = _read(file)
    if (text := _without(before, host)) != before:
        _write(file, text)


def _entry(host: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*machine[ \t]+{re.escape(host)}(?:[ \t\n]+{_PAIR})*[ \t]*(?:\n|\Z)", re.MULTILINE)


def _without(text: str, host: str) -> str:
    return _entry(host).sub("", text)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} can't be read ({error}): mend it or move it away, then try again.") from error


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and for nobody else to read."""
    target = file.resolve()
    made = None
    try:
        descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=".netrc-")  # 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(made).replace(target)
    except OSError as error:
        if made is not None:
            with suppress(OSError):
                Path(made).unlink()
        raise CliError(f"{file} can't be written ({error}): make room or mend its rights, then try again.") from error
