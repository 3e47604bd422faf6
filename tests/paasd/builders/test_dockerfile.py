"""A source with a Dockerfile of its own."""

from pathlib import Path

import pytest

from paasd.builders import dockerfile
from paasd.builders.recipe import Recipe
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed


def plan(root: Path) -> Recipe | None:
    return dockerfile.plan(Source(root, "a1"))


def test_its_text_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM x\r\nCMD ["a"]\n', newline="")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert recipe.dockerfile == 'FROM x\r\nCMD ["a"]\n'
    assert (recipe.stack, recipe.dockerfile_classic) == (None, None)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("FROM node:18-slim", "FROM node:20-slim"),
        (
            "from --platform=linux/amd64 docker.io/library/node:18-slim AS build",
            "from --platform=linux/amd64 node:20-slim AS build",
        ),
        ("COPY --chown=a --from=node:18-slim /a /b", "COPY --chown=a --from=node:20-slim /a /b"),
        ("FROM node:18-slim-bullseye", None),
        ("FROM other.example.org/node:18-slim", None),
        ("RUN echo FROM node:18-slim", None),
        ("FROM node:${V}", None),
    ],
)
def test_a_base_image_that_stands_for_another_is_taken_and_said(tmp_path: Path, line: str, after: str | None) -> None:
    """Bites: without the warning nobody knows that what runs is not what was tried."""
    (tmp_path / "Dockerfile").write_text(f"# x\n{line}\nRUN a\n")
    recipe = dockerfile.plan(Source(tmp_path, "a1", aliases={"node:18-slim": "node:20-slim"}))
    assert recipe is not None
    assert recipe.dockerfile == f"# x\n{after or line}\nRUN a\n"
    assert [one.partition(":")[0] for one in recipe.warnings] == (["NOT on node"] if after else [])


def test_none_is_no_error_and_an_empty_one_is(tmp_path: Path) -> None:
    assert plan(tmp_path) is None
    (tmp_path / "Dockerfile").write_text(" \n")
    with pytest.raises(BuildFailed, match="The Dockerfile is empty"):
        plan(tmp_path)


def test_heroku_yml_names_another(tmp_path: Path) -> None:
    (tmp_path / "heroku.yml").write_text("build: {docker: {web: deploy/Web.Dockerfile}}\nrelease: {command: [a, b]}\n")
    (tmp_path / "Dockerfile").write_text("FROM other\n")
    with pytest.raises(BuildFailed, match=r"builds by deploy/Web\.Dockerfile, which is not in the repository"):
        plan(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "Web.Dockerfile").write_text("FROM x\n")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert (recipe.dockerfile, recipe.defaults, recipe.release) == ("FROM x\n", {"web": None}, "a && b")
    assert recipe.reasons == ("Building by deploy/Web.Dockerfile, as heroku.yml says (build.docker)",)


@pytest.mark.parametrize("path", ["/etc/passwd", "../Dockerfile", "a/../../b"])
def test_heroku_yml_can_not_lead_out_of_the_repository(tmp_path: Path, path: str) -> None:
    (tmp_path / "heroku.yml").write_text(f"build: {{docker: {{web: {path}}}}}\n")
    with pytest.raises(BuildFailed, match=r"holds no `\.\.`"):
        plan(tmp_path)


def test_heroku_yml_without_docker_leaves_the_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "heroku.yml").write_text("setup: {addons: []}\n")
    assert plan(tmp_path) is None
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    recipe = plan(tmp_path)
    assert recipe is not None
    assert recipe.reasons == ("Building by the Dockerfile in the repository",)
