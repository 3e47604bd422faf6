"""`auth:login`, `auth:logout`: a token for this host in ~/.netrc, where the heroku CLI keeps its own."""

from __future__ import annotations

import click

from paasd.cli import netrc, output, settings
from paasd.cli.client import Api, path
from paasd.cli.errors import ApiError, CliError
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, json_option
from paasd.cli.settings import KEY, Settings

SECTION = "Access"
DAYS = 24 * 3600
EXPIRES_SECONDS = 30 * DAYS
DESCRIPTION = "paas auth:login"
SOURCE = "this login"


@click.command(cls=PaasCommand, name="auth:login", section=SECTION, example="paas auth:login", aliases=("login",))
@click.option("-i", "--interactive", is_flag=True, help="Ask for e-mail address and password here, not in a browser.")
@click.option(
    "-e", "--expires-in", type=click.IntRange(min=1), metavar="SECONDS", help="With -i: when it ends (30 days)."
)
@json_option
@click.pass_obj
def login(session: Session, interactive: bool, expires_in: int | None, as_json: bool) -> None:
    """Log in; the token is kept in ~/.netrc, where the heroku CLI looks, too."""
    if settings.key_is_set():
        raise CliError(f"{KEY} is set, and a login would not count beside it: unset it first.")
    if expires_in is not None and not interactive:
        raise CliError("A login in the browser lasts 30 days: leave --expires-in out, or add -i.")
    where = settings.address(session.home)
    secret = _by_password(where, expires_in or EXPIRES_SECONDS) if interactive else _by_browser(where)
    account = Api(where._replace(token=secret, token_source=SOURCE)).get("/account")
    netrc.keep(settings.netrc_file(), where.host, netrc.Login(account["email"], secret))
    if as_json:
        output.print_json(account)
    else:
        output.write(["Logged in as ", Styled(account["email"], output.NAME)])


@click.command(cls=PaasCommand, name="auth:logout", section=SECTION, example="paas auth:logout", aliases=("logout",))
@json_option
@click.pass_obj
def logout(session: Session, as_json: bool) -> None:
    """End the login: its token is good for nothing any more."""
    where, file = settings.address(session.home), settings.netrc_file()
    kept = netrc.find(file, where.host)
    if kept is None:
        raise CliError(f"There is no login to {where.host} in {file}: nothing is to be ended.")
    with output.action("Logging out"):
        _end(Api(where._replace(token=kept.password, token_source=str(file))))
        netrc.forget(file, where.host)
    if as_json:
        output.print_json({"email": kept.login})


def _by_password(where: Settings, expires_in: int) -> str:
    email = str(click.prompt("Email", err=True)).strip()
    word = str(click.prompt("Password", hide_input=True, err=True))
    api = Api(where._replace(token=word), password_of=email)
    wish = {"description": DESCRIPTION, "expires_in": expires_in, "scope": ["global"]}
    return str(api.post("/oauth/authorizations", wish)["access_token"]["token"])


def _by_browser(where: Settings) -> str:
    """Asked again for as long as the page is good, which is ten minutes."""
    import webbrowser

    begun = Api(where).post("/auth", {"description": DESCRIPTION})
    url = where.api + begun["browser_url"]
    click.echo(f"Opening {url}...", err=True)
    webbrowser.open(url)
    api = Api(where._replace(token=begun["token"], token_source=SOURCE))
    with output.action("Waiting for login"):
        while "access_token" not in (answer := api.get(begun["cli_url"])):
            pass
    return str(answer["access_token"])


def _end(api: Api) -> None:
    """Whichever kind of token it is; one that is refused is at its end already."""
    for what in ("sessions", "authorizations"):
        try:
            api.delete(path("oauth", what, "~"))
            return
        except ApiError as error:
            if error.status == 401:
                return
            if error.status != 404:
                raise


COMMANDS = (login, logout)
"""Both."""
