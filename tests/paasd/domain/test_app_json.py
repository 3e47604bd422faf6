"""app.json as people write it, and what it can't mean."""

import pytest

from paasd.domain.app_json import AppJson, EnvEntry, WantedAddon, parse_app_json
from paasd.domain.errors import BuildFailed


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("{}", {}),
        ('{"name": "shop", "env": {}}', {}),
        ('{"healthchecks": {"web": [{"type": "startup", "path": "/ok"}]}}', {"web": "/ok"}),
        ('{"healthchecks": {"web": {"path": "/ok?full=1"}, "x": [{"path": "/a"}]}}', {"web": "/ok?full=1", "x": "/a"}),
        ('{"healthchecks": {"web": [{"type": "liveness"}, 7, {"path": 1}, {"path": "/second"}]}}', {"web": "/second"}),
        ('{"healthchecks": {"web": []}}', {}),
        ('{"healthchecks": {"web": "no"}}', {}),
    ],
)  # fmt: skip
def test_health_paths_of_app_json(text: str, paths: dict[str, str]) -> None:
    assert parse_app_json(text).health_paths == paths


def test_what_a_page_must_hold_is_looked_for_at_the_path_or_at_the_top() -> None:
    found = parse_app_json('{"healthchecks": {"web": [{"content": "hi"}], "x": {"path": "/a", "content": "b"}}}')
    assert (found.health_paths, found.health_contents) == ({"web": "/", "x": "/a"}, {"web": "hi", "x": "b"})


def test_one_add_on_need_not_be_a_list() -> None:
    """As httpbin has it."""
    assert parse_app_json('{"addons": "sentry"}').addons == (WantedAddon("sentry"),)


def test_what_is_not_heeded_is_said() -> None:
    """Bites: an app whose cron is believed to run."""
    found = parse_app_json(
        """{"cron": [{"command": "x", "schedule": "@daily"}], "formation": {"web": {"quantity": 1, "size": "2x"}},
        "healthchecks": {"web": [{"path": "/", "name": "a", "timeout": 5, "httpHeaders": []}]}}"""
    ).unheeded
    assert found == (
        '"cron" is not run here yet: have a process type that keeps the time',
        "of the health checks, not used here: 'httpHeaders' of 'web'",
    )


def test_what_is_of_other_platforms_is_named() -> None:
    """Bites: an app whose tests, or whose review apps' add-ons, are believed to be set up."""
    found = parse_app_json(
        """{"name": "a", "description": "b", "logo": "c", "$schema": "d", "stack": "heroku-24", "image": "x",
        "environments": {"test": {"scripts": {"test": "y"}}}, "scripts": {"test": "z", "postdeploy": "p"}}"""
    ).unheeded
    assert found == (
        '"environments" is not used: there are neither review apps nor test runs here',
        '"stack" is not used: the version that the source asks for chooses it',
        "not used here: 'image', 'scripts.test'",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "app.json is not valid JSON .*; mend it or remove it"),
        ("[]", "write an object"),
        ('{"healthchecks": []}', 'write "healthchecks" as an object of process types'),
        ('{"healthchecks": {"web": [{"path": "ok"}]}}', "of 'web' must start with /"),
        ('{"healthchecks": {"web": [{"path": "/a b"}]}}', "hold no spaces"),
        ('{"healthchecks": {"web": [{"path": "/", "content": 7}]}}', "'web' looks for must be a text"),
        ('{"healthchecks": {"web": [{"path": "/a\\r\\nX: 1"}]}}', "hold no spaces"),
        ('{"healthchecks": {"web": [{"path": "/\\u007f"}]}}', "hold no spaces"),
        ('{"addons": {"plan": "heroku-postgresql"}}', 'write "addons" as a list'),
        ('{"formation": {"web": {"size": 2}}}', "write the size of formation.web as a name"),
        ('{"env": {"A": "a\\u0000"}}', r"env\.A can't be set"),
        ('{"env": {"A": {"value": "\\ud800"}}}', r"env\.A can't be set"),
        ('{"addons": [7]}', 'write each of "addons" as "heroku-postgresql:essential-0"'),
        ('{"addons": [{"as": "DB"}]}', 'write each of "addons"'),
        ('{"addons": ["Postgres SQL"]}', 'write each of "addons"'),
        ('{"addons": ["a:b:c"]}', 'write each of "addons"'),
        ('{"addons": [{"plan": "redis", "as": "my-db"}]}', "redis can't be attached as 'my-db'"),
        ('{"addons": [{"plan": "redis", "options": []}]}', "write the options of the add-on redis"),
        ('{"addons": [{"plan": "redis", "options": {"a": 7}}]}', "each a string"),
        ('{"addons": [{"plan": "redis", "as": "A"}, {"plan": "redis", "as": "A"}]}', "two add-ons .* as A"),
        ('{"addons": [' + '"redis",' * 20 + '"redis"]}', "more than 20"),
    ],
)
def test_an_app_json_that_can_not_be_meant(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        parse_app_json(text)


def test_everything_it_may_say() -> None:
    assert parse_app_json(
        """{"name": "shop", "env": {"A": "1", "B": {"value": "2"}, "C": {"generator": "secret"}, "D": {
        "required": false}, "E": {"description": "e"}}, "formation": {"web": {"quantity": 2, "size": "s"}, "worker": 1},
        "scripts": {"predeploy": "check", "postdeploy": {"command": "seed"}}, "build": ["TOKEN"],
        "buildpacks": [{"url": "heroku/python"}], "addons": ["redis", {"plan": "heroku-postgresql:essential-0",
        "as": "DB", "options": {"version": "15"}}, {"plan": "heroku-postgresql"}]}"""
    ) == AppJson(
        env={
            "A": EnvEntry("1"), "B": EnvEntry("2"), "C": EnvEntry(generated=True), "D": EnvEntry(required=False),
            "E": EnvEntry(),
        },
        formation={"web": 2, "worker": 1},
        predeploy="check",
        postdeploy="seed",
        build=("TOKEN",),
        buildpacks=("heroku/python",),
        addons=(
            WantedAddon("redis"), WantedAddon("heroku-postgresql:essential-0", "DB", {"version": "15"}),
            WantedAddon("heroku-postgresql"),
        ),
        sizes={"web": "s"},
    )  # fmt: skip


def test_none_says_nothing() -> None:
    assert parse_app_json(None) == parse_app_json('{"env": {}, "scripts": {"postdeploy": ""}}') == AppJson()


def test_values_are_not_shown() -> None:
    """Somebody may have written a secret there."""
    assert "hunter2" not in repr(parse_app_json('{"env": {"A": "hunter2"}}'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":' + "[" * 100_000, r"not valid JSON \(it is nested too deeply\); mend it"),
        ('{"env": {"A B": "1"}}', "'A B' can't be the name of a config var"),
        ('{"env": {"A": 1}}', "write env.A as a string"),
        ('{"env": {"A": {"value": 1}}}', "value of env.A must be a string"),
        ('{"env": {"A": {"generator": "dice"}}}', 'generator of env.A is not known; "secret" is'),
        ('{"formation": {"web": {"quantity": -1}}}', "a number from 0 to 100"),
        ('{"formation": {"web": true}}', "a number from 0 to 100"),
        ('{"scripts": {"predeploy": ["a"]}}', "write scripts.predeploy as a string"),
        ('{"scripts": []}', 'write "scripts" as an object'),
        ('{"build": "TOKEN"}', 'write "build" as a list'),
        ('{"build": ["A=1"]}', "'A=1' can't be the name"),
        ('{"buildpacks": [{"name": "x"}]}', 'write each of "buildpacks"'),
    ],
)
def test_what_it_can_not_mean_is_named(text: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words):
        parse_app_json(text)
