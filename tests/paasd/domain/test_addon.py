"""Names of add-ons and attachments, and what of a config is an app's own."""

import pytest

from paasd.domain.addon import AttachedThen, check_addon_name, check_attachment_name, config_without
from paasd.domain.errors import InvalidParams


def test_what_attachments_gave_is_not_an_app_s_own_config() -> None:
    attached = AttachedThen("DATABASE", "id", "postgresql-flat-12", "heroku-postgresql:mini", ("DATABASE_URL",))
    config = {"DATABASE_URL": "postgres://u:p@h/d", "GREETING": "hello"}
    assert config_without(config, [attached]) == {"GREETING": "hello"}
    assert config_without(config, []) == config


@pytest.mark.parametrize("name", ["postgresql-flat-12345", "db", "a" * 63])
def test_names_that_add_ons_may_have(name: str) -> None:
    assert check_addon_name(name) == name


@pytest.mark.parametrize("name", ["", "a", "A-b", "-ab", "ab-", "a" * 64, "a/../b", "a.b", "1ab", None, 3, "ab\n"])
def test_names_that_they_may_not(name: object) -> None:
    with pytest.raises(InvalidParams, match="choose such a one"):
        check_addon_name(name)


@pytest.mark.parametrize("name", ["DATABASE", "A", "HEROKU_POSTGRESQL_BLUE", "A" * 63])
def test_names_that_attachments_may_have(name: str) -> None:
    assert check_attachment_name(name) == name


@pytest.mark.parametrize("name", ["", "database", "A-B", "1A", "_A", "A" * 64, "A=B", "A\0", None, ["A"], "AB\n"])
def test_names_that_attachments_may_not(name: object) -> None:
    with pytest.raises(InvalidParams, match="choose such a one"):
        check_attachment_name(name)
