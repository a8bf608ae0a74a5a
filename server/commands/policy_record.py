"""`leaver policy record`: the events that examples of rules begin with."""

from __future__ import annotations

from typing import cast, get_args

import click
from rich.table import Table

from policies.examples import RecordName, base_record
from server.commands.opening import echo_json, json_option
from server.commands.tables import echo_table


@click.command("record")
@click.argument("name", required=False, type=click.Choice(get_args(RecordName)), metavar="[NAME]")
@json_option
def show_record(name: str | None, as_json: bool) -> None:
    """Events that examples of rules begin with: all names, or NAME as rules see it, as JSON."""
    names = [cast(RecordName, each) for each in get_args(RecordName)]
    if name is not None:
        echo_json(base_record(cast(RecordName, name)))
        return
    records = {each: base_record(each) for each in names}
    if as_json:
        echo_json(records)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("record", "class_uid", "activity_id", "seen by"):
        table.add_column(title, no_wrap=True)
    for each, found in records.items():
        seen_by = found["metadata"]["log_name"]
        table.add_row(each, str(found["class_uid"]), str(found["activity_id"]), seen_by)
    echo_table(table)
