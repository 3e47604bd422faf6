"""docs/api.md, made of the routes: `python -m tests.paasd.api.api_page` writes it."""

from pathlib import Path

from aiohttp import web

from paasd.api.openapi import PUBLIC_ROUTES, Operation, operations, published, routes_of, unserved
from paasd.api.policy import POLICIES
from paasd.api.server import MODULES, health

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
BESIDE = (
    ("git", "`/APP.git`: clone, fetch and push over smart HTTP, with a token as the password"),
    ("streams", "what `output_stream_url` and `logplex_url` lead to: the URL is the secret, good for 2 to 3 hours (of "
        "a log, while whoever asked for it may see the app); of "
        "an output, `Range: bytes=N-` has what was printed from byte N on, or from the first that is kept, which is in "
        "`Content-Range`"),
    ("rendezvous", "`heroku run`: TLS on the same port, told apart by its first bytes"),
    ("ssh", "`GET /attach/SECRET` with `Upgrade: tcp`: `heroku run` in SSH mode; the URL is the secret, good once"),
)  # fmt: skip


def page(routes: list[tuple[str, str]]) -> str:
    """The whole document."""
    schema = published()
    found, missing = operations(routes, schema), unserved(routes, schema)
    own = sum(operation.noun is None for operation in found)
    heroku = sum(operation.noun is not None for operation in found)
    lines = [
        "# The API",
        "",
        "Heroku's Platform API v3, and what paasd adds to it, on one port over http and https. A token goes in",
        "`Authorization: Bearer …`, or as the password of Basic. `GET /openapi.json` describes what is served (OpenAPI",
        "3.1), `GET /schema` is Heroku's own JSON hyper-schema cut down to it; neither needs a token. Answers keep to",
        "that schema; requests are taken more loosely, as real clients need it.",
        "",
        f"{heroku} of the {heroku + len(missing)} calls that Heroku publishes are served, and {own} of our own.",
        "",
        "| Call | What it does | Scope | Permission |",
        "|---|---|---|---|",
        *(_row(operation) for operation in found),
        "",
        "Beside these:",
        "",
        *(f"- {name}: {words}" for name, words in BESIDE),
        "",
        "## What Heroku publishes and paasd does not serve",
        "",
        "`{}` stands for an id or a name. These answer 404 `not_found`, or 422 with what to do instead.",
        "",
        *(f"- `{name}`" for name in missing),
    ]
    return "\n".join(lines) + "\n"


def _row(operation: Operation) -> str:
    policy = POLICIES.get(operation.name)
    summary = " ".join(operation.summary.split()).split(". ")[0].rstrip(".").replace("|", "\\|")
    if policy is None:
        return f"| `{operation.name}` | {summary} | none: no token | |"
    permission = "admin" if policy.admin else policy.permission or ""
    return f"| `{operation.name}` | {summary} | {policy.scope} | {permission} |".replace("|  |", "| |")


def all_routes() -> list[tuple[str, str]]:
    """Those of the application, without one."""
    api = web.Application()
    api.add_routes(
        [web.get("/health", health), *PUBLIC_ROUTES, *(route for module in MODULES for route in module.ROUTES)]
    )
    return routes_of(api)


if __name__ == "__main__":
    PAGE.write_text(page(all_routes()))
