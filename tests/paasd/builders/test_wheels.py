"""What may be installed out of the wheels that all apps share: by what is allowed.

That uv would run a package's code for some of what is refused here: tests/security/test_shared_wheels.py.
"""

from typing import Any

import pytest

from paasd.builders.wheels import plain_lock, plain_project, plain_requirements

HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flask\nDjango==5.0.6\r\n",
        "# a comment\nflask==3.1.2  # another\n\n",
        "psycopg[binary,pool]>=3,<4; python_version >= '3.8' and sys_platform != \"win32\"\n",
        f"flask==3 \\\n    {HASH} \\\n    {HASH}\n    # via -r requirements.in\nidna\n",
        "-r base.txt\n--requirement=deps/more.txt\n-c limits.txt\nidna (>=3)\nzope.interface~=7.0\n",
    ],
)
def test_names_versions_markers_hashes_and_files_are_plain(text: str) -> None:
    assert plain_requirements([text])


@pytest.mark.parametrize(
    "text",
    [
        "--no-binary docopt\ndocopt\n",
        "docopt\n  --no-binary=:all:\n",
        "docopt --no-binary docopt\n",
        "docopt\t--no-binary docopt\n",
        "docopt\r--no-binary docopt\r",
        "docopt # a comment\r--no-binary docopt\n",
        "# a comment \\\n--no-binary docopt\ndocopt\n",
        "docopt # here, too \\\n--no-binary docopt\n",
        "docopt \\\n--no-binary docopt\n",
        "docopt;--no-binary docopt\n",
        "docopt\x0b--no-binary docopt\n",
        "docopt\u2028--no-binary docopt\n",
        "docopt\x85--no-binary docopt\n",
        "--index-url https://example.org/simple\nidna\n",
        "-i https://example.org/simple\n",
        "--extra-index-url=https://example.org/simple\n",
        "--find-links wheels\n",
        "-e .\n",
        "./own\n",
        "own/\n",
        "docopt @ git+https://example.org/docopt\n",
        "docopt @ https://example.org/docopt-1.tar.gz\n",
        "https://example.org/docopt-1-py3-none-any.whl\n",
        "file:///app/x.whl\n",
        "$NAME\n",
        "-c https://example.org/limits.txt\n",
        "-r ../base.txt\n",
        "flask==3 --hash=sha256:00 --no-binary flask\n",
        "flask --config-settings=x=y\n",
        "\ufeffflask\n",
    ],
)
def test_all_else_is_not(text: str) -> None:
    """Bites: an option let through, a line's end that uv sees and this does not, a comment that hides an option."""
    assert not plain_requirements(["idna\n", text])


PROJECT: dict[str, Any] = {"name": "shop", "version": "1", "dependencies": ["flask>=3", "idna; sys_platform=='linux'"]}


def test_a_project_that_lists_names_is_plain() -> None:
    assert plain_project({"project": PROJECT})
    assert plain_project({"project": {"name": "shop"}, "tool": {"uv": {"package": False}, "ruff": {}}})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"project": {**PROJECT, "dynamic": ["version"]}},
        {"project": {**PROJECT, "dependencies": ["docopt @ git+https://example.org/docopt"]}},
        {"project": {**PROJECT, "dependencies": ["docopt --no-binary docopt"]}},
        {"project": {**PROJECT, "dependencies": "docopt"}},
        {"project": PROJECT, "tool": {"uv": {"no-binary-package": ["docopt"]}}},
        {"project": PROJECT, "tool": {"uv": {"index": [{"url": "https://example.org/simple"}]}}},
        {"project": PROJECT, "tool": {"uv": {"sources": {"docopt": {"path": "docopt"}}}}},
        {"project": PROJECT, "tool": {"uv": []}},
        {"project": PROJECT, "tool": []},
    ],
)
def test_a_project_that_says_how_to_build_is_not(document: dict[str, Any]) -> None:
    assert not plain_project(document)


DOCUMENT = {"project": {**PROJECT, "name": "Shop"}}


def locked(**more: object) -> dict[str, Any]:
    index = {"registry": "https://index.example/simple"}
    return {"name": "docopt", "version": "0.6.2", "source": index, "wheels": [{"url": "x", "hash": "y"}], **more}


def test_a_lock_of_the_indexs_wheels_is_plain() -> None:
    assert plain_lock({"package": [locked(), {"name": "shop", "source": {"virtual": "."}}]}, DOCUMENT)
    assert plain_lock({"version": 1, "package": [{"name": "shop", "source": {"editable": "."}}, locked()]}, DOCUMENT)


@pytest.mark.parametrize(
    "package",
    [
        locked(wheels=[]),
        {"name": "docopt"},
        locked(source={"registry": "https://example.org/simple"}),
        locked(source={"git": "https://example.org/docopt"}),
        locked(source={"directory": "docopt"}),
        locked(source={"registry": "https://index.example/simple", "path": "x"}),
        "docopt",
        {"name": "evil", "source": {"editable": "."}},
        {"name": "shop", "source": {"editable": "."}},
        locked(dependencies=[{"name": "idna", "marker": "platform_machine != 'x\n--index-url https://example.org\n'"}]),
        locked(**{"resolution-markers": ["platform_machine != '\x85'"]}),
    ],
)
def test_a_lock_with_anything_else_is_not(package: object) -> None:
    """Bites: a second project that lies in the source, whose `-e .` builds it even where uv is to build nothing; a text
    that uv writes over several lines of its list."""
    here = {"name": "shop", "source": {"virtual": "."}}
    assert plain_lock({"package": [locked(), here]}, DOCUMENT)
    assert not plain_lock({"package": [locked(), here, package]}, DOCUMENT)
    assert not plain_lock({"package": [locked(), here], "manifest": {"requirements": []}}, DOCUMENT)
    assert not plain_lock({"package": [locked()]}, DOCUMENT)
    assert not plain_lock({}, DOCUMENT)
