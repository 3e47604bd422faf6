"""Buildpacks that an app names: those of the languages known here by our own builders, any other by its own scripts."""

import json
import re

from paasd.builders import node, python, static
from paasd.builders.assemble import Part, assemble
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.builders.stack import BUILDPACKS_IMAGE
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import Stack

LOOKS_FOR = "buildpacks (buildpacks:set, or app.json's)"
KNOWN = re.compile(
    r"(?:urn:buildpack:)?(?:heroku|heroku-community)/(python|nodejs|static)"
    r"|https://github\.com/heroku/heroku-buildpack-(python|nodejs|static)(?:\.git)?"
)
ARCHIVE = re.compile(r"\.(?:tgz|tar\.gz|zip)(?:#.*)?$")
PLACE = "/opt/buildpacks/run"


def plan(source: Source) -> Recipe | None:
    """None when the app names none. Raises BuildFailed for one that can't be used here."""
    if not source.buildpacks:
        return None
    known = [KNOWN.fullmatch(one) for one in source.buildpacks]
    languages = [match[1] or match[2] for match in known if match]
    if len(languages) == len(source.buildpacks):
        return _languages(source, languages)
    others = [one for one, match in zip(source.buildpacks, known, strict=True) if not match]
    if languages:
        raise BuildFailed(
            f"Buildpacks of Heroku's languages are built in here and can't stand beside {others[0]}: leave "
            f"{', '.join(languages)} out, or name buildpacks of your own for all."
        )
    for one in others:
        if not one.startswith("./") and ("://" not in one or ARCHIVE.search(one)):
            raise BuildFailed(
                f"The buildpack {one} is not known here: name a git URL, a folder of the repository such as "
                "./buildpack, or one of heroku/python, heroku/nodejs, heroku/static."
            )
    return _classic(source, others)


def _classic(source: Source, buildpacks: list[str]) -> Recipe:
    stack = source.stacks.default
    return Recipe(
        _dockerfile(source, stack, buildpacks, buildkit=True),
        (f"Building with buildpacks on the {stack.name} stack: {', '.join(buildpacks)}",),
        stack=stack.label,
        dockerfile_classic=_dockerfile(source, stack, buildpacks, buildkit=False),
        learns=True,
    )


def _dockerfile(source: Source, stack: Stack, buildpacks: list[str], *, buildkit: bool) -> str:
    """Their names are arguments of a program, never of a shell."""
    cache = f"--mount=type=cache,target=/var/cache/paasd/{source.app_id}/buildpacks,uid=1000,gid=1000"
    cache += ",sharing=locked,id=paasd-buildpacks-"
    secret = "--mount=type=secret,id=paasd-env,required=true,uid=1000,mode=0400 " if source.secrets else ""
    mounts = f"{cache}{source.app_id} {secret}" if buildkit else ""
    return (
        f"FROM {stack.image} AS build\nUSER root\nWORKDIR /tmp/build\nENV HOME=/app STACK=paasd-{stack.name}\n"
        f"COPY --from={BUILDPACKS_IMAGE} /run {PLACE}\nCOPY --chown=app:app . /tmp/build\n"
        "RUN chown app:app /tmp/build\n"
        f"USER app\nRUN {mounts}{json.dumps([PLACE, *buildpacks])}\n"
        f"FROM {stack.image}\nUSER root\nWORKDIR /app\nENV HOME=/app\nCOPY --from={BUILDPACKS_IMAGE} /run {PLACE}\n"
        f"COPY --from=build --chown=app:app /tmp/build /app\nRUN ln -sf {PLACE} /bin/sh\nUSER app\n"
    )


def _languages(source: Source, languages: list[str]) -> Recipe:
    """One image of several languages: the last one's web process serves, as on Heroku."""
    parts: list[Part] = []
    reasons: list[str] = []
    warnings: list[str] = []
    stack, recipe = source.stacks.default, None
    for language in languages:
        found, part = _look(source, language)
        if found is None or part is None:
            raise BuildFailed(
                f"The buildpack {language} does not take this source: looked for {LOOKS[language]}; commit that, or "
                "name another with buildpacks:set."
            )
        parts.append(part)
        reasons += [line for line in found.reasons if line not in reasons]
        warnings += [line for line in found.warnings if line not in warnings]
        if language == "python":
            look = python.look(source)
            stack = look.stack if look is not None else stack
        recipe = found
    assert recipe is not None
    if static.PART not in parts and recipe.fallback.get("web") == static.WEB:
        parts.append(static.PART)
    dockerfile, classic = assemble(source, stack, parts)
    return Recipe(
        dockerfile,
        (f"Building with the buildpacks that the app names: {', '.join(source.buildpacks)}", *reasons),
        stack=stack.label,
        dockerfile_classic=classic,
        fallback=recipe.fallback,
        fallback_reason=recipe.fallback_reason,
        advice=recipe.advice,
        warnings=tuple(warnings),
        slug=recipe.slug if len(languages) == 1 else None,
    )


def _look(source: Source, language: str) -> tuple[Recipe | None, Part | None]:
    if language == "python":
        found = python.look(source)
        return python.plan(source), found.part if found is not None else None
    if language == "nodejs":
        look = node.look(source)
        return node.plan(source), look.part if look is not None else None
    return static.plan(source), static.PART


LOOKS = {"python": python.LOOKS_FOR, "nodejs": node.LOOKS_FOR, "static": static.LOOKS_FOR}
