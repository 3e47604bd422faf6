"""A build's progress as its pusher reads it, and a failed build's words as one sentence. Lines are Heroku's: a step
opens with an arrow, what it prints is indented."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from paasd.adapters.buildkit_trace import Trace, Vertex, decode_trace
from paasd.domain.errors import BuildFailed
from paasd.ports import Write

ARROW = "-----> "
INDENT = b"       "
STEP = re.compile(r"\[(?P<place>(?:[\w./-]+ )?\s*\d+/\d+)\] (?P<what>.+)", re.DOTALL)
CLASSIC_STEP = re.compile(r"Step (?P<place>\d+/\d+) : (?P<what>.+)", re.DOTALL)
CLASSIC_NOISE = re.compile(
    r" ---> (?:Running in )?[0-9a-f]{12}|Removing intermediate container [0-9a-f]{12}|Successfully (?:built|tagged) \S+"
)
OWN_WORDS = (" ---> ", "Removing intermediate container ")
STDERR = re.compile(r"\x1b\[91m(.*)\x1b\[0m", re.DOTALL)  # this builder paints each piece of it red
FETCHED = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:", re.IGNORECASE)  # a step of that name alone
METADATA = re.compile(r"\[internal\] load metadata for (\S+)")
WHOSE = re.compile(
    r": /var/cache/paasd/\S+ && (?:export PATH=\S+ && )?"
)  # says whose the step is, for the engine's list of what it keeps
UNNAMED = re.compile(r"^stage-\d+ ")  # BuildKit's name for a stage that has none
FLAG = re.compile(r" --[a-z]+(?:=\S+)?")
COMMAND_FAILED = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"executor failed running \[(.*)\]: exit code: (\d+)",
        r'process "(.*)" did not complete successfully: exit code: (\d+)',
        r"The command '(.*)' returned a non-zero code: (\d+)",
    )
)
FILE_MISSING = re.compile(r'"(/[^"]*)"(?:: |\s)not found|\bstat ([^:]+): file does not exist')
CLASSIC_FROM = re.compile(r"FROM (?:--\S+ )*(\S+)(?: AS \S+)?", re.IGNORECASE)
FRONTEND = re.compile(
    r"^failed to solve(?: with frontend [\w.]+)?: |failed to (?:create LLB definition|compute cache key): "
)


class BuildKitLog:
    """Shows BuildKit's traces. `failed_step` is the name of the first step that failed, "" until one did; `images` are
    those that it looked up, whatever the Dockerfile calls them, and `fetched` the URLs that it fetches itself."""

    def __init__(self, output: Write) -> None:
        self._output = output
        self._names: dict[str, str] = {}
        self._shown: set[str] = set()
        self._unfinished: dict[tuple[str, int], bytes] = {}
        self.failed_step = ""
        self.images: set[str] = set()
        self.fetched: set[str] = set()

    async def show(self, message: Mapping[str, Any]) -> None:
        """One message of the engine's stream."""
        if message.get("id") == "moby.buildkit.trace":
            await self._show(decode_trace(base64.b64decode(str(message["aux"]))))

    async def finish(self) -> None:
        """What was printed without a line's end."""
        rest = b"".join(INDENT + line + b"\n" for line in self._unfinished.values() if line)
        self._unfinished.clear()
        if rest:
            await self._output(rest)

    async def _show(self, trace: Trace) -> None:
        text = b"".join(self._heading(vertex) for vertex in trace.vertices)
        for log in trace.logs:
            key = (log.digest, log.stream)
            *lines, rest = (self._unfinished.pop(key, b"") + log.data).split(b"\n")
            if rest:
                self._unfinished[key] = rest
            text += b"".join(map(_indented, lines))
        if text:
            await self._output(text)

    def _heading(self, vertex: Vertex) -> bytes:
        if vertex.error and not self.failed_step and "context canceled" not in vertex.error:
            self.failed_step = vertex.name
        if (looked_up := METADATA.fullmatch(vertex.name)) is not None:
            self.images.add(looked_up[1])
        if FETCHED.match(vertex.name) is not None:
            self.fetched.add(vertex.name)
        match = STEP.fullmatch(vertex.name)
        if match is None or vertex.digest in self._shown or not (vertex.started or vertex.cached):
            return b""
        self._shown.add(vertex.digest)
        return heading(match["what"], match["place"], cached=vertex.cached)


class ClassicLog:
    """Shows the classic builder's stream. `failed_step` is the step it is at."""

    def __init__(self, output: Write) -> None:
        self._output = output
        self._step: re.Match[str] | None = None  # announced, but not yet known to be cached or not
        self._unfinished = ""
        self.failed_step = ""
        self.images: set[str] = set()  # it does not say
        self.fetched: set[str] = set()

    async def show(self, message: Mapping[str, Any]) -> None:
        """One message of the engine's stream."""
        printed = str(message.get("stream") or "")
        if (painted := STDERR.fullmatch(printed)) is not None:
            printed = painted[1]
        if self._unfinished and printed.startswith(OWN_WORDS):  # the engine's, right behind an unended line
            self._unfinished += "\n"
        *lines, self._unfinished = (self._unfinished + printed).split("\n")
        text = b"".join(map(self._line, lines))
        if text:
            await self._output(text)

    async def finish(self) -> None:
        """What was printed without a line's end."""
        text = self._line(self._unfinished) + self._pending(cached=False)
        self._unfinished = ""
        if text:
            await self._output(text)

    def _line(self, line: str) -> bytes:
        match = CLASSIC_STEP.fullmatch(line)
        if match is not None:
            text = self._pending(cached=False)
            # The engine adds our labels as steps of their own: those are nobody's business.
            self._step = match if not match["what"].startswith("LABEL paasd.") else None
            self.failed_step = match["what"]
            return text
        if line == " ---> Using cache":
            return self._pending(cached=True)
        text = self._pending(cached=False) if line else b""
        return text if not line or CLASSIC_NOISE.fullmatch(line) else text + _indented(line.encode())

    def _pending(self, *, cached: bool) -> bytes:
        step, self._step = self._step, None
        return heading(step["what"], step["place"], cached=cached) if step is not None else b""


def heading(what: str, place: str, *, cached: bool) -> bytes:
    """`-----> RUN pip install -r requirements.txt (2/4, cached)`."""
    place = UNNAMED.sub("", " ".join(place.split()))
    return f"{ARROW}{readable(what)} ({place}{', cached' if cached else ''})\n".encode()


def readable(instruction: str) -> str:
    """A Dockerfile instruction on one line, without its flags and without the default registry's name."""
    word, _, rest = " ".join(instruction.split()).partition(" ")
    while FLAG.match(f" {rest}"):
        rest = FLAG.sub("", f" {rest}", count=1).lstrip()
    line = WHOSE.sub("", f"{word} {rest}").replace("docker.io/library/", "").replace("docker.io/", "")
    return line if len(line) <= 160 else f"{line[:157]}..."


def _indented(line: bytes) -> bytes:
    line = line.rstrip(b"\r").rpartition(b"\r")[2]  # of a progress bar, only how it ended
    return INDENT + line + b"\n" if line else b"\n"


def explain(words: str, step: str, dockerfile: str) -> BuildFailed:
    """The engine's words and the step it failed at, as a sentence that says what to do."""
    for pattern in COMMAND_FAILED:
        if match := pattern.search(words):
            command = readable(match[1].removeprefix("/bin/sh -c "))
            return BuildFailed(
                f"The build failed: `{command}` exited with status {match[2]}; its last lines above say why.",
                exit_code=int(match[2]),
            )
    image = base_image(step, words, dockerfile)
    if image is not None:
        return BuildFailed(
            f"The base image {image} is not on this machine and could not be pulled; run `docker pull {image}` "
            "(paasd's own images come with `make setup`), name one of this machine's in its place (stacks.aliases in "
            "paasd.yaml), or correct the FROM line."
        )
    words = " ".join(FRONTEND.sub("", FRONTEND.sub("", words)).split()).rstrip(".")[:400]
    match_step = STEP.fullmatch(step)
    at = f" at `{readable(match_step['what'] if match_step else step)}`" if step else ""
    if match := FILE_MISSING.search(words):
        path = match[1] or match[2]
        return BuildFailed(
            f"The build failed{at}: {path} is not in the source; commit it, take it out of .dockerignore, "
            "or correct the Dockerfile."
        )
    if "no space left" in words:
        return BuildFailed(f"The build failed{at}: the engine's disk is full; free some space and push again.")
    if "Dockerfile" in words or "dockerfile" in words:
        return BuildFailed(f"The Dockerfile can't be used: {words}; correct it and push again.")
    return BuildFailed(f"The build failed{at}: {words}; correct that and push again.")


def base_image(step: str, words: str, dockerfile: str) -> str | None:
    """The image a failed step was about, if it failed to find a base image."""
    match = re.search(r"load metadata for (\S+)", step) or CLASSIC_FROM.fullmatch(step)
    if match is not None:
        return match[1].replace("docker.io/library/", "").replace("docker.io/", "")
    if not re.search(r"pull access denied|manifests/|manifest unknown", words):
        return None
    bases = re.findall(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", dockerfile, re.IGNORECASE | re.MULTILINE)
    named = [base for base in bases if base.partition(":")[0] in words]
    return next(iter(named), None)
