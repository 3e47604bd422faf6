"""Whose BuildKit's records are, and in which order they can go."""

from paasd.adapters.docker_caches import family, owner

SHOP, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def record(identity: str, app: str = "", *, parent: str = "", kind: str = "regular") -> dict[str, object]:
    command = f"mount / from exec /bin/sh -c : /var/cache/paasd/{app} && uv venv" if app else "COPY . /app"
    return {"ID": identity, "Type": kind, "Description": command, "Parent": parent, "InUse": False, "Size": 1}


def test_a_record_is_its_apps_by_the_command_that_made_it() -> None:
    assert owner(record("a", SHOP)) == SHOP
    assert owner({"Description": f"cached mount /var/cache/paasd/{SHOP}/uv from exec"}) == SHOP
    assert owner(record("a")) is None
    assert owner({}) is None


def test_an_apps_records_go_after_those_that_stand_on_them_and_nobody_elses_go() -> None:
    records = [
        record("base"),
        record("install", SHOP, parent="base"),
        record("copy", parent="install"),
        record("static", parent="copy"),
        {**record("newer"), "Parent": None, "Parents": ["copy", "base"]},
        record("theirs", OTHER, parent="base"),
        record("cache", SHOP, kind="exec.cachemount"),
    ]
    found = family(records, SHOP)
    assert set(found) == {"install", "copy", "static", "newer", "cache"}
    assert found.index("static") < found.index("copy") < found.index("install")
    assert found.index("newer") < found.index("copy")


def test_what_a_build_uses_stays() -> None:
    assert family([{**record("a", SHOP), "InUse": True}], SHOP) == []
