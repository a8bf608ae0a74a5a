"""What somebody may read of policies' texts: pseudonyms for names, unless unmasked with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import click

from server import audit
from server.alerts.view_types import Unmasking
from server.commands.opening import Command, checked_reason, system_actor, system_clock
from server.store.database import Database

REASON_CHARACTERS: Final = 1000


def unmask_options(command: Command) -> Command:
    """--unmask and --reason, given to the command as `unmask: bool` and `reason: str | None`."""
    reason = click.option("--reason", help="Why names are needed; kept in the audit trail.")
    unmask = click.option("--unmask", is_flag=True, help="Show names; needs --reason.")
    return unmask(reason(command))


def unmasking_of(unmask: bool, reason: str | None) -> Unmasking | None:
    if not unmask:
        if reason is not None:
            raise click.UsageError("--reason goes with --unmask")
        return None
    if reason is None:
        raise click.UsageError("--unmask needs --reason: it is kept in the audit trail")
    return Unmasking(system_actor(), system_clock(), checked_reason(reason, REASON_CHARACTERS))


def sight_of(
    database: Database, texts: Iterable[str], unmasking: Unmasking | None, about: str
) -> Callable[[str], str]:
    """How these texts read. `about`: what the audit trail says was unmasked."""
    if unmasking is None:
        # Only who looks at texts waits for what reads rules.
        from server.policies.masked_text import text_mask  # noqa: PLC0415

        return text_mask(database, list(texts))
    with database.begin() as connection:
        audit.append(
            connection,
            at=unmasking.at,
            actor=unmasking.actor,
            action="policy.unmask",
            object=about,
            reason=unmasking.reason,
        )
    return str
