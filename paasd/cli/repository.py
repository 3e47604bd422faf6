"""A git repository's own configuration: remotes that belong to our apps, and the lines that make pushes find us."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from paasd.cli.errors import CliError
from paasd.cli.settings import Settings, child_environment, default_home

_APP_URL = re.compile(r"https?://(?:[^@/]*@)?([^/@]+)/([a-z0-9][a-z0-9-]*)\.git/?")


@dataclass(frozen=True)
class Change:
    """A remote as it is now; `before` is its other URL until now, "" if it is new, None if it was right already."""

    name: str
    url: str
    before: str | None


class Repository:
    """The repository of the current directory. Only its own configuration is ever written."""

    @classmethod
    def here(cls) -> Repository | None:
        """None outside of any repository, or without git. Raises CliError if git refuses to use the one here."""
        try:
            answer = _git("rev-parse", "--git-dir")
        except CliError:
            return None
        if answer.returncode and "dubious ownership" in answer.stderr:
            raise CliError(
                "git refuses to use this repository because another user owns it: "
                "run paas as its owner, or see git's safe.directory."
            )
        return None if answer.returncode else cls()

    @classmethod
    def required(cls) -> Repository:
        if shutil.which("git") is None:
            raise CliError("git is not installed: install it from your system's packages.")
        repository = cls.here()
        if repository is None:
            raise CliError("This is not a git repository: run `git init` first, or change to one.")
        return repository

    def remotes(self) -> dict[str, str]:
        """Each remote's fetch URL as configured, before any rewriting."""
        answer = _git("config", "-z", "--get-regexp", r"^remote\..*\.url$")
        found: dict[str, str] = {}
        for entry in answer.stdout.split("\0"):
            key, _, url = entry.partition("\n")
            if url:
                found.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
        return found

    def apps(self, host: str) -> dict[str, str]:
        """The remotes whose URL is one of our apps: remote's name -> app's name."""
        matches = {name: _APP_URL.fullmatch(url) for name, url in self.remotes().items()}
        return {name: match[2] for name, match in matches.items() if match and match[1] == host}

    def connect(self, settings: Settings, app: str) -> list[Change]:
        """Point the remotes `paasd` and `heroku` at the app; repeating it changes nothing."""
        plain, tls = f"http://{settings.host}/", f"https://{settings.host}/"
        push = f"{settings.scheme}://{settings.host}/"
        wanted = {"paasd": f"{push}{app}.git", "heroku": f"{tls}{app}.git"}
        changes = [self._set_remote(name, url) for name, url in wanted.items()]
        if settings.scheme == "http":
            self._set_all(f"url.{plain}.pushInsteadOf", [tls])
        for url in (plain, tls):
            # The empty value drops the helpers of the user's own configuration: only ours knows this host.
            self._set_all(f"credential.{url.rstrip('/')}.helper", ["", credential_helper(settings)])
        return changes

    def disconnect(self, host: str, app: str) -> list[str]:
        """Remove every remote that points at the app -> their names."""
        gone = [name for name, its_app in self.apps(host).items() if its_app == app]
        for name in gone:
            _checked("remote", "remove", name)
        return gone

    def _set_remote(self, name: str, url: str) -> Change:
        before = self.remotes().get(name)
        if before is None:
            _checked("remote", "add", name, url)
        elif before != url:
            _checked("remote", "set-url", name, url)
        return Change(name, url, None if before == url else before or "")

    def _set_all(self, key: str, values: list[str]) -> None:
        """Make these the only values of the key."""
        answer = _git("config", "--local", "-z", "--get-all", key)
        if answer.returncode == 0 and answer.stdout == "".join(f"{value}\0" for value in values):
            return
        _checked("config", "--local", "--replace-all", key, values[0])
        for value in values[1:]:
            _checked("config", "--local", "--add", key, value)


def clone(settings: Settings, app: str, directory: Path) -> Path:
    """Clone an app's repository, and connect the copy to it -> the copy. Raises CliError; git's own words go on."""
    url = f"{settings.scheme}://{settings.host}/{app}.git"
    helper = [f"credential.{url.rpartition('/')[0]}.helper={value}" for value in ("", credential_helper(settings))]
    options = [word for value in helper for word in ("-c", value)]
    try:
        done = subprocess.run(["git", *options, "clone", "-o", "paasd", "--", url, str(directory)], check=False)
    except FileNotFoundError:
        raise CliError("git is not installed: install it from your system's packages.") from None
    if done.returncode:
        raise CliError(f"git could not clone {app}: its words above say why.")
    os.chdir(directory)
    Repository.required().connect(settings, app)
    return directory


def credential_helper(settings: Settings) -> str:
    """git's helper line: `!paas git:credentials`, with full path and home where they don't go without saying."""
    words = [*_own_command(), "git:credentials"]
    if settings.home is not None and settings.home != default_home():
        words += ["--home", str(settings.home)]
    return "!" + shlex.join(words)


def _own_command() -> list[str]:
    running = Path(sys.argv[0])
    if running.name != "paas" or not running.is_file():
        return [sys.executable, "-m", "paasd.cli"]
    found = shutil.which("paas")
    if found and Path(found).resolve() == running.resolve():
        return ["paas"]
    return [str(running.absolute())]


def _checked(*arguments: str) -> None:
    answer = _git(*arguments)
    if answer.returncode:
        reason = answer.stderr.strip() or f"exit status {answer.returncode}"
        raise CliError(f"`git {shlex.join(arguments)}` failed ({reason}): mend that and run the command again.")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *arguments],
            env=child_environment(),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise CliError("git is not installed: install it from your system's packages.") from None
