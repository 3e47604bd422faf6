"""What the URL of a shared server says, and what such a provider has; its add-ons are in tests/contracts."""

from pathlib import Path

import pytest

from paasd.adapters.shared_addons import SharedAddons, parse_login
from paasd.domain.addon import Kind
from paasd.settings_addons import SharedSettings

URL = "postgres://ada:p%40ss@db.example.org:5433/main?sslmode=require"


def test_a_url_says_where_and_who() -> None:
    login = parse_login(URL)
    assert (login.host, login.port, login.user, login.database) == ("db.example.org", 5433, "ada", "main")
    assert (login.password, login.sslmode, login.local) == ("p@ss", "require", False)
    assert parse_login("postgresql://ada@localhost").database == "postgres"
    assert all(parse_login(f"postgres://ada@{host}/x").local for host in ("127.0.0.1", "[::1]", "localhost"))


@pytest.mark.parametrize(
    "url",
    ["", "db.example.org", "mysql://a:secret@b/c", "postgres://:secret@/c", "postgres://a:secret@b:port/c",
     "postgres://a:secret@b/c?host=/tmp"],
)  # fmt: skip
def test_one_that_is_none_is_a_sentence_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"shared PostgreSQL server .*paasd.yaml as postgres://USER") as refused:
        parse_login(url)
    assert "secret" not in str(refused.value)


def test_the_password_is_shown_nowhere() -> None:
    assert "p@ss" not in repr(parse_login(URL)) and "p%40ss" not in repr(SharedSettings(postgresql=URL))


async def test_what_it_has_not_is_said(tmp_path: Path) -> None:
    async with SharedAddons("7e57ab1e", tmp_path, None) as provider:
        assert "PostgreSQL only" in (await provider.problem(Kind.REDIS) or "")
        assert "addons.shared.postgresql in paasd.yaml" in (await provider.problem(Kind.POSTGRESQL) or "")
    async with SharedAddons("7e57ab1e", tmp_path, "postgres://a:b@127.0.0.1/x", containers=True) as provider:
        assert "can't reach a server at 127.0.0.1" in (await provider.problem(Kind.POSTGRESQL) or "")
