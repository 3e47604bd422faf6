"""A source with requirements.txt builds on the stack image. Its dependencies are a layer of their own, so that a
changed line of code rebuilds in the time of a file copy."""

import json
import re
from pathlib import Path

from paasd.builders.recipe import Recipe
from paasd.builders.source import Source, read_text
from paasd.builders.stack import PYTHON, STACK, STACK_IMAGE, UV_IMAGE
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import SlugRecipe

REQUIREMENTS = "requirements.txt"
INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)", re.MULTILINE)
LOCAL = re.compile(
    r"^[ \t]*(?:-e\b|--editable\b|(?:-f|--find-links)[ =]\s*(?!https?:)|\.|/|file:|[^#\n]*@\s*file:"
    r"|(?!-)[^#\s@:]+(?:/|\.whl\b|\.zip\b|\.tar\.gz\b))",
    re.MULTILINE,
)

HEAD = f"""FROM {STACK_IMAGE}
USER root
WORKDIR /app
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/app
"""

# ARG, not ENV: these are for the installation only, and the image's own environment stays the app's.
# The cache is the app's own: what one app's build puts there, wheels included, no other app installs.
WITH_UV = f"""ARG UV_CACHE_DIR=/var/cache/uv
ARG UV_LINK_MODE=copy
ARG UV_NO_PROGRESS=1
ARG UV_SYSTEM_CERTS=1
RUN --mount=type=bind,from={UV_IMAGE},source=/uv,target=/usr/local/bin/uv \\
    --mount=type=cache,id=paasd-uv-%(app_id)s,target=/var/cache/uv,sharing=shared \\
    uv venv -q --python python3 /opt/venv && uv pip install --compile-bytecode -r {REQUIREMENTS}
"""

WITH_PIP = f"""RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -q -r {REQUIREMENTS}
"""

SLUG_COMMANDS = (
    'uv venv -q --python "$PYTHON" "$DEPS"',
    f"uv pip install --compile-bytecode -r {REQUIREMENTS}",
)
SLUG_ENV = {"VIRTUAL_ENV": "{deps}", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}

TAIL = """COPY --chown=app:app . /app
USER app
"""


def plan(source: Source) -> Recipe | None:
    """The recipe for a Python source, or None when it has no requirements.txt."""
    text = source.text(REQUIREMENTS)
    if text is None:
        return None
    copies = copy_lines(source.root, text)
    return Recipe(
        HEAD + copies + WITH_UV % {"app_id": source.app_id} + TAIL,
        (f"Python app: {REQUIREMENTS} found, building on the {STACK} stack", f"Using Python {PYTHON}"),
        stack=STACK,
        dockerfile_classic=HEAD + copies + WITH_PIP + TAIL,
        slug=SlugRecipe(included(source.root, REQUIREMENTS, text, ()), SLUG_COMMANDS, path=("bin",), env=SLUG_ENV),
    )


def copy_lines(source: Path, requirements: str) -> str:
    """COPY lines for what the installation reads: the files it includes, or everything if it installs from the source.

    Raises BuildFailed when an included file is missing.
    """
    files = included(source, REQUIREMENTS, requirements, ())
    if files is None:
        return "COPY . /app/\n"
    # The JSON form keeps any file name one argument.
    return "".join(f"COPY {json.dumps([name, f'/app/{name}'])}\n" for name in files)


def included(source: Path, name: str, text: str, seen: tuple[str, ...]) -> tuple[str, ...] | None:
    """`name` and the requirement files it names, each once; None when one installs from the source tree itself."""
    seen = (*seen, name)
    if LOCAL.search(text):
        return None
    for match in INCLUDE.finditer(text):
        child = str(Path(name).parent / match[1])
        if "://" in match[1] or child in seen:
            continue
        if ".." in Path(child).parts or child.startswith("/"):
            return None
        child_text = read_text(source, child)
        if child_text is None:
            raise BuildFailed(f"{name} includes {match[1]!r}, which is not in the repository; commit it.")
        files = included(source, child, child_text, seen)
        if files is None:
            return None
        seen = files
    return seen
