"""heroku.yml, as far as an app of one image goes."""

import pytest

from paasd.builders.heroku_yml import HerokuYml, parse_heroku_yml
from paasd.domain.app_json import WantedAddon
from paasd.domain.errors import BuildFailed


def test_what_is_read() -> None:
    text = "build: {docker: {web: {dockerfile: D}, worker: D}}\nrun: {web: serve, worker: {command: [work, rest]}}\n"
    assert parse_heroku_yml(text) == HerokuYml("D", {"web": "serve", "worker": "work && rest"}, None)
    assert parse_heroku_yml("build: {docker: {}}\n") == HerokuYml(None)


def test_setup_as_heroku_has_it() -> None:
    """Bites: numbers and truths that YAML reads as such, merged or not, and that no config var can be."""
    text = """
setup:
  addons:
    - plan: heroku-postgresql
      as: DATABASE
    - heroku-redis:mini
  config: &all
    LANG: en_US.UTF-8
    CONCURRENCY: 010
    DEBUG: true
    RATIO: 1.10
    SINCE: 2024-01-02
    EMPTY: ""
"""
    found = parse_heroku_yml(text)
    assert found.addons == (
        WantedAddon("heroku-postgresql", "DATABASE", file="heroku.yml"),
        WantedAddon("heroku-redis:mini", file="heroku.yml"),
    )
    written = {"LANG": "en_US.UTF-8", "CONCURRENCY": "010", "DEBUG": "true", "RATIO": "1.10", "SINCE": "2024-01-02"}
    assert found.config == {**written, "EMPTY": ""} and type(found.config["DEBUG"]) is str
    merged = parse_heroku_yml(f"{text}build: {{config: {{<<: *all, MORE: 1}}}}\nsetup2: {{<<: *all}}\n")
    assert merged.config == found.config and merged.dockerfile is None


def test_what_is_not_used_is_named() -> None:
    """Bites: a key that is spelt wrong (`addon`), and is believed to do something."""
    text = (
        "setup: {addon: [], config: {}}\nbuilds: 1\nrun: {web: {command: x, image: web, env: 1}}\n"
        "build: {docker: {web: {dockerfile: D, target: last, args: 1}}, config: {A: b}, languages: [ruby]}\n"
        "release: {command: y, image: web, when: now}\n"
    )
    assert parse_heroku_yml(text).unheeded == (
        "'builds', 'setup.addon', 'build.languages', 'build.docker.web.args', 'run.web.env', 'release.when' is not "
        "known, and not used",
    )
    found = parse_heroku_yml(
        "build: {docker: {release: {dockerfile: D, target: build}, web: {dockerfile: D, target: last}, w: D}}"
    )
    assert found.target == "last"
    assert found.unheeded == ("build.docker.release.target is not used: here an app is one image, and it is web's",)
    assert parse_heroku_yml("build: {docker: {web: {dockerfile: D}}}\nrelease: {command: y, image: web}").unheeded == ()


def test_a_few_lines_of_merges_do_not_fill_the_memory() -> None:
    """Bites: each level is ten times the one before: 650 bytes took PyYAML hours, and all memory there is, before
    `Loader.flatten_mapping` had a bound; of 6 levels it made 0.5 s, of 7 levels 5 s."""
    lines = ["a0: &a0 {k: v}", *(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]
    with pytest.raises(BuildFailed, match="make too much of it"):
        parse_heroku_yml("\n".join(lines))
    with pytest.raises(BuildFailed, match="make too much of it"):
        parse_heroku_yml("a: &a 1\nb: [" + "*a," * 1001 + "]\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "write build.docker.web"),
        ("build: 5", "build must hold"),
        ("build: {docker: {web: [a]}}", "write build.docker.web"),
        ("build: {docker: {web: A, worker: B}}", "builds several images"),
        ("build: {docker: {web: A}}\nrun: {web: 5}", "run.web must be a command"),
        ("build: {docker: {web: A}}\nrelease: {image: web}", "release must be a command"),
        ("setup: [a]", "setup must hold"),
        ("build: {docker: {web: {dockerfile: D, target: 'a b'}}}", "write the target in build.docker as the name"),
        ("build: {docker: {web: {dockerfile: D, target: [a]}}}", "write the target in build.docker as the name"),
        ("build: {config: {A: [b]}}", r"write build\.config\.A as a text"),
        ('build: {config: {A: "a\\nb"}}', r"build\.config\.A .* one line"),
        ("setup: {config: [a]}", "config must hold"),
        ("setup: {config: {A: [b]}}", r"write setup\.config\.A as a text"),
        ("setup: {config: {A: }}", r"write setup\.config\.A as a text"),
        ('setup: {config: {A: "a\\0b"}}', r"heroku\.yml: setup\.config\.A can't be set"),
        ("setup: {config: {a-b: c}}", r"heroku\.yml: setup\.config: 'a-b' can't be the name"),
        ("setup: {config: {7: c}}", "'7' can't be the name"),
        ("setup: {addons: {plan: redis}}", 'write "setup.addons" as a list'),
        ("setup: {addons: [[a]]}", 'heroku.yml: write each of "setup.addons"'),
        ("setup: {addons: [{plan: redis, as: a b}]}", "heroku.yml: the add-on redis can't be attached as 'a b'"),
    ],
)
def test_what_can_not_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        parse_heroku_yml(text)
