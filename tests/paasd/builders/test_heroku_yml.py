"""heroku.yml, as far as an app of one image goes."""

import pytest

from paasd.builders.heroku_yml import HerokuYml, parse_heroku_yml
from paasd.domain.errors import BuildFailed


def test_what_is_read() -> None:
    text = "build: {docker: {web: {dockerfile: D}, worker: D}}\nrun: {web: serve, worker: {command: [work, rest]}}\n"
    assert parse_heroku_yml(text) == HerokuYml("D", {"web": "serve", "worker": "work && rest"}, None)
    assert parse_heroku_yml("build: {languages: [ruby]}\n") is None


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
    ],
)
def test_what_can_not_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        parse_heroku_yml(text)
