"""SSH keys over the wire."""

import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.paasd.api.people import person
from tests.paasd.api.world import World


def new_key(directory: Path, comment: str = "ann@laptop") -> str:
    file = directory / f"key-{comment}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)], check=True)
    return file.with_suffix(".pub").read_text()


def fingerprints(text: str) -> str:
    """What OpenSSH says of a key."""
    return subprocess.run(["ssh-keygen", "-lf", "-"], input=text, capture_output=True, text=True, check=True).stdout


async def test_added_listed_and_removed(world: World, tmp_path: Path) -> None:
    text = new_key(tmp_path)
    added = await world.call("POST", "/account/keys", {"public_key": text})
    assert (added.status, added.json["comment"]) == (201, "ann@laptop")
    [key] = await world.get("/account/keys")
    assert key["fingerprint"] in fingerprints(text) and key["public_key"] == text.strip()
    for name in (key["id"], key["fingerprint"]):
        assert (await world.get(f"/account/keys/{quote(name, safe='')}"))["id"] == key["id"]
    assert (await world.call("POST", "/account/keys", {"public_key": text})).status == 409
    ann = await person(world, "ann@example.org")
    assert (await ann.call("DELETE", f"/account/keys/{key['id']}")).status == 404
    assert (await world.call("DELETE", f"/account/keys/{key['id']}")).status == 200
    assert await world.get("/account/keys") == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "ssh-ed25519", "ssh-ed25519 !!", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5 x", "a b\nc"),
        "x" * 20_000,
    ],
)
async def test_what_is_no_key(world: World, text: str) -> None:
    answer = await world.call("POST", "/account/keys", {"public_key": text})
    assert (answer.status, answer.json["id"]) == (422, "invalid_params")
