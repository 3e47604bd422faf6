"""The checker itself: histories that are well, and for each thing it promises to see, one that must not pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import End, check
from tests.faults.history import NEVER, Call, History

RELEASES = "/apps/shop/releases"
CONFIG = "/apps/shop/config-vars"


def release(version: int, status: str = "succeeded", *, slug: bool = True, identity: str = "") -> dict[str, Any]:
    code = {"id": "build"} if slug else None
    return {"version": version, "status": status, "id": identity or f"id-{version}", "slug": code}


V1 = release(1, slug=False)


def call(
    began: float,
    method: str,
    path: str,
    body: Any = None,
    status: int | None = 200,
    answer: Any = None,
    *,
    took: float = 1,
) -> Call:
    return Call(began, NEVER if status is None else began + took, method, path, body, status, answer)


def end(*releases: Mapping[str, Any], config: Mapping[str, str] | None = None, **rest: Any) -> End:
    return End(releases, config or {}, rest.pop("maintenance", False), **rest)


CREATED = call(0, "POST", "/apps", {"name": "shop"}, 201)
WELL = end(V1, release(2), release(3, "failed"), release(4), served=4)


@pytest.mark.parametrize(
    ("calls", "ended"),
    [
        ([CREATED], WELL),
        ([CREATED, call(2, "GET", RELEASES, answer=[V1, release(2, "pending")])], WELL),
        # two at once: either may have been the last
        ([call(0, "PATCH", CONFIG, {"A": "1"}), call(0.5, "PATCH", CONFIG, {"A": "2"})], end(V1, config={"A": "1"})),
        ([call(0, "PATCH", CONFIG, {"A": "1"}), call(0.5, "PATCH", CONFIG, {"A": "2"})], end(V1, config={"A": "2"})),
        # no answer came: it may be there or not
        ([call(0, "PATCH", CONFIG, {"A": "1"}, None)], end(V1)),
        ([call(0, "PATCH", CONFIG, {"A": "1"}, None)], end(V1, config={"A": "1"})),
        # refused: it is not there
        ([call(0, "PATCH", CONFIG, {"A": "1"}, 409)], end(V1)),
        # acknowledged, and its release failed
        ([call(0, "PATCH", CONFIG, {"A": "1"})], end(V1, release(2), release(3, "failed"), served=2)),
        ([CREATED, call(3, "DELETE", "/apps/shop")], None),
        ([CREATED, call(3, "DELETE", "/apps/shop", None, None)], None),
        ([call(0, "PATCH", "/apps/shop", {"maintenance": True})], end(V1, release(2), maintenance=True)),
    ],
)
def test_what_can_be_passes(calls: list[Call], ended: End | None) -> None:
    assert check(History(calls), {"shop": ended} if ended else {}) == []


@pytest.mark.parametrize(
    ("calls", "ended", "said"),
    [
        ([], end(V1, release(3)), "there is a gap in [1, 3]."),
        ([], end(V1, release(2), release(2)), "a version stands twice in [1, 2, 2]."),
        ([], end(V1, release(2, "pending")), "v2 is pending for ever."),
        ([], end(V1, release(2), served=None), "v2 is current, and vNone is served."),
        ([], end(V1, release(2), release(3, "failed"), served=3), "v2 is current, and v3 is served."),
        (
            [call(0, "GET", RELEASES, answer=[V1, release(2)])],
            end(V1),
            "v2 was seen, and later it is not there.",
        ),
        (
            [call(0, "GET", RELEASES, answer=[V1, release(2)])],
            end(V1, release(2, identity="other"), served=2),
            "v2 is another release than was seen before.",
        ),
        (
            [
                call(0, "GET", f"{RELEASES}/2", answer=release(2)),
                call(2, "GET", f"{RELEASES}/2", answer=release(2, "pending")),
            ],
            end(V1, release(2), served=2),
            "v2 went back from succeeded to pending.",
        ),
        (
            [call(0, "GET", f"{RELEASES}/2", answer=release(2))],
            end(V1, release(2, "failed")),
            "v2 was succeeded and is failed.",
        ),
        (
            [call(0, "POST", RELEASES, {"release": "v1"}, 201, release(2, "pending"))],
            end(V1),
            "v2 was acknowledged, and it is not there.",
        ),
        (
            [
                call(0, "POST", RELEASES, {"release": "v1"}, 201, release(3, "pending")),
                call(2, "POST", RELEASES, {"release": "v1"}, 201, release(2, "pending")),
            ],
            end(V1, release(2), release(3), served=3),
            "v2 was made after v3, and its number is no higher.",
        ),
        ([CREATED], None, "its creation was acknowledged, and it is not there."),
        (
            [CREATED, call(2, "DELETE", "/apps/shop")],
            end(V1),
            "its destruction was acknowledged, and it is still there.",
        ),
        # an acknowledged write is lost
        ([call(0, "PATCH", CONFIG, {"A": "1"})], end(V1), "no order of"),
        ([call(0, "PATCH", "/apps/shop", {"maintenance": True})], end(V1), "no order of"),
        (
            [call(0, "PATCH", "/apps/shop/formation", {"updates": [{"type": "web", "quantity": 2}]})],
            end(V1, formation={"web": 1}),
            "no order of",
        ),
        # the later of two is overwritten by the earlier
        (
            [call(0, "PATCH", CONFIG, {"A": "1"}), call(2, "PATCH", CONFIG, {"A": "2"})],
            end(V1, config={"A": "1"}),
            "no order",
        ),
        # half of one call
        ([call(0, "PATCH", CONFIG, {"A": "1", "B": "1"}, None)], end(V1, config={"A": "1"}), "no order of"),
        # refused, and there
        ([call(0, "PATCH", CONFIG, {"A": "1"}, 409)], end(V1, config={"A": "1"}), "no order of"),
    ],
)
def test_what_can_not_be_is_said(calls: list[Call], ended: End | None, said: str) -> None:
    found = check(History(calls), {"shop": ended} if ended else {})
    assert any(sentence.startswith(f"shop: {said}") for sentence in found), found


def test_a_history_is_kept_and_read_back(tmp_path: Path) -> None:
    history = History([CREATED, call(2, "PATCH", CONFIG, {"A": "1"}, None)])
    history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl") == history
    assert [entry.method for entry in history.of("shop")] == ["POST", "PATCH"]
