"""A day's amounts as the events that collectors would tell of it. From dice.

Many small things are told as one event with a count, as logs of applications and databases do: a day has
some twenty events and not some hundreds. Volumes are split over files; names say nothing, for leaks as for
ordinary work. What happens off hours lies between 20 and 24 o'clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

from event_schema.ocsf_events import Event
from event_schema.ocsf_unmapped import DestinationCategory
from server.evaluation.departures.observed_acts import server
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import (
    Activity,
    acted,
    archived,
    copied,
    logged_in,
    login_failed,
    mailed,
    plugged_in,
    printed,
    queried,
    screenshot_taken,
    uploaded,
)

FILES_MAX: Final = 20_000
CODE_HOST: Final = "git.firm.example"
_LOGINS_MAX: Final = 40
_EVENTS_OF_COUNTS: Final = 4
_MEGABYTE: Final = 1_000_000
_HOUR: Final = 3_600_000
_ENDINGS: Final = ("docx", "pdf", "pptx", "jpg", "png", "txt", "mp4")
_PRIVATE_MAIL: Final = ("gmail.com", "qq.com", "163.com")
_PARTNERS: Final = tuple(f"partner{number}.example" for number in range(40))

Amounts = dict[str, float]
Late = Callable[[int], Event]
"""Makes an event of its time."""


def day_events(desk: Desk, amounts: Amounts, midnight: int, dice: random.Random) -> Iterator[Event]:
    """`midnight`: ms UTC at which the local day begins. Not in the order of time."""
    late = list(_late(desk, amounts, dice))
    dice.shuffle(late)
    night = min(round(amounts.get("off_hours", 0)), len(late))
    for number, make in enumerate(late):
        hour = dice.uniform(20, 23.9) if number < night else dice.uniform(8.2, 18.5)
        yield make(midnight + int(hour * _HOUR) + number % 1000)


def _late(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    yield from _logins(desk, amounts, dice)
    yield from _applications(desk, amounts, dice)
    yield from _database(desk, amounts, dice)
    yield from _sticks(desk, amounts, dice)
    yield from _uploads(desk, amounts, dice)
    yield from _mails(desk, amounts, dice)
    yield from _paper_and_screen(desk, amounts)


def _logins(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    account, address = desk.account, desk.address
    for _ in range(min(_count(amounts, "logons"), _LOGINS_MAX)):
        yield partial(
            logged_in, desk.host, account, *((address, "sshd") if desk.is_server else (None, "gdm-password"))
        )
    if not desk.is_server:
        for number in range(min(_count(amounts, "hosts") - 1, _LOGINS_MAX)):
            own = _stable(account, number) % 60
            yield partial(logged_in, server(f"server-{own}"), account, address, "sshd")
    failed = _count(amounts, "failed")
    if failed:
        yield partial(login_failed, desk.host, account, failed)
    for _ in range(_count(amounts, "new_host")):
        host = desk.host if desk.is_server else server(f"server-{dice.randrange(1000, 10**6)}")
        yield partial(logged_in, host, account, address, "sshd")
    for _ in range(_count(amounts, "new_address")):
        new = f"{dice.choice((59, 101, 117, 222))}.{dice.randrange(1, 250)}.{dice.randrange(1, 250)}.7"
        yield partial(logged_in, desk.host if desk.is_server else server("gateway"), account, new, "sshd")


def _applications(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    for name, application, action, activity, kind in _ACTS:
        for count in _parts(_count(amounts, name), _EVENTS_OF_COUNTS, dice):
            yield partial(
                acted, desk, application=application, action=action, activity=activity, kind=kind, count=count
            )
    for number in range(min(_count(amounts, "archives"), 20)):
        yield partial(archived, desk, number)


_ACTS: Final[tuple[tuple[str, str, str, Activity, str], ...]] = (
    ("records_read", "crm", "open_customer", "read", "customer"),
    ("files_read", "documents", "open_document", "read", "document"),
    ("files_deleted", "documents", "delete_document", "delete", "document"),
    ("renames", "documents", "rename_document", "update", "document"),
    ("orders", "shipping", "create_manual_order", "create", "order"),
)


def _database(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    queries, rows = _count(amounts, "queries"), _count(amounts, "rows")
    parts = _parts(queries, _EVENTS_OF_COUNTS, dice)
    for part, count in zip(_parts(rows, len(parts), dice, all_of=True), parts, strict=True):
        yield partial(queried, desk, rows=part, count=count, size=part * 200)
    exported = amounts.get("export_mb", 0)
    if exported > 0:
        size = int(exported * _MEGABYTE)
        yield partial(queried, desk, rows=size // 500, count=1, size=size, is_export=True)


def _sticks(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    files = _count(amounts, "stick_files")
    if not files and not amounts.get("stick_mb"):
        return
    new = amounts.get("new_stick", 0) > 0
    stick = f"{dice.getrandbits(48):012X}" if new else f"{_stable(desk.account, 'stick'):012X}"
    yield partial(plugged_in, desk, stick)
    for number, size in enumerate(_sizes(amounts.get("stick_mb", 0), max(files, 1), dice)):
        yield partial(copied, desk, stick, _name(number, dice), size, _digest(dice))


def _uploads(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    cloud = f"Drive {dice.randrange(10**6)}" if amounts.get("new_cloud", 0) > 0 else "OneDrive"
    web = f"upload{_stable(desk.account, dice.randrange(3)) % 300}.example"
    ways: tuple[tuple[str, int, str, DestinationCategory, str | None], ...] = (
        ("chat_mb", _count(amounts, "chat_files"), "WeChat", "messenger", None),
        ("cloud_mb", _count(amounts, "cloud_files"), cloud, "cloud_drive", None),
        ("web_mb", dice.randint(1, 3), "chrome", "other", web),
        # The company's own: what goes elsewhere is a matter for rules, and no everyday work.
        ("code_mb", dice.randint(1, 2), "git", "code_hosting", CODE_HOST),
    )
    for amount, files, application, category, host in ways:
        if amounts.get(amount, 0) > 0:
            for number, size in enumerate(_sizes(amounts[amount], max(files, 1), dice)):
                name, digest = _name(number, dice), _digest(dice)
                yield partial(uploaded, desk, application, category, name, size, digest, host)


def _mails(desk: Desk, amounts: Amounts, dice: random.Random) -> Iterator[Late]:
    private = _count(amounts, "private_mails")
    mails = max(_count(amounts, "mails"), private)
    if not mails:
        return
    domain: str
    category: DestinationCategory
    for number, size in enumerate(_sizes(amounts.get("mail_mb", 0), mails, dice)):
        if number < private:
            domain, category = _PRIVATE_MAIL[_stable(desk.account, "mail") % len(_PRIVATE_MAIL)], "webmail"
        else:
            domain, category = _PARTNERS[_stable(desk.account, dice.randrange(6)) % len(_PARTNERS)], "other"
        yield partial(mailed, desk, domain, category, _name(number, dice), size, _digest(dice))


def _paper_and_screen(desk: Desk, amounts: Amounts) -> Iterator[Late]:
    pages = _count(amounts, "pages")
    if pages:
        yield partial(printed, desk, pages)
    for _ in range(min(_count(amounts, "screenshots"), 50)):
        yield partial(screenshot_taken, desk)


# ---- splitting --------------------------------------------------------------------------------------------


def _count(amounts: Amounts, name: str) -> int:
    return min(round(amounts.get(name, 0)), 10**9)


def _parts(total: int, most: int, dice: random.Random, *, all_of: bool = False) -> list[int]:
    """Whole numbers that add up to it: at most so many, or (all_of) exactly so many, of which some are 0."""
    many = most if all_of else min(most, total)
    if many <= 1:
        return [total] * many
    cuts = sorted(dice.randint(0, total) for _ in range(many - 1)) if all_of else None
    if cuts is None:
        cuts = sorted(dice.sample(range(1, total), many - 1)) if total > many else list(range(1, total))
    return [high - low for low, high in zip([0, *cuts], [*cuts, total], strict=True)]


def _sizes(megabytes: float, files: int, dice: random.Random) -> list[int]:
    """Bytes of so many files, FILES_MAX at most; together about that much."""
    many = min(files, FILES_MAX)
    each = megabytes * _MEGABYTE / many
    return [max(1, int(each * dice.uniform(0.3, 1.7))) for _ in range(many)]


def _name(number: int, dice: random.Random) -> str:
    return f"file-{dice.randrange(10**6)}-{number}.{dice.choice(_ENDINGS)}"


def _digest(dice: random.Random) -> str:
    return f"{dice.getrandbits(256):064x}"


@lru_cache(maxsize=100_000)
def _stable(account: str, what: object) -> int:
    """The same for an account in all runs."""
    return random.Random(f"{account}/{what}").getrandbits(40)
