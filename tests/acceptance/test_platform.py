"""What there is one or none of, with the official CLI: it goes on, and says what to do instead."""

from pathlib import Path

import pytest

from tests.acceptance.shop import HELLO, Shop
from tests.daemon import Daemon, shell_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.heroku_cli, pytest.mark.timeout(300)]

REFUSED = (
    (("features:disable", "preboot"), "new dynos always start beside the old ones"),
    (("labs:enable", "metal"), "there is only preboot here"),
    (("stack:set", "windows"), "there is only paasd-bookworm here"),
    (("addons:create", "heroku-postgresql:mini"), "There are no add-ons here"),
    (("addons:info", "db"), "Couldn't find that add-on"),
    (("addons:plans", "heroku-postgresql"), "Couldn't find that add-on service"),
    (("pipelines:create", "shop", "--stage", "production"), "There are no pipelines here"),
    (("certs:auto:enable",), "Certificates can't be added here yet"),
    (("apps:create", "elsewhere", "--region", "mars"), "there is only local here"),
)


def test_the_platform(daemon: Daemon, tmp_path: Path) -> None:
    """Bites: with an empty list of features, `[+] preboot` is missing; with 404 for a wish, its words are."""
    shop = Shop(daemon, shell_for(daemon, tmp_path, HELLO), "platform").create()
    run = shop.shell.run
    try:
        assert "[+] preboot" in run("heroku", "features") and "[+] preboot" in run("paas", "features")
        assert "already enabled" in run("heroku", "features:enable", "preboot", ok=False)
        assert "Enabled:" in run("heroku", "features:info", "preboot")
        assert "User Features owner@localhost" in run("heroku", "labs")
        assert "local" in run("heroku", "regions") and "local" in run("paas", "regions")
        assert "Warning: There is only the stack paasd-bookworm here" in " ".join(
            run("heroku", "stack:set", "heroku-24").replace("›", "").split()
        )
        url = "https://github.com/heroku/heroku-buildpack-python"
        assert "Next release on platform will use" in run("heroku", "buildpacks:set", url)
        assert url in run("heroku", "buildpacks") and url in run("paas", "buildpacks")
        assert "Buildpacks cleared" in run("heroku", "buildpacks:clear")
        assert "has no Buildpacks" in run("heroku", "buildpacks")
        for command in ("addons", "certs", "pipelines", "teams", "addons:services"):
            run("heroku", command)
        for refused, words in REFUSED:
            given = () if refused[0] in ("addons:plans", "apps:create") else ("-a", shop.name)
            said = " ".join(run("heroku", *refused, *given, ok=False).replace("›", "").split())
            assert words in said, said
        run("heroku", "apps:diff", shop.name, shop.name)
    finally:
        shop.call("DELETE")
