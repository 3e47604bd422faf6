"""What makes a source a slug, for engines that have no images: commands of ours, never the user's text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

STATIC_SERVER = "/opt/static/serve.py"
"""Where commands find the server of static files: it lies there in images; other engines put their own in its place."""


@dataclass(frozen=True, slots=True)
class SlugRecipe:
    """Shell commands, first those that install dependencies, then those that finish the app's folder.

    `depends_on` are the files that the dependencies are made of: as long as these are the same they are not made again
    (None: of the whole source). Where they are installed is $DEPS; `path` are folders of it that are put on the PATH,
    `env` what commands and dynos see beside, `{deps}` standing for that place. $PYTHON is an interpreter, and uv is on
    the PATH. `made_with` names versions of what installs: others make the dependencies anew. `static`: the server of
    static files is one of them.
    """

    depends_on: tuple[str, ...] | None = ()
    dependencies: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    static: bool = False
    made_with: tuple[str, ...] = ()
