"""`paasd doctor`: what this machine lacks for the daemon, each finding with its remedy. Looks only, changes nothing."""

import asyncio
import json
import shutil
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.docker_build_bounds import BuildBounds
from paasd.adapters.docker_engine import DockerEngine
from paasd.adapters.process_build import uv_program
from paasd.adapters.process_engine import ProcessEngine, ProcessSettings
from paasd.doctor_addons import absent_providers, addon_orphans
from paasd.domain.errors import EngineUnavailable
from paasd.domain.stack import BOOKWORM
from paasd.engines import MEGABYTE, why_no_docker
from paasd.home import Home, HomeError
from paasd.settings import Settings, parse_address

DISK_FREE_BYTES = 2 * 1024**3
DISK_FREE_SHARE = 0.1
OLDEST_GIT = (2, 30)
SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is empty when it is well."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order they matter."""
    return [
        *asyncio.run(engine_findings(settings)),
        *asyncio.run(addon_findings(settings)),
        git_finding(settings),
        disk_finding(settings),
        port_finding("API", settings.api, "--api", held_by_us(settings)),
        port_finding("router", settings.router, "--router", router_answers(settings)),
        name_finding(settings),
    ]


async def engine_findings(settings: Settings) -> list[Finding]:
    """The home's engine: does it answer, what does it say of itself, and what builds need beside it."""
    home = Home(settings.home)
    try:
        home_id = home.id() if (home.path / "id").exists() else "d0c70500"
        name = home.engine(settings.engine)
    except HomeError as error:
        return [Finding("home", False, str(error), str(error).rpartition("; ")[2])]
    why = await why_no_docker(settings) if name == "auto" else None
    if name == "process" or why is not None:
        return await process_findings(settings, home_id, why)
    return await docker_findings(settings, home_id)


async def process_findings(settings: Settings, home_id: str, why: str | None) -> list[Finding]:
    """What keeps plain processes apart here; `why` these are what a new home would use."""
    api = parse_address(settings.api, "api")[1]
    info = await ProcessEngine(home_id, settings.home, ProcessSettings(settings.search_path, api=api)).info()
    text = f"plain processes: {info.api_version}"
    text = text if why is None else f"{text}; chosen because: {why.rstrip('.')}"
    found = [Finding("engine", True, text)]
    found += [Finding("engine", False, problem, problem.rpartition("; ")[2]) for problem in info.problems]
    uv = uv_program(settings.search_path)
    if uv is None:
        return [*found, Finding("uv", False, "uv was not found: no Python app builds", "pip install uv")]
    return [*found, Finding("uv", True, f"{uv} installs apps' dependencies")]


async def docker_findings(settings: Settings, home_id: str) -> list[Finding]:
    """Does it answer, is it new enough, what does it say of itself, is the stack image there."""
    section = settings.docker
    engine = DockerEngine(home_id, DockerSettings(section.host, section.subnet_pool, section.subnet_prefix))
    async with engine:
        try:
            info, stacks = await engine.info(), (await engine.stacks()).stacks
        except EngineUnavailable as error:
            remedy = (
                "install and start Docker (`apt-get install docker.io`, then `dockerd`), set docker.host, or run dynos "
                "as plain processes: --engine process, with a home of its own"
            )
            return [Finding("engine", False, error.message, remedy)]
    builder = "BuildKit" if info.buildkit else "the classic builder"
    found = [Finding("engine", True, f"Docker {info.version}, API {info.api_version}, {builder}")]
    if info.buildkit:
        found.append(builds_finding(settings))
    found += [Finding("engine", False, problem, problem.rpartition("; ")[2]) for problem in info.problems]
    found.append(
        Finding("stack", True, ", ".join(f"{stack.image} (Python {stack.python})" for stack in stacks))
        if stacks
        else Finding(
            "stack", False, f"{BOOKWORM.image} is missing: only apps with a Dockerfile build", "run `make setup`"
        )
    )
    return found


async def addon_findings(settings: Settings) -> list[Finding]:
    """Data of add-ons that nobody will ask for any more, and those that can't be asked for; else nothing is said."""
    home = Home(settings.home)
    if not (home.path / "id").exists():
        return []
    try:
        found = absent_providers(settings, home) + await addon_orphans(settings, home)
    except HomeError:
        return []  # said of the engine
    return [Finding("add-ons", False, detail, remedy) for detail, remedy in found]


def builds_finding(settings: Settings) -> Finding:
    """Whether what BuildKit runs is bounded: on its own control group, as it heeds nothing else."""
    build = settings.build
    bounds = BuildBounds(build.memory_mb * MEGABYTE * build.parallel, build.pids * build.parallel, build.cpus)
    why = bounds.problem()
    if why is None:
        text = f"all together have {build.memory_mb * build.parallel} MB and {build.pids * build.parallel} processes"
        return Finding("builds", True, text)
    text = f"not bounded in memory and processes: {why} (a daemon that runs as root sets it before a build)"
    return Finding("builds", True, text)


def git_finding(settings: Settings) -> Finding:
    """git, which receives pushes."""
    git = shutil.which("git", path=settings.search_path)
    if git is None:
        return Finding("git", False, "git was not found", "install it: apt-get install git")
    said = subprocess.run([git, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = tuple(int(part) for part in said.rpartition(" ")[2].split(".")[:2] if part.isdigit())
    if numbers < OLDEST_GIT:
        return Finding("git", False, f"{said} is too old", "install git 2.30 or newer")
    return Finding("git", True, said)


def disk_finding(settings: Settings) -> Finding:
    """Room where the home is."""
    place = settings.home
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    text = f"{usage.free / 1024**3:.1f} GB of {usage.total / 1024**3:.0f} GB are free at {place}"
    if usage.free < DISK_FREE_BYTES or usage.free < usage.total * DISK_FREE_SHARE:
        return Finding("disk", False, text, "make room: `docker system df` shows what images and build caches take")
    return Finding("disk", True, text)


def port_finding(name: str, address: str, option: str, ours: bool) -> Finding:
    """Whether we listen there already, or could."""
    if ours:
        return Finding(f"{name} port", True, f"{address} is ours")
    host, port = parse_address(address, name)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = f"stop what listens there, or choose another with {option} HOST:PORT"
            return Finding(f"{name} port", False, f"{address} can't be listened on ({error.strerror})", remedy)
    return Finding(f"{name} port", True, f"{address} is free")


def held_by_us(settings: Settings) -> bool:
    """Whether this home's daemon answers at the API's address."""
    try:
        url = (settings.home / "api").read_text().strip()
        if not url.startswith(("http://", "https://")):
            return False
        with urlopen(f"{url}/health", timeout=SECONDS) as answer:  # noqa: S310 - the scheme was just checked
            return bool(json.load(answer).get("status") == "ok") and url == settings.api_url
    except (OSError, URLError, ValueError):
        return False


def router_answers(settings: Settings) -> bool:
    """Whether our router's control socket is alive and it listens at the address that is set."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        try:
            directory = Home(settings.home).router_directory() or settings.router_directory
            client.connect(str(directory / "control.sock"))
            client.sendall(b"GET /health HTTP/1.0\r\nHost: router\r\n\r\n")
            return settings.router.encode() in client.recv(4096)
        except OSError:
            return False


def name_finding(settings: Settings) -> Finding:
    """Whether an app's host name leads to this machine, as browsers and curl resolve it."""
    host = f"paasd-doctor.{settings.domain}"
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)}
    except socket.gaierror:
        remedy = (
            f"browsers and curl resolve *.{settings.domain} by themselves; for other programs add each app's name to "
            f"{Path('/etc/hosts')}, or install libnss-myhostname"
        )
        return Finding("names", settings.domain == "localhost", f"*.{settings.domain} does not resolve here", remedy)
    return Finding("names", True, f"*.{settings.domain} resolves to {', '.join(sorted(addresses))}")


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print them: a mark, what was found, and the remedy below it."""
    import click

    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = click.style("ok  ", fg="green") if finding.ok else click.style("MEND", fg="red", bold=True)
        click.echo(f"{mark}  {finding.name:<{width}}  {finding.detail}")
        if finding.remedy:
            click.echo(f"      {'':<{width}}  -> {finding.remedy}")
