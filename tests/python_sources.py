"""The sources that the walls of docs/ARCHITECTURE.md are held against."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def python_files(folder: str) -> list[Path]:
    """Those below it, relative to the checkout."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def sources() -> list[Path]:
    """Every module of both packages."""
    return python_files("paasd") + python_files("router")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))
