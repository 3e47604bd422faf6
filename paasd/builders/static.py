"""A source of files alone: served by a small server, by static.json's rules."""

from paasd.builders.assemble import Part, assemble
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.builders.stack import STATIC_IMAGE
from paasd.domain.slug import STATIC_SERVER, SlugRecipe

LOOKS_FOR = "static files (index.html, static.json, or a built dist/, build/ or public/ with an index.html)"
WEB = f"python3 {STATIC_SERVER}"
PART = Part(install=f"COPY --from={STATIC_IMAGE} /serve.py {STATIC_SERVER}\n")
PLACES = ("dist/index.html", "build/index.html", "public/index.html", "index.html")


def found(source: Source) -> str | None:
    """By which file the source is one of files to serve, None when it is none."""
    return next((name for name in ("static.json", *PLACES) if source.has(name)), None)


def plan(source: Source) -> Recipe | None:
    """The recipe for files, or None when there are none to serve."""
    name = found(source)
    if name is None:
        return None
    stack = source.stacks.default
    dockerfile, _ = assemble(source, stack, [PART])
    return Recipe(
        dockerfile,
        (f"Static files: {name} found, served on the {stack.name} stack",),
        stack=stack.label,
        fallback={"web": WEB},
        fallback_reason="No Procfile: the files are served as static.json says, or as they lie there",
        slug=SlugRecipe(static=True),
    )
