"""`leaver model show`, `compare`, `activate`, `rollback`: the anomaly models over all activities."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from analytics.sealed_bytes import StoredStateError
from server.commands.bars import bars
from server.commands.model_words import comparison_lines, model_lines
from server.commands.opening import (
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.people.pseudonyms import shown_names
from server.training.model_comparison import DAYS, DifferingAlert, compare_models
from server.training.stored_models import (
    StoredModel,
    UnknownModel,
    active_model,
    choose_model,
    load_model,
    model_before,
    stored_model,
)

_REASON_CHARACTERS = 1000
_reason = click.option("--reason", required=True, help="Why; kept in the audit trail.")
_model = click.argument("model_id", metavar="MODEL", type=click.IntRange(1))


class _Shown(msgspec.Struct, frozen=True):
    """`features` by activity; `forests`: which of them have one."""

    model: StoredModel
    groups: int
    features: dict[str, list[str]]
    forests: list[str]
    p_shares: list[float]


@click.command("show")
@_model
@data_option
@json_option
def show(model_id: int, data: Path | None, as_json: bool) -> None:
    """What a model was learnt from, its features, lines and versions, and how the weeks since looked."""
    with open_installation(data) as installation, installation.database.read() as connection:
        try:
            model = stored_model(connection, model_id)
            content = load_model(connection, model_id).content
        except (UnknownModel, StoredStateError) as error:
            fail(str(error))
    if as_json:
        features = {name: each.features for name, each in content.activities.items()}
        if content.drift is not None:
            features["drift"] = content.drift.features
        forests = [name for name, each in content.activities.items() if each.forest is not None]
        echo_json(_Shown(model, len(content.groups), features, forests, content.p_shares))
        return
    for line in model_lines(model, content):
        click.echo(line)


@click.command("compare")
@_model
@click.argument("other_id", metavar="[OTHER]", type=click.IntRange(1), required=False)
@click.option("--days", type=click.IntRange(1, 60), default=DAYS, show_default=True, help="The last so many.")
@data_option
@json_option
def compare(model_id: int, other_id: int | None, days: int, data: Path | None, as_json: bool) -> None:
    """What MODEL and OTHER (else the active one) would each have alerted about on the last days.

    Nothing changes. Policies and judgements are left out; names are pseudonyms.
    """
    with open_installation(data) as installation:
        database = installation.database
        try:
            with database.read() as connection:
                active = active_model(connection)
                if other_id is None and active is None:
                    fail("there is no active anomaly model to compare with: name two")
                wanted = (model_id, other_id if other_id is not None or active is None else active.id)
                if wanted[0] == wanted[1]:
                    raise click.UsageError(f"model {model_id} is the same one: name another")
                models = {number: load_model(connection, number) for number in wanted if number is not None}
            with bars() as move:
                found = compare_models(
                    database,
                    models,
                    now=system_clock(),
                    days=days,
                    activity_days=installation.config.retention.activity_days,
                    progress=lambda done, of: move("scoring", done, of),
                )
        except (UnknownModel, StoredStateError, ValueError) as error:
            fail(str(error))
        _, shown = shown_names(database, {each.subject for each in found.differing})
    if as_json:
        masked = tuple(_masked(each, shown[each.subject]) for each in found.differing)
        echo_json(msgspec.structs.replace(found, differing=masked))
        return
    for line in comparison_lines(found, shown):
        click.echo(line)


def _masked(alert: DifferingAlert, shown: str) -> DifferingAlert:
    return msgspec.structs.replace(alert, subject=shown)


@click.command("activate")
@_model
@_reason
@data_option
@json_option
def activate(model_id: int, reason: str, data: Path | None, as_json: bool) -> None:
    """Score with this model from the next batch on, until another is chosen or trained by hand."""
    reason = checked_reason(reason, _REASON_CHARACTERS)
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                chosen = choose_model(
                    connection, model_id, now=system_clock(), actor=system_actor(), reason=reason
                )
        except (UnknownModel, StoredStateError) as error:
            fail(str(error))
    _say(chosen, as_json)


@click.command("rollback")
@_reason
@data_option
@json_option
def rollback(reason: str, data: Path | None, as_json: bool) -> None:
    """Go back to the model that was in use before the active one, and stay there."""
    reason = checked_reason(reason, _REASON_CHARACTERS)
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                before = model_before(connection)
                chosen = choose_model(
                    connection, before.id, now=system_clock(), actor=system_actor(), reason=reason
                )
        except (UnknownModel, StoredStateError) as error:
            fail(str(error))
    _say(chosen, as_json)


def _say(chosen: StoredModel, as_json: bool) -> None:
    if as_json:
        echo_json(chosen)
    else:
        click.echo(f"Model {chosen.id} is in use from the next batch on; no schedule replaces it.")
