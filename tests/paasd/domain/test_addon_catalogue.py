"""Which services and plans there are, and the names that add-ons and attachments get."""

import random

import pytest

from paasd.domain.addon_catalogue import COLORS, Catalogue, built_in, free_attachment_name, generate_addon_name
from paasd.domain.errors import InvalidParams, NotFound

CATALOGUE = Catalogue(built_in())
POSTGRESQL = CATALOGUE.service("heroku-postgresql")


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("heroku-postgresql:essential-0", "heroku-postgresql:essential-0"),
        ("postgresql:small", "heroku-postgresql:small"),
        ("postgres", "heroku-postgresql:essential-0"),
        ("redis:mini", "heroku-redis:mini"),
        (POSTGRESQL.plans[1].id, "heroku-postgresql:essential-1"),
    ],
)
def test_a_plan_is_found_by_what_people_type(text: str, plan: str) -> None:
    service, found = CATALOGUE.plan(text)
    assert found.name == plan
    assert found in service.plans


@pytest.mark.parametrize("text", ["mysql", "postgresql:huge", "", ":mini", "redis:essential-0"])
def test_what_there_is_none_of_is_answered_with_what_there_is(text: str) -> None:
    with pytest.raises(NotFound, match=r"heroku-postgresql:essential-0, .*heroku-redis:mini"):
        CATALOGUE.plan(text)


def test_each_service_has_one_default_plan_and_all_have_ids_of_their_own() -> None:
    for service in CATALOGUE.services:
        assert [plan.default for plan in service.plans].count(True) == 1
    ids = [plan.id for service in CATALOGUE.services for plan in service.plans]
    assert len(set(ids)) == len(ids)


def test_another_plan_is_one_of_the_same_service() -> None:
    assert CATALOGUE.sibling(POSTGRESQL, "small").name == "heroku-postgresql:small"
    assert CATALOGUE.sibling(POSTGRESQL, "postgresql:small").name == "heroku-postgresql:small"
    with pytest.raises(InvalidParams, match="another service"):
        CATALOGUE.sibling(POSTGRESQL, "redis:mini")


def test_a_plan_that_is_not_offered_any_more_has_no_bounds() -> None:
    gone = CATALOGUE.plan_of("heroku-postgresql", "heroku-postgresql:hobby-dev")
    assert (gone.name, gone.memory, gone.disk) == ("heroku-postgresql:hobby-dev", None, None)


def test_names_are_made_as_heroku_makes_them() -> None:
    assert generate_addon_name(POSTGRESQL, random.Random(1)).split("-")[0] == "postgresql"
    assert free_attachment_name(POSTGRESQL, [], random.Random(1)) == "DATABASE"
    second = free_attachment_name(POSTGRESQL, ["DATABASE"], random.Random(1))
    assert second.removeprefix("HEROKU_POSTGRESQL_") in COLORS
    with pytest.raises(InvalidParams, match="--as"):
        taken = ["DATABASE", *(f"HEROKU_POSTGRESQL_{color}" for color in COLORS)]
        free_attachment_name(POSTGRESQL, taken, random.Random(1))
