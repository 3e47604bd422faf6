"""The walls of docs/ARCHITECTURE.md as code: who may import whom, and what only some may do."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.python_sources import ROOT, sources, tree

ANYWHERE = {"msgspec", "structlog"}

# Layer -> what of ours, and which vendor packages, it may import besides itself and the standard library.
# The longest name that fits a module is its layer. A vendor package that does I/O stands in one layer only.
MAY_IMPORT: dict[str, set[str]] = {
    "paasd.domain": set(),
    "paasd.ports": {"paasd.domain", "router.table"},
    "paasd.builders": {"paasd.domain", "yaml"},
    "paasd.services": {
        *("paasd.ports", "paasd.domain", "paasd.builders", "paasd.failpoints", "router.table", "idna", *ANYWHERE),
    },
    "paasd.adapters": {
        *("paasd.ports", "paasd.domain", "paasd.failpoints", "paasd.migrations", "router.table", *ANYWHERE),
        *("aiohttp", "aiosqlite", "cryptography", "docker", "h2", "requests", "sqlalchemy"),
    },
    "paasd.api": {
        "paasd.services",
        "paasd.ports",
        "paasd.domain",
        "paasd.failpoints",
        "aiohttp",
        "asyncssh",
        "yarl",
        *ANYWHERE,
    },
    "paasd.cli": {"click", "rich", "urllib3", *ANYWHERE},
    "paasd.migrations": {"alembic", "sqlalchemy"},
    "paasd.settings": {"paasd.failpoints", "paasd.settings_addons", "router.table", "yaml", *ANYWHERE},
    "paasd.home": set(),
    "paasd.logging": ANYWHERE,
    "paasd.failpoints": set(),
    "paasd.settings_addons": ANYWHERE,
    "paasd.rules": {"paasd.settings", "paasd.settings_addons", "paasd.services", "paasd.domain"},
    "paasd.providers": {
        *("paasd.settings", "paasd.home", "paasd.engines", "paasd.rules", "paasd.adapters", "paasd.ports"),
    },
    "paasd.takeover": {"paasd.home", *ANYWHERE},
    "paasd.engines": {
        *("paasd.settings", "paasd.home", "paasd.adapters", "paasd.ports", "paasd.domain", "paasd.failpoints"),
        *ANYWHERE,
    },
    "paasd.chores": {"paasd.services", "paasd.adapters.backup"},
    "paasd.doctor_addons": {
        *("paasd.settings", "paasd.home", "paasd.engines", "paasd.providers", "paasd.adapters", "paasd.domain"),
    },
    "paasd.doctor": {
        "paasd.doctor_addons",
        *("paasd.settings", "paasd.home", "paasd.engines", "paasd.adapters", "paasd.builders", "paasd.domain"),
        *("click", *ANYWHERE),
    },
    "paasd.router_alone": {"paasd.adapters.router_client"},
    "paasd.stacks": {"paasd.settings", "paasd.adapters", "paasd.domain", "click", *ANYWHERE},
    "paasd.daemon": {"paasd", "router.table", "aiohttp", "uvloop", *ANYWHERE},
    "paasd.__main__": {
        *("paasd.settings", "paasd.home", "paasd.logging", "paasd.daemon", "paasd.doctor", "paasd.domain.errors"),
        *("paasd.adapters.backup", "paasd.adapters.damage", "paasd.stacks", "paasd.router_alone"),
        *("click", *ANYWHERE),
    },
    "paasd": set(),
    "router": {"aiohttp", "uvloop", "msgspec"},
}

# Written about in ARCHITECTURE: nobody imports the composition root but the entry point.
ONLY_FROM = {"paasd.daemon": {"paasd.__main__"}, "paasd.doctor": {"paasd.__main__"}}
ALLOWED_FOR_ALL_OF_PAASD = {"paasd"}  # its __version__


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> frozenset[str]:
    return frozenset(module_name(path) for path in sources())


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(module: str) -> str:
    return max((layer for layer in MAY_IMPORT if within(module, layer)), key=len)


def imports(path: Path) -> Iterator[str]:
    """Names of modules that are imported anywhere in the file, inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the module in full"
            for alias in node.names:
                longer = f"{node.module}.{alias.name}"
                yield longer if longer in modules() else str(node.module)


def allowed(importer: str, imported: str) -> bool:
    layer, top = layer_of(importer), imported.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if within(importer, "paasd") and imported in ALLOWED_FOR_ALL_OF_PAASD:
        return layer not in ("paasd.domain", "paasd.cli")
    if imported in ONLY_FROM and importer not in ONLY_FROM[imported]:
        return False
    return any(within(imported, other) for other in {layer, *MAY_IMPORT[layer]} if other != "paasd" or layer == other)


def breaches() -> list[str]:
    found = []
    for path in sources():
        importer = module_name(path)
        for imported in imports(path):
            sees_all = importer == "paasd.daemon" and within(imported, "paasd") and imported != "paasd.__main__"
            if not sees_all and not allowed(importer, imported):
                found.append(f"{path} imports {imported}: {layer_of(importer)} may not")
    return found


def test_nobody_imports_what_it_may_not() -> None:
    assert breaches() == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("paasd.domain.app", "paasd.ports"),
        ("paasd.domain.app", "msgspec"),
        ("paasd.services.deploy", "paasd.adapters.store"),
        ("paasd.services.deploy", "router.state"),
        ("paasd.services.deploy", "aiohttp"),
        ("paasd.adapters.store", "paasd.services.apps"),
        ("paasd.api.apps", "paasd.adapters.store"),
        ("paasd.api.apps", "paasd.daemon"),
        ("paasd.cli.apps", "paasd.domain.app"),
        ("paasd.cli.apps", "paasd"),
        ("paasd.doctor", "paasd.daemon"),
        ("paasd.home", "paasd.settings"),
        ("router.state", "paasd.domain.app"),
    ],
)
def test_the_walls_would_notice(importer: str, imported: str) -> None:
    assert not allowed(importer, imported)


def test_no_import_hides_from_the_running_program() -> None:
    """An import for type checkers only means that the layer is wrong."""
    assert [str(path) for path in sources() if "TYPE_CHECKING" in (ROOT / path).read_text("utf-8")] == []


CALLS_ALLOWED_IN = {
    "asyncio.create_task": {"paasd/services/background.py", "router/tasks.py"},
    "asyncio.ensure_future": {"paasd/services/background.py", "router/tasks.py"},
    "os.environ": {"paasd/settings.py", "paasd/cli/settings.py"},
    "os.getenv": {"paasd/settings.py", "paasd/cli/settings.py"},
    "shell=True": set(),
}


@pytest.mark.parametrize("text", list(CALLS_ALLOWED_IN))
def test_what_only_some_may_do(text: str) -> None:
    found = {
        str(path)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.keyword) and ast.unparse(node) == text
    }
    assert found <= CALLS_ALLOWED_IN[text]
