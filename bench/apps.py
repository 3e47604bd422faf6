"""`make bench-apps`: the public apps of bench/apps.tsv on a daemon: what they answer, seconds to build, size, boot.

Cold is a build of an app that was never built, with nothing in any cache (the package index was asked once before),
beside what its installer takes by hand with an empty cache in the same image, the same with Python compiled to
bytecode, as a build does, and an image built by hand: a Dockerfile of three lines that does that on the same engine.
Known is a build of yet another such app, whose wheels an app before it has fetched; warm is one of the same source
again.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.apps_list import PublicApp, public_apps
from bench.deploy import build_times
from bench.page import table, title, verdict
from paasd.adapters.process_run import BASE_PATH
from paasd.builders.python import COLLECT
from tests.daemon import BIN, ROOT, Daemon, Shell, running, shell_for, wait_until

PUSH_SECONDS = 900.0
LINE_GOAL = 1.5
COLD_SHARE = 1.15
SLOW = ("welcome-to-docker",)  # two minutes of webpack: when named
SIZE = re.compile(r"(?:Image|Slug) sha256:\S+, ([\d.]+) MB")
NAMES = ("server.py", "app.py", "main.py", "web.py", "hello.py", "manage.py", "server.js", "index.js", "app.js")
ALIASES = {"node:18-slim": "node:20-slim", "node:18-alpine": "node:20-slim"}
NEWEST = "paasd/stack:forky"
ADDON_SECONDS = 120.0
DOCKER_SOCKET = "/var/run/docker.sock"
BY_HAND = {
    "requirements.txt": "uv venv -q ../venv && VIRTUAL_ENV=../venv uv pip install -q {more} -r requirements.txt",
    "package-lock.json": "npm ci --no-audit --no-fund",
}


@dataclass
class Row:
    """Seconds, megabytes and milliseconds of one app; None where it was not measured."""

    app: str
    answer: str = ""
    well: bool = False
    cold: float | None = None
    hand: float | None = None
    compiled: float | None = None
    image: float | None = None
    known: float | None = None
    warm: float | None = None
    line: float | None = None
    size: float | None = None
    boot: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def times(self) -> tuple[float | None, ...]:
        """As the table has them."""
        return self.cold, self.hand, self.compiled, self.image, self.known, self.warm, self.line

    def cells(self) -> list[str]:
        """As the table shows it."""
        seconds = [f"{one:.1f}" if one is not None else "-" for one in self.times]
        size = f"{self.size:.0f}" if self.size is not None else "-"
        boot = f"{self.boot * 1000:.0f}" if self.boot is not None else "-"
        return [self.app, self.answer, *seconds, size, boot]


@dataclass
class Bench:
    """A daemon, and the folder in which its apps' repositories are made."""

    daemon: Daemon
    root: Path
    engine: str
    cafile: Path
    aliases: Mapping[str, str]

    def run(self, app: PublicApp) -> Row:
        """All that is to be known of one app."""
        row = Row(app.app)
        refusal = app.expect.partition("refused: ")[2]
        if self.engine == "docker" and app.base in self.aliases:
            row.notes.append(f"on {self.aliases[app.base]} for {app.base}, which can't be had here (stacks.aliases)")
        elif self.engine == "docker" and app.base and not has_image(app.base):
            refusal = f"base image {app.base}"
            row.notes.append(f"{app.base} can't be had here, so that a refusal that names it is right")
        with self.shell(app, "") as shell:
            if refusal:
                self.refused(app, shell, refusal, row)
            else:
                self.measured(app, shell, row)
        return row

    def refused(self, app: PublicApp, shell: Shell, words: str, row: Row) -> None:
        """What serves stays, and the push is told why."""
        hello = ROOT / "examples" / "hello"
        own = shell.cwd.with_name("own")
        shell.cwd.rename(own)
        shutil.copytree(hello, shell.cwd)
        (own / ".git").rename(shell.cwd / ".git")
        if self.engine == "process":
            (shell.cwd / "Dockerfile").rename(shell.cwd / "requirements.txt").write_text("")
        self.push(shell, "What serves")
        before = self.daemon.get(app.app)
        git = shell.cwd / ".git"
        git.rename(own / ".git")
        shutil.rmtree(shell.cwd)
        own.rename(shell.cwd)
        shell.commit("The app itself")
        code, said = shell.attempt("git", "push", "paasd", "main", seconds=PUSH_SECONDS)
        told = [match[1].strip() for match in re.finditer(r"^remote: +! +(.+?)\s*$", said, re.MULTILINE)]
        reason = next((one for one in told if re.search(words, one)), None)
        row.well = code != 0 and reason is not None and self.daemon.get(app.app) == before
        row.answer = "refused" if row.well else "WRONG"
        row.notes.append((reason or " / ".join(told) or said[-400:])[:300])

    def measured(self, app: PublicApp, shell: Shell, row: Row) -> None:
        """Cold, by hand, warm, with one line changed."""
        said = self.push(shell, "First")
        if said is None:
            row.answer = "WRONG"
            row.notes.append(self.why)
            return
        status = self.status(app, app.app)
        row.well, row.answer = str(status) == app.expect, str(status)
        found = SIZE.findall(said)
        row.size = float(found[-1]) if found else None
        row.boot = self.boot_seconds(app.app)
        row.hand = self.by_hand(app, shell)
        python = (shell.cwd / "requirements.txt").is_file()
        row.compiled = self.by_hand(app, shell, "--compile-bytecode") if python else row.hand
        if self.engine == "docker":
            row.image = self.image_by_hand(app, shell, COLLECT in said)
        with self.shell(app, "-anew") as other:  # the index, and whatever stands before it, knows the packages now
            self.daemon.call("DELETE", f"/apps/{app.app}-anew/build-cache")  # which empties what all apps share, too
            row.cold = self.build_seconds() if self.push(other, "First") is not None else None
            self.again(shell, row)  # before an app is cleared away, which keeps the engine busy
            if python:
                with self.shell(app, "-known") as third:
                    row.known = self.build_seconds() if self.push(third, "First") is not None else None

    def again(self, shell: Shell, row: Row) -> None:
        """Of what was built before: as it is, and with a line more."""
        row.warm = self.build_seconds() if self.push(shell, "Again") is not None else None
        changed = next((shell.cwd / name for name in NAMES if (shell.cwd / name).is_file()), None)
        if changed is not None:
            mark = "//" if changed.suffix == ".js" else "#"
            changed.write_text(f"{changed.read_text()}\n{mark} one line more\n")
            row.line = self.build_seconds() if self.push(shell, "One line") is not None else None

    why = ""

    def push(self, shell: Shell, message: str) -> str | None:
        """What it said, None when it was refused (`why` says so)."""
        shell.commit(message)
        code, said = shell.attempt("git", "push", "paasd", "main", seconds=PUSH_SECONDS)
        told = re.findall(r"^remote: +! +(.+?)\s*$", said, re.MULTILINE)
        self.why = " / ".join(told)[:600] or said[-300:]
        return said if code == 0 else None

    def build_seconds(self) -> float:
        """Of the newest build."""
        began, ended = build_times(self.daemon.home / "store.db")
        return ended - began

    def boot_seconds(self, name: str) -> float:
        """From the start of the newest release's dynos until they are healthy."""
        version = self.daemon.call("GET", f"/apps/{name}/releases")[1][-1]["version"]
        stages = self.daemon.call("GET", f"/apps/{name}/releases/{version}?extended=true")[1]["extended"]["stages"]
        return sum(float(one["seconds"]) for one in stages if one["stage"] in ("start dynos", "await healthy"))

    def status(self, app: PublicApp, name: str) -> int:
        """What it answers, redirects not followed."""
        scheme, path = ("https", app.at.partition(":")[2]) if app.at.startswith("https:") else ("http", app.at)
        host, port = f"{name}.localhost", self.daemon.router_port
        words = ["curl", "-sS", "-m", "60", "-o", os.devnull, "-w", "%{http_code}", "--cacert", str(self.cafile)]
        words += ["--resolve", f"{host}:{port}:127.0.0.1", f"{scheme}://{host}:{port}{path}"]
        return int(subprocess.run(words, capture_output=True, text=True).stdout or 0)

    def by_hand(self, app: PublicApp, shell: Shell, more: str = "") -> float | None:
        """Seconds of its installer alone, with an empty cache, in the image that it runs in (or on this machine)."""
        command = next((BY_HAND[name] for name in BY_HAND if (shell.cwd / name).is_file()), None)
        if command is None or app.base:
            return None
        command = command.replace("{more}", more)
        if self.engine == "process":
            return self.on_this_machine(shell, command)
        version = self.daemon.call("GET", f"/apps/{app.app}/releases")[1][-1]["version"]
        image = f"paasd/{app.app}:v{version}"
        inside = f"cp -r /app /tmp/by-hand && cd /tmp/by-hand && rm -rf node_modules && date +%s.%N && {command} >&2"
        mount = f"{uv_binary(self.root)}:/usr/local/bin/uv:ro"
        options = ["--rm", "--user", "root", "--env", "HOME=/tmp/home", "--env", "NPM_CONFIG_CACHE=/tmp/npm"]
        options += ["--env", "UV_SYSTEM_CERTS=1", "--env", "UV_CACHE_DIR=/tmp/venv-cache", "--volume", mount]
        words = ["docker", "run", *options, "--entrypoint", "/bin/bash", image, "-c", f"{inside} && date +%s.%N"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PUSH_SECONDS)
        times = done.stdout.split()
        return float(times[-1]) - float(times[0]) if done.returncode == 0 and len(times) == 2 else None

    def image_by_hand(self, app: PublicApp, shell: Shell, collects: bool) -> float | None:
        """Seconds of an image with what its installer brings, and Django's static files where these are collected, on
        the image that it runs in."""
        file = next((name for name in BY_HAND if (shell.cwd / name).is_file()), None)
        if file is None or app.base:
            return None
        version = self.daemon.call("GET", f"/apps/{app.app}/releases")[1][-1]["version"]
        command = BY_HAND[file].replace("{more}", "--no-cache --compile-bytecode")
        lines = [f"FROM paasd/{app.app}:v{version}", "USER root", "ENV HOME=/tmp/home UV_SYSTEM_CERTS=1"]
        mount = "--mount=type=bind,from=paasd/uv:latest,source=/uv,target=/usr/local/bin/uv"
        more = "package.json " if file == "package-lock.json" else ""
        lines += ["WORKDIR /tmp/by-hand", f"COPY {more}{file} ./", f"RUN {mount} {command}", "COPY . ."]
        lines += [f"RUN PATH=/tmp/venv/bin:$PATH {COLLECT}"] if collects else []
        with tempfile.TemporaryDirectory(prefix="paasd-by-hand-") as place:
            context, packed = Path(place) / "app", Path(place) / "app.tar"
            shutil.copytree(shell.cwd, context, ignore=shutil.ignore_patterns(".git"))
            (context / "Dockerfile").write_text("\n".join([*lines, ""]))
            subprocess.run(["tar", "-cf", str(packed), "-C", str(context), "."], check=True)
            words = ["curl", "-sS", "--unix-socket", DOCKER_SOCKET, "-H", "Content-Type: application/x-tar"]
            words += ["--data-binary", f"@{packed}", "http://docker/build?version=2&nocache=1&t=paasd-by-hand"]
            began = time.monotonic()
            done = subprocess.run(words, capture_output=True, text=True)
            seconds = time.monotonic() - began
        built = subprocess.run(["docker", "image", "rm", "paasd-by-hand"], capture_output=True).returncode == 0
        return seconds if built and "errorDetail" not in done.stdout else None

    def on_this_machine(self, shell: Shell, command: str) -> float | None:
        """The same beside the process engine, with the uv and the npm that it uses."""
        search = f"{BIN}:{BASE_PATH}"
        with tempfile.TemporaryDirectory(prefix="paasd-by-hand-") as place:
            source = Path(place) / "app"
            shutil.copytree(shell.cwd, source)
            caches = {"UV_CACHE_DIR": f"{place}/uv", "NPM_CONFIG_CACHE": f"{place}/npm", "UV_SYSTEM_CERTS": "1"}
            environment = {**os.environ, "HOME": place, "PATH": search, **caches}
            began = time.monotonic()
            done = subprocess.run(command, shell=True, cwd=source, env=environment, capture_output=True)
            return time.monotonic() - began if done.returncode == 0 else None

    @contextlib.contextmanager
    def shell(self, app: PublicApp, suffix: str) -> Iterator[Shell]:
        """Its folder as a repository of its own, and an app to push it to, destroyed at the end."""
        name = f"{app.app}{suffix}"
        source = self.root / f"source-{name}"
        source.mkdir()
        tree = "HEAD" if app.folder == "." else f"HEAD:{app.folder}"
        packed = subprocess.run(["git", "-C", str(app.repository), "archive", tree], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", str(source)], input=packed.stdout, check=True)
        shell = shell_for(self.daemon, self.root / f"user-{name}", source)
        shell.run("paas", "apps:create", name)
        shell.run("paas", "git:remote", "-a", name)
        config = app.config
        if app.addon:
            parts = self.database(name, app.addon)
            config = tuple(one.format_map(parts) for one in config)
        if config:
            shell.run("paas", "config:set", *config, "-a", name)
        try:
            yield shell
        finally:
            for addon in self.daemon.call("GET", f"/apps/{name}/addons")[1] if app.addon else ():
                self.daemon.call("DELETE", f"/apps/{name}/addons/{addon['id']}", {"force": True})  # its data too
            self.daemon.call("DELETE", f"/apps/{name}")

    def database(self, name: str, service: str) -> Mapping[str, str | int | None]:
        """A database of its own, attached: where it is and who is let in."""
        self.daemon.call("POST", f"/apps/{name}/addons", {"plan": service})
        found: list[str] = []

        def attached() -> bool:
            found[:] = filter(None, [self.daemon.call("GET", f"/apps/{name}/config-vars")[1].get("DATABASE_URL")])
            return bool(found)

        wait_until(attached, ADDON_SECONDS, f"{name} got no {service}")
        url = urlsplit(found[0])
        user, database = url.username, url.path.lstrip("/")
        return {"host": url.hostname, "port": url.port, "user": user, "password": url.password, "database": database}


def uv_binary(root: Path) -> Path:
    """A copy of the uv that builds use."""
    place = root / "uv"
    if not place.exists():
        made = subprocess.run(
            ["docker", "create", "paasd/uv:latest", "none"], check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(["docker", "cp", f"{made}:/uv", str(place)], check=True, capture_output=True)
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    return place


def has_image(name: str) -> bool:
    """Whether the engine has it, or gets it."""
    ways = [["image", "inspect"]] if name.startswith("paasd/") else [["image", "inspect"], ["pull", "--quiet"]]
    return any(subprocess.run(["docker", *words, name], capture_output=True).returncode == 0 for words in ways)


def show(rows: Sequence[Row], absent: Sequence[str]) -> bool:
    """The table, what is to be said of some, and the verdicts."""
    head = ["app", "answers", "cold s", "by hand s", "compiled s", "image s", "known s", "warm s", "one line s"]
    head += ["MB", "boot ms"]
    table(head, [row.cells() for row in rows])
    for row in rows:
        for note in row.notes:
            print(f"  {row.app}: {note}")
    if absent:
        print(f"  not fetched, so skipped: {', '.join(absent)} (make fetch-apps)")
    wrong = [row.app for row in rows if not row.well]
    met = verdict(not wrong, f"{len(rows) - len(wrong)} of {len(rows)} do as listed {', '.join(wrong)}")
    slow = [row.app for row in rows if row.line is not None and row.line > LINE_GOAL]
    verdict(not slow, f"a changed line builds in under {LINE_GOAL} s {', '.join(slow)}")
    late = [row.app for row in rows if row.cold and row.hand and row.cold > row.hand * COLD_SHARE]
    verdict(not late, f"a cold build takes no longer than by hand and 15 % {', '.join(late)}")
    late = [row.app for row in rows if row.cold and row.compiled and row.cold > row.compiled * COLD_SHARE]
    verdict(not late, f"the same, where by hand compiles to bytecode, too {', '.join(late)}")
    late = [row.app for row in rows if row.cold and row.image and row.cold > row.image * COLD_SHARE]
    verdict(not late, f"a cold build takes no longer than an image built by hand and 15 % {', '.join(late)}")
    return met


def main() -> int:
    """0 when each does as listed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="*", help="names from the list (default: all but the slow ones)")
    parser.add_argument("--engine", default=os.environ.get("ENGINE") or "docker", choices=("docker", "process"))
    given = parser.parse_args()
    wanted = [
        one
        for one in public_apps()
        if given.engine in one.engines and (one.app in given.apps if given.apps else one.app not in SLOW)
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which clears up, as Ctrl-C does
    title(f"Public apps on the {given.engine} engine")
    here = [one for one in wanted if one.repository.exists()]
    rows = []
    docker = given.engine == "docker"
    if docker and not has_image(NEWEST):
        print(f"  {NEWEST} is not here: `paasd stack build forky` makes it, for an app that asks for Python 3.14")
        subprocess.run([str(BIN / "paasd"), "stack", "build", "forky"], check=True, capture_output=True)
    aliases = {one: other for one, other in ALIASES.items() if docker and not has_image(one) and has_image(other)}
    with (
        tempfile.TemporaryDirectory(prefix="paasd-apps-") as folder,
        running(Path(folder), options=("--engine", given.engine), config={"stacks": {"aliases": aliases}}) as daemon,
    ):
        root = Path(folder)
        cafile = root / "ca.pem"
        cafile.write_text(daemon.call("GET", "/paasd/ca")[1]["certificate"])
        bench = Bench(daemon, root, given.engine, cafile, aliases)
        for app in here:
            rows.append(bench.run(app))
            print(f"  {' '.join(rows[-1].cells())} {' / '.join(rows[-1].notes)[:200]}", flush=True)
    print()
    return 0 if show(rows, [one.app for one in wanted if one not in here]) else 1


if __name__ == "__main__":
    sys.exit(main())
