"""What turns a source into a build recipe. Builders are asked in order; the first to take it plans the build."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paasd.builders import dockerfile, python
from paasd.builders.source import read_text
from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import read_manifest
from paasd.domain.release import ProcessTypes


@dataclass(frozen=True, slots=True)
class Plan:
    """How a source is built. `reasons` are lines for the build log: which builder, and why."""

    builder: str
    stack: str | None
    processes: ProcessTypes
    dockerfile: str
    dockerfile_classic: str | None
    reasons: tuple[str, ...]


Builder = Callable[[Path, str], "dockerfile.Recipe | None"]

BUILDERS: tuple[tuple[str, Builder], ...] = (("dockerfile", dockerfile.plan), ("python", python.plan))


def detect(source: Path, *, app_id: str) -> Plan:
    """The plan for an app's source directory. Raises BuildFailed naming what was looked for if no builder takes it."""
    for name, builder in BUILDERS:
        recipe = builder(source, app_id)
        if recipe is None:
            continue
        procfile, app_json = read_text(source, "Procfile"), read_text(source, "app.json")
        processes = read_manifest(procfile, app_json, has_dockerfile=name == "dockerfile")
        return Plan(name, recipe.stack, processes, recipe.dockerfile, recipe.dockerfile_classic, recipe.reasons)
    raise BuildFailed(
        "Nothing here can be built: neither a Dockerfile nor a requirements.txt was found at the repository's top; "
        "add one, and a Procfile with a line such as `web: gunicorn app:app --bind 0.0.0.0:$PORT`."
    )
