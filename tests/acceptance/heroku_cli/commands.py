"""The CLI's commands that have work for a server (heroku 11.10.0), and what docs/heroku-cli.md says of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FIRST = """
    apps:open maintenance maintenance:off maintenance:on releases releases:info releases:output
    releases:rollback
"""
SECOND = """
    addons addons:attach addons:create addons:destroy addons:detach addons:info apps apps:create apps:destroy
    apps:info apps:rename auth:login auth:logout auth:token auth:whoami config config:edit config:get
    config:set config:unset domains domains:add domains:clear domains:info domains:remove drains drains:add
    drains:remove git:clone git:credentials git:remote logs ps ps:restart ps:scale ps:stop ps:type ps:wait
    releases:retry run run:detached
"""
THIRD = """
    access access:add access:remove addons:open addons:plans addons:rename addons:services addons:upgrade
    addons:wait apps:diff apps:stacks apps:stacks:set authorizations authorizations:create
    authorizations:info authorizations:revoke authorizations:rotate authorizations:update buildpacks
    buildpacks:add buildpacks:clear buildpacks:remove buildpacks:set certs certs:add certs:auto
    certs:auto:disable certs:auto:enable certs:auto:refresh certs:info certs:remove certs:update console
    domains:update domains:wait features features:disable features:enable features:info keys keys:add
    keys:clear keys:remove local local:run local:version pg:bloat pg:blocking pg:cache-hit pg:calls
    pg:credentials pg:credentials:url pg:extensions pg:fdwsql pg:index-size pg:index-usage pg:info pg:kill
    pg:locks pg:long-running-queries pg:mandelbrot pg:outliers pg:promote pg:ps pg:psql pg:records-rank
    pg:reset pg:seq-scans pg:table-indexes-size pg:table-size pg:total-index-size pg:total-table-size
    pg:unused-indexes pg:user-connections pg:vacuum-stats pg:wait pipelines pipelines:add pipelines:create
    pipelines:destroy pipelines:info pipelines:promote pipelines:remove pipelines:rename pipelines:update
    rake regions run:inside sessions sessions:destroy webhooks webhooks:add webhooks:deliveries
    webhooks:deliveries:info webhooks:info webhooks:remove webhooks:update
"""
READS = ("certs:auto",)  # answered as truthfully as `certs`, though its name begins as below
LATER: Mapping[str, str] = {  # by the beginning of a name
    "domains:update": "it chooses a certificate, and those of your own are not built yet",
    "certs:": "certificates of your own are not built yet; `*.localhost` has its own (`paas ca`)",
    "pg:fdwsql": "the CLI itself refuses it for Essential plans",
    "pipelines:": "pipelines are not built yet",
}
DIFFERS: Mapping[str, str] = {
    "pg:calls": "after `CREATE EXTENSION pg_stat_statements`, as the CLI says",
    "pg:outliers": "after `CREATE EXTENSION pg_stat_statements`, as the CLI says; `--reset` is refused",
    "addons:destroy": "the data is kept for 7 days (`paas addons:undestroy`)",
    "addons:open": "a page of paasd's own, or the partner's dashboard; the address is good for 2 to 3 hours",
    "addons:upgrade": "a plan is bounds of memory, disk and connections; all are free",
    "apps:open": "prints the address where there is no browser",
    "buildpacks:add": "the next build goes by them, unless the source has a Dockerfile",
    "buildpacks:set": "the next build goes by them, unless the source has a Dockerfile",
    "certs": "answers that there are none",
    "certs:auto": "answers that it is off",
    "features:disable": "`preboot` is always on, and this is refused with the reason",
    "features:enable": "`preboot` is always on",
    "local": "needs no server",
    "local:run": "needs no server",
    "local:version": "needs no server",
    "pg:psql": "through a psql of this machine; `paas pg:psql` needs none",
    "pipelines": "answers that there are none",
    "ps:type": "sizes are those of `sizes` in paasd.yaml; the CLI prints Heroku's prices beside names it knows",
    "releases:retry": "ends with 0 even if the release fails afterwards, as with Heroku",
    "releases:rollback": "ends with 0 even if the release fails afterwards, as with Heroku; `paas rollback` does not",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table. `later` says why it does not work yet, None when it does."""

    name: str
    priority: int
    later: str | None
    differs: str | None


def _all() -> Iterator[Command]:
    for priority, listed in enumerate((FIRST, SECOND, THIRD), 1):
        for name in listed.split():
            later = next((why for start, why in LATER.items() if name.startswith(start) and name not in READS), None)
            yield Command(name, priority, later, DIFFERS.get(name))


COMMANDS: Mapping[str, Command] = {command.name: command for command in _all()}
ALIASES: Mapping[str, str] = {
    "rollback": "releases:rollback",
    "open": "apps:open",
    "whoami": "auth:whoami",
    "login": "auth:login",
    "logout": "auth:logout",
    "restart": "ps:restart",
    "stack": "apps:stacks",
    "info": "apps:info",
}


def document() -> str:
    """docs/heroku-cli.md."""
    works = [command for command in COMMANDS.values() if command.later is None]
    lines = [
        "# The official heroku CLI, command by command",
        "",
        f"heroku 11.10.0, unmodified: {len(works)} of its {len(COMMANDS)} commands with work for a server do it here.",
        "Each was run against a real daemon, its output and exit code checked, and every connection it asked for was",
        "to this machine. `make heroku-cli-table` does that again, and makes this page.",
        "",
        "Of the plugin heroku-builds, which this version can't load, `builds`, `builds:create`, `builds:info`,",
        "`builds:output`, `builds:cancel` and `builds:cache:purge` are run with heroku 8.11.5 (`make other-clients`).",
        "",
        "| Command | Works | Differs |",
        "|---|---|---|",
    ]
    for command in COMMANDS.values():
        verdict = "yes" if command.later is None else "no"
        lines.append(
            f"| `{command.name}` | {verdict} | {command.later or command.differs or ''} |".replace("|  |", "| |")
        )
    return "\n".join(lines) + "\n"
