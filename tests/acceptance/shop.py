"""An app as its owner sees it: a repository to push from, what is served, and all that could be left half done."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon import ROOT, Daemon, Shell, shell_for

HELLO = ROOT / "examples" / "hello"
PROCFILE = (HELLO / "Procfile").read_text()


@dataclass(frozen=True)
class Standing:
    """Everything a refused request must leave as it was. `containers` are ids of those that run or are left behind."""

    releases: tuple[tuple[int, str, str], ...]
    dynos: tuple[tuple[str, str], ...]
    containers: frozenset[str]
    branch: str
    page: tuple[int, str]
    config: Mapping[str, str]


@dataclass
class Shop:
    """App `name` of `daemon`, and its owner at a shell in its repository."""

    daemon: Daemon
    shell: Shell
    name: str

    def create(self) -> "Shop":
        """The app and the git remotes."""
        self.shell.run("paas", "apps:create", self.name)
        self.shell.run("paas", "git:remote", "-a", self.name)
        return self

    def deploy(self, files: Mapping[str, str] | None = None) -> str:
        """Commit and push; what the push said."""
        code, text = self.push(files)
        assert code == 0, text
        return text

    def push(self, files: Mapping[str, str] | None = None) -> tuple[int, str]:
        """(exit code, what it said) of a push of a new commit."""
        self.shell.commit("A change", files)
        return self.shell.attempt("git", "push", "paasd", "HEAD:main")

    def pushing(self) -> "subprocess.Popen[str]":
        """A push of what is committed, under way: its standard output is all that it says."""
        return subprocess.Popen(
            ["git", "push", "paasd", "HEAD:main"],
            cwd=self.shell.cwd,
            env=self.shell.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
        """(status, JSON) of a call below /apps/NAME."""
        return self.daemon.call(method, f"/apps/{self.name}{path}", body)

    def builds(self) -> dict[str, dict[str, Any]]:
        """Every build there is by its id. Which is new, those before tell: two can begin in one second."""
        return {build["id"]: build for build in self.call("GET", "/builds")[1]}

    def get(self, path: str = "/") -> tuple[int, Any]:
        """(status, JSON) of what the app answers, or the error page's text."""
        status, text = self.daemon.get(self.name, path)
        return status, json.loads(text) if text.startswith("{") else text

    def served(self) -> str:
        """The release that answers: "v2"."""
        status, page = self.get()
        assert status == 200, page
        return str(page["release"])

    def released(self, version: int) -> dict[str, Any]:
        """The release once it is no longer pending."""
        return self.daemon.released(self.name, version)

    def stages(self, version: int) -> list[dict[str, Any]]:
        """Its stages, oldest first."""
        return list(self.call("GET", f"/releases/{version}?extended=true")[1]["extended"]["stages"])

    def containers(self, *, all: bool = True) -> dict[str, str]:
        """Name -> id of its containers."""
        identity = self.call("GET")[1]["id"]
        command = ["docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]
        command += ["--filter", f"label=paasd.app={identity}", *(["--all"] if all else [])]
        rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return dict(row.split() for row in rows)

    def inspect(self, container: str, form: str = "{{.Id}} {{.State.StartedAt}}") -> str:
        """What Docker says of one of them."""
        command = ["docker", "inspect", "--format", form, container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def log(self, *options: str) -> str:
        """What is kept of its log, as `paas logs` prints it."""
        return self.shell.run("paas", "logs", "-a", self.name, "--num", "1500", *options)

    def branch(self) -> str:
        """The commit that main stands at on the server, empty before the first push."""
        return self.shell.run("git", "ls-remote", "paasd", "refs/heads/main").partition("\t")[0].strip()

    def standing(self) -> Standing:
        """What is there now."""
        releases = self.call("GET", "/releases")[1]
        dynos = self.call("GET", "/dynos")[1]
        return Standing(
            releases=tuple(sorted((entry["version"], entry["status"], entry["description"]) for entry in releases)),
            dynos=tuple(sorted((dyno["name"], dyno["state"]) for dyno in dynos)),
            containers=frozenset(self.containers().values()),
            branch=self.branch(),
            page=self.daemon.get(self.name),
            config=self.call("GET", "/config-vars")[1],
        )


def open_shop(daemon: Daemon, directory: Path, name: str, source: Path = HELLO) -> Shop:
    """A new app with a repository filled from `source`."""
    return Shop(daemon, shell_for(daemon, directory, source), name).create()


def sentence(text: str) -> str:
    """The text itself, if it is one sentence that a person can act on: no traceback, no bare code."""
    assert text, "nothing was said"
    assert re.search(r"[.?]$", text.splitlines()[0]), text
    assert "Traceback" not in text
    assert not re.search(r"\b(None|Error\(|Exception)\b", text), text
    return text


def rejected(text: str) -> str:
    """What a refused push says, as its user sees it: the sentence after Heroku's ` !     `."""
    assert re.search(r"^remote: +! +Push rejected\.", text, re.MULTILINE), text
    assert "[remote rejected] HEAD -> main (pre-receive hook declined)" in text
    said = [match[1] for match in re.finditer(r"^remote: +! +(.+?)\s*$", text, re.MULTILINE)]
    return sentence(said[0])


Open = Callable[..., Shop]
"""opened(name, files, source): an app with these files, not yet pushed."""

FLASK = (
    "import flask\nflask_app = flask.Flask(__name__)\n@flask_app.get('/')\ndef index():\n    return 'hello of flask'\n"
)


def docker(*words: str) -> str:
    """What it printed."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=60).stdout
