"""A Python source, by whichever file says what it needs."""

import re
from dataclasses import dataclass

from paasd.builders import python_packages, python_version, python_web
from paasd.builders.assemble import Part, assemble
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.slug import SlugRecipe
from paasd.domain.stack import Stack

ENV = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
COLLECT = "python manage.py collectstatic --noinput"
RUNS_PYTHON = re.compile(r"^\w[\w-]*\s*:.*\b(?:python3?|gunicorn|uvicorn)\b", re.MULTILINE)
LOOKS_FOR = (
    "Python (uv.lock, requirements.txt, poetry.lock, Pipfile.lock, a pyproject.toml with [project], setup.py, or a "
    "Procfile that runs python)"
)


@dataclass(frozen=True, slots=True)
class Python:
    """What is known of a Python source: its part of a Dockerfile, its stack, and what serves it without a Procfile."""

    part: Part
    stack: Stack
    web: str | None
    why: str
    warnings: tuple[str, ...]
    slug: SlugRecipe


def plan(source: Source) -> Recipe | None:
    """The recipe for a Python source, or None when it is none."""
    found = look(source)
    if found is None:
        return None
    dockerfile, classic = assemble(source, found.stack, [found.part])
    return Recipe(
        dockerfile,
        found.part.reasons,
        stack=found.stack.label,
        dockerfile_classic=classic,
        fallback={"web": found.web} if found.web else {},
        fallback_reason=f"No Procfile: {found.why}" if found.web else "",
        advice=found.why if not found.web else python_web.ADVICE,
        warnings=found.warnings,
        slug=found.slug,
    )


def look(source: Source) -> Python | None:
    """None when nothing says that the source is Python. Raises BuildFailed when what says so can't be read."""
    needs, passed_over = python_packages.find(source)
    if needs is None and not _bare(source):
        return None
    requires, file = (needs.requires, needs.file) if needs is not None else ("", "")
    if file in ("uv.lock", "requirements.txt", "poetry.lock"):
        file = "pyproject.toml"
    wanted = python_version.asked(source, requires, file)
    stack, why, warnings = python_version.choose(wanted, source.stacks, strict=source.strict)
    if passed_over:
        warnings = (*warnings, f"Not used, since {needs.file if needs else ''} comes first: {', '.join(passed_over)}")
    packages = needs.packages if needs is not None else frozenset()
    web, web_why = python_web.web_command(source, packages)
    collects, static_why = python_web.collects_static(source, packages)
    found_by = f"{needs.file} found" if needs is not None else "the Procfile runs it, and nothing is to be installed"
    early, install = python_packages.installs(source, needs) if needs is not None else ("", "")
    part = Part(
        env=(
            *(["VIRTUAL_ENV=/opt/venv"] if needs is not None else []),
            *(f"{name}={one}" for name, one in ENV.items()),
        ),
        path=("/opt/venv/bin",) if needs is not None else (),
        stages=python_packages.stage(stack, needs) if needs is not None else "",
        early=early,
        install=install,
        install_classic=python_packages.classic_installs(needs) if needs is not None else None,
        build=f"RUN {COLLECT}\n" if collects else "",
        reasons=(
            f"Python app: {found_by}, building on the {stack.name} stack",
            why,
            *([static_why] if static_why else []),
        ),
    )
    slug = python_packages.slug(stack, needs, (COLLECT,) if collects else (), ENV, source.packages)
    return Python(part, stack, web, web_why, warnings, slug)


def _bare(source: Source) -> bool:
    """Whether a Procfile runs Python files that need nothing."""
    runs = RUNS_PYTHON.search(source.text("Procfile") or "") is not None
    return runs and any(path.is_file() for path in source.root.glob("*.py"))
