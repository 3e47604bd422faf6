"""`paasd`: serve, token, doctor, stack, router, backup, restore. Each imports what it needs when called."""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from paasd import __version__
from paasd.settings import Settings, SettingsError, load

HOME = click.option("--home", metavar="DIR", help="Where everything is kept (default: ~/.paasd, or PAASD_HOME).")
CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Settings as YAML (paasd.yaml)."
)
ROUTER_DIR = click.option("--router-dir", metavar="DIR", help="The router's own folder (default: beside the home).")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="paasd")
def main() -> None:
    """The platform that runs on your own machine. `paas` and `heroku` are its clients."""


@main.command()
@HOME
@CONFIG
@click.option("--api", metavar="HOST:PORT", help="Where the API listens (default 127.0.0.1:5500).")
@click.option("--router", metavar="HOST:PORT", help="Where apps are reached (default 127.0.0.1:8080).")
@ROUTER_DIR
@click.option("--router-workers", type=int, metavar="N", help="Processes that serve apps; 0: one a core (default 1).")
@click.option("--engine", type=click.Choice(["auto", "docker", "process"]), help="What runs the dynos (default auto).")
@click.option("--log", type=click.Choice(["console", "json"]), help="Form of the daemon's own log.")
@click.option("--takeover", is_flag=True, help="Take over from the daemon that runs: no call to the API is refused.")
def serve(config: Path | None, takeover: bool, **options: Any) -> None:
    """Run the daemon (and the router, where nothing else runs it) until SIGTERM."""
    import contextlib

    from paasd.domain.errors import PaasError
    from paasd.home import Home, HomeError

    os.umask(0o077)  # whatever the shell had: git, SQLite and the router make files here, too
    settings = settings_or_exit(options, config)
    home = Home(settings.home)
    try:
        home.prepare()
        with contextlib.nullcontext() if takeover else home.held():  # a second daemon is told before it imports it all
            from paasd.daemon import run, take_over
            from paasd.logging import configure

            configure(settings.log)
            (take_over if takeover else run)(settings, home)
    except SettingsError as error:  # of what only the daemon can look up: a partner's manifest, an engine's name
        refuse(error)
    except (HomeError, PaasError) as error:
        sys.exit(f"paasd: {error}")


@main.command()
@HOME
@CONFIG
def token(home: str | None, config: Path | None) -> None:
    """Print the owner's token."""
    settings = settings_or_exit({"home": home}, config)
    path = settings.home / "token"
    try:
        click.echo(path.read_text().strip())
    except OSError as error:
        sys.exit(f"paasd: {path} can't be read ({error.strerror}); start `paasd serve --home {settings.home}` first.")


@main.command()
@HOME
@CONFIG
@click.option("--api", metavar="HOST:PORT")
@click.option("--router", metavar="HOST:PORT")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--repair", is_flag=True, help="Rebuild a damaged database from the newest backup; the damaged one is kept."
)
def doctor(config: Path | None, as_json: bool, repair: bool, **options: Any) -> None:
    """Say what is missing and how to mend it. Exit code 1 if something is."""
    from paasd.doctor import examine, show

    settings = settings_or_exit(options, config)
    if repair:
        mend_store(settings.home)
    findings = examine(settings)
    show(findings, as_json=as_json)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@HOME
@CONFIG
def backup(file: Path, home: str | None, config: Path | None) -> None:
    """Write everything but images to FILE (a tar, 0600), also while the daemon runs. The key is in it: keep it safe."""
    from paasd.adapters.backup import write_backup
    from paasd.domain.errors import PaasError

    settings = settings_or_exit({"home": home}, config)
    try:
        write_backup(settings.home, file.absolute())
    except PaasError as error:
        sys.exit(f"paasd: {error}")
    click.echo(f"{file}: {file.stat().st_size} bytes")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@HOME
@CONFIG
@click.option("--force", is_flag=True, help="Also where the home is not empty; it is moved aside, not removed.")
def restore(file: Path, home: str | None, config: Path | None, force: bool) -> None:
    """Make an empty home what it was when `paasd backup` wrote FILE."""
    import contextlib
    import time

    from paasd.adapters.backup import restore_backup
    from paasd.domain.errors import PaasError
    from paasd.home import Home, HomeError

    place = settings_or_exit({"home": home}, config).home
    used = place.exists() and any(place.iterdir())
    if used and not force:
        sys.exit(f"paasd: The home {place} is not empty; choose another with --home, or say --force to move it aside.")
    former = place.with_name(f"{place.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}") if used else None
    try:
        with Home(place).held() if used else contextlib.nullcontext():
            restore_backup(file.absolute(), place, former=former)
    except (HomeError, PaasError) as error:
        sys.exit(f"paasd: {error}")
    click.echo(f"{place} is restored." + (f" What was there is now {former}." if former else ""))


@main.group()
def stack() -> None:
    """The images that apps are built on."""


@stack.command("list")
@HOME
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_stacks(home: str | None, config: Path | None, as_json: bool) -> None:
    """Say which are here, with what in them, and which could be made."""
    from paasd.domain.errors import PaasError
    from paasd.stacks import show

    try:
        show(settings_or_exit({"home": home}, config), as_json=as_json)
    except PaasError as error:
        sys.exit(f"paasd: {error}")


@stack.command("build")
@click.argument("names", nargs=-1, required=True)
def build_stacks(names: tuple[str, ...]) -> None:
    """Make what is not here yet of NAMES: bookworm, trixie, forky, node-24, node-22, node-20, postgresql, redis; and
    node-24-slim (node-22-slim, node-20-slim), for Dockerfiles that stand on node:24-slim."""
    from paasd.domain.errors import PaasError
    from paasd.stacks import NAMES, SERVERS, SLIM, make

    known = (*NAMES, *SLIM, *SERVERS)
    wrong = [name for name in names if name not in known]
    if wrong:
        sys.exit(f"paasd: {wrong[0]} is no stack; name {', '.join(known)}.")
    try:
        sys.exit(make(list(names), anew=False))
    except PaasError as error:
        sys.exit(f"paasd: {error}")


@stack.command("update")
@click.argument("names", nargs=-1)
@HOME
@CONFIG
def update_stacks(names: tuple[str, ...], home: str | None, config: Path | None) -> None:
    """Make NAMES anew (none: all that are here), with today's packages; apps get them with their next build."""
    import asyncio

    from paasd.domain.errors import PaasError
    from paasd.stacks import found, make, names_of

    try:
        here = names_of(asyncio.run(found(settings_or_exit({"home": home}, config))))
        wrong = [name for name in names if name not in here]
        if wrong or not here:
            sys.exit(f"paasd: {wrong[0] if wrong else 'No stack'} is not here; see `paasd stack list`.")
        sys.exit(make(list(names) or here, anew=True))
    except PaasError as error:
        sys.exit(f"paasd: {error}")


@main.group()
def router() -> None:
    """The router, asked on this machine: works with no daemon running."""


@router.command("status")
@HOME
@CONFIG
@ROUTER_DIR
def router_status(home: str | None, config: Path | None, router_dir: str | None) -> None:
    """Say where it listens, and which table it serves."""
    on_router(home, config, router_dir, renew=False)


@router.command("upgrade")
@HOME
@CONFIG
@ROUTER_DIR
def router_upgrade(home: str | None, config: Path | None, router_dir: str | None) -> None:
    """Put processes of the installed version in the place of all that serve; no request is lost."""
    on_router(home, config, router_dir, renew=True)


def on_router(home: str | None, config: Path | None, router_dir: str | None, *, renew: bool) -> None:
    """Have it renewed if so asked, then say how it is; one sentence and exit code 1 if it does not answer."""
    import asyncio

    from paasd.domain.errors import PaasError
    from paasd.router_alone import look

    settings = settings_or_exit({"home": home, "router_dir": router_dir}, config)
    try:
        click.echo(asyncio.run(look(settings.router_directory, renew=renew)))
    except PaasError as error:
        sys.exit(f"paasd: {error}")


def mend_store(path: Path) -> None:
    """Repair the database and say what was done; one sentence and exit code 1 if that can't be."""
    from paasd.adapters.damage import repair_store
    from paasd.domain.errors import PaasError
    from paasd.home import Home, HomeError

    home = Home(path)
    try:
        home.prepare()
        with home.held():
            for sentence in repair_store(path):
                click.echo(sentence, err=True)
    except (HomeError, PaasError) as error:
        sys.exit(f"paasd: {error}")


def settings_or_exit(options: dict[str, Any], config: Path | None) -> Settings:
    """The settings, or one sentence and exit code 2."""
    try:
        return load(options, config)
    except SettingsError as error:
        refuse(error)


def refuse(error: SettingsError) -> NoReturn:
    """One sentence and exit code 2."""
    click.echo(f"paasd: {error}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
