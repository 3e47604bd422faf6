"""Slugs on the disk, and apps' users."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from paasd.adapters.process_slugs import Slug, Slugs, now, tree_key
from paasd.domain.errors import EngineUnavailable, NotFound


@pytest.fixture
def slugs(tmp_path: Path) -> Slugs:
    made = Slugs(tmp_path / "process", "00000001", users=True)
    made.prepare()
    return made


def slug(app_id: str = "shop", app: str = "a" * 64, deps: str | None = None, build: str = "b1") -> Slug:
    return Slug(app_id, build, now(), 10, app, deps)


def test_layers_go_with_the_last_artifact_that_has_them_but_not_those_of_a_build(slugs: Slugs) -> None:
    """Out of sight at once, and what a killed daemon left of such with the next. Bites: `used` of a build not looked
    at; then the layer that it has just made is gone before it is an artifact."""
    folder = slugs.folder("shop") / "layers"
    for name in ("a" * 64, "c" * 64, "d" * 64):
        (folder / name).mkdir()
    one = slugs.keep(slug(deps="c" * 64), "paasd/shop:b-1")
    two = slugs.keep(slug(deps="c" * 64, app="e" * 64, build="b2"), "paasd/shop:b-2")
    first, second = (slugs.find(each.name) for each in (one, two))
    assert first is not None and second is not None
    used = slugs.used(without=first.name)
    used.layers.add(("shop", "d" * 64))
    gone = slugs.delete(first, used)
    assert sorted(path.name for path in folder.glob("[!.]*")) == ["c" * 64, "d" * 64]
    assert slugs.find("paasd/shop:b-1") is None
    assert len(gone) == 1
    gone = slugs.delete(second, slugs.used(without=second.name))
    assert sorted(folder.iterdir()) == gone and len(gone) == 3  # that of the first time too, as nobody removed it
    assert slugs.all() == []


@pytest.mark.parametrize("name", ["sha256:../users", "users", "", "sha256:", "sha256:" + "0" * 64])
def test_a_name_leads_nowhere_else(slugs: Slugs, name: str) -> None:
    slugs.keep(slug(), "paasd/shop:b-1")
    assert slugs.find(name) is None


def test_an_artifact_that_is_not_there_has_no_names(slugs: Slugs) -> None:
    with pytest.raises(NotFound, match="push its commit again"):
        slugs.tag("sha256:" + "0" * 64, "paasd/shop:v2")


def test_a_user_is_never_anothers(slugs: Slugs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bites: the lowest free number taken; what an app left behind would be readable for the next that gets it."""
    monkeypatch.setattr("os.chown", lambda *_: None)
    first = slugs.user("shop")
    assert slugs.user("shop") == first
    (tmp_path / "process" / "apps" / "shop" / "user").unlink()
    assert first is not None
    assert slugs.user("stall") == (first[0] + 1, first[0] + 1)
    other = Slugs(tmp_path / "other", "00000002", users=True)
    other.prepare()
    assert other.user("shop") == (first[0] + 50_000, first[0] + 50_000)


def test_a_layers_key_is_its_content(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("x")
    keys = [tree_key(tmp_path)[0], tree_key(tmp_path)[0], tree_key(tmp_path, "python3")[0]]
    (tmp_path / "lib" / "a.py").chmod(0o755)
    keys.append(tree_key(tmp_path)[0])
    (tmp_path / "lib" / "a.py").write_text("y")
    keys.append(tree_key(tmp_path)[0])
    (tmp_path / "link").symlink_to("lib")
    keys.append(tree_key(tmp_path)[0])
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5
    assert tree_key(tmp_path)[1] == 1


def test_a_cache_is_measured_and_emptied(tmp_path: Path) -> None:
    slugs = Slugs(tmp_path, "0badcafe", users=False)
    slugs.prepare()
    for app_id, size in (("a", 5), ("b", 7)):
        slugs.folder(app_id)
        (slugs.cache(app_id) / "uv").mkdir()
        (slugs.cache(app_id) / "uv" / "wheel").write_bytes(b"x" * size)
        (slugs.cache(app_id) / "link").symlink_to("/etc")
    assert slugs.cache_sizes() == {"a": 5, "b": 7}
    assert slugs.purge_cache("a") == 5
    assert slugs.cache_sizes() == {"a": 0, "b": 7}
    assert slugs.purge_cache("absent") == 0


def test_artifacts_of_before_there_were_tools_are_still_called_as_they_were(slugs: Slugs, tmp_path: Path) -> None:
    """Bites: each release of an older paasd without its artifact after an upgrade, and expired; broken by `content`
    that says `tools` of all."""
    old = {
        "app_id": "shop",
        "build_id": "b1",
        "created_at": "2026-11-23T06:00:00+00:00",
        "size": 10,
        "app": "a" * 64,
        "deps": None,
        "path": [],
        "env": {},
        "static": False,
    }
    name = "sha256:" + hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    (tmp_path / "process" / "artifacts" / f"{name.removeprefix('sha256:')}.json").write_text(json.dumps(old))
    found = slugs.find(name)
    assert found is not None and found.artifact().name == name
    with_tools = replace(found, tools={"k": "bin"})
    assert slugs.find(slugs.keep(with_tools, "paasd/shop:b-2").name) == with_tools and with_tools.name != name


def test_no_app_gets_the_number_of_whoever_installs_what_all_share(slugs: Slugs, tmp_path: Path) -> None:
    """Bites: the last number of a home given to an app, which could then change what every other one runs; and the one
    after it, which is another home's."""
    assert slugs.installer is not None and slugs.installer[0] == slugs.users[-1]
    (tmp_path / "process" / "users.json").write_text(json.dumps({"next": slugs.users[-1] - 1}))
    assert slugs.user("shop") == (slugs.users[-1] - 1,) * 2
    with pytest.raises(EngineUnavailable, match="49,999 apps"):
        slugs.user("stall")
