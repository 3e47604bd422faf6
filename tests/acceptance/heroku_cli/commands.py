"""The CLI's commands that have work for a server (heroku 11.10.0), and what docs/heroku-cli.md says of each."""

from collections.abc import Mapping

ADDONS = "add-ons are not built yet"
CERTS = "certificates of your own are not built yet; https on `*.localhost` has its own (`paas ca`)"
PIPELINES = "pipelines are not built yet"
LATER: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("addons:attach", "addons:create", "addons:destroy", "addons:detach", "addons:info", "addons:open"),
            *("addons:plans", "addons:rename", "addons:services", "addons:upgrade", "addons:wait"),
        ),
        ADDONS,
    ),
    **dict.fromkeys(
        (
            *("certs:add", "certs:auto", "certs:auto:disable", "certs:auto:enable", "certs:auto:refresh"),
            *("certs:info", "certs:remove", "certs:update"),
        ),
        CERTS,
    ),
    **dict.fromkeys(
        (
            *("pipelines:add", "pipelines:create", "pipelines:destroy", "pipelines:info", "pipelines:promote"),
            *("pipelines:remove", "pipelines:rename", "pipelines:update"),
        ),
        PIPELINES,
    ),
    "pg:*": ADDONS,
}
