"""`deploy`: a directory, as it is, to a release that serves, without a push."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click

from paasd.cli import output, rollout, source_files
from paasd.cli.client import path
from paasd.cli.errors import CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, app_options, json_option

SECTION = "Releases"
EXAMPLE = "paas deploy\npaas deploy ./site -a blog\npaas deploy --image nginx:1.27"


@click.command(
    cls=PaasCommand,
    name="deploy",
    section=SECTION,
    example=EXAMPLE,
)
@click.argument(
    "directory", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--version", metavar="TEXT", help="What the release's commit is to be; else git's, if DIR is in git.")
@click.option("--image", metavar="NAME", help="Release an image that the daemon's engine has, instead of DIR.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE[=COMMAND]", help="With --image: what to run of it (web, as it is)."
)
@click.option("--queue", is_flag=True, help="Wait for a deploy that is under way, rather than be refused.")
@json_option
@app_options
def deploy(
    session: Session,
    app: str,
    directory: Path,
    version: str | None,
    image: str | None,
    types: tuple[str, ...],
    queue: bool,
    as_json: bool,
) -> None:
    """Send a directory (this one), build and release it; ends when the release serves, or has failed.

    What .gitignore names is left out; what is not committed is sent too.
    """
    if image is not None:
        _deploy_image(session, app, image, types or ("web",), as_json)
        return
    files = source_files.files_of(directory)
    if not files:
        raise CliError(f"{directory} holds no files to send: is all of it in .gitignore?")
    commit, subject = source_files.version_of(directory)
    url = _sent(session, directory, files)
    blob = {"url": url, "version": version or commit, "version_description": "" if version else subject}
    build = session.api.post(path("apps", app, "builds"), {"source_blob": blob, "queue": queue})
    kept = bytearray()
    write = kept.extend if as_json else rollout.to_stdout()
    with _cancelled_with_us(session, app, str(build["id"])):
        rollout.copy_output(session.api, build["output_stream_url"], write, still_wanted=lambda: False)
    release = _released(session, app, session.api.get(path("apps", app, "builds", str(build["id"]))))
    if as_json:
        output.print_json({"build": build["id"], "release": release, "output": kept.decode(errors="replace")})


def _deploy_image(session: Session, app: str, image: str, types: tuple[str, ...], as_json: bool) -> None:
    updates: list[dict[str, str]] = []
    for wanted in types:
        kind, _, command = wanted.partition("=")
        updates.append({"type": kind, "docker_image": image, **({"command": command} if command else {})})
    with output.action("Releasing image ", Styled(image, output.NAME), " to ", output.app_name(app)) as step:
        session.api.patch(path("apps", app, "formation"), {"updates": updates})
        release = rollout.follow(session.api, app, rollout.latest(session.api, app), step)
    if as_json:
        output.print_json({"release": release})


def _sent(session: Session, directory: Path, files: list[str]) -> str:
    """The URL that the packed files can be built from."""
    with ExitStack() as stack:
        with output.action("Packing ", Styled(f"{len(files)} files", output.NAME)) as step:
            file, size = stack.enter_context(source_files.packed(directory, files))
            step.done(output.size(size))
        blob = session.api.post(path("sources"))["source_blob"]
        with output.progress("Sending", size) as advance:
            session.api.upload(blob["put_url"], _told(file, advance), size)
    return str(blob["get_url"])


def _told(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(64 * 1024):
        yield chunk
        advance(len(chunk))


@contextmanager
def _cancelled_with_us(session: Session, app: str, build: str) -> Iterator[None]:
    """Ctrl-C stops the build, too."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(CliError), output.action("Stopping build ", Styled(build, output.APP)):
            session.api.delete(path("apps", app, "builds", build))
        raise


def _released(session: Session, app: str, build: dict[str, Any]) -> dict[str, Any]:
    """The release that the build became, served. CliError with the reason otherwise."""
    if build["status"] != "succeeded":
        raise CliError(f"The build failed: {build.get('failure') or 'see its output above'}")
    if build["release"] is None:
        raise CliError(f"It was built, but not released: see the output above, and `paas releases -a {app}`.")
    return rollout.served(session.api, app, rollout.find(session.api, app, str(build["release"]["id"])))


COMMANDS = (deploy,)
