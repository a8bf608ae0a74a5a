"""A group of commands whose modules are imported when one of them is called: its help costs nothing of them.

What the group's help says of each stands in its table; a test holds it against the commands' own words.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec


class Lazy(msgspec.Struct, frozen=True):
    """Where a command is, and the first sentence of its help."""

    module: str
    attribute: str
    words: str

    def load(self) -> click.Command:
        command = getattr(importlib.import_module(self.module), self.attribute)
        assert isinstance(command, click.Command)
        return command


class LazyCommands(click.Group):
    """Those of the table in its order, then what was added besides."""

    def __init__(self, *args: Any, lazily: Mapping[str, Lazy], **more: Any) -> None:
        super().__init__(*args, **more)
        self.lazily: Final = lazily

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazily, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.lazily.get(cmd_name)
        return super().get_command(ctx, cmd_name) if found is None else found.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # As click writes it, by words that are here.
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        rows = [(name, self._shown(name).get_short_help_str(room)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _shown(self, name: str) -> click.Command:
        found = self.lazily.get(name)
        return self.commands[name] if found is None else click.Command(name, help=found.words)
