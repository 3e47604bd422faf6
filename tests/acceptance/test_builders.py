"""What builders have in common, files alone, buildpacks and Dockerfiles: pushed as their owners have them."""

import ipaddress
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.acceptance.shop import FLASK, Open, docker, open_shop
from tests.daemon import ROOT, running

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


def test_files_alone_are_served(opened: Open) -> None:
    shop = opened("files", source=ROOT / "examples" / "static-site")
    assert "Static files: index.html found" in shop.deploy()
    assert "<h1>Files alone</h1>" in shop.get()[1]
    assert shop.get("/style.css")[0] == 200
    assert shop.get("/gone")[0] == 404


@pytest.mark.slow
def test_a_page_that_is_built_falls_back_to_itself(opened: Open) -> None:
    shop = opened("spa", source=ROOT / "examples" / "static-spa")
    assert "the files it builds are served" in shop.deploy()
    assert shop.get("/some/route") == shop.get("/")
    script = re.search(r'src="(/assets/main-\w+\.js)"', shop.get()[1])
    assert script is not None
    assert "location.pathname" in shop.get(script[1])[1]


@pytest.mark.slow
def test_buildpacks_of_the_repository(opened: Open) -> None:
    """Bites: without `export` sourced the second sees nobody; without the profile, web ends at once; without the cache
    the second build says 1 again."""
    shop = opened("packs", source=ROOT / "examples" / "buildpacks")
    said = shop.deploy()
    assert "Building with buildpacks on the bookworm stack: ./greeting, ./server" in said
    assert "Greeting app detected by ./greeting" in said
    assert "Built 1 times, with in sight" in said
    assert "Serving what greeting made" in said
    assert "Default types -> web, clock" in said
    assert shop.get() == (200, "Hello of two buildpacks\n")
    assert shop.get("/by.txt") == (200, "by greeting\n")
    assert "yes" in shop.shell.run("paas", "run", "-a", shop.name, "echo $GREETED")
    said = shop.deploy({"greeting.txt": "Bye\n", "Procfile": "clock: sleep 601\n"})
    assert "Built 2 times" in said
    assert shop.get() == (200, "Bye\n")
    code, text = shop.push({"app.json": '{"buildpacks": [{"url": "./greeting"}, {"url": "./gone"}]}'})
    assert code != 0
    assert "The buildpack ./gone is no folder of the repository" in text


@pytest.mark.slow
def test_a_buildpack_of_a_git_url(opened: Open, tmp_path: Path) -> None:
    """From a server beside: a container on the network that builds have."""
    pack = tmp_path / "pack"
    shutil.copytree(ROOT / "examples" / "buildpacks" / "greeting", pack / "work")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "A buildpack"), ("tag", "v1")):
        git = ["git", "-C", str(pack / "work"), "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        subprocess.run(git, check=True, timeout=20)
    subprocess.run(
        ["git", "clone", "-q", "--bare", str(pack / "work"), str(pack / "greeting.git")], check=True, timeout=20
    )
    pack.chmod(0o755)
    for place in tmp_path.parents:
        if place.is_relative_to("/tmp") and place != Path("/tmp"):
            place.chmod(0o711)
    serve = ["git", "-c", "safe.directory=*", "daemon", "--export-all", "--base-path=/srv", "--reuseaddr"]
    server = docker("run", "-d", "--rm", "-u", "0", "-v", f"{pack}:/srv:ro", "paasd/stack:bookworm", *serve).strip()
    try:
        address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", server).strip()
        files = {"greeting.txt": "Of git\n", "Procfile": "web: python3 -m http.server --directory public $PORT\n"}
        shop = opened("git-pack", files)
        shop.shell.run("paas", "buildpacks:set", f"git://{address}/greeting.git#v1", "-a", shop.name)
        assert "Greeting app detected by git://" in shop.deploy()
        assert shop.get() == (200, "Of git\n")
        shop.shell.run("paas", "buildpacks:set", f"git://{address}/none.git", "-a", shop.name)
        code, text = shop.push({"more": "1"})
        assert code != 0
        assert "could not be fetched" in text
    finally:
        docker("kill", server)


@pytest.mark.slow
def test_a_purged_cache_installs_anew(opened: Open) -> None:
    """Bites: with the caches alone removed, BuildKit still takes the layer that they were used for."""
    shop = opened("purged", {"app.py": FLASK, "requirements.txt": "flask==3.1.2\ngunicorn==23.0.0\n"})
    shop.deploy()
    assert re.search(r"uv pip install .*, cached\)", shop.deploy({"README": "two"}))
    code, said = shop.shell.attempt("paas", "builds:cache:purge", "-a", "purged")
    assert code == 0, said
    megabytes = re.search(r"Purging build cache of purged... (\d+) MB", said)
    assert megabytes is not None and int(megabytes[1]) > 0, said
    assert "Purging build cache of purged... 0 MB" in shop.shell.run("paas", "builds:cache:purge", "-a", "purged")
    assert "uv pip install" in (anew := shop.deploy({"README": "three"}))
    assert not re.search(r"uv pip install .*, cached\)", anew), anew
    assert shop.get() == (200, "hello of flask")


LATE = """import os, socket, sys, time
listening = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
time.sleep(1.5)
sys.exit("Worker failed to boot.")
"""


@pytest.mark.slow
def test_what_listens_before_it_has_loaded_the_app_and_then_ends(opened: Open) -> None:
    """As gunicorn does. Bites: where an open port is enough, the broken release replaces the one that serves."""
    shop = opened("late", source=ROOT / "examples" / "hello")
    shop.deploy()
    code, said = shop.push({"server.py": LATE})
    assert code != 0, said
    assert "web.1 exited with status 1 before it was up" in said
    assert "Worker failed to boot." in said
    assert shop.served() == "v2"


@pytest.mark.slow
def test_a_dockerfile_that_heroku_yml_names_in_a_folder_that_project_path_names(opened: Open) -> None:
    """With its release command and a process type beside the image's own command."""
    place = ROOT / "examples" / "hello"
    files = {
        "README": "nothing of this reaches the build",
        "apps/web/heroku.yml": "build:\n  docker: {web: {dockerfile: docker/Own, target: app}}\n"
        '  config: {SAID: "it\'s $HOME"}\nrelease:\n  command: [echo migrated]\n'
        "run:\n  worker: python3 -c 'import time; time.sleep(1000)'\n",
        "apps/web/docker/Own": re.sub(
            "^FROM .*", r"\g<0> AS app\nARG SAID", (place / "Dockerfile").read_text(), flags=re.M
        )
        + 'RUN test "$SAID" = "it\'s \\$HOME" && echo "$SAID, as heroku.yml has it"\nFROM scratch AS last\n',
        "apps/web/server.py": (place / "server.py").read_text(),
    }
    shop = opened("folder-app", files)
    shop.shell.run(
        "heroku" if shutil.which("heroku") else "paas", "config:set", "PROJECT_PATH=apps/web", "-a", shop.name
    )
    said = shop.deploy()
    assert "Building apps/web (PROJECT_PATH)" in said
    assert "Building by docker/Own, as heroku.yml says (build.docker)" in said
    assert "it's $HOME, as heroku.yml has it" in said
    assert "remote: migrated" in said
    assert "Default types -> worker, web, release" in said
    assert shop.get()[0] == 200


@pytest.mark.slow
def test_a_build_can_not_reach_the_host_s_services(opened: Open) -> None:
    """Bites: without the firewall's rule for the bridge that builds run on, the step prints that it was reached."""
    subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}").strip()
    gateway = str(next(ipaddress.ip_network(subnet).hosts()))
    if os.geteuid() != 0:
        pytest.skip("the rules are not ours to set here")
    with socket.create_server(("0.0.0.0", 0)) as service:  # what a careless service on the host would be
        port = service.getsockname()[1]
        socket.create_connection((gateway, port), 5).close()  # it is there
        step = (
            f"import socket; s = socket.socket(); s.settimeout(3); print('code', s.connect_ex(('{gateway}', {port})))"
        )
        shop = opened("inquisitive", source=ROOT / "examples" / "hello")
        text = (shop.shell.cwd / "Dockerfile").read_text()
        said = shop.deploy({"Dockerfile": f'{text}\nRUN ["python3", "-c", "{step}"]\n'})
        assert re.search(r"remote: +code (?!0)\d+", said), said


NODE = """const http = require("http");
http.createServer((_, to) => to.end("hello of Node")).listen(process.env.PORT, "0.0.0.0");
"""


@pytest.mark.slow
def test_a_base_image_of_this_machine_stands_for_one_that_can_not_be_had(tmp_path: Path) -> None:
    """Bites: without the setting heeded, or without the mark in the log."""
    if not docker("images", "-q", "node:20-slim").strip():
        pytest.skip("no node:20-slim here: paasd stack build node-20-slim")
    source = tmp_path / "source"
    source.mkdir()
    (source / "server.js").write_text(NODE)
    (source / "Dockerfile").write_text('FROM node:18-slim\nWORKDIR /srv\nCOPY . .\nCMD ["node", "server.js"]\n')
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, config={"stacks": {"aliases": {"node:18-slim": "node:20-slim"}}}) as daemon:
            shop = open_shop(daemon, tmp_path / "owner", "aliased", source)
            said = shop.deploy()
            assert "!     NOT on node:18-slim: node:20-slim is taken in its place" in said
            assert shop.get() == (200, "hello of Node")
    finally:
        shutil.rmtree(root, ignore_errors=True)
