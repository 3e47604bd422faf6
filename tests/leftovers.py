"""What a home leaves on the Docker engine, removed over its API: the command would take longer than most tests."""

import contextlib
from collections.abc import Callable
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException


def remove_labelled(home_id: str) -> None:
    """Containers, volumes, networks and images that carry a home's label. Where no engine answers there are none."""
    with contextlib.suppress(DockerException), contextlib.closing(APIClient()) as engine:
        mark = {"label": f"paasd.home={home_id}"}
        for container in engine.containers(all=True, quiet=True, filters=mark):
            tolerated(engine.remove_container, container["Id"], force=True, v=True)
        for volume in engine.volumes(filters=mark)["Volumes"] or ():
            tolerated(engine.remove_volume, volume["Name"], force=True)
        for network in engine.networks(filters=mark):
            tolerated(engine.remove_network, network["Id"])
        for image in engine.images(quiet=True, filters=mark):
            tolerated(engine.remove_image, image, force=True)


def tolerated(remove: Callable[..., Any], name: str, **options: bool) -> None:
    """It may be gone, or on its way."""
    with contextlib.suppress(APIError):
        remove(name, **options)
