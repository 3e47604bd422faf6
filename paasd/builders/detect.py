"""What turns a source into a build recipe. Builders are asked in order; the first to take it plans the build."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from paasd.builders import buildpacks, dockerfile, node, python, static
from paasd.builders.assemble import apt_packages, secret_files
from paasd.builders.heroku_yml import HerokuYml, read_heroku_yml, with_setup
from paasd.builders.recipe import Recipe, learn
from paasd.builders.source import Source
from paasd.domain.app_json import AppJson, parse_app_json
from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import ADVICE, parse_procfile, read_manifest
from paasd.domain.release import ProcessTypes
from paasd.domain.slug import SlugRecipe


@dataclass(frozen=True, slots=True)
class Plan:
    """How a source is built, `root` being the directory of it. `reasons` are lines for the build log, `declared` are
    the types that its Procfile names."""

    root: Path
    builder: str
    stack: str | None
    processes: ProcessTypes
    dockerfile: str
    dockerfile_classic: str | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    slug: SlugRecipe | None = None
    learns: bool = False
    app: AppJson = field(default_factory=AppJson)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    declared: tuple[str, ...] = ()

    def told_types(self) -> str:
        """For the build log: which process types there are, and by whom."""
        every = [*self.processes.commands, *(["release"] if self.processes.release else [])]
        own = [one for one in every if one in self.declared]
        others = [one for one in every if one not in self.declared]
        lines = [
            *([f"Procfile declares types -> {', '.join(own)}"] if own else []),
            *([f"Default types -> {', '.join(others)}"] if others else []),
        ]
        return "-----> Discovering process types\n" + "".join(f"       {line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Builder:
    """One way to build. `looks_for` says what it takes a source by, for whoever pushed one that nobody takes."""

    name: str
    looks_for: str
    plan: Callable[[Source], Recipe | None]


BUILDERS: tuple[Builder, ...] = (
    Builder("dockerfile", "a Dockerfile (or heroku.yml with build.docker.web)", dockerfile.plan),
    Builder("buildpacks", buildpacks.LOOKS_FOR, buildpacks.plan),
    Builder("python", python.LOOKS_FOR, python.plan),
    Builder("node", node.LOOKS_FOR, node.plan),
    Builder("static", static.LOOKS_FOR, static.plan),
)
SUBDIRECTORY = "PROJECT_PATH"
SIGNS = ("Dockerfile", "requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "package.json", "Procfile")
FOLDERS_DEEP, FOLDERS_MAX = 3, 100
UNKNOWN = ""  # the process type of an app whose build tells them


def with_learnt(plan: Plan, printed: bytes) -> Plan:
    """The plan with the process types that its build printed. Raises BuildFailed when there is still nothing to run."""
    if not plan.learns:
        return plan
    told = {kind: one for kind, one in plan.processes.commands.items() if kind != UNKNOWN}
    learnt = learn(printed)
    release = plan.processes.release or before(plan.app.predeploy, learnt.pop("release", None))
    commands = {**told, **{kind: one for kind, one in learnt.items() if kind not in told and kind != "release"}}
    if not commands:
        raise BuildFailed(f"No process types found: the buildpacks name none; {ADVICE}")
    return replace(plan, processes=replace(plan.processes, commands=commands, release=release))


def detect(source: Source) -> Plan:
    """The plan for an app's source. Raises BuildFailed naming what was looked for if no builder takes it."""
    top = parse_app_json(source.text("app.json"))
    source, place = below(source, top)
    app = parse_app_json(source.text("app.json")) if place and source.has("app.json") else top
    manifest = read_heroku_yml(source)
    app = with_setup(app, manifest)
    told = tuple(name for name in app.build if name in source.config)
    source = replace(source, buildpacks=source.buildpacks or app.buildpacks, secrets=told)
    for builder in BUILDERS:
        recipe = builder.plan(source)
        if recipe is not None:
            return make_plan(source, builder, recipe, app, manifest or HerokuYml(None), place)
    where = f"in {place}" if place else "at the repository's top"
    folder = next(folders_of_apps(source), "folder")
    hint = "" if place else f"; if the app is in a folder, name it: heroku config:set {SUBDIRECTORY}={folder}"
    raise BuildFailed(
        f"Nothing here can be built. Looked {where} for {', '.join(builder.looks_for for builder in BUILDERS)}: "
        f"none is there{hint}."
    )


def make_plan(source: Source, builder: Builder, recipe: Recipe, app: AppJson, manifest: HerokuYml, place: str) -> Plan:
    """The plan by the recipe of the builder that took the source."""
    # Where the build itself tells process types, nothing is missing yet.
    fallback = recipe.fallback or ({UNKNOWN: None} if recipe.learns else {})
    procfile = source.text("Procfile")
    declared = parse_procfile(procfile or "")
    processes = read_manifest(
        *(procfile, app),
        passed_over=manifest.types,
        defaults=recipe.defaults,
        fallback=fallback,
        advice=recipe.advice,
    )
    processes = replace(processes, release=before(app.predeploy, processes.release or recipe.release))
    unused: tuple[str, ...] = ()
    if twice := [kind for kind in declared if kind in manifest.types]:
        unused = (f"Not used, since heroku.yml comes first: {', '.join(twice)} of the Procfile",)
    if source.buildpacks and builder.name == "dockerfile":
        unused = (*unused, f"Not used, since a Dockerfile comes first: the buildpacks {', '.join(source.buildpacks)}")
    fell_back = recipe.fallback_reason and processes.commands == dict(recipe.fallback)
    return Plan(
        root=source.root,
        builder=builder.name,
        stack=f"{recipe.stack}{source.packages.value}" if recipe.stack is not None else None,
        processes=processes,
        dockerfile=recipe.dockerfile,
        dockerfile_classic=recipe.dockerfile_classic,
        reasons=(
            *([f"Building {place} ({SUBDIRECTORY})"] if place else []),
            *([f"The build may see, as secrets: {', '.join(source.secrets)} (app.json)"] if source.secrets else []),
            *recipe.reasons,
            *([recipe.fallback_reason] if fell_back else []),
        ),
        warnings=(
            *unused,
            *missing(source, app),
            *(f"heroku.yml: {words}." for words in manifest.unheeded),
            *(f"app.json: {words}." for words in app.unheeded),
            *recipe.warnings,
        ),
        slug=replace(recipe.slug, packages=apt_packages(source)) if recipe.slug is not None else None,
        learns=recipe.learns,
        app=app,
        secrets=secret_files({name: source.config[name] for name in source.secrets}),
        declared=tuple(kind for kind in declared if kind not in manifest.types),
    )


def before(predeploy: str | None, release: str | None) -> str | None:
    """The release command with app.json's predeploy in front of it: both, or the deploy fails."""
    if predeploy is None or release is None:
        return predeploy or release
    return f"( {predeploy}\n) && {release}" if "#" in predeploy else f"( {predeploy} ) && {release}"


def missing(source: Source, app: AppJson) -> tuple[str, ...]:
    """A warning of the config vars that app.json requires and that nobody set."""
    wanted = [name for name, one in app.env.items() if one.required and one.value is None and not one.generated]
    absent = [name for name in wanted if name not in source.config and name not in app.setup]
    return (
        (f"app.json asks for config vars that are not set: heroku config:set {'=… '.join(absent)}=…",) if absent else ()
    )


def folders_of_apps(source: Source) -> Iterator[str]:
    """Folders of a source, the topmost first, that a builder would take: for whoever forgot to name one."""
    level = [PurePosixPath()]
    for _ in range(FOLDERS_DEEP):
        found = [path / name for path in level for name in source.folders(path)][:FOLDERS_MAX]
        yield from (str(path) for path in found if any(source.has(f"{path}/{name}") for name in SIGNS))
        level = found


def below(source: Source, app: AppJson) -> tuple[Source, str]:
    """The source that PROJECT_PATH leads to and that path, "" for all of it: a config var, else app.json's env.

    Raises BuildFailed when it leads to no directory of the source.
    """
    told = app.env.get(SUBDIRECTORY)
    place = source.config.get(SUBDIRECTORY) or (told.value if told is not None else None) or ""
    path = PurePosixPath(place)
    if not path.parts:
        return source, ""
    if path.is_absolute() or ".." in path.parts or "\0" in place:
        raise BuildFailed(f"{SUBDIRECTORY} is {place[:100]!a}; name a folder of the repository, such as apps/web.")
    root = source.root
    for part in path.parts:
        root = root / part
        if root.is_symlink() or not root.is_dir():
            raise BuildFailed(f"{SUBDIRECTORY} is {place[:100]!a}, but there is no such folder in the repository.")
    return replace(source, root=root), str(path)
