"""What is built, and reading small texts out of it: bounded, and never through a link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from paasd.domain.errors import BuildFailed
from paasd.domain.stack import Packages, Stacks

TEXT_BYTES = 256 * 1024
INSTALLED = "node_modules"
LOCK_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A directory and what its app says of its build.

    `config` decides how it is built (DISABLE_COLLECTSTATIC, PROJECT_PATH); none of it reaches the build by that.
    """

    root: Path
    app_id: str
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    buildpacks: tuple[str, ...] = ()
    stacks: Stacks = field(default_factory=Stacks)
    secrets: tuple[str, ...] = ()  # names of config vars that the build may see
    strict: bool = False  # a version that no stack has is an error
    packages: Packages = Packages.WHEELS  # as far as is known from the build before
    aliases: Mapping[str, str] = field(default_factory=dict)  # what is taken for a base image of that name

    def text(self, name: str, *, limit: int = TEXT_BYTES) -> str | None:
        """The file's text, None when there is none. Raises BuildFailed when it is there but can't be read."""
        return read_text(self.root, name, limit=limit)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return (self.root / name).is_file()

    def folders(self, path: PurePosixPath) -> list[str]:
        """The names of a folder's own folders, no links, and nothing hidden or installed."""
        found = sorted((self.root / path).iterdir())
        return [
            one.name
            for one in found
            if one.is_dir() and not one.is_symlink() and one.name[0] != "." and one.name != INSTALLED
        ]


def read_text(source: Path, name: str, *, limit: int = TEXT_BYTES) -> str | None:
    """The file's text, None when there is none. Raises BuildFailed when it is there but can't be read."""
    path = source
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            raise BuildFailed(f"{path.relative_to(source)} is a symbolic link; commit the file itself.")
    if not path.exists():
        return None
    if not path.is_file():
        raise BuildFailed(f"{name} is a directory; commit a text file of that name.")
    with path.open("rb") as file:
        data = file.read(limit + 1)  # never the whole of what may be as large as a push
    if len(data) > limit:
        raise BuildFailed(f"{name} is larger than {limit // 1024} kB; it should be a short text.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BuildFailed(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
