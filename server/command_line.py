"""The command `leaver`. Each command's module is imported when it is called, so that --help is quick."""

from __future__ import annotations

import click

from server.commands.lazy_commands import Lazy, LazyCommands

_COMMANDS = {
    "up": Lazy("server.commands.running", "up", "Run the server: HTTPS for agents, pipeline, housekeeping."),
    "worker": Lazy(
        "server.commands.worker",
        "worker",
        "Work on a share of the log beside leaver up; needs Kafka and PostgreSQL.",
    ),
    "init": Lazy(
        "server.commands.running",
        "init",
        "Make the data directory, database and CA, without running anything.",
    ),
    "status": Lazy("server.commands.status", "status", "Health of the installation."),
    "agents": Lazy(
        "server.commands.agents",
        "agents",
        "The programs on endpoints: enrol, list, revoke, set what they collect.",
    ),
    "people": Lazy(
        "server.commands.people",
        "people",
        "Who works here, and who is leaving when: HR's view, without alerts.",
    ),
    "leavers": Lazy(
        "server.commands.leavers",
        "leavers",
        "Who is leaving or has left, and what is still open: the list that HR, IT and security work through.",
    ),
    "alerts": Lazy("server.commands.alerts", "alerts", "What was found: the queue, the proof, the verdict."),
    "evidence": Lazy(
        "server.commands.evidence",
        "evidence",
        "Evidence packs: what was found, in one archive that shows whether it was changed.",
    ),
    "policy": Lazy(
        "server.commands.policy",
        "policy",
        "Sigma rules and exceptions: what runs, in which version; check, test, back-test and change them.",
    ),
    "erase": Lazy(
        "server.commands.erase",
        "erase",
        "Erase a person, an account of nobody, or days: from database and log, while the server runs.",
    ),
    "audit": Lazy("server.commands.audit", "audit", "What was done here, by whom: a chain of hashes."),
    "dead-letters": Lazy(
        "server.commands.status",
        "dead_letters_group",
        "Records and events that could not be read; they are kept aside.",
    ),
    "model": Lazy(
        "server.commands.model", "model", "The models of normal behaviour that anomaly scores come from."
    ),
    "store": Lazy("server.commands.store", "store", "The database behind an installation."),
    "config": Lazy("server.commands.running", "config_group", "The server's settings."),
    "demo": Lazy("server.commands.demo", "demo", "A sample company to try Leaver on."),
    "eval": Lazy(
        "server.commands.evaluation",
        "evaluation",
        "How well Leaver tells leaks from what only looks like one.",
    ),
    "kafka": Lazy(
        "server.commands.kafka",
        "kafka",
        "Brokers: make them ready, and give certificates to them and to workers.",
    ),
    "token": Lazy(
        "server.commands.tokens",
        "token_group",
        "Tokens for the HTTPS interface: the administrator's, and those of service accounts.",
    ),
    "users": Lazy("server.commands.users", "users", "Who signs in to the console, and in which role."),
}


@click.group(
    cls=LazyCommands,
    lazily=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage or settings, 3 findings, 4 the data cannot be reached.",
)
@click.version_option(package_name="leaver", prog_name="leaver")
def main() -> None:
    """Leaver: tells you, within a minute and with proof, when someone who is leaving takes data along."""
