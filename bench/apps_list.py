"""The public apps of bench/apps.tsv, and where their repositories are put: none of their code is kept here."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.daemon import ROOT

LIST = ROOT / "bench" / "apps.tsv"
PLACE = ROOT / ".tools" / "apps"
FROM = "https://github.com/{repo}.git"
CLONE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class PublicApp:
    """One line of the list.

    `folder` of `repo` is what is deployed, with the config vars `config`, on each of `engines`. `addon` is the service
    of a database that it has attached, "" for none: config vars may name {host}, {port}, {user}, {password} and
    {database} of it. `base` is the image that its own Dockerfile stands on, "" for none. `expect` is the status that it
    answers with at `at` (a path, with `https:` before it where http alone is redirected), or `refused: A|B`, the words
    one of which the push is refused with.
    """

    app: str
    repo: str
    folder: str
    engines: tuple[str, ...]
    config: tuple[str, ...]
    addon: str
    base: str
    expect: str
    at: str

    @property
    def repository(self) -> Path:
        """Where `make fetch-apps` puts it."""
        return PLACE / f"{self.repo.replace('/', '+')}.git"


def public_apps() -> list[PublicApp]:
    """All of them, as listed."""
    _, *lines = LIST.read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    return [
        PublicApp(app, repo, folder, tuple(engines.split(",")), tuple(config.split()), addon, base, expect, at)
        for app, repo, folder, engines, config, addon, base, expect, at in rows
    ]


def fetch(repo: str, template: str, place: Path) -> str:
    """Clone a repository, unless it is here: what happened, as words; "" when it was here."""
    if place.exists():
        return ""
    owner, _, name = repo.partition("/")
    url = template.format(repo=repo, owner=owner, name=name)
    place.parent.mkdir(parents=True, exist_ok=True)
    command = ["git", "clone", "--quiet", "--bare", "--depth", "1", url, str(place)]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # a repository that is not public is not asked for
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLONE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"skipped: {url} did not answer in {CLONE_SECONDS} s"
    if done.returncode == 0:
        return "fetched"
    said = [line for line in done.stderr.splitlines() if line.startswith(("fatal:", "error:"))] or ["it failed"]
    return f"skipped: {said[-1].partition(': ')[2] or said[-1]}"


def main() -> int:
    """0, whatever can be had: what can't is skipped and said."""
    template = os.environ.get("APPS_FROM") or FROM
    unreachable = ""
    for app in {one.repo: one for one in public_apps()}.values():
        said = f"skipped: {unreachable}" if unreachable else fetch(app.repo, template, app.repository)
        print(f"  {app.repo:45} {said or 'here already'}", flush=True)
        if not unreachable and any(
            words in said for words in ("Could not resolve", "did not answer", "Failed to conn")
        ):
            unreachable = "as the one before (APPS_FROM names another place, such as '/mirror/{owner}+{name}')"
    return 0


if __name__ == "__main__":
    sys.exit(main())
