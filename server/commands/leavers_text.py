"""How the command line shows the leaver ledger to people: the list by urgency, and one leaver on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.commands.alert_words import counted, local_time, printable
from server.commands.tables import WIDTH_MAX, WIDTH_PIPED, output_width
from server.leavers.ledger import Ledger, LedgerRow, Urgency
from server.people.leaving import Machine, OpenAccount, Secret, State

_WIDE = 100
"""From here on there is room for what is nice to know."""
_TITLES: Final = {
    Urgency.USED: ("Left, and still in use", "bold red"),
    Urgency.LEFT_OPEN: ("Left, and something is open", "bold yellow"),
    Urgency.LAST_WEEK: ("Last day within a week", "bold"),
    Urgency.NOTICE: ("On notice", "bold"),
    Urgency.TO_SIGN: ("Left, to be signed off", "bold"),
    Urgency.DONE: ("Left, all done", "bold"),
}
_ALERT_TITLE = "Left, and still in use, or an alert is open"
_STATES: Final = {
    State.OPEN: "open",
    State.CLOSED: "closed",
    State.HANDED_OVER: "somebody else's now",
    State.ENDED: "nobody's now",
    State.ROTATED: "changed since",
}


def ledger_text(found: Ledger) -> RenderableType:
    """A table for each group that somebody is in, all with the same columns."""
    rows = printable(found.rows, tuple[LedgerRow, ...])
    width = min(WIDTH_MAX, output_width(WIDTH_PIPED))
    who = min(24, max(len(_name(row)) for row in rows))
    parts: list[RenderableType] = [_table((), who, width)]
    for urgency in Urgency:
        of_group = [row for row in rows if row.urgency is urgency]
        if of_group:
            title, style = _TITLES[urgency]
            if urgency is Urgency.USED and of_group[0].open_alerts is not None:
                title = _ALERT_TITLE
            parts += [Text(f"{title} ({len(of_group)})", style=style), _table(of_group, who, width), ""]
    if found.hidden:
        parts.append(f"{found.hidden:,} more left longer ago, or are done: --all, --days.")
    else:
        parts.pop()
    return Group(*parts)


def _table(rows: Sequence[LedgerRow], who: int, width: int) -> Table:
    """Without rows it is the header."""
    table = Table(box=None, show_header=not rows, header_style="dim", pad_edge=False, expand=True)
    table.padding = (0, 2, 0, 0)
    table.add_column("who", width=who, overflow="fold")
    table.add_column("last day", width=16, no_wrap=True)
    table.add_column("", width=9, justify="right", no_wrap=True)
    if width >= _WIDE:
        table.add_column("how", width=15, overflow="fold")
    table.add_column("still open", ratio=1, overflow="fold")
    table.add_column("signed", width=6, no_wrap=True, justify="right")
    for row in rows:
        cells: list[RenderableType] = [_name(row), _last_day(row), _days(row)]
        if width >= _WIDE:
            cells.append(Text((row.leaving_type or "").replace("_", " "), style="dim"))
        table.add_row(*cells, _open_words(row), Text(_signed(row), style="dim"))
    return table


def _name(row: LedgerRow) -> str:
    return row.person if row.name is None else f"{row.person} {row.name}"


def _last_day(row: LedgerRow) -> str:
    if row.last_working_day is None:
        return "no last day yet"
    return row.last_working_day + (f" {row.last_hour}" if row.last_hour else "")


def _when(at: int, zone: str) -> str:
    """With the distance from UTC: these are times of each person's zone, and what people typed was the
    company's."""
    local = local_time(at, zone)
    return f"{local:%Y-%m-%d %H:%M} {local.isoformat()[-6:]}"


def _days(row: LedgerRow) -> str:
    match row.days_left:
        case None:
            return ""
        case 0:
            return "today"
        case days if days > 0:
            return f"in {days} d"
        case days:
            return f"{-days} d ago"


def _open_words(row: LedgerRow) -> Text:
    seen = [] if row.used_at is None else [f"used {_when(row.used_at, row.time_zone)}"]
    seen += [counted(row.open_alerts, "open alert")] if row.open_alerts else []
    lines = [Text(words, style="red") for words in seen]
    left = [
        counted(number, name)
        for number, name in (
            (_open(row.accounts), "account"),
            (_open(row.machines), "device"),
            (_open(row.secrets), "password"),
        )
        if number
    ]
    lines.append(Text(", ".join(left)) if left else Text("nothing", style="dim"))
    return Text("\n").join(lines)


def _open(held: Sequence[OpenAccount | Machine | Secret]) -> int:
    return sum(each.state is State.OPEN for each in held)


def _signed(row: LedgerRow) -> str:
    signed = len({each.item for each in row.sign_offs})
    needed = len({each.item for each in row.sign_offs} | set(row.unsigned))
    return f"{signed}/{needed}"


def leaver_text(row: LedgerRow) -> RenderableType:
    """One leaver."""
    row = printable(row, LedgerRow)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    how = (row.leaving_type or "").replace("_", " ")
    last = " · ".join(
        part
        for part in (_last_day(row), _days(row), row.time_zone, how, "by hand" if row.flagged else "")
        if part
    )
    title = Text(row.person if row.name is None else f"{row.name} ({row.person})", style="bold")
    title.append(f" · {row.department}" if row.department else "", style="not bold")
    title.append(f" · {row.status}", style="not bold")
    grid.add_row("last day", last)
    if row.notice_date is not None:
        grid.add_row("notice", row.notice_date)
    if row.used_at is not None:
        grid.add_row("used", Text(f"{_when(row.used_at, row.time_zone)}, after leaving", style="red"))
    if row.open_alerts is not None:
        grid.add_row("alerts", f"{row.open_alerts:,} open")
    for index, account in enumerate(row.accounts):
        grid.add_row("" if index else "accounts", _account_words(account, row.time_zone))
    for index, machine in enumerate(row.machines):
        grid.add_row("" if index else "devices", _machine_words(machine, row.time_zone))
    for index, secret in enumerate(row.secrets):
        grid.add_row("" if index else "passwords", _secret_words(secret, row.time_zone))
    for index, signed in enumerate(row.sign_offs):
        when = _when(signed.signed_at, row.time_zone)
        words = Text(f"{signed.item} by {signed.role.words} on {when} ({signed.signed_by})")
        words.append(f": {signed.note}" if signed.note else "", style="dim")
        grid.add_row("" if index else "signed", words)
    if row.unsigned:
        grid.add_row("to sign", ", ".join(row.unsigned))
    return Group(title, grid)


def _account_words(account: OpenAccount, zone: str) -> Text:
    words = Text(_called(account.account, account.system, account.kind))
    state = _STATES[account.state]
    if account.state is State.OPEN and account.kind in {"shared", "service"}:
        state = "somebody else has to answer for it"
    if account.state is State.CLOSED and account.closed_at is not None:
        state = f"closed {_when(account.closed_at, zone)}"
    words.append(f": {state}", style="yellow" if account.state is State.OPEN else "dim")
    if account.used_at is not None:
        words.append(f" · used {_when(account.used_at, zone)}", style="red")
    return words


def _machine_words(machine: Machine, zone: str) -> Text:
    words = Text(machine.machine)
    state = "not returned" if machine.state is State.OPEN else "given back"
    if machine.state is State.HANDED_OVER:
        state = "somebody else's now"
    since = "" if machine.until is None else f" since {_when(machine.until, zone)}"
    words.append(f": {state}{since}", style="yellow" if machine.state is State.OPEN else "dim")
    if machine.used_at is not None:
        words.append(f" · used {_when(machine.used_at, zone)}", style="red")
    return words


def _secret_words(secret: Secret, zone: str) -> Text:
    words = Text(_called(secret.account, secret.system, secret.kind))
    if secret.state is State.OPEN:
        last = "never, as far as known" if secret.rotated_at is None else _when(secret.rotated_at, zone)
        words.append(f": still known; last changed {last}", style="yellow")
    else:
        words.append(f": {_STATES[secret.state]}", style="dim")
    return words.append(", by use" if secret.by_use else "", style="dim")


def _called(account: str, system: str, kind: str) -> str:
    return f"{account} ({', '.join(part for part in (kind, system) if part)})"
