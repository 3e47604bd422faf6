"""The setup scripts' way to speak to the Docker Engine: by its API, since a docker client may be absent."""

import argparse
import contextlib
import http.client
import io
import os
import socket
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

PING_SECONDS = 5
REGISTRY_SECONDS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ping", help="exit 0 if an engine answers; uses the standard library only")
    for name, text in (("has", "exit 0 if every image is there"), ("has-foreign", "... and is not of our making")):
        commands.add_parser(name, help=text).add_argument("images", nargs="+")
    commands.add_parser("pull", help="pull an image, if a registry answers at once").add_argument("image")
    into = commands.add_parser("import", help="make an image of a tar on standard input")
    into.add_argument("image")
    into.add_argument("--change", action="append", default=[])
    tag = commands.add_parser("tag")
    tag.add_argument("image")
    tag.add_argument("names", nargs="+")
    build = commands.add_parser("build", help="build a directory that holds a Dockerfile")
    build.add_argument("directory", type=Path)
    build.add_argument("image")
    build.add_argument("--arg", action="append", default=[])
    one_file = commands.add_parser("import-file", help="make an image that holds one executable")
    one_file.add_argument("file", type=Path)
    one_file.add_argument("image")
    one_file.add_argument("--change", action="append", default=[])
    commands.add_parser("id", help="print the ids of those images that are here").add_argument("images", nargs="+")
    commands.add_parser("forget", help="remove those that lost their last tag").add_argument("images", nargs="*")
    commands.add_parser("run", help="run a shell line in a throw-away container").add_argument("words", nargs=2)
    commands.add_parser("sweep", help="remove what carries a label").add_argument("label")
    commands.add_parser("in-use", help="exit 0 if a network carries the label").add_argument("label")
    arguments = parser.parse_args()
    if arguments.command == "ping":
        return ping()
    try:
        return COMMANDS[arguments.command](Engine(), arguments)
    except OSError as error:
        return fault(f"the Docker Engine failed: {error}")


def ping() -> int:
    """0 if the engine answers; else 1 and a sentence on standard error."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")  # noqa: TID251
    if address.scheme != "unix":
        return 0 if Engine().ping() else fault(f"no Docker Engine answers at {address.geturl()}.")
    connection = http.client.HTTPConnection("localhost", timeout=PING_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(PING_SECONDS)
    try:
        connection.sock.connect(address.path)
        connection.request("GET", "/_ping")
        healthy = connection.getresponse().status == 200
        return 0 if healthy else fault(f"the Docker Engine at {address.path} is not well.")
    except PermissionError:
        return fault(
            f"you are not allowed to use {address.path}: "
            "run `sudo usermod -aG docker $USER` and log in again, or be root."
        )
    except OSError as error:
        return fault(f"no Docker Engine answers at {address.path} ({error}).")
    finally:
        connection.close()


class Engine:
    """The few calls setup needs, on the docker SDK of .venv."""

    def __init__(self) -> None:
        import docker  # only here: `ping` must work before .venv exists

        self.docker = docker
        try:
            self.client = docker.from_env(timeout=900)
        except docker.errors.DockerException as error:
            raise OSError(str(error)) from error

    def ping(self) -> bool:
        try:
            return bool(self.client.ping())
        except (self.docker.errors.DockerException, OSError):
            return False

    def has(self, image: str, *, foreign: bool = False) -> bool:
        """Whether the image is here; with `foreign`, whether it is here and was not made by these scripts."""
        try:
            found = self.client.images.get(image)
        except self.docker.errors.ImageNotFound:
            return False
        return not (foreign and "paasd.local" in found.labels)

    def registry_answers(self, image: str) -> bool:
        """Whether the engine's registry tells of the image within seconds; silence counts as no."""
        quick = self.docker.from_env(timeout=REGISTRY_SECONDS)
        try:
            quick.images.get_registry_data(image)
        except (self.docker.errors.DockerException, OSError):
            return False
        finally:
            quick.close()
        return True


def has(engine: Engine, arguments: argparse.Namespace) -> int:
    foreign = arguments.command == "has-foreign"
    return 0 if all(engine.has(image, foreign=foreign) for image in arguments.images) else 1


def pull(engine: Engine, arguments: argparse.Namespace) -> int:
    if not engine.registry_answers(arguments.image):
        return 1
    name, _, tag = arguments.image.partition(":")
    try:
        engine.client.images.pull(name, tag=tag)
    except engine.docker.errors.DockerException as error:
        return fault(f"the registry answered, but {arguments.image} could not be pulled: {error}")
    return 0


def import_stream(engine: Engine, arguments: argparse.Namespace) -> int:
    name, _, tag = arguments.image.partition(":")
    answer = engine.client.api.import_image_from_stream(
        sys.stdin.buffer, repository=name, tag=tag, changes=arguments.change
    )
    return fault(f"{arguments.image} could not be imported: {answer}") if '"error"' in answer else 0


def import_file(engine: Engine, arguments: argparse.Namespace) -> int:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = archive.gettarinfo(arguments.file, arcname=arguments.file.name)
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = "root"
        member.mode = 0o755
        with arguments.file.open("rb") as source:
            archive.addfile(member, source)
    name, _, tag = arguments.image.partition(":")
    answer = engine.client.api.import_image_from_data(
        content.getvalue(), repository=name, tag=tag, changes=arguments.change
    )
    return fault(f"{arguments.image} could not be imported: {answer}") if '"error"' in answer else 0


def tag(engine: Engine, arguments: argparse.Namespace) -> int:
    image = engine.client.images.get(arguments.image)
    for full in arguments.names:
        name, _, version = full.partition(":")
        image.tag(name, tag=version)
    return 0


def ids(engine: Engine, arguments: argparse.Namespace) -> int:
    found = [engine.client.images.get(image).id for image in arguments.images if engine.has(image)]
    sys.stdout.write(" ".join(str(image) for image in found) + "\n")
    return 0


def forget(engine: Engine, arguments: argparse.Namespace) -> int:
    """An image that containers still run on, or that others were built on, stays: the engine says so itself."""
    for image in arguments.images:
        if engine.has(image) and not engine.client.images.get(image).tags:
            with contextlib.suppress(engine.docker.errors.APIError):
                engine.client.images.remove(image)
    return 0


def build(engine: Engine, arguments: argparse.Namespace) -> int:
    pairs = dict(pair.split("=", 1) for pair in arguments.arg)
    try:
        engine.client.images.build(
            path=str(arguments.directory), tag=arguments.image, buildargs=pairs, rm=True, forcerm=True
        )
    except engine.docker.errors.BuildError as error:
        for line in list(error.build_log)[-20:]:
            sys.stderr.write(line.get("stream", line.get("error", "")))
        return fault(f"{arguments.image} could not be built: its last lines are above.")
    return 0


def run(engine: Engine, arguments: argparse.Namespace) -> int:
    image, line = arguments.words
    try:
        sys.stdout.buffer.write(
            engine.client.containers.run(image, ["sh", "-ec", line], remove=True, network_mode="none")
        )
    except engine.docker.errors.ContainerError as error:
        return fault(f"{image} is not fit for use: {(error.stderr or b'').decode(errors='replace').strip()}")
    return 0


def sweep(engine: Engine, arguments: argparse.Namespace) -> int:
    """Removes containers, volumes, networks and images with the label, in that order; what is gone already is fine."""
    wanted = {"label": arguments.label}
    gone = engine.docker.errors.NotFound
    count = {"containers": 0, "volumes": 0, "networks": 0, "images": 0}
    for container in engine.client.containers.list(all=True, filters=wanted, ignore_removed=True):
        try:
            container.remove(force=True, v=True)
            count["containers"] += 1
        except gone:
            continue
    for volume in engine.client.volumes.list(filters=wanted):
        try:
            volume.remove(force=True)
            count["volumes"] += 1
        except gone:
            continue
    for network in engine.client.networks.list(filters=wanted):
        try:
            network.remove()
            count["networks"] += 1
        except gone:
            continue
    for image in engine.client.images.list(all=False, filters=wanted):
        try:
            engine.client.images.remove(str(image.id), force=True)
            count["images"] += 1
        except gone:
            continue
    told = (f"{number} {kind}" for kind, number in count.items() if number or kind != "volumes")
    sys.stdout.write(", ".join(told) + "\n")
    return 0


def in_use(engine: Engine, arguments: argparse.Namespace) -> int:
    return 0 if engine.client.networks.list(filters={"label": arguments.label}) else 1


def fault(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 1


COMMANDS = {
    "has": has,
    "has-foreign": has,
    "pull": pull,
    "import": import_stream,
    "import-file": import_file,
    "tag": tag,
    "id": ids,
    "forget": forget,
    "build": build,
    "run": run,
    "sweep": sweep,
    "in-use": in_use,
}

if __name__ == "__main__":
    sys.exit(main())
