"""Procfile and app.json, as people write them."""

import pytest

from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import default_formation, parse_procfile, read_health_paths, read_manifest
from paasd.domain.release import ProcessTypes


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("web: gunicorn app:app", {"web": "gunicorn app:app"}),
        ("web:gunicorn app:app --bind 0.0.0.0:$PORT", {"web": "gunicorn app:app --bind 0.0.0.0:$PORT"}),
        ("web : serve\t\n", {"web": "serve"}),
        ("  web: serve  ", {"web": "serve"}),
        ("\ufeffweb: serve\r\nworker: work\r\n", {"web": "serve", "worker": "work"}),
        ("# comment\n\n  # another\nweb: serve # the shell's\n", {"web": "serve # the shell's"}),
        ("release: migrate && seed\nweb: a || b; c", {"release": "migrate && seed", "web": "a || b; c"}),
        ("web: python -c 'print(\"a: b\")'", {"web": "python -c 'print(\"a: b\")'"}),
        ("worker-2: a\nmy_worker: b\n3: c", {"worker-2": "a", "my_worker": "b", "3": "c"}),
        ("zebra: z\nalpha: a", {"zebra": "z", "alpha": "a"}),
        ("", {}),
        ("\n# nothing\n", {}),
    ],
)
def test_a_procfile_that_can_be_read(text: str, commands: dict[str, str]) -> None:
    found = parse_procfile(text)
    assert found == commands
    assert list(found) == list(commands)  # in the order of the file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web serve", r"line 1 can't be read: 'web serve'; write `type: command`"),
        ("web: serve\n\nworker:", "line 3 can't be read"),
        ("web:   # later", "line 1 can't be read"),
        (": serve", "line 1"),
        ("my web: serve", "line 1"),
        ("wéb: serve", "line 1"),
        ("w" * 64 + ": serve", "line 1"),
        ("web: serve\0", "line 1"),
        ("<<<<<<< HEAD\nweb: serve", "line 1"),
        ("web: serve\nweb: again", "line 2 names the process type 'web' a second time; keep one"),
    ],
)
def test_a_procfile_that_can_not_be_read_names_the_line(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        parse_procfile(text)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("{}", {}),
        ('{"name": "shop", "env": {}}', {}),
        ('{"healthchecks": {"web": [{"type": "startup", "path": "/ok"}]}}', {"web": "/ok"}),
        ('{"healthchecks": {"web": {"path": "/ok?full=1"}, "x": [{"path": "/a"}]}}', {"web": "/ok?full=1", "x": "/a"}),
        ('{"healthchecks": {"web": [{"type": "liveness"}, 7, {"path": 1}, {"path": "/second"}]}}', {"web": "/second"}),
        ('{"healthchecks": {"web": []}}', {}),
        ('{"healthchecks": {"web": "no"}}', {}),
    ],
)  # fmt: skip
def test_health_paths_of_app_json(text: str, paths: dict[str, str]) -> None:
    assert read_health_paths(text) == paths


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "app.json is not valid JSON .*; mend it or remove it"),
        ("[]", "write an object"),
        ('{"healthchecks": []}', '"healthchecks" an object of process types'),
        ('{"healthchecks": {"web": [{"path": "ok"}]}}', "of 'web' must start with /"),
        ('{"healthchecks": {"web": [{"path": "/a b"}]}}', "hold no spaces"),
        ('{"healthchecks": {"web": [{"path": "/a\\r\\nX: 1"}]}}', "hold no spaces"),
        ('{"healthchecks": {"web": [{"path": "/\\u007f"}]}}', "hold no spaces"),
    ],
)
def test_an_app_json_that_can_not_be_meant(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        read_health_paths(text)


def test_the_release_command_is_no_process_type() -> None:
    assert read_manifest("web: serve\nrelease: migrate", None, has_dockerfile=False) == ProcessTypes(
        {"web": "serve"}, "migrate"
    )


def test_a_dockerfile_has_a_web_process_of_its_own() -> None:
    assert read_manifest(None, None, has_dockerfile=True).commands == {"web": None}
    assert read_manifest("worker: work", None, has_dockerfile=True).commands == {"worker": "work", "web": None}
    assert read_manifest("web: serve", "{}", has_dockerfile=True) == ProcessTypes({"web": "serve"})


@pytest.mark.parametrize("procfile", [None, "", "# nothing", "release: migrate"])
def test_nothing_to_run_says_what_to_add(procfile: str | None) -> None:
    with pytest.raises(BuildFailed, match="No process types found: add a Procfile with a line such as"):
        read_manifest(procfile, None, has_dockerfile=False)


def test_an_app_begins_with_one_web_dyno_and_keeps_what_was_asked_for() -> None:
    processes = ProcessTypes({"web": "serve", "worker": "work"})
    assert default_formation(processes, {}) == {"web": 1, "worker": 0}
    assert default_formation(processes, {"web": 0, "worker": 3, "gone": 1}) == {"web": 0, "worker": 3}


def test_a_deeply_nested_app_json_is_refused_in_a_sentence() -> None:
    with pytest.raises(BuildFailed, match=r"app\.json is not valid JSON \(it is nested too deeply\); mend it"):
        read_manifest("web: serve", '{"a":' + "[" * 100_000, has_dockerfile=False)
