"""What becomes of a person's accounts and machines when a file lists others. Pure.

- New: as long as anybody can tell, so that events from before HR's file are the person's; where somebody else
  has or had it, or it was erased, from the row's `since`, else from the import on.
- No longer listed: until the one who takes it over has it, else until the import. But who is leaving keeps an
  account that nobody takes over: HR's systems empty the row of whoever leaves, and what still works of it is
  what must be watched.
- Listed again, and nobody had it meanwhile: as if it had always been listed.
- What somebody said by hand (source `flag`) stands over the file: a machine that was given back stays so
  however long the file lists it, unless the row's `since` is later; and what only a hand gave is not taken by
  the file's silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from server.people.facts import Holding


class Taker(msgspec.Struct, frozen=True):
    """Who is to have something that was not theirs, and from when (ms UTC) where the file says it."""

    person_id: str
    since: int | None


def merged_holdings(
    stored: Iterable[Holding],
    listed: Iterable[str],
    *,
    person_id: str,
    since: int | None,
    at: int,
    had_by_others: Callable[[str], bool],
    takers: Mapping[str, Taker],
    keeps: bool,
) -> tuple[Holding, ...]:
    """`stored`: of one kind, valid everywhere. `keeps`: what nobody takes over stays."""
    wanted = set(listed)
    found: list[Holding] = []
    still = set()
    for held in stored:
        taker = takers.get(held.name)
        if held.until is not None or held.name in wanted:
            found.append(held)
            still |= {held.name} if held.until is None else set()
        elif taker is not None and taker.person_id != person_id:
            found += _ended(held, at if taker.since is None else taker.since)
        elif keeps or held.source == "flag":
            found.append(held)
        else:
            found += _ended(held, at)
    for name in wanted - still:
        if gave_back(found, name, since):
            continue
        last = max((h for h in found if h.name == name), key=lambda h: h.until or 0, default=None)
        if last is not None and since is None and not had_by_others(name):
            found[found.index(last)] = msgspec.structs.replace(last, until=None)
        else:
            begins = at if since is None and had_by_others(name) else since
            found.append(Holding(name, since=begins))
    return tuple(found)


def gave_back(stored: Iterable[Holding], name: str, since: int | None) -> bool:
    """Whether somebody said by hand that it is no longer the person's, and the row tells no later start."""
    held = [each for each in stored if each.name == name]
    last = max(held, key=lambda each: (each.until is None, each.until or 0), default=None)
    return (
        last is not None
        and last.source == "flag"
        and last.until is not None
        and (since is None or since < last.until)
    )


def _ended(held: Holding, at: int) -> list[Holding]:
    if held.since is not None and held.since >= at:
        return []
    return [msgspec.structs.replace(held, until=at)]
