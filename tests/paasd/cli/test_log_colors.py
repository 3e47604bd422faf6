"""The colours of log lines: they add colour and change no character."""

from __future__ import annotations

import re

import pytest

from paasd.cli.log_colors import colored

AT = "2026-11-23T06:00:00.000000+00:00"


@pytest.mark.parametrize(
    "line",
    [
        f'{AT} heroku[router]: at=error code=H12 method=GET path="/a b" dyno=web.1 service=700ms status=503',
        f"{AT} heroku[router]: at=info method=GET path=/ service=7000ms status=200 bytes=",
        f"{AT} heroku[web.1]: State changed from starting to up",
        f"{AT} heroku[web.1]: Process exited with status 1",
        f"{AT} heroku[web.1]: Starting process with command `gunicorn`",
        f"{AT} app[api]: Release v3 created by user owner@localhost",
        f"{AT} heroku[api]: Build succeeded",
        f"{AT} heroku[api]: Build failed -- see the build log",
        f"{AT} app[clock.1]: tick",
        f"{AT} app[web.1]: ",
        "no head at all",
    ],
)
def test_only_colour_is_added(line: str) -> None:
    shown = colored(line)
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == line
    assert line == "no head at all" or shown != line


def test_an_error_of_the_router_is_red() -> None:
    assert "\x1b[31m503" in colored(f"{AT} heroku[router]: at=error status=503")
