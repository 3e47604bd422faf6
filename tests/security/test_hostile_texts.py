"""G03: what a push says of itself, written to harm whoever reads it."""

import resource
import time
from pathlib import Path

import pytest

from paasd.builders.detect import detect
from paasd.builders.source import Source, read_text
from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import TYPES_MAX, parse_procfile

pytestmark = pytest.mark.row("G03", "Procfile, app.json and heroku.yml that are large, deep, bombs or objects")

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
HEROKU_YML = {
    "aliases": f"{ALIASES}build:\n  docker:\n    web: *a11\n",
    "aliases in a Dockerfile's place": f"{ALIASES}build:\n  docker:\n    web: {{dockerfile: *a11}}\n",
    "aliases to run": f"{ALIASES}build:\n  docker: {{web: Dockerfile}}\nrun:\n  web: *a11\n",
    "an object": "build: !!python/object/apply:os.system ['touch /tmp/paasd-was-here']\n",
    "deep": "build: " + "[" * 100_000,
    "deep without a bracket": "".join(f"{' ' * depth}a:\n" for depth in range(600)),
    "a long number": "build: " + "9" * 5_000,
    "a day there is not": "build: 2021-99-99\n",
    "NUL": "build: \0\n",
}
APP_JSON = {
    "deep": "[" * 100_000,
    "many numbers": '{"formation": [' + "1," * 100_000 + "1]}",
    "a long number": '{"formation": ' + "9" * 5_000 + "}",
    "NUL": '{"scripts": {"postdeploy": "a\\u0000b"}}',
}
PROCFILES = {
    "a path": "../x: a\n",
    "two words": "web; rm: a\n",
    "NUL": "web: a\0b\n",
    "many": "".join(f"type{n}: x\n" for n in range(100_000)),
    "large": "web: x\n" * 1_500_000,
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(pytest.param("heroku.yml", text, id=f"heroku.yml: {what}") for what, text in HEROKU_YML.items()),
        *(pytest.param("app.json", text, id=f"app.json: {what}") for what, text in APP_JSON.items()),
        *(pytest.param("Procfile", text, id=f"Procfile: {what}") for what, text in PROCFILES.items()),
    ],
)
def test_it_is_refused_by_name_in_little_memory(tmp_path: Path, name: str, text: str) -> None:
    """Bites: compare the Dockerfiles' places by `str`, and the aliases take all memory; catch YAMLError alone, and
    what is deep, a number or a day breaks the daemon's own code."""
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / name).write_text(text)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(BuildFailed) as refused:
        detect(Source(tmp_path, "app"))
    assert time.process_time() - began < 1
    assert name in str(refused.value) and len(str(refused.value)) < 600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert not Path("/tmp/paasd-was-here").exists()


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    """Bites: read the whole file before its size is looked at, and it takes a gigabyte."""
    with (tmp_path / "Procfile").open("wb") as file:
        file.truncate(1024**3)  # sparse
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BuildFailed, match="larger than"):
        read_text(tmp_path, "Procfile")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_what_only_looks_odd_is_read() -> None:
    assert parse_procfile("\ufeffweb: a $PORT\r\n\r\n# no\r\nworker_2: b\r\n") == {"web": "a $PORT", "worker_2": "b"}
    assert len(parse_procfile("".join(f"type{n}: x\n" for n in range(TYPES_MAX)))) == TYPES_MAX
