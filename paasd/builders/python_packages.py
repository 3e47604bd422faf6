"""Where a Python source says what it needs, how that is installed, and which packages that brings."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paasd.builders.assemble import copy
from paasd.builders.requirements import REQUIREMENTS, included, lines_of
from paasd.builders.source import LOCK_BYTES, Source
from paasd.builders.stack import UV_IMAGE
from paasd.builders.wheels import normal_name, plain_lock, plain_project, plain_requirements
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import SlugRecipe, SlugTool
from paasd.domain.stack import SHARED, Packages, Stack

# ARG, not ENV: these are for the installation only, and the image's own environment stays the app's.
# A cache is the app's own: what one app's build puts there, wheels included, no other app installs. But for wheels that
# uv alone put there, with no code of anybody's beside it (`wheels`): these all apps share.
OWN = "ARG UV_CACHE_DIR=/var/cache/paasd/%(app_id)s/uv\n"
ARGS = """ARG UV_LINK_MODE=copy
ARG UV_NO_PROGRESS=1
ARG UV_SYSTEM_CERTS=1
ARG UV_PROJECT_ENVIRONMENT=/opt/venv
ARG UV_PYTHON_DOWNLOADS=never
ARG UV_TOOL_DIR=/tmp/uv-tools
"""
RUN = f"""RUN %(mount)s--mount=type=bind,from={UV_IMAGE},source=/uv,target=/usr/local/bin/uv \\
    --mount=type=cache,id=paasd-uv-%(app_id)s,target=/var/cache/paasd/%(app_id)s/uv,sharing=shared \\
    : /var/cache/paasd/%(app_id)s && %(command)s
"""
SHARED_ARG = f"ARG UV_CACHE_DIR=/var/cache/paasd/{SHARED}\n"
STACK_ALONE = "export PATH=/usr/local/bin:/usr/bin:/bin"  # no program of the app's folder's, where others' are first
SHARED_RUN = f"""RUN --mount=type=bind,from={UV_IMAGE},source=/uv,target=/usr/local/bin/uv \\
    --mount=type=cache,id=paasd-{SHARED},target=/var/cache/paasd/{SHARED},sharing=shared \\
    : /var/cache/paasd/%(app_id)s && {STACK_ALONE} && %(command)s
"""
# Of the stack's interpreter, without its site: one of the environment would run what packages have put there. It ends
# with 1 where a file is no Python of this version, of which packages bring some (templates, tests, code for another).
COMPILE = "/usr/bin/python3 -I -S -m compileall -qq -j 0 /opt/venv/lib || [ $? -eq 1 ]"
COMPILE_SLUG = '"$PYTHON" -I -S -m compileall -qq -j 0 "$DEPS/lib" || [ $? -eq 1 ]'
WHEELS_ONLY = "uv pip install --no-config --no-build --no-compile-bytecode"
VENV = "uv venv --no-config -q --python /usr/bin/python3 /opt/venv"
VENV_SLUG = 'uv venv --no-config -q --python "$PYTHON" "$DEPS"'
PIP = "RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -q %s\n"
INSTALL = "uv pip install --compile-bytecode"
# What tells uv what to install where it can't read that itself. The same for each app that names that version, so that
# all of them share it.
STAGE = f"""FROM %(image)s AS tool
USER root
ENV UV_SYSTEM_CERTS=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/tool
RUN --mount=type=bind,from={UV_IMAGE},source=/uv,target=/usr/local/bin/uv \\
    uv venv -q --python /usr/bin/python3 /opt/tool && uv pip install -q --no-cache --compile-bytecode %(packages)s
"""
STAGE_MOUNT = "--mount=type=bind,from=tool,source=/opt/tool,target=/opt/tool "
LISTED = '"${TMPDIR:-/tmp}/requirements.txt"'
NOT_ALL = "'The index has no usable wheels of all that uv.lock names.'"  # `LACKS_WHEEL` of the builds knows it
ASIDE = '"${TMPDIR:-/tmp}/uv"'
# A lock says where each file is; taken by name and hash, they come from the index itself. `--frozen`: to compare the
# lock with its project uv would build what neither says enough of, which runs its code; CHECK does that, elsewhere.
# What is installed may be called `rm`: whatever follows names its program by its whole path.
EXPORT = (
    f"UV_CACHE_DIR={ASIDE} uv export -q --frozen --no-config --no-default-groups --no-emit-project -o {LISTED}"
    f" && {{ {WHEELS_ONLY} --require-hashes -r {LISTED} || {{ echo {NOT_ALL}; exit 1; }}; }}"
    f" && /bin/rm -rf {ASIDE} {LISTED}"
)
CHECK = "uv lock -q --check"
CHECK_SLUG = f'{CHECK} --python "$PYTHON"'
POETRY = ("poetry==2.5.1", "poetry-plugin-export==1.10.1")  # for a lock that does not say which made it
PIPENV = ("pipenv==2026.10.3",)
OLD_GUNICORN = re.compile(r"\s*gunicorn\s*==\s*(?:1\d|20)\.", re.IGNORECASE)
OLD_SETUPTOOLS = " 'setuptools<81'"  # which has the pkg_resources that gunicorn asks for until 21
WHOLE = "COPY . /app/\n"
DOTS_MAX = 500
NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of Python `packages`, the first of which has its name, that lists what is to be installed."""

    packages: tuple[str, ...]
    arguments: str

    @property
    def name(self) -> str:
        """The program's."""
        return self.packages[0].partition("==")[0]

    @property
    def run(self) -> str:
        """The command where it is on the PATH."""
        return f"{self.name} {self.arguments}"

    def shared(self, stack: Stack) -> SlugTool:
        """The same for engines without images, made once for all apps, too."""
        packages = " ".join(f"'{one}'" for one in self.packages)
        install = f'VIRTUAL_ENV="$TOOL" uv pip install -q --compile-bytecode {packages}'
        version = self.packages[0].partition("==")[2]
        name = f"{self.name} {version}".strip()
        return SlugTool(name, ('uv venv -q --python "$PYTHON" "$TOOL"', install), (f"python {stack.python}",))


@dataclass(frozen=True, slots=True)
class Needs:
    """`file` says what is needed, `command` brings it once a virtual environment is there, and `reads` these files
    (None: all of the source). `own` brings the project itself, once its source is there.

    `shared` does the same out of the wheels that all apps share, "" where that is not to be; `checked`: the lock that
    it goes by is then still to be compared with its project, unless `own` does that. `tool` runs before
    `command`. `packages` are normalised names; `pip` are pip's arguments for the same, where it can;
    `requires` is the range of Python versions that the project asks for, "" for none.
    """

    file: str
    reads: tuple[str, ...] | None
    command: str
    packages: frozenset[str]
    own: str | None = None
    pip: str | None = None
    requires: str = ""
    tool: Tool | None = None
    shared: str = ""
    checked: bool = False


def stage(stack: Stack, needs: Needs) -> str:
    """The Dockerfile's stage that has the tool, where there is one."""
    if needs.tool is None:
        return ""
    return STAGE % {"image": stack.image, "packages": " ".join(f"'{one}'" for one in needs.tool.packages)}


def installs(source: Source, needs: Needs) -> tuple[str, str]:
    """The Dockerfile's lines that bring what is needed: those that no code of anybody's may precede, and the rest."""
    args = ARGS + OWN % {"app_id": source.app_id}
    own = WHOLE + _run(source, needs.own) if needs.own is not None else ""
    if needs.shared and source.packages is Packages.WHEELS and not source.secrets:
        # Not beside config vars of its owner's, which could load code (LD_PRELOAD) or set uv's own options.
        command = f"{VENV} && {needs.shared} && {{ {COMPILE}; }}"
        run = SHARED_RUN % {"app_id": source.app_id, "command": command}
        own = own or (_run(source, CHECK) if needs.checked else "")
        return ARGS + SHARED_ARG + _copies(needs) + run, OWN % {"app_id": source.app_id} + own if own else ""
    told = "" if needs.tool is None else f"/opt/tool/bin/{needs.tool.name} {needs.tool.arguments} && "
    mount = "" if needs.tool is None else STAGE_MOUNT
    return "", args + _copies(needs) + _run(source, f"{VENV} && {told}{needs.command}", mount) + own


def classic_installs(needs: Needs) -> str | None:
    """The same without BuildKit's mounts; None where pip can't do it."""
    return _copies(needs) + PIP % needs.pip if needs.pip is not None else None


def slug(
    stack: Stack,
    needs: Needs | None,
    commands: tuple[str, ...],
    env: Mapping[str, str],
    packages: Packages = Packages.WHEELS,
) -> SlugRecipe:
    """The same for engines without images, where no config vars reach a build."""
    if needs is None:
        return SlugRecipe(commands=commands, env=env)
    if needs.shared and needs.own is None and packages is Packages.WHEELS:
        return SlugRecipe(
            depends_on=needs.reads,
            dependencies=(VENV_SLUG, needs.shared, COMPILE_SLUG),
            commands=commands,
            path=("bin",),
            env={"VIRTUAL_ENV": "{deps}", **env},
            wheels=True,
            checks=(CHECK_SLUG,) if needs.checked else (),
        )
    told = "" if needs.tool is None else f"{needs.tool.run} && "
    lines = [VENV_SLUG, f'{told}UV_PROJECT_ENVIRONMENT="$DEPS" {needs.command}']
    if needs.own is not None:
        lines[1] = f'UV_PROJECT_ENVIRONMENT="$DEPS" {needs.own} --no-editable'
    return SlugRecipe(
        depends_on=needs.reads if needs.own is None else None,
        dependencies=tuple(lines),
        commands=commands,
        path=("bin",),
        env={"VIRTUAL_ENV": "{deps}", **env},
        tools=(needs.tool.shared(stack),) if needs.tool is not None else (),
    )


def _copies(needs: Needs) -> str:
    return WHOLE if needs.reads is None else copy(*needs.reads)


def _run(source: Source, command: str, mount: str = "") -> str:
    return RUN % {"app_id": source.app_id, "command": command, "mount": mount}


def find(source: Source) -> tuple[Needs | None, tuple[str, ...]]:
    """What says it first, and the names of the files that say it too and are passed over. Raises BuildFailed."""
    there = [name for name, _ in READERS if source.has(name)]
    for name, read in READERS:
        if name in there and (needs := read(source)) is not None:
            lesser = {"pyproject.toml", "setup.py"}  # beside a lock file or requirements they are no second opinion
            return needs, tuple(other for other in there if other != name and other not in lesser)
    return None, ()


def project(source: Source) -> dict[str, Any]:
    """pyproject.toml, {} when there is none. Raises BuildFailed."""
    text = source.text("pyproject.toml")
    return parse_toml(text, "pyproject.toml", "mend it") if text is not None else {}


def is_package(document: dict[str, Any]) -> bool:
    """Whether the project itself is to be installed beside what it needs."""
    return "build-system" in document and _table(document, "tool", "uv").get("package") is not False


def requires_python(document: dict[str, Any]) -> str:
    """The range of Python versions, "" for none."""
    found = _table(document, "project").get("requires-python")
    poetry = _table(document, "tool", "poetry", "dependencies").get("python")
    return next((one for one in (found, poetry) if isinstance(one, str)), "")


def _table(document: dict[str, Any], *path: str) -> dict[str, Any]:
    for key in path:
        found = document.get(key)
        document = found if isinstance(found, dict) else {}
    return document


def names(texts: Iterable[str]) -> frozenset[str]:
    """flask-login of Flask_Login>=1."""
    return frozenset(normal_name(match[0]) for text in texts if (match := NAME.match(text.strip())))


def _toml(source: Source, name: str) -> dict[str, Any]:
    return parse_toml(source.text(name, limit=LOCK_BYTES) or "", name, "make it anew and commit it")


def parse_toml(text: str, name: str, remedy: str) -> dict[str, Any]:
    """Raises BuildFailed. A key of many names (`a.a.a`) takes tomllib memory by their square, and is in one line."""
    if any(line.count(".") > DOTS_MAX for line in text.split("\n")):
        raise BuildFailed(f"{name} has more than {DOTS_MAX} dots in one line; break that line.")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # its own is one; and a number may be too long, or all too deep
        raise BuildFailed(f"{name} is not valid TOML: {str(error)[:200]}; {remedy}.") from error


def _locked(document: dict[str, Any]) -> frozenset[str]:
    found = document.get("package")
    return names(
        str(one.get("name", "")) for one in (found if isinstance(found, list) else []) if isinstance(one, dict)
    )


def _uv_lock(source: Source) -> Needs | None:
    document = project(source)
    if not document:
        raise BuildFailed("uv.lock is there without the pyproject.toml that it belongs to; commit that too.")
    sync = "uv sync --locked --no-default-groups --compile-bytecode"
    lock = _toml(source, "uv.lock")
    packages, requires = _locked(lock), requires_python(document)
    if _needs_source(document, lock):
        return Needs("uv.lock", None, sync, packages, requires=requires)
    reads, own = ("pyproject.toml", "uv.lock"), sync if is_package(document) else None
    shared = EXPORT if plain_project(document) and plain_lock(lock, document) else ""
    install = f"{sync} --no-install-project"
    return Needs("uv.lock", reads, install, packages, own, requires=requires, shared=shared, checked=True)


def _needs_source(document: dict[str, Any], lock: dict[str, Any]) -> bool:
    """Whether something beside the project itself is installed from the source."""
    if _table(document, "tool", "uv", "workspace"):
        return True
    found = lock.get("package")
    origins = [one.get("source") for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]
    places = [one.get(key) for one in origins if isinstance(one, dict) for key in ("editable", "directory", "path")]
    return any(place not in (None, ".") for place in places)


def _requirements(source: Source) -> Needs | None:
    text = source.text(REQUIREMENTS) or ""
    lines = lines_of(source.root, text)
    packages = names(lines)
    old = "setuptools" not in packages and any(OLD_GUNICORN.match(line) for line in lines)
    arguments = f"-r {REQUIREMENTS}{OLD_SETUPTOOLS if old else ''}"
    files = included(source.root, REQUIREMENTS, text, ())
    plain = files is not None and plain_requirements(source.text(name) or "" for name in files)
    return Needs(
        REQUIREMENTS,
        files,
        f"{INSTALL} {arguments}",
        packages,
        pip=arguments,
        requires=requires_python(project(source)),
        shared=f"{WHEELS_ONLY} {arguments}" if plain else "",
    )


def _poetry(source: Source) -> Needs | None:
    made = re.search(r"generated by Poetry (\d+\.\d+\.\d+)", (source.text("poetry.lock", limit=LOCK_BYTES) or "")[:300])
    tools = (f"poetry=={made[1]}", "poetry-plugin-export") if made else POETRY
    # Poetry's own plugin says what the lock holds, from the lock alone, and refuses a stale one; uv installs it.
    export = Tool(tools, f"export --only main -o {LISTED}")
    packages = _locked(_toml(source, "poetry.lock"))
    requires = requires_python(project(source))
    return Needs(
        "poetry.lock",
        ("pyproject.toml", "poetry.lock"),
        f"{INSTALL} -r {LISTED}",
        packages,
        requires=requires,
        tool=export,
    )


def _pipfile(source: Source) -> Needs | None:
    try:
        document = json.loads(source.text("Pipfile.lock", limit=LOCK_BYTES) or "")
        found = names(document["default"])
        requires = document.get("_meta", {}).get("requires", {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BuildFailed("Pipfile.lock can't be read; make it anew with `pipenv lock` and commit it.") from error
    if not source.has("Pipfile"):
        raise BuildFailed("Pipfile.lock is there without the Pipfile that it belongs to; commit that too.")
    wanted = str(requires.get("python_version") or requires.get("python_full_version") or "")
    return Needs(
        "Pipfile.lock",
        ("Pipfile", "Pipfile.lock"),
        f"{INSTALL} -r {LISTED}",
        found,
        requires=f"=={wanted}" if wanted else "",
        tool=Tool(PIPENV, f"--quiet requirements --hash >{LISTED}"),
    )


def _pyproject(source: Source) -> Needs | None:
    document = project(source)
    if "project" not in document:
        return None  # of tools that have nothing to do with what is installed
    listed = _table(document, "project").get("dependencies")
    packages = names(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()
    requires = requires_python(document)
    if is_package(document):
        return Needs("pyproject.toml", None, f"{INSTALL} .", packages, pip=".", requires=requires)
    shared = f"{WHEELS_ONLY} -r pyproject.toml" if plain_project(document) else ""
    reads = ("pyproject.toml",)
    return Needs("pyproject.toml", reads, f"{INSTALL} -r pyproject.toml", packages, requires=requires, shared=shared)


def _setup(_source: Source) -> Needs | None:
    return Needs("setup.py", None, f"{INSTALL} .", frozenset(), pip=".")


READERS: tuple[tuple[str, Callable[[Source], Needs | None]], ...] = (
    ("uv.lock", _uv_lock),
    ("requirements.txt", _requirements),
    ("poetry.lock", _poetry),
    ("Pipfile.lock", _pipfile),
    ("pyproject.toml", _pyproject),
    ("setup.py", _setup),
)
