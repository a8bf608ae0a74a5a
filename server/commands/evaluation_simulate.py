"""`leaver eval simulate`: made-up companies with planted leaks, through the real pipeline, next to
baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.table import Table

from server.commands.alert_text import detail_text
from server.commands.bars import bars
from server.commands.opening import echo_json, fail, json_option
from server.commands.tables import echo_table, echo_text
from server.evaluation.compared.baselines import MissingLibrary
from server.evaluation.compared.measured import Found, recall, together
from server.evaluation.compared.pictures import ENDINGS, recall_picture, timeline_picture
from server.evaluation.simulator.companies import evaluate_companies
from server.evaluation.simulator.evaluation import BUDGETS, TOLD, Method, SeedResult
from server.evaluation.simulator.explained_alerts import EXPLAINED_MAX, ExplainedAlerts
from server.evaluation.simulator.leaks import SHAPES
from server.evaluation.simulator.simulation import DAYS_MIN, PEOPLE_MIN
from server.evaluation.walk.walk import WalkFailed


def _picture(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in ENDINGS:
        raise click.BadParameter(f"{path.name}: a picture's name ends in {' or '.join(sorted(ENDINGS))}")
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}")
    return path


_RULES_SHOWN: Final = 8
_PICTURE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("simulate")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first one.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How many companies, one a seed.",
)
@click.option(
    "--people",
    type=click.IntRange(PEOPLE_MIN, 100_000),
    default=1000,
    show_default=True,
    help="Beside them shared accounts, one for every fifty.",
)
@click.option(
    "--days",
    type=click.IntRange(DAYS_MIN, 365),
    default=120,
    show_default=True,
    help="The last thirty are the test; the model learns from those before.",
)
@click.option(
    "--picture",
    type=_PICTURE,
    callback=_picture,
    metavar="FILE.png|svg",
    help="Recall against the budget, drawn.",
)
@click.option(
    "--timeline",
    type=_PICTURE,
    callback=_picture,
    metavar="FILE.png|svg",
    help="One person's days with a leak that was found, drawn.",
)
@click.option(
    "--explain",
    type=click.IntRange(0, EXPLAINED_MAX),
    default=0,
    show_default=True,
    help="Show so many alerts of each company in full, and check that the shares of all add up.",
)
@click.option(
    "--close-after",
    type=click.IntRange(0, 365),
    default=0,
    show_default=True,
    metavar="DAYS",
    help="The analyst closes alerts that are open for so many days; 0: each evening.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Companies at a time: each uses one core, and a gigabyte and a half.",
)
@json_option
def simulate(
    seed: int,
    seeds: int,
    people: int,
    days: int,
    picture: Path | None,
    timeline: Path | None,
    explain: int,
    close_after: int,
    processes: int,
    as_json: bool,
) -> None:
    """Leaks of nine shapes among the ordinary days of a company.

    Events, as collectors would tell them, go through the real pipeline, in an installation of its own that
    is thrown away afterwards; your data is not touched. In the same run baselines get plain counts of the
    same events. 1,000 people and 120 days are two and a half million events: some twenty minutes a seed.
    """
    results: list[SeedResult] = []
    try:
        with bars() as progress:
            wanted = range(seed, seed + seeds)
            results += evaluate_companies(
                wanted,
                people,
                days,
                progress,
                explain=explain,
                close_after=close_after,
                processes=processes,
            )
        _draw(results, picture, timeline)
    except (WalkFailed, MissingLibrary) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if as_json:
        echo_json(_json(results))
        _check_shares(results)
        return
    _echo(results)
    for path in (picture, timeline):
        if path is not None and path.exists():
            click.echo(f"Drawn: {path}")
    for result in results:
        if result.explained is not None:
            _echo_explained(result.explained)
    _check_shares(results)


def _echo_explained(found: ExplainedAlerts) -> None:
    for number, each in enumerate(found.alerts, start=1):
        shape = "about no leak" if each.shape is None else each.shape.replace("_", " ")
        click.echo(f"\n— {number} of {len(found.alerts)}: {shape} —\n")
        echo_text(detail_text(each.detail, is_stored=False))
        parts = " + ".join(str(share.points) for share in each.detail.shares)
        click.echo(f"\nThe parts add up: {parts} = {each.detail.alert.score}")
    good = found.checked - len(found.wrong)
    click.echo(f"\nThe shares of {good} of {found.checked} alerts add up to their scores.")


def _check_shares(results: Sequence[SeedResult]) -> None:
    wrong = [number for result in results if result.explained for number in result.explained.wrong]
    if wrong:
        fail(f"the shares of {len(wrong)} alerts do not add up to their scores: {wrong[:_RULES_SHOWN]}")


def _over_seeds(results: Sequence[SeedResult]) -> dict[str, dict[int, dict[str, Found]]]:
    """By method and budget: found by shape, of all seeds."""
    return {
        method.name: {
            budget: together([_named(result, method.name).found[budget] for result in results])
            for budget in BUDGETS
        }
        for method in results[0].methods
    }


def _named(result: SeedResult, name: str) -> Method:
    return next(method for method in result.methods if method.name == name)


def _auc(results: Sequence[SeedResult], name: str) -> float | None:
    found = [auc for result in results if (auc := _named(result, name).auc) is not None]
    return sum(found) / len(found) if found else None


def _draw(results: Sequence[SeedResult], picture: Path | None, timeline: Path | None) -> None:
    if picture is not None:
        curves = {
            name: {budget: recall(found) for budget, found in by_budget.items()}
            for name, by_budget in _over_seeds(results).items()
        }
        seeds = [result.seed for result in results]
        recall_picture(picture, curves, cases=sum(result.cases for result in results), seeds=seeds)
    if timeline is not None:
        found = next((result.timeline for result in results if result.timeline is not None), None)
        if found is None:
            click.echo("No leak was found: there is no timeline to draw.", err=True)
        else:
            timeline_picture(timeline, found)


def _json(results: Sequence[SeedResult]) -> dict[str, Any]:
    """`recall` by method and budget, over all seeds; then each seed by itself."""
    return {
        "recall": {
            name: {str(budget): round(recall(found), 4) for budget, found in by_budget.items()}
            for name, by_budget in _over_seeds(results).items()
        },
        "auc": {method.name: _auc(results, method.name) for method in results[0].methods},
        "raised_recall": recall(together([result.raised for result in results])),
        "standing_recall": recall(together([result.standing for result in results])),
        "seeds": msgspec.to_builtins(results, str_keys=True),
    }


def _echo(results: Sequence[SeedResult]) -> None:
    first = results[0]
    events = sum(result.events for result in results)
    cases = sum(result.cases for result in results)
    click.echo(
        f"{len(results)} companies of {first.people:,} accounts, {first.days} days, {events:,} events;"
        f" {cases} leaks in the last 30 days.\n"
    )
    everything = _over_seeds(results)
    for budget in TOLD:
        click.echo(f"Found at {budget} false alerts a day for 1,000 people:")
        echo_table(_table({name: found[budget] for name, found in everything.items()}, results))
        click.echo("")
    raised = together([result.raised for result in results])
    click.echo("Found by the alerts that Leaver really opened:")
    standing = together([result.standing for result in results])
    echo_table(_table({"alerts": raised, "or open by then": standing}, None))
    loads = [result.load for result in results]
    mean = sum(load.mean for load in loads) / len(loads)
    p95, most = max(load.p95 for load in loads), max(load.most for load in loads)
    click.echo(
        f"\nPeople with a false alert a day: {mean:.1f} on average, {p95:.0f} at the 95th percentile,"
        f" {most} at most; the budget is {5 * first.people / 1000:.1f}."
    )
    false_rules: Counter[str] = Counter()
    for result in results:
        false_rules.update(result.false_rules)
    for rule, count in false_rules.most_common(_RULES_SHOWN):
        click.echo(f"{count:>6} of them: {rule}")


def _table(found: dict[str, dict[str, Found]], results: Sequence[SeedResult] | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("all", justify="right")
    for shape in SHAPES:
        table.add_column(shape.replace("_", " "), justify="right", overflow="fold")
    if results is not None:
        table.add_column("AUC of days", justify="right")
    for name, by_shape in found.items():
        cells = [f"{recall(by_shape):.2f}"]
        for shape in SHAPES:
            each = by_shape.get(shape)
            cells.append("" if each is None else f"{each.found}/{each.cases}")
        if results is not None:
            auc = _auc(results, name)
            cells.append("" if auc is None else f"{auc:.3f}")
        table.add_row(name, *cells)
    return table
