"""Reading small texts out of a source directory: bounded, and never through a link."""

from pathlib import Path

from paasd.domain.errors import BuildFailed

TEXT_BYTES = 256 * 1024


def read_text(source: Path, name: str) -> str | None:
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
    data = path.read_bytes()
    if len(data) > TEXT_BYTES:
        raise BuildFailed(f"{name} is larger than {TEXT_BYTES // 1024} kB; it should be a short text.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BuildFailed(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
