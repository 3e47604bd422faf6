"""Wheels are fetched once for all apps; what has to be built is an app's own, out of sight of what others install."""

import json
import re
import subprocess

import pytest

from tests.acceptance.shop import Open
from tests.daemon import BIN

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SERVE = {"Procfile": "web: python3 -m http.server $PORT\n"}
SETUP = """import pathlib, setuptools
there = [str(one) for one in pathlib.Path('/var/cache/paasd').glob('*')]
assert there and not [one for one in there if one.endswith('/wheels')], there
setuptools.setup(name='own', version='1', py_modules=[])
"""


def test_wheels_are_fetched_once_for_all_apps(opened: Open) -> None:
    """Bites: a cache for each app, of which the second one's is empty; a purge that leaves what all share as it is, in
    which case nobody gets rid of what is broken in it."""
    files = {**SERVE, "requirements.txt": "idna==3.10\nsniffio==1.3.1  # from anyio\n"}
    opened("wheels-one", files).deploy()
    shop = opened("wheels-two", files)
    said = shop.deploy()
    assert "Installed 2 packages" in said
    assert "Prepared" not in said, said
    shop.shell.run("paas", "builds:cache:purge", "-a", shop.name)
    assert "Prepared 2 packages" in shop.deploy({"more.txt": "x"})


def test_no_dockerfile_reaches_them(opened: Open) -> None:
    """By the id that the build log shows. Bites: an app's own Dockerfile built as if it were one of our builders'."""
    opened("wheels-full", {**SERVE, "requirements.txt": "idna==3.10\n"}).deploy()
    look = "RUN --mount=type=cache,id=paasd-wheels,target=/x ls -A /x | sed 's/^/seen: /'; echo looked\n"
    said = opened("mallory", {**SERVE, "Dockerfile": f"FROM paasd/stack:bookworm\nUSER root\n{look}"}).deploy()
    assert "       looked" in said
    assert "       seen: " not in said


UV = '#!/bin/sh\necho "planted: $(ls -d /var/cache/paasd/wheels 2>&1)"\nexec /usr/local/bin/uv "$@"\n'


def test_no_code_of_another_language_runs_beside_them(opened: Open) -> None:
    """What npm's scripts make is before all else on the PATH. Bites: Python installed behind Node, as the app names
    them, with the image's own PATH."""
    script = "mkdir -p node_modules/.bin && cp planted node_modules/.bin/uv && chmod +x node_modules/.bin/uv"
    files = {"package.json": json.dumps({"scripts": {"postinstall": script}}), "planted": UV}
    shop = opened("two-langs-wheels", {**SERVE, **files, "requirements.txt": "idna==3.10\n"})
    for name in ("heroku/nodejs", "heroku/python"):
        shop.shell.run("paas", "buildpacks:add", name, "-a", shop.name)
    said = shop.deploy()
    assert "+ idna==3.10" in said
    assert "       planted: /" not in said


def test_a_package_without_a_wheel_is_built_with_a_cache_of_the_apps_own(opened: Open) -> None:
    """Bites: without what the ledger says of the build before, each push tries wheels first; with the shared cache
    mounted where setup.py runs, that can plant what others install."""
    shop = opened("sdist-app", {**SERVE, "requirements.txt": "docopt==0.6.2\n"})
    said = shop.deploy()
    assert "-----> A package has no wheel: building again, from its source" in said
    assert "Built docopt==0.6.2" in said
    assert shop.get("/requirements.txt")[0] == 200
    said = shop.deploy({"more.txt": "x"})
    assert "building again" not in said and "cached)" in said
    assert {str(build["stack"]).rpartition("+")[2] for build in shop.builds().values()} == {"sdists"}
    own = {"requirements.txt": "./own\n", "own/setup.py": SETUP, "own/README": ""}
    (shop.shell.cwd / "own").mkdir()
    assert "own==1" in shop.deploy(own)


@pytest.mark.slow
def test_what_a_lock_names_and_the_index_has_not_is_tried_where_the_lock_says(opened: Open) -> None:
    """Bites: a push refused whose lock is right, of an index of its own."""
    project = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna==3.10"]\n'
    shop = opened("of-another-index", {**SERVE, "pyproject.toml": project})
    subprocess.run([str(BIN / "uv"), "lock", "-q"], cwd=shop.shell.cwd, check=True)
    lock = shop.shell.cwd / "uv.lock"
    text = lock.read_text()
    [digest] = set(re.findall(r"idna-3\.10-py3-none-any\.whl\", hash = \"(sha256:\w+)\"", text))
    lock.write_text(text.replace(digest, f"sha256:{'0' * 64}"))
    code, said = shop.push()
    assert code != 0 and "building again" in said and "Hash mismatch" in said
    lock.write_text(text)
    assert "building again" not in shop.deploy()
