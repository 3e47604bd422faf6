"""Manifests of partners, and what is signed for them."""

import copy
import hashlib
from typing import Any

import pytest

from paasd.domain.errors import InvalidParams
from paasd.domain.partner import ACCESS, CODE, SECONDS, addon_of, issue, parse_manifest, read_values, sso_fields

KEY = b"k" * 32
GIVEN: dict[str, Any] = {
    "id": "acme",
    "api": {
        "config_vars": ["ACME_URL", "ACME_TOKEN"],
        "password": "s3cret",
        "sso_salt": "salt",
        "requires": ["many_per_app"],
        "production": {"base_url": "https://acme.example/", "sso_url": "https://acme.example/sso"},
        "version": "3",
    },
}


def given(**api: Any) -> dict[str, Any]:
    changed = copy.deepcopy(GIVEN)
    changed["api"] |= api
    return changed


def test_what_a_manifest_says() -> None:
    manifest = parse_manifest(GIVEN)
    assert (manifest.id, manifest.name, manifest.provider) == ("acme", "Acme", "partner:acme")
    assert manifest.resources == "https://acme.example/heroku/resources"
    assert manifest.plans == (("test", "Test"),)
    assert [manifest.suffix(name) for name in manifest.variables] == ["URL", "TOKEN"]
    assert manifest.secret == "s3cret"
    assert "s3cret" not in repr(manifest) and "'salt'" not in repr(manifest)
    other = parse_manifest(
        {**given(production={"base_url": "https://acme.example/v3/"}), "plans": ["a", {"id": "b", "name": "Big"}]},
        secret="other",
    )
    assert (other.resources, other.sso_url, other.secret) == ("https://acme.example/v3", None, "other")
    assert other.plans == (("a", "A"), ("b", "Big"))
    assert parse_manifest(GIVEN, ("basic",)).plans == (("basic", "Basic"),)
    old = parse_manifest(given(production="https://acme.example"))
    assert old.resources == "https://acme.example/heroku/resources"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "the manifest must be a JSON object"),
        ({"id": "Acme!"}, "id must be lower-case"),
        ({"id": "acme"}, "api must be"),
        (given(version="1"), "api.version must be 3"),
        (given(production={}), "base_url must be a URL"),
        (given(production={"base_url": "https://user:s3cret@acme.example"}), "base_url must be a URL without user"),
        (given(production={"base_url": "ftp://acme.example"}), "base_url must be a URL"),
        (given(production={"base_url": "https://[x"}), "base_url must be a URL"),
        (given(password=""), "api.password must be"),
        (given(sso_salt=7), "api.sso_salt must be"),
        (given(config_vars=[]), "api.config_vars must list"),
        (given(config_vars=["OTHER_URL"]), "begin with ACME_"),
        (given(requires="many_per_app"), "api.requires must be a list"),
        ({**GIVEN, "plans": ["../x"]}, "id must be lower-case"),
        ({**GIVEN, "plans": 7}, "plans must be a list"),
        ({**GIVEN, "name": "Acme\n"}, "name of acme must be a line"),
        ({**GIVEN, "plans": [{"id": "a", "name": "\ud800"}]}, "name of a must be a line"),
    ],
)
def test_what_is_no_manifest_is_a_sentence_without_secrets(wrong: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_manifest(wrong)
    assert "s3cret" not in str(caught.value)


def test_a_token_is_for_one_thing_one_add_on_and_a_time() -> None:
    """Bites when `_sign` leaves the purpose, the add-on or the end out."""
    token = issue(KEY, ACCESS, "a-b-c", 1000.0)
    assert addon_of(KEY, ACCESS, token, 1000.0 + SECONDS[ACCESS] - 1) == "a-b-c"
    assert addon_of(KEY, ACCESS, token, 1000.0 + SECONDS[ACCESS]) is None
    assert addon_of(KEY, CODE, token, 1000.0) is None
    assert addon_of(KEY, CODE, token.replace("-access-", "-code-"), 1000.0) is None
    assert addon_of(KEY, ACCESS, token.replace("a-b-c", "a-b-d"), 1000.0) is None
    assert addon_of(KEY, ACCESS, token.replace(str(1000 + SECONDS[ACCESS]), "999999999"), 1000.0) is None
    assert addon_of(b"other", ACCESS, token, 1000.0) is None
    for wrong in (
        "",
        "-",
        "addon-access-",
        "addon-access-x-y-z",
        "addon-access-x-9\u00b2-z",
        "t0ken",
        "addon-access-\udcff-9-z",
    ):
        assert addon_of(KEY, ACCESS, wrong, 0.0) is None


def test_config_vars_are_those_of_the_manifest() -> None:
    manifest = parse_manifest(GIVEN)
    assert read_values(manifest, {"ACME_URL": "u"}) == {"URL": "u"}
    wrongs: tuple[object, ...] = (
        [],
        {"OTHER": "x"},
        {"ACME_URL": 7},
        {"ACME_URL": "x" * 40_000},
        {"ACME_URL": "a\0"},
        {"ACME_URL": "\ud800"},
    )
    for wrong in wrongs:
        with pytest.raises(InvalidParams):
            read_values(manifest, wrong)


def test_the_form_of_single_sign_on() -> None:
    """Heroku's two formulas, written out."""
    fields = sso_fields(parse_manifest(GIVEN), "uuid", "theirs", "shop", "me", "me@example.org", 1234.9)
    assert fields["timestamp"] == "1234"
    assert fields["resource_token"] == hashlib.sha1(b"uuid:salt:1234").hexdigest()
    assert fields["token"] == hashlib.sha1(b"theirs:salt:1234").hexdigest()
    scoped = hashlib.sha256(b"uuid:salt:1234:me:me@example.org").hexdigest()
    assert (fields["user_scoped_resource_token"], fields["app"], fields["id"]) == (scoped, "shop", "theirs")
