"""What the engine's list of images says of stacks."""

from typing import Any

from paasd.adapters.docker_containers import APP
from paasd.adapters.docker_stacks import parse_stacks
from paasd.domain.stack import Stack, Stacks


def test_stacks_are_told_by_name_and_their_version_by_the_newest_dated_one() -> None:
    images: list[dict[str, Any]] = [
        {"RepoTags": ["paasd/stack:trixie"], "Labels": {"paasd.python": "3.13"}},
        {"RepoTags": ["paasd/stack:bookworm-20261101", "paasd/stack:bookworm", "paasd/stack:bookworm-20261126"]},
        {"RepoTags": ["paasd/stack:bookworm-20250101"], "Labels": None},
        {"RepoTags": ["paasd/stack:unheard", "shop:v1"]},
        {"RepoTags": None},
        {"RepoTags": ["paasd/node:24", "paasd/node:24.19.0"], "Labels": {"paasd.node": "24.19.0"}},
    ]
    assert parse_stacks(images) == Stacks(
        (Stack("bookworm", "3.11", "20261126"), Stack("trixie", "3.13")), {"24": "24.19.0"}
    )


def test_an_engine_without_any_has_none() -> None:
    assert parse_stacks([]) == Stacks((), {})


def test_no_apps_image_is_a_stack_whatever_the_app_is_called() -> None:
    """An app called "stack" has images of that name, with the labels of what they stand on and of its own Dockerfile.
    Bites: taken for a stack, it is what other apps that ask for its Python are built on."""
    labels = {"paasd.local": "1", "paasd.python": "3.12", APP: "11111111-1111-4111-8111-111111111111"}
    assert parse_stacks([{"RepoTags": ["paasd/stack:v3", "paasd/stack:b-1f00c0de"], "Labels": labels}]) == Stacks(
        (), {}
    )
