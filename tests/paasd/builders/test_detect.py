"""Which builder takes a source, and what is said when none does."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from paasd.builders.detect import Plan, detect
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def plan(root: Path, files: Mapping[str, str], **config: str) -> Plan:
    return detect(Source(write(root, files), "a1", config))


def test_a_dockerfile_comes_before_requirements(tmp_path: Path) -> None:
    found = plan(tmp_path, {"Dockerfile": "FROM x\n", "requirements.txt": "flask\n", "Procfile": "web: serve"})
    assert (found.builder, found.stack, found.dockerfile, found.dockerfile_classic) == (
        *("dockerfile", None, "FROM x\n", None),
    )
    assert found.processes.commands == {"web": "serve"}
    assert found.reasons == ("Building by the Dockerfile in the repository",)


def test_a_dockerfile_needs_no_procfile(tmp_path: Path) -> None:
    assert plan(tmp_path, {"Dockerfile": "FROM x\n"}).processes.commands == {"web": None}


def test_heroku_yml_has_process_types_and_comes_before_the_procfile(tmp_path: Path) -> None:
    """As on Heroku. Bites: an app that has a Procfile for others' builders, run by that in its own image."""
    yml = "build: {docker: {web: D}}\nrun: {worker: work}\nrelease: migrate\n"
    assert plan(tmp_path, {"heroku.yml": yml, "D": "FROM x"}).processes.commands == {"worker": "work", "web": None}
    found = plan(tmp_path, {"Procfile": "worker: other\nclock: tick\nrelease: mine"})
    assert dict(found.processes.commands) == {"worker": "work", "clock": "tick", "web": None}
    assert found.processes.release == "migrate"
    assert found.warnings == ("Not used, since heroku.yml comes first: worker, release of the Procfile",)
    assert found.told_types().splitlines()[1:] == [
        "       Procfile declares types -> clock",
        "       Default types -> worker, web, release",
    ]


def test_heroku_yml_s_setup_counts_whoever_builds_and_what_is_not_used_of_it_is_said(tmp_path: Path) -> None:
    """Bites: a config var that heroku.yml sets, asked for again; a setup that only a Dockerfile's app has."""
    files = {
        "requirements.txt": "",
        "Procfile": "web: serve",
        "heroku.yml": "setup: {config: {A: 1}, addons: [redis], pipelines: x}\n",
        "app.json": '{"env": {"A": {}, "B": {}}}',
    }
    found = plan(tmp_path, files)
    assert (found.builder, found.app.setup, [one.plan for one in found.app.addons]) == ("python", {"A": "1"}, ["redis"])
    assert found.warnings == (
        "app.json asks for config vars that are not set: heroku config:set B=…",
        "heroku.yml: 'setup.pipelines' is not known, and not used.",
    )


def test_the_log_tells_by_whom_there_is_a_process_type(tmp_path: Path) -> None:
    """Bites: "Procfile declares types" of an app that has no Procfile."""
    found = plan(tmp_path, {"Dockerfile": "FROM x\n"})
    assert found.told_types() == "-----> Discovering process types\n       Default types -> web\n"
    found = plan(tmp_path, {"Procfile": "worker: work\nrelease: migrate\n"})
    assert found.told_types().splitlines()[1:] == [
        "       Procfile declares types -> worker, release",
        "       Default types -> web",
    ]


def test_system_packages_are_known_to_engines_without_images(tmp_path: Path) -> None:
    found = plan(tmp_path, {"requirements.txt": "", "Procfile": "web: serve", "Aptfile": "libpq-dev # for psycopg\n"})
    assert found.slug is not None and found.slug.packages == ("libpq-dev",)


def test_the_folder_that_was_meant_is_named(tmp_path: Path) -> None:
    """Bites: "name it: PROJECT_PATH=folder", where there is one that it can only be."""
    files = {"README.md": "", "node_modules/a/package.json": "", ".git2/x/Dockerfile": "", "apps/web/package.json": ""}
    (tmp_path / "aaa").symlink_to("apps")
    with pytest.raises(BuildFailed, match=r"heroku config:set PROJECT_PATH=apps/web\.$"):
        plan(tmp_path, files)


def test_requirements_are_built_on_the_stack(tmp_path: Path) -> None:
    app_json = '{"healthchecks": {"web": {"path": "/ok"}}}'
    found = plan(tmp_path, {"requirements.txt": "flask\n", "Procfile": "web: serve", "app.json": app_json})
    assert (found.builder, found.stack, found.root) == ("python", "bookworm", tmp_path)
    assert found.processes.health_paths == {"web": "/ok"}
    assert "requirements.txt" in found.reasons[0]


def test_requirements_without_a_procfile_have_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="No process types found"):
        plan(tmp_path, {"requirements.txt": "requests\n"})


def test_a_source_nobody_takes_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"at the repository's top for a Dockerfile .*Python \(.*PROJECT_PATH=folder"):
        plan(tmp_path, {"Procfile": "web: serve"})


def test_a_folder_is_built_by_config_var_or_app_json(tmp_path: Path) -> None:
    files = {"apps/web/Dockerfile": "FROM web\n", "apps/web/Procfile": "web: serve", "Dockerfile": "FROM top\n"}
    found = plan(tmp_path, files, PROJECT_PATH="apps/web/")
    assert (found.root, found.dockerfile, found.processes.commands) == (
        *(tmp_path / "apps" / "web", "FROM web\n", {"web": "serve"}),
    )
    assert found.reasons[0] == "Building apps/web (PROJECT_PATH)"
    by_file = plan(tmp_path, {"app.json": '{"env": {"PROJECT_PATH": {"value": "apps/web"}}}'})
    assert by_file.dockerfile == "FROM web\n"
    assert plan(tmp_path, {"other/Dockerfile": "FROM other\n"}, PROJECT_PATH="other").dockerfile == "FROM other\n"


def test_the_folder_s_own_app_json_counts_else_the_one_at_the_top(tmp_path: Path) -> None:
    health = '{"healthchecks": {"web": {"path": "%s"}}}'
    files = {"web/Dockerfile": "FROM x", "app.json": health % "/top"}
    assert plan(tmp_path, files, PROJECT_PATH="web").processes.health_paths == {"web": "/top"}
    files = {"web/app.json": health % "/own"}
    assert plan(tmp_path, files, PROJECT_PATH="web").processes.health_paths == {"web": "/own"}


@pytest.mark.parametrize(
    ("path", "words"),
    [("../x", "name a folder"), ("/etc", "name a folder"), ("gone", "no such folder"), ("link", "no such folder"),
     ("Dockerfile", "no such folder"), ("a/../..", "name a folder")],
)  # fmt: skip
def test_a_folder_must_be_one_of_the_repository(tmp_path: Path, path: str, words: str) -> None:
    """Bites: without the checks, /etc and what a link leads to are packed and sent to the build."""
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(BuildFailed, match=words):
        plan(tmp_path, {"Dockerfile": "FROM x"}, PROJECT_PATH=path)


def test_nothing_in_the_folder_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"Looked in web for .* none is there\.$"):
        plan(tmp_path, {"Dockerfile": "FROM x", "web/readme": ""}, PROJECT_PATH="web")
