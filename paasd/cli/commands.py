"""The whole command line of `paas`. Every failure ends here: one sentence on stderr and exit code 1, or 2 for usage."""

from __future__ import annotations

import os
import sys

import click

from paasd.cli import (
    absent,
    access,
    addons,
    apps,
    apps_diff,
    authorizations,
    autocomplete,
    builds,
    ca,
    config,
    config_edit,
    deploy,
    disk,
    domains,
    drains,
    env,
    git,
    labs,
    login,
    logs,
    maintenance,
    one_off,
    pg,
    pg_backups,
    platform,
    ps,
    ps_actions,
    redis,
    releases,
    router,
    webhooks,
)
from paasd.cli.errors import CliError, print_error
from paasd.cli.group import PaasGroup, ReaderGoneError
from paasd.cli.session import PaasCommand, Session

HELP = "paas drives paasd, the platform on your own machine, with Heroku's commands and words."
INTERRUPTED = 130


def build() -> PaasGroup:
    """The whole command line."""
    commands: list[PaasCommand] = []
    for module in (
        env,
        autocomplete,
        ca,
        git,
        apps,
        apps_diff,
        builds,
        deploy,
        releases,
        config,
        config_edit,
        addons,
        domains,
        webhooks,
        absent,
        labs,
        platform,
        maintenance,
        ps,
        ps_actions,
        one_off,
        logs,
        drains,
        pg,
        pg_backups,
        redis,
        router,
        disk,
        access,
        login,
        authorizations,
    ):
        commands += [command for command in module.COMMANDS if isinstance(command, PaasCommand)]
    return PaasGroup("paas", commands, HELP)


def run() -> None:
    """Run one command and exit."""
    try:
        code = build().main(prog_name="paas", standalone_mode=False, obj=Session())
        sys.stdout.flush()
    except click.UsageError as error:
        usage = error.ctx.get_usage() if error.ctx and error.ctx.parent else ""
        print_error(error.format_message() + (f"\n{usage}" if usage else ""))
        code = error.exit_code
    except CliError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        print_error(error.format_message())
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        code = INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        # Without this the interpreter would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
