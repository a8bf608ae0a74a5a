"""Lines of CUPS's page_log, and pages summed for each print job. Pure. Titles are not even taken apart.

The line's form is PageLogFormat in cupsd.conf; what every form must begin with:

    %p %u %j %T %P %C …       pdf1 lin 42 [22/Nov/2026:11:06:31 +0000] total 10 - localhost Some title - -
                              pdf1 lin 42 [22/Nov/2026:11:06:31 +0000] 3 2 - localhost Some title - -

Each page has a line with its number and copies, or (CUPS 1.5 and newer) each job one with "total" and all its
pages, copies included. Where there are both, the total holds. A user's name may have blanks in it: the
first " JOB [DATE] PAGE COPIES" ends it, since titles come behind.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from event_schema.printable import printable_name

PAGES_MAX: Final = 10_000_000
NAME_MAX: Final = 128
NEEDED_FORMAT: Final = "%p %u %j %T %P %C"
_LINE: Final = re.compile(
    rb"(?P<printer>[^\s]{1,128}) (?P<user>[^\n]{1,512}?) (?P<job>\d{1,10}) "
    rb"\[(?P<when>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rb"(?P<page>total|\d{1,9}) (?P<copies>\d{1,9})(?= |\Z)"
)
_MONTHS: Final = {
    month: at
    for at, month in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}


class PageLine(msgspec.Struct, frozen=True):
    """time: ms since 1970 UTC. pages: of the job where is_total, else copies of one page."""

    printer: str
    user: str
    job: int
    time: int
    is_total: bool
    pages: int


class PrintedJob(msgspec.Struct):
    """A job, as far as it is known by now. Kept in the cursor."""

    printer: str
    user: str
    job: int
    time: int
    counted: int = 0
    total: int | None = None
    told: int = 0
    """Pages that are in events already."""
    due: bool = True
    """Whether a line of it came since it was told of."""

    def add(self, line: PageLine) -> None:
        self.time, self.due = max(self.time, line.time), True
        if line.is_total:
            self.total = min((self.total or 0) + line.pages, PAGES_MAX)
        else:
            self.counted = min(self.counted + line.pages, PAGES_MAX)

    @property
    def pages(self) -> int:
        return self.counted if self.total is None else self.total


def parse_page_line(content: bytes) -> PageLine | None:
    """None: no line of that form."""
    found = _LINE.match(content)
    if found is None:
        return None
    time = _milliseconds(found["when"].decode("ascii"))
    if time is None:
        return None
    return PageLine(
        printer=printable_name(found["printer"])[:NAME_MAX],
        user=printable_name(found["user"])[:NAME_MAX],
        job=int(found["job"]),
        time=time,
        is_total=found["page"] == b"total",
        pages=min(int(found["copies"]), PAGES_MAX),
    )


def _milliseconds(when: str) -> int | None:
    """Not strptime, whose names of months are the locale's."""
    day, month, rest = when.split("/")
    try:
        moment = datetime.strptime(f"{day} {_MONTHS[month]} {rest}", "%d %m %Y:%H:%M:%S %z")
    except (KeyError, ValueError):
        return None
    return max(0, int(moment.timestamp() * 1000))
