"""`disk`."""

from __future__ import annotations

import json

from .conftest import Run
from .wire import Wire

FOUND = {
    "disks": [
        {"path": "/home", "status": "high", "total": 2**31, "free": 2**28, "used_percent": 88, "free_inodes": None}
    ],
    "apps": [{"name": "shop", "images": 3, "image_bytes": 2**20, "output_bytes": 1024}],
    "high_percent": 80,
    "full_percent": 90,
    "keep_releases": 20,
}


def test_a_table_and_json(paas: Run, wire: Wire) -> None:
    wire.reply("GET", "/paasd/disk", FOUND)
    assert paas("disk").stdout.splitlines() == [
        "=== Disks - builds stop at 90 %",
        "",
        "Path   Status  Used  Free    Size  Free inodes",
        "/home  high    88 %  256 MB  2 GB  -",
        "",
        "=== Apps - the last 20 releases keep their image",
        "",
        "App   Images  In images  In outputs",
        "shop  3       1 MB       1 KB",
    ]
    assert json.loads(paas("disk", "--json").stdout) == FOUND
    wire.reply("GET", "/paasd/disk", {**FOUND, "apps": []})
    assert "Apps" not in paas("disk").stdout
