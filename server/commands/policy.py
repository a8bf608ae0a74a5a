"""`leaver policy`: its commands, each loaded when it is called."""

from __future__ import annotations

import click

from server.commands.lazy_commands import Lazy, LazyCommands

_COMMANDS = {
    "list": Lazy(
        "server.commands.policy_list",
        "show_list",
        "Rules and exceptions: whether they run, in which version, what they found or hid.",
    ),
    "show": Lazy(
        "server.commands.policy_list",
        "show_one",
        "One rule or exception: what it is for, what to do when it fires, and its text.",
    ),
    "check": Lazy(
        "server.commands.policy_check",
        "check",
        "All faults of rules and exceptions in files and folders, at once, each with its line.",
    ),
    "test": Lazy(
        "server.commands.policy_check",
        "test",
        "Runs the examples of rules: those that must fire, and those that must stay silent.",
    ),
    "record": Lazy(
        "server.commands.policy_record",
        "show_record",
        "Events that examples of rules begin with: all names, or NAME as rules see it, as JSON.",
    ),
    "backtest": Lazy(
        "server.commands.policy_backtest",
        "run_backtest",
        "What RULE, or the rules and exceptions in DIR, would have found in what is stored.",
    ),
    "history": Lazy(
        "server.commands.policy_changes", "history", "Who changed RULE, when and why, newest first."
    ),
    "save": Lazy(
        "server.commands.policy_changes",
        "save_file",
        "Take the rule or exception in FILE over, in use from now on, as a new version of its id.",
    ),
    "enable": Lazy("server.commands.policy_changes", "enable", "Use a rule or exception again."),
    "disable": Lazy("server.commands.policy_changes", "disable", "Take a rule or exception out of use."),
    "rollback": Lazy("server.commands.policy_changes", "rollback", "Go back to what VERSION of RULE said."),
    "except": Lazy(
        "server.commands.policy_except",
        "make_exception",
        "Leave some events out of what RULE finds, until a day.",
    ),
    "match": Lazy(
        "server.commands.policy_match",
        "match",
        "Runs rules and correlations over a file of events, mapping nothing.",
    ),
}


@click.group("policy", cls=LazyCommands, lazily=_COMMANDS)
def policy() -> None:
    """Sigma rules and exceptions: what runs, in which version; check, test, back-test and change them."""
