"""The whole command line: every module's commands are in it."""

import importlib
import pkgutil

import click

import paasd.cli
from paasd.cli.commands import build


def test_every_command_that_a_module_offers_can_be_called() -> None:
    offered = {
        command.name
        for module in pkgutil.iter_modules(paasd.cli.__path__)
        for command in getattr(importlib.import_module(f"paasd.cli.{module.name}"), "COMMANDS", ())
    }
    group = build()
    assert offered
    assert offered <= set(group.list_commands(click.Context(group)))
