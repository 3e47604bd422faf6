"""What serves a Python app that has no Procfile: the web command for Django, FastAPI, Starlette and Flask."""

import re
from collections.abc import Iterator
from pathlib import Path

from paasd.builders.source import Source, read_text
from paasd.domain.errors import BuildFailed

MODULES = ("app", "main", "wsgi", "asgi", "server", "application", "api", "web", "run")
ASGI = re.compile(r"^(\w+)(?::[^=\n]+)?\s*=\s*(?:\w+\.)?(?:FastAPI|Starlette)\(", re.MULTILINE)
FLASK = re.compile(r"^(\w+)(?::[^=\n]+)?\s*=\s*(?:\w+\.)?Flask\(", re.MULTILINE)
CALLED = re.compile(r"^(app|application)\s*=\s*create_app\(", re.MULTILINE)
FACTORY = re.compile(r"^def create_app\(", re.MULTILINE)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
STATIC_ROOT = re.compile(r"\s*STATIC_ROOT\s*=")
STORAGE = re.compile(r"STORAGES?\b")

ADVICE = (
    "add a Procfile with a line such as `web: gunicorn app:app --bind 0.0.0.0:$PORT`, or "
    "`web: python app.py` for one that binds $PORT itself."
)


def web_command(source: Source, packages: frozenset[str]) -> tuple[str | None, str]:
    """The command and why it is that one; (None, what to add) when none is known."""
    if "django" in packages and source.has("manage.py"):
        return _django(source, packages)
    if packages & {"fastapi", "starlette"} and (found := _find(source, ASGI)) is not None:
        return _asgi(found, packages)
    if "flask" in packages and (found := _flask(source)) is not None:
        if "gunicorn" in packages:
            return f"gunicorn '{found}' --bind 0.0.0.0:$PORT", f"Flask app {found}, served by gunicorn"
        words = "served by Flask's own server; add gunicorn to the requirements for one made for production"
        return f"flask --app '{found}' run --host 0.0.0.0 --port $PORT", f"Flask app {found}, {words}"
    return None, ADVICE


def collects_static(source: Source, packages: frozenset[str]) -> tuple[bool, str]:
    """Whether Django's static files are collected in the build, and why (not)."""
    if "django" not in packages or not source.has("manage.py"):
        return False, ""
    if source.config.get("DISABLE_COLLECTSTATIC", "0") not in ("0", ""):
        return False, "Static files are not collected: DISABLE_COLLECTSTATIC is set"
    if not any(tells_static_root(text) for text in _settings(source)):
        return False, "Static files are not collected: no settings have a STATIC_ROOT"
    return True, "Django's static files are collected (DISABLE_COLLECTSTATIC=1 skips that)"


def tells_static_root(settings: str) -> bool:
    """Whether Django's settings name it, or a storage of static files."""
    return any(
        STATIC_ROOT.match(line)
        or ((storage := STORAGE.search(line)) is not None and "staticfiles" in line[storage.end() :])
        for line in settings.split("\n")
    )


def _django(source: Source, packages: frozenset[str]) -> tuple[str | None, str]:
    found = sorted(path.parent.name for path in source.root.glob("*/wsgi.py") if IDENTIFIER.fullmatch(path.parent.name))
    if "gunicorn" in packages and found:
        return f"gunicorn {found[0]}.wsgi --bind 0.0.0.0:$PORT", f"Django project {found[0]}, served by gunicorn"
    words = "served by Django's own server; add gunicorn to the requirements for one made for production"
    return "python manage.py runserver 0.0.0.0:$PORT --noreload", f"Django project, {words}"


def _asgi(found: str, packages: frozenset[str]) -> tuple[str | None, str]:
    for server, bind in (("uvicorn", "--host 0.0.0.0 --port $PORT"), ("hypercorn", "--bind 0.0.0.0:$PORT"),
                         ("daphne", "-b 0.0.0.0 -p $PORT")):  # fmt: skip
        if server in packages:
            return f"{server} {found} {bind}", f"ASGI app {found}, served by {server}"
    if "fastapi" in packages:  # fastapi[standard] brings it, by whatever file it is installed
        return f"uvicorn {found} --host 0.0.0.0 --port $PORT", f"ASGI app {found}, served by uvicorn"
    return None, f"{found} needs a server: add uvicorn to the requirements, or a Procfile that says how it is started."


def _flask(source: Source) -> str | None:
    found = _find(source, FLASK) or _find(source, CALLED)
    if found is not None:
        return found
    factory = _find(source, FACTORY)
    return f"{factory.partition(':')[0]}:create_app()" if factory is not None else None


def _find(source: Source, pattern: re.Pattern[str]) -> str | None:
    """module:name of the first match, in modules by their usual names, then in packages of the top."""
    for module, text in _modules(source.root):
        if (match := pattern.search(text)) is not None:
            return f"{module}:{match[1] if pattern.groups else ''}"
    return None


def _modules(root: Path) -> Iterator[tuple[str, str]]:
    for name in MODULES:
        yield from _text(root, f"{name}.py", name)
    packages = sorted(path.parent.name for path in root.glob("*/__init__.py") if IDENTIFIER.fullmatch(path.parent.name))
    for package in packages[:20]:
        yield from _text(root, f"{package}/__init__.py", package)
        for name in MODULES:
            yield from _text(root, f"{package}/{name}.py", f"{package}.{name}")


def _settings(source: Source) -> Iterator[str]:
    for pattern in ("*/settings.py", "*/settings/*.py", "*/*/settings.py", "*/*/settings/*.py"):
        for path in sorted(source.root.glob(pattern))[:20]:
            yield from (text for _, text in _text(source.root, str(path.relative_to(source.root)), ""))


def _text(root: Path, name: str, module: str) -> Iterator[tuple[str, str]]:
    """Sources of others: a file that can't be read says nothing here."""
    try:
        text = read_text(root, name)
    except BuildFailed:
        return
    if text is not None:
        yield module, text
