"""Which stacks and tool images the engine has, told by their labels and names."""

from collections.abc import Mapping, Sequence
from typing import Any

from paasd.adapters.docker_api import DockerApi, sensible
from paasd.adapters.docker_containers import APP
from paasd.domain.stack import DEFAULT, PYTHONS, Stack, Stacks

STACK_NAME = "paasd/stack:"
NODE_NAME = "paasd/node:"


async def read_stacks(api: DockerApi) -> Stacks:
    """The default stack first, then by name."""
    images = await api.call("images", filters={"label": "paasd.local"})
    with sensible():
        return parse_stacks(images)


def parse_stacks(images: Sequence[Mapping[str, Any]]) -> Stacks:
    """Of what the engine lists, what is named paasd/stack:NAME (its versions NAME-DATE) and paasd/node:MAJOR."""
    stacks: list[Stack] = []
    nodes: dict[str, str] = {}
    for image in images:
        tags, labels = image.get("RepoTags") or [], image.get("Labels") or {}
        if APP in labels:
            continue  # of an app that is called "stack", say: its build set that label, which no Dockerfile takes away
        names = [str(tag).removeprefix(STACK_NAME) for tag in tags if str(tag).startswith(STACK_NAME)]
        for name in names:
            python = labels.get("paasd.python") or PYTHONS.get(name)
            if python is not None and "-" not in name:
                versions = sorted(one.removeprefix(f"{name}-") for one in names if one.startswith(f"{name}-"))
                stacks.append(Stack(name, python, versions[-1] if versions else ""))
        for tag in tags:
            major = str(tag).removeprefix(NODE_NAME)
            if str(tag).startswith(NODE_NAME) and major.isdigit():
                nodes[major] = str(labels.get("paasd.node") or major)
    return Stacks(tuple(sorted(stacks, key=lambda stack: (stack.name != DEFAULT, stack.name))), nodes)
