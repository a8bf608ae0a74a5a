"""What somebody does in a day, as amounts: the simulator's own words, before they become events.

Levels are those of a usual active day; volumes are heavy-tailed. That 23 % of people use removable storage
at all was measured on the CERT r4.2 data set; the other numbers are guesses, made before anything was tried
on them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Amount(NamedTuple):
    """`uses`: share of people who ever do it, `active`: on which share of their working days. `person`,
    `day`: sigma of the logarithm, between people and from day to day. A name that ends in _mb is megabytes,
    others are counts."""

    name: str
    group: str
    level: float
    uses: float
    active: float
    person: float
    day: float


AMOUNTS: Final = tuple(
    Amount(*each)
    for each in (
        ("logons", "login", 3, 1, 0.97, 0.5, 0.4),
        ("off_hours", "login", 6, 0.35, 0.25, 1.0, 0.9),
        ("hosts", "login", 1.1, 1, 0.97, 0.2, 0.2),
        ("failed", "login", 1, 0.9, 0.12, 0.4, 0.6),
        ("new_host", "login", 1, 1, 0.006, 0, 0.1),
        ("new_address", "login", 1, 1, 0.02, 0, 0.1),
        ("records_read", "file", 12, 0.7, 0.6, 1.0, 0.9),
        ("files_read", "file", 60, 1, 0.93, 0.9, 0.7),
        ("files_deleted", "file", 6, 0.8, 0.35, 0.9, 1.1),
        ("archives", "file", 1.2, 0.5, 0.05, 0.5, 0.5),
        ("renames", "file", 3, 0.7, 0.25, 0.8, 0.9),
        ("stick_mb", "stick", 40, 0.23, 0.55, 1.3, 1.3),
        ("stick_files", "stick", 8, 0.23, 0.55, 1.0, 1.1),
        ("new_stick", "stick", 1, 0.23, 0.02, 0, 0.1),
        ("chat_mb", "chat", 6, 0.85, 0.6, 1.1, 1.2),
        ("chat_files", "chat", 3, 0.85, 0.55, 0.9, 0.8),
        ("cloud_mb", "cloud", 20, 0.45, 0.45, 1.3, 1.3),
        ("cloud_files", "cloud", 5, 0.45, 0.45, 1.0, 1.0),
        ("new_cloud", "cloud", 1, 0.45, 0.02, 0, 0.1),
        ("mail_mb", "mail", 8, 0.9, 0.7, 1.1, 1.1),
        ("mails", "mail", 6, 0.9, 0.75, 0.9, 0.6),
        ("private_mails", "mail", 1, 0.3, 0.05, 0.5, 0.5),
        ("pages", "print", 10, 0.4, 0.3, 0.9, 0.9),
        ("screenshots", "print", 2, 0.5, 0.25, 0.9, 0.8),
        ("queries", "database", 40, 0.3, 0.75, 1.2, 0.8),
        ("rows", "database", 2000, 0.3, 0.7, 1.6, 1.3),
        ("export_mb", "database", 5, 0.12, 0.15, 1.2, 1.2),
        ("code_mb", "code", 15, 0.25, 0.6, 1.0, 1.2),
        ("web_mb", "web", 4, 0.6, 0.3, 1.2, 1.3),
        ("orders", "application", 4, 0.15, 0.9, 0.7, 0.6),
    )
)
NAMES: Final = tuple(amount.name for amount in AMOUNTS)
PLACE: Final = {name: place for place, name in enumerate(NAMES)}
GROUPS: Final = tuple(dict.fromkeys(amount.group for amount in AMOUNTS))
IS_COUNT: Final = np.array([not name.endswith("_mb") for name in NAMES])
FOLLOWS: Final = {
    "stick_files": "stick_mb",
    "chat_files": "chat_mb",
    "cloud_files": "cloud_mb",
    "mails": "mail_mb",
    "rows": "queries",
}
"""Who is active in the second is in the first."""
ONLY_WITH: Final = {"new_stick": "stick_mb", "new_cloud": "cloud_mb"}
LEAVES: Final = (
    "stick_mb",
    "stick_files",
    "chat_mb",
    "chat_files",
    "cloud_mb",
    "cloud_files",
    "mail_mb",
    "mails",
    "web_mb",
    "records_read",
    "files_read",
    "rows",
    "export_mb",
    "code_mb",
    "pages",
)
"""What rises in the weeks of a project."""


class Role(NamedTuple):
    """`of_1000`: how many. `more`: (name or its beginning, times the level, share of people who do it)."""

    name: str
    department: str
    of_1000: int
    more: tuple[tuple[str, float, float], ...] = ()
    works_in_shifts: bool = False


ROLES: Final = (
    Role(
        "sales",
        "commerce",
        200,
        (("mail", 2.5, 1), ("chat", 2, 0.95), ("rows", 1, 0.35), ("queries", 1, 0.35)),
    ),
    Role(
        "engineering",
        "technology",
        210,
        (("code", 2, 0.95), ("queries", 1, 0.45), ("files_r", 2, 1), ("hosts", 2, 1)),
    ),
    Role("support", "service", 150, (("orders", 1, 1), ("queries", 1, 0.5), ("chat", 2, 0.95)), True),
    Role("finance", "administration", 80, (("mail", 1.5, 1), ("pages", 2, 0.9), ("records", 3, 1))),
    Role("people", "administration", 40, (("records", 3, 1), ("mail", 2, 1))),
    Role(
        "it",
        "technology",
        50,
        (("hosts", 4, 1), ("logons", 4, 1), ("stick", 2, 0.7), ("off_h", 2, 0.8), ("queries", 1, 0.5)),
        True,
    ),
    Role("marketing", "commerce", 90, (("cloud", 3, 0.9), ("web", 3, 0.9))),
    Role(
        "data",
        "technology",
        30,
        (("queries", 8, 1), ("rows", 8, 1), ("export", 4, 0.8), ("hosts", 3, 1), ("off_h", 2, 0.8)),
    ),
    Role("operations", "service", 150),
)
SHARED: Final = Role(
    "shared",
    "service",
    20,
    (("orders", 1, 1), ("logons", 3, 1), ("hosts", 3, 1), ("queries", 0.5, 0.8), ("rows", 0.5, 0.8)),
    True,
)
"""Accounts that several people use: on one application's server, without sticks, mails and uploads."""
