"""`leaver eval`: what Leaver finds, and where it stays silent, measured on made-up companies."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import msgspec
from rich.console import Console
from rich.table import Table

from server.alerts.traits import AlertTrait
from server.commands.evaluation_cert import cert
from server.commands.evaluation_simulate import simulate
from server.commands.opening import echo_json, fail, json_option
from server.commands.tables import echo_table, span
from server.evaluation.departures.evaluation import GOOD, Outcome, evaluate
from server.evaluation.departures.script import ScriptFailed
from server.evaluation.departures.streams import STREAMS

_VERDICTS = {
    "found": "alert",
    "silent": "silent",
    "missed": "MISSED",
    "wrong_person": "WRONG PERSON",
    "false_alarm": "FALSE ALARM",
}


@click.group("eval")
def evaluation() -> None:
    """How well Leaver tells leaks from what only looks like one."""


evaluation.add_command(cert)
evaluation.add_command(simulate)


@evaluation.command("departures")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other companies.")
@click.option(
    "--variants",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="How many of each stream, each with other names, times, addresses and amounts.",
)
@click.option(
    "--stream",
    "names",
    multiple=True,
    type=click.Choice(sorted(STREAMS)),
    metavar="NAME",
    help="Only this one. Again for more.",
)
@json_option
def departures(seed: int, variants: int, names: tuple[str, ...], as_json: bool) -> None:
    """Leaks around people's leaving, and look-alikes that must stay silent.

    Each is played through the real pipeline, in an installation of its own that is thrown away afterwards;
    your data is not touched. Exit code 3: a leak was missed, told of the wrong person, or something harmless
    raised an alert.
    """
    from policies.rule_file import load_policies  # noqa: PLC0415

    streams = [stream for name, stream in STREAMS.items() if not names or name in names]
    outcomes: list[Outcome] = []
    console = Console(stderr=True)
    try:
        with console.status("playing …") as status:
            for outcome in evaluate(streams, load_policies(), seed=seed, variants=variants):
                outcomes.append(outcome)
                status.update(f"{len(outcomes)} of {len(streams) * variants}: {outcome.stream}")
    except ScriptFailed as error:
        fail(str(error))
    if as_json:
        echo_json(msgspec.to_builtins(outcomes))
    else:
        echo_table(_table(outcomes))
        _echo_wrong(outcomes)
    if any(outcome.verdict not in GOOD for outcome in outcomes):
        sys.exit(3)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stream", "variants", "outcome", "after", "why", "traits"):
        table.add_column(name, overflow="fold")
    by_stream: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_stream.setdefault(outcome.stream, []).append(outcome)
    for name, played in by_stream.items():
        counts = {verdict: sum(o.verdict == verdict for o in played) for verdict in _VERDICTS}
        told = ", ".join(
            words if counts[verdict] == len(played) else f"{counts[verdict]} {words}"
            for verdict, words in _VERDICTS.items()
            if counts[verdict]
        )
        seconds = [o.seconds for o in played if o.seconds is not None]
        rules = {rule for o in played for alert in o.alerts for rule in alert.rules}
        traits = {_trait(trait) for o in played for alert in o.alerts for trait in alert.traits}
        after = "" if not seconds else _between(min(seconds), max(seconds))
        table.add_row(
            name, str(len(played)), told, after, "; ".join(sorted(rules)), ", ".join(sorted(traits))
        )
    return table


def _trait(trait: AlertTrait) -> str:
    """Its kind, and how rare it is."""
    kind = trait.kind.replace("_", " ")
    return kind if trait.others is None else f"{kind} (others: {trait.others})"


def _between(least: float, most: float) -> str:
    shown = [span(round(each * 1000)) for each in (least, most)]
    return shown[0] if shown[0] == shown[1] else " to ".join(shown)


def _echo_wrong(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.verdict in GOOD:
            continue
        expected = "nothing"
        if outcome.expects == "alert":
            expected = f"{outcome.suspect}, account of {outcome.owner}"
        click.echo(
            f"\n{outcome.stream}, variant {outcome.variant}: {_VERDICTS[outcome.verdict]}. {outcome.says}."
            f" Expected: {expected}."
        )
        for alert in outcome.alerts:
            click.echo(
                f"  {alert.score:>3} {alert.family}: {alert.subject}, account of {alert.owner},"
                f" by {alert.suspect}: {alert.sentence} [{'; '.join(alert.rules)}]"
            )
