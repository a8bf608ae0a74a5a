"""The command `leaver`. Each command's module is imported when it is called, so that --help is quick."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "up": ("server.commands.running", "up"),
    "worker": ("server.commands.worker", "worker"),
    "init": ("server.commands.running", "init"),
    "status": ("server.commands.status", "status"),
    "agents": ("server.commands.agents", "agents"),
    "people": ("server.commands.people", "people"),
    "leavers": ("server.commands.leavers", "leavers"),
    "alerts": ("server.commands.alerts", "alerts"),
    "evidence": ("server.commands.evidence", "evidence"),
    "policy": ("server.commands.policy", "policy"),
    "erase": ("server.commands.erase", "erase"),
    "audit": ("server.commands.audit", "audit"),
    "dead-letters": ("server.commands.status", "dead_letters_group"),
    "model": ("server.commands.model", "model"),
    "store": ("server.commands.store", "store"),
    "config": ("server.commands.running", "config_group"),
    "demo": ("server.commands.demo", "demo"),
    "eval": ("server.commands.evaluation", "evaluation"),
    "kafka": ("server.commands.kafka", "kafka"),
    "token": ("server.commands.tokens", "token_group"),
    "users": ("server.commands.users", "users"),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage or settings, 3 findings, 4 the data cannot be reached.",
)
@click.version_option(package_name="leaver", prog_name="leaver")
def main() -> None:
    """Leaver: tells you, within a minute and with proof, when someone who is leaving takes data along."""
