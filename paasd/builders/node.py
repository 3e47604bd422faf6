"""A Node source: installed by its lock file's manager, built by its own scripts, pruned of what development needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from paasd.builders import static
from paasd.builders.assemble import Part, assemble, copy
from paasd.builders.node_packages import Manager, Package, find_manager, read_package, scripts_of
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.builders.stack import NODE_IMAGE
from paasd.domain.errors import BuildFailed
from paasd.domain.slug import SlugRecipe, SlugTool
from paasd.domain.stack import NODES, nearest, parse_version
from paasd.domain.version_range import satisfies

LOOKS_FOR = "Node (package.json)"
ENV = ("NODE_ENV=production", "NPM_CONFIG_UPDATE_NOTIFIER=false")
# The cache is the app's own: what one app's build puts there no other app installs.
ARGS = """ARG NPM_CONFIG_CACHE=/var/cache/paasd/{app_id}/node/npm
ARG COREPACK_ENABLE_STRICT=0
"""
ARGS_OF = {
    "yarn": "ARG YARN_CACHE_FOLDER=/var/cache/paasd/{app_id}/node/yarn\nARG YARN_ENABLE_GLOBAL_CACHE=false\n",
    "pnpm": "ARG NPM_CONFIG_STORE_DIR=/var/cache/paasd/{app_id}/node/pnpm\n",
}
CACHE = "--mount=type=cache,target=/var/cache/paasd/{app_id}/node,sharing=shared,id=paasd-node-"
RUN = "RUN " + CACHE + "{app_id},uid=1000,gid=1000 \\\n    : /var/cache/paasd/{app_id} && {command}\n"
TOOL = (  # the same for each app that names that version, so that all of them share its layer
    "RUN /opt/node/bin/node /opt/node/bin/npm install --global --ignore-scripts --prefix /opt/pm {tool} --no-audit "
    "--no-fund --no-update-notifier --cache /tmp/npm && rm -rf /tmp/npm\n"
)
IN_IMAGES = "/app/"  # where the app is in images alone
SLUG_TOOL = 'npm install --global --ignore-scripts --no-audit --no-fund --prefix "$TOOL" {tool}'
SLUG_CACHES = {  # copies, as what is linked to pnpm's store would change its owner with it
    "yarn": 'export YARN_CACHE_FOLDER="$CACHE/yarn" YARN_ENABLE_GLOBAL_CACHE=false && ',
    "pnpm": 'export NPM_CONFIG_STORE_DIR="$CACHE/pnpm" NPM_CONFIG_PACKAGE_IMPORT_METHOD=copy && ',
}
ADVICE = 'add a "start" script to package.json, or a Procfile with a line such as `web: node server.js`.'


@dataclass(frozen=True, slots=True)
class Node:
    """What is known of a Node source."""

    part: Part
    web: str | None
    why: str
    warnings: tuple[str, ...]
    slug: SlugRecipe | None


def plan(source: Source) -> Recipe | None:
    """The recipe for a Node source, or None when it has no package.json."""
    found = look(source)
    if found is None:
        return None
    stack = source.stacks.default
    parts = [found.part, *([static.PART] if found.web == static.WEB else [])]
    dockerfile, classic = assemble(source, stack, parts)
    return Recipe(
        dockerfile,
        found.part.reasons,
        stack=stack.label,
        dockerfile_classic=classic,
        fallback={"web": found.web} if found.web else {},
        fallback_reason=f"No Procfile: {found.why}",
        advice=ADVICE,
        warnings=found.warnings,
        slug=found.slug,
    )


def look(source: Source) -> Node | None:
    """None without a package.json. Raises BuildFailed for what can't be read or done."""
    package = read_package(source)
    if package is None:
        return None
    manager = find_manager(source, package)
    major, why, warnings = choose(source, package)
    if manager.lock is None:
        warnings = (
            *warnings,
            f"No lock file: versions may differ from build to build; commit the one {manager.name} writes",
        )
    keeps = any(source.config.get(name) == "false" for name in ("NPM_CONFIG_PRODUCTION", "YARN_PRODUCTION"))
    scripts = scripts_of(package, ("heroku-postbuild" if package.scripts.get("heroku-postbuild") else "build",))
    cleanup = scripts_of(package, ("heroku-cleanup",))
    prunes = package.has_dev and not keeps
    early = prunes and not scripts and not cleanup
    installs = [
        *(f"{manager.name} run {script}" for script in scripts_of(package, ("heroku-prebuild",))),
        manager.install_pruned if early else manager.install,
    ]
    builds = [*scripts, *([] if early or not prunes else [None]), *cleanup]
    commands = [manager.prune if script is None else f"{manager.name} run {script}" for script in builds]
    web, web_why = web_command(source, package, manager)
    part = Part(
        env=ENV,
        path=("/app/node_modules/.bin", "/opt/pm/bin", "/opt/node/bin"),
        tools=f"COPY --from={NODE_IMAGE}:{major} /node /opt/node\n"
        + (TOOL.format(tool=manager.tool) if manager.tool is not None else ""),
        install=_install(source, manager, installs, cached=True),
        install_classic=_install(source, manager, installs, cached=False),
        build="".join(RUN.format(app_id=source.app_id, command=command) for command in commands),
        build_classic="".join(f"RUN {command}\n" for command in commands),
        reasons=(
            f"Node app: package.json found, installing with {manager.name}"
            + (f" by {manager.lock}" if manager.lock else ""),
            why,
            *([f"Running its scripts: {', '.join(scripts)}"] if scripts else []),
        ),
    )
    slug = _slug(manager, _full(source, major), installs, commands, serves=web == static.WEB)
    return Node(part, web, web_why, warnings, slug)


def _slug(
    manager: Manager, version: str, installs: Sequence[str], commands: Sequence[str], *, serves: bool
) -> SlugRecipe | None:
    """For engines without images, that have what Node brings. What is installed is a layer, that the app's folder
    refers to; where more is to be done with it (scripts write into it, pruning removes of it) it gets a copy."""
    if any(IN_IMAGES in one for one in (manager.install, manager.install_pruned, manager.prune)):
        return None
    env, made_with = {"NODE_ENV": "production"}, (f"node {version}",)
    tools: tuple[SlugTool, ...] = ()
    if manager.tool is not None:  # it stays, as what serves may be `yarn start`
        name = " ".join((manager.name, manager.tool.rpartition("@")[2]))
        tools = (SlugTool(name, (SLUG_TOOL.format(tool=manager.tool),), made_with, stays=True),)
    keeps = SLUG_CACHES.get(manager.name, "")
    installs, commands = [keeps + one for one in installs], [keeps + one for one in commands]
    if manager.reads is None:
        return SlugRecipe(commands=(*installs, *commands), env=env, static=serves, tools=tools)
    place = 'cp -a "$DEPS/node_modules" .' if commands else 'ln -s "$DEPS/node_modules" .'
    return SlugRecipe(
        depends_on=manager.reads,
        dependencies=(f'cp -R . "$DEPS" && cd "$DEPS" && {" && ".join(installs)} && mkdir -p node_modules',),
        commands=(f"rm -rf node_modules && {place}", *commands),
        path=("node_modules/.bin",),
        env=env,
        static=serves,
        made_with=made_with,
        tools=tools,
    )


def choose(source: Source, package: Package) -> tuple[str, str, tuple[str, ...]]:
    """Node's major version, why it is that one, and warnings. Raises BuildFailed under `strict`."""
    here = sorted(source.stacks.nodes or {NODES[0]: ""}, key=int)
    default = NODES[0] if NODES[0] in here else here[-1]
    told = next((name for name in (".nvmrc", ".node-version") if source.has(name)), None)
    wanted, file = package.engines.get("node", "").strip(), "engines.node"
    if not wanted and told is not None:
        wanted, file = (source.text(told) or "").strip(), told
    if not wanted:
        return default, f"Using Node {_full(source, default)}, as the source asks for none", ()
    fit = [major for major in here if satisfies((int(major),), wanted)]
    if fit:
        major = default if default in fit else fit[-1]
        return major, f"Using Node {_full(source, major)}, by {file} ({wanted[:60]})", ()
    words = f"{file} asks for Node {wanted[:60]}, and what is here is {', '.join(here)}"
    if source.strict:
        raise BuildFailed(f"{words}; ask for {'one of those' if len(here) > 1 else 'that'}, {source.stacks.remedy}.")
    lowest = parse_version("".join(letter if letter.isdigit() or letter == "." else " " for letter in wanted))
    major = nearest(lowest or (int(default),), here) or default
    return major, f"Using Node {_full(source, major)}, the nearest", (f"{words}: {major} is used.",)


def web_command(source: Source, package: Package, manager: Manager) -> tuple[str | None, str]:
    """What serves without a Procfile: the start script, server.js, or what the build script made."""
    if package.scripts.get("start"):
        return f"{manager.name} start", f"`{manager.name} start` serves"
    if source.has("server.js"):
        return "node server.js", "`node server.js` serves"
    if package.scripts.get("build") or package.scripts.get("heroku-postbuild") or static.found(source):
        return static.WEB, "there is no start script, so that the files it builds are served"
    return None, ADVICE


def _full(source: Source, major: str) -> str:
    return source.stacks.nodes.get(major) or major


def _install(source: Source, manager: Manager, commands: Sequence[str], *, cached: bool) -> str:
    own = "--chown=app:app "
    reads = f"COPY {own}. /app/\n" if manager.reads is None else copy(*manager.reads, flags=own)
    args = (ARGS + ARGS_OF.get(manager.name, "")).format(app_id=source.app_id) if cached else ""
    run = (RUN if cached else "RUN {command}\n").format(app_id=source.app_id, command=" && ".join(commands))
    return f"{args}{reads}USER app\n{run}USER root\n"
