"""Where the API is and which token to send. The only file of the client that reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from paasd.cli import netrc
from paasd.cli.errors import CliError

_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?/?")
KEY = "HEROKU_API_KEY"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Settings(NamedTuple):
    """One API and its token. (No dataclass: importing those takes longer than answering git's question.)

    `api` is the base URL without a slash at its end; `token_source` names where the token was found; `home` is the
    daemon's home if `api` is that home's own, else None (a daemon on another machine).
    """

    api: str
    token: str
    token_source: str
    home: Path | None

    def __repr__(self) -> str:
        return f"Settings(api={self.api!r}, token_source={self.token_source!r}, home={self.home!r})"

    @property
    def scheme(self) -> str:
        return self.api.partition("://")[0]

    @property
    def host(self) -> str:
        """HOST:PORT, as it stands in git's URLs."""
        return self.api.partition("://")[2]

    @property
    def host_name(self) -> str:
        from urllib.parse import urlsplit  # only here: git's question, asked on each push, needs no more than `host`

        return urlsplit(self.api).hostname or ""


def load(home: str | None) -> Settings:
    """An explicit `home` wins over everything; else HEROKU_HOST and HEROKU_API_KEY, each falling back to the home.

    Before the home's token comes that of a login, `paas auth:login` or `heroku login`, to the same address.
    A token kept in a home is only ever sent to that home's own API. Raises CliError.
    """
    if home is not None:
        return load_home(home)
    found = address(None)
    if key := os.environ.get("HEROKU_API_KEY"):
        return found._replace(token=_checked_token(key, KEY), token_source=f"the variable {KEY}")
    file = netrc_file()
    if (login := netrc.find(file, found.host)) is not None:
        return found._replace(token=_checked_token(login.password, str(file)), token_source=str(file))
    if found.home is None:
        raise CliError(
            f"HEROKU_HOST is {found.api}, which is not the daemon of {home_directory(None)}, and HEROKU_API_KEY is not "
            "set: log in with `paas auth:login`, set it to that host's token, or unset HEROKU_HOST."
        )
    return found._replace(token=_read_token(found.home), token_source=str(found.home / "token"))


def address(home: str | None) -> Settings:
    """Where the API is, without a token: an explicit `home`'s, else HEROKU_HOST's, else the home's. Raises CliError."""
    directory = home_directory(home)
    host = os.environ.get("HEROKU_HOST") if home is None else None
    if host is None:
        return Settings(_read_api(directory), "", "", directory)
    host = _checked_url(host, "HEROKU_HOST")
    return Settings(host, "", "", directory if _api_or_none(directory) == host else None)


def netrc_file() -> Path:
    """Where logins are kept."""
    return Path("~/.netrc").expanduser()


def key_is_set() -> bool:
    """Whether the environment has a token, which wins over a login."""
    return bool(os.environ.get("HEROKU_API_KEY"))


def load_home(home: str | None) -> Settings:
    """Whatever the environment says, the API and the token kept in `home` (else PAASD_HOME, else ~/.paasd)."""
    directory = home_directory(home)
    return Settings(_read_api(directory), _read_token(directory), str(directory / "token"), directory)


def home_directory(home: str | None) -> Path:
    """The daemon's home: the one given, else PAASD_HOME, else the default."""
    chosen = home or os.environ.get("PAASD_HOME")
    return Path(chosen).expanduser().absolute() if chosen else default_home()


def default_home() -> Path:
    """Where `paasd serve` keeps everything unless told otherwise."""
    return Path("~/.paasd").expanduser()


def chosen_app() -> str | None:
    """The app that HEROKU_APP names, if it does."""
    return os.environ.get("HEROKU_APP") or None


def search_path() -> list[str]:
    """The directories of PATH."""
    return [part for part in os.environ.get("PATH", "").split(os.pathsep) if part]


def environment() -> dict[str, str]:
    """All variables, as they are."""
    return dict(os.environ)


def find_program(name: str, directories: Sequence[str]) -> str | None:
    """Its file on PATH, else in one of these."""
    import shutil

    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(directories) or os.devnull)


def become(program: str, arguments: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """That program in this process's place, with these variables beside ours."""
    os.execve(program, [program, *arguments], {**os.environ, **variables})  # noqa: S606 - argument lists only


def child_environment() -> dict[str, str]:
    """For git: our own, with messages in one language so that they can be told apart."""
    return {**os.environ, "LC_ALL": "C"}


def colors_wanted() -> bool:
    """False if the user switched colours off the way Heroku's client or https://no-color.org lets them."""
    off = any(os.environ.get(name) == "0" for name in ("HEROKU_COLOR", "HEROKU_LOGS_COLOR"))
    return not off and not os.environ.get("NO_COLOR")


def _read_api(home: Path) -> str:
    return _checked_url(_read_line(home / "api"), str(home / "api"))


def _read_token(home: Path) -> str:
    return _checked_token(_read_line(home / "token"), str(home / "token"))


def _api_or_none(home: Path) -> str | None:
    try:
        return _read_api(home)
    except CliError:
        return None


def _read_line(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise CliError(
            f"There is no {path}: start the daemon with `paasd serve --home {path.parent}`, "
            "or name the home of a running one with --home DIR or PAASD_HOME."
        ) from None
    except PermissionError:
        raise CliError(
            f"{path} can't be read by this user: run paas as the user that runs `paasd serve`, or name a home of your "
            "own with --home DIR or PAASD_HOME."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path} can't be read ({error}): name another home with --home DIR or PAASD_HOME.") from error


def _checked_url(text: str, source: str) -> str:
    if not _URL.fullmatch(text):
        raise CliError(f"{source} holds no URL such as http://127.0.0.1:5500: correct it, or restart `paasd serve`.")
    return text.rstrip("/")


def _checked_token(text: str, source: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise CliError(f"{source} does not hold a token: take the one that `paasd token` prints.")
    return text
