"""Procfile and app.json, as people write them."""

import pytest

from paasd.domain.app_json import AppJson
from paasd.domain.errors import BuildFailed
from paasd.domain.manifest import default_formation, parse_procfile, read_manifest, with_known_sizes
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


NO_APP_JSON = AppJson()


def read(
    procfile: str | None, *, web: str | None = None, own: bool = False, app: AppJson = NO_APP_JSON
) -> ProcessTypes:
    """`own`: as with a Dockerfile, which has a web process of its own; `web`: what a builder would run without one."""
    return read_manifest(procfile, app, defaults={"web": None} if own else {}, fallback={"web": web} if web else {})


def test_the_release_command_is_no_process_type() -> None:
    assert read("web: serve\nrelease: migrate") == ProcessTypes({"web": "serve"}, "migrate")


def test_a_dockerfile_has_a_web_process_of_its_own() -> None:
    assert read(None, own=True).commands == {"web": None}
    assert read("worker: work", own=True).commands == {"worker": "work", "web": None}
    assert read("web: serve", own=True) == ProcessTypes({"web": "serve"})


def test_what_a_builder_would_run_counts_where_the_procfile_names_nothing_to_run() -> None:
    assert read(None, web="serve").commands == {"web": "serve"}
    assert read("release: migrate", web="serve") == ProcessTypes({"web": "serve"}, "migrate")
    assert read("worker: work", web="serve").commands == {"worker": "work"}


def test_health_paths_are_those_of_app_json() -> None:
    assert read("web: serve", app=AppJson(health_paths={"web": "/ok"})).health_paths == {"web": "/ok"}


@pytest.mark.parametrize("procfile", [None, "", "# nothing", "release: migrate"])
def test_nothing_to_run_says_what_to_add(procfile: str | None) -> None:
    with pytest.raises(BuildFailed, match="No process types found: add a Procfile with a line such as"):
        read(procfile)


def test_an_app_begins_with_one_web_dyno_and_keeps_what_was_asked_for() -> None:
    processes = ProcessTypes({"web": "serve", "worker": "work"})
    assert default_formation(processes, {}) == {"web": 1, "worker": 0}
    assert default_formation(processes, {"web": 0, "worker": 3, "gone": 1}) == {"web": 0, "worker": 3}


def test_sizes_are_called_as_they_are_here_and_others_are_said() -> None:
    """Bites: a push refused for the "free" of long ago, or "standard-2x" taken for no size."""
    processes = ProcessTypes({"web": "a"}, sizes={"web": "standard-2x", "worker": "free", "clock": "eco"})
    found, words = with_known_sizes(processes, ("Standard-1X", "Standard-2X"))
    assert found.sizes == {"web": "Standard-2X"}
    assert words == (
        "app.json: there is no size 'free' of 'worker', 'eco' of 'clock' here, but Standard-1X, Standard-2X: "
        "Standard-1X is taken.",
    )
    assert with_known_sizes(found, ("Standard-1X", "Standard-2X")) == (found, ())
