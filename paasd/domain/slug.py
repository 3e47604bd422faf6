"""What makes a source a slug, for engines that have no images: commands of ours, never the user's text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

STATIC_SERVER = "/opt/static/serve.py"
"""Where commands find the server of static files: it lies there in images; other engines put their own in its place."""


@dataclass(frozen=True, slots=True)
class SlugTool:
    """A program that a build needs and that is no app's: the same for all that ask for this one.

    `name` is for the log. `commands` install it into $TOOL, with no app's files in sight; `made_with` names versions of
    what installs it. Its programs are in the folder `path` of it, which dependencies' commands find on the PATH, and
    where it `stays` all other commands and dynos, too.
    """

    name: str
    commands: tuple[str, ...]
    made_with: tuple[str, ...] = ()
    path: str = "bin"
    stays: bool = False


@dataclass(frozen=True, slots=True)
class SlugRecipe:
    """Shell commands, first those that install dependencies, then those that finish the app's folder.

    `depends_on` are the files that the dependencies are made of: as long as these are the same they are not made again
    (None: of the whole source). Where they are installed is $DEPS; `path` are folders of it that are put on the PATH,
    `env` what commands and dynos see beside, `{deps}` standing for that place. $PYTHON is an interpreter, and uv is on
    the PATH, and so are the `tools`. `made_with` names versions of what installs: others make the dependencies anew.
    `wheels`: they come out of the cache that all apps share, so that no app's user may write to that while they do.
    `checks` run before, as the app's own user, out of sight of what the dependencies become. `static`: the server of
    static files is one of them. `packages` of the system's (an Aptfile's) are asked for, and can't be installed for one
    app.
    """

    depends_on: tuple[str, ...] | None = ()
    dependencies: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    static: bool = False
    wheels: bool = False
    checks: tuple[str, ...] = ()
    made_with: tuple[str, ...] = ()
    tools: tuple[SlugTool, ...] = ()
    packages: tuple[str, ...] = ()
