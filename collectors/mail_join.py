"""One mail, one event, although it stands twice: in Postfix's log and in the archive.

The log leads where there is one: a mail that it ends, and that left the company's domains, is a departure.
Departures wait in line, for so long as their archived half may still come, so that one cursor says which
were told. Archived messages that the log does not know become departures of their own.

The cursor (JSON): {"v": 1, "archive": {…}, "log": "…", "lines": n, "told": {queue id: deliveries}}
- log: in front of the first line of the oldest mail under way; from there `lines` lines are read again
  to know what was under way, without telling what they end.
- told: mails under way of which a part was told already.
"""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from collectors.log_tail import Line
from collectors.mail_archive import ArchiveCursor, Archived, Order, ReadMessages
from collectors.mail_domains import MailDomains
from collectors.mail_parts import MessageHead
from collectors.postfix_log import LoggedMail, PostfixLog

PARTIAL_AFTER_MS: Final = 30_000
"""A mail that waits for one slow recipient is told of so long after it went to the first."""
HELD_MS: Final = 3_600_000
"""What has been under way for longer does not hold the cursor back."""
FORGOTTEN_MS: Final = 6 * 86_400_000
"""Postfix gives a mail up after five days."""
WAITING_MAX: Final = 5_000
RECENT_MAX: Final = 20_000
QUEUE_MAX: Final = 2_000
_TOLD_MAX: Final = 32
_LOOK_EVERY_MS: Final = 500

TOO_MANY_WAITING: Final = "archived mails that were told without the log because too many were waiting"
TOO_LATE: Final = "attachments that came into the archive after their mail had been told of"

NOT_ARCHIVED: Final = "not found in the archive: attachments are not known"
NOT_LOGGED: Final = "not found in the mail log: recipients as the mail names them"
NO_BEGINNING: Final = "its first lines in the log were not read: the login is not known"
SENT_LATER: Final = "sent later to these domains: a part of this mail was told before"


class JoinCursor(msgspec.Struct, frozen=True):
    """See the module."""

    v: int
    archive: ArchiveCursor | None = None
    log: str | None = None
    lines: int = 0
    told: dict[str, int] = {}


class Message(msgspec.Struct, frozen=True):
    """An archived mail whose headers were read."""

    archived: Archived
    head: MessageHead
    seen_ms: int


class Departure(msgspec.Struct):
    """A mail that left. domains: outside, each once."""

    domains: tuple[str, ...]
    logged: LoggedMail | None
    message: Message | None
    gaps: list[str]
    line: int
    at: str | None
    """The log's cursor behind `line`, the last one that had been read."""
    wait_until_ms: int
    seen_ms: int
    """When we knew that it left."""


def read_cursor(text: str | None) -> JoinCursor | None:
    """None where there is none, or none that this version understands."""
    if text is not None:
        with contextlib.suppress(msgspec.DecodeError):
            cursor = msgspec.json.decode(text, type=JoinCursor)
            return cursor if cursor.v == 1 else None
    return None


class MailJoin:
    """log, read: the halves that there are. Times are steady milliseconds. Not for several threads."""

    def __init__(
        self,
        log: PostfixLog | None,
        read: ReadMessages | None,
        domains: MailDomains,
        wait_ms: int,
        resume: JoinCursor | None,
    ) -> None:
        self._log, self.read, self._domains, self._wait_ms = log, read, domains, wait_ms
        resume = resume or JoinCursor(v=1)
        self._again = resume.lines if log is not None else 0
        self._told = dict(resume.told)
        self._at = self._emitted_at = resume.log
        self._line = self._emitted = 0
        self._queue: deque[Departure] = deque()
        self._messages: OrderedDict[Order, Message] = OrderedDict()
        self._by_queue_id: dict[str, Order] = {}
        self._by_message_id: dict[str, list[Order]] = {}
        self._recent: OrderedDict[str, bool] = OrderedDict()
        """Queue ids that ended, and whether they were told without the archive."""
        self._partly: dict[str, None] = dict.fromkeys(resume.told)
        """Mails under way of which a part was told."""
        self._look_again_ms = 0
        self._behind_ms = -wait_ms
        self._unlogged: OrderedDict[str, None] = OrderedDict()
        """Queue ids of mails that were told of without the log."""
        self._settled: list[Archived] = []
        self._dropped: Counter[str] = Counter()

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def take_line(self, line: Line, now_ms: int, steady_ms: int) -> None:
        assert self._log is not None
        self._line += 1
        before, self._at = self._at, line.cursor
        mail = self._log.take(line.content, self._line, before, now_ms, steady_ms)
        if self._again:
            self._again -= 1
            self._emitted, self._emitted_at = self._line, self._at
            if mail is not None:
                self._ended(mail)
            return
        if mail is not None:
            self._depart(mail, steady_ms)

    def begin_log(self, at: str | None) -> None:
        """Where the log stood when nothing was read yet."""
        if self._at is None:
            self._at = self._emitted_at = at

    def lines_are_lost(self) -> None:
        """What was to be read again is not there any more: what comes now is new."""
        self._again = 0

    def take_message(self, message: Message) -> None:
        """One that is not settled yet."""
        head = message.head
        if head.queue_id is not None and head.queue_id in self._recent:
            if self._recent[head.queue_id]:
                self._dropped[TOO_LATE] += 1
            self._settle(message)
            return
        order = message.archived.order
        self._messages[order] = message
        if head.queue_id is not None:
            self._by_queue_id.setdefault(head.queue_id, order)
        elif head.message_id is not None:
            self._by_message_id.setdefault(head.message_id, []).append(order)

    def due(self, steady_ms: int) -> Iterator[Departure]:
        """What is to be told now, in order. The caller tells it, then calls `emitted`."""
        if self._again:
            return
        looks = self._log is None or steady_ms >= self._look_again_ms
        if self._log is not None and looks:
            self._look_again_ms = steady_ms + _LOOK_EVERY_MS
            for mail in self._log.under_way.values():
                self._skip_told(mail)
                is_untold = len(mail.sent) > mail.told and mail.queue_id not in self._unlogged
                if is_untold and mail.sent_seen_ms + PARTIAL_AFTER_MS <= steady_ms:
                    self._enqueue(mail, steady_ms)
                    self._partly[mail.queue_id] = None
            self._log.forget_older(steady_ms - FORGOTTEN_MS)
        while self._queue:
            first = self._queue[0]
            if first.message is None and self.read is not None and first.logged is not None:
                first.message = self._message_of(first.logged)
                if first.message is None and SENT_LATER not in first.gaps:
                    if steady_ms < first.wait_until_ms:
                        break
                    first.gaps.append(NOT_ARCHIVED)
            self._queue.popleft()
            yield first
        if looks or len(self._messages) > WAITING_MAX:
            yield from self._without_log(steady_ms)

    def emitted(self, departure: Departure, steady_ms: int) -> str:
        """The cursor behind this departure."""
        if departure.message is not None:
            self._settle(departure.message)
        logged = departure.logged
        if logged is None and departure.message is not None and departure.message.head.queue_id is not None:
            self._unlogged[departure.message.head.queue_id] = None
            if len(self._unlogged) > RECENT_MAX:
                self._unlogged.popitem(last=False)
        if logged is not None:
            self._emitted, self._emitted_at = departure.line, departure.at
            if self._log is not None and logged.queue_id not in self._log.under_way:
                self._remember(logged, without_archive=departure.message is None)
        return self.cursor(steady_ms)

    def cursor(self, steady_ms: int) -> str:
        first, at = self._emitted + 1, None
        told: dict[str, int] = {}
        if self._log is not None:
            young = (mail for mail in self._log.under_way.values() if mail.seen_ms > steady_ms - HELD_MS)
            oldest = next(young, None)
            for mail in (oldest, *(each.logged for each in self._queue)):
                if mail is not None and mail.first_line < first:
                    first, at = mail.first_line, mail.before
            for queue_id in list(self._partly):
                under_way = self._log.under_way.get(queue_id)
                if under_way is None:
                    del self._partly[queue_id]
                elif under_way.seen_ms > steady_ms - HELD_MS:
                    told[queue_id] = under_way.told
        if at is None:
            first, at = self._emitted + 1, self._emitted_at
        return msgspec.json.encode(
            JoinCursor(
                v=1,
                archive=None if self.read is None else self.read.cursor(self._messages),
                log=at,
                lines=self._emitted - first + 1,
                told=dict(list(told.items())[-_TOLD_MAX:]),
            )
        ).decode()

    def waiting(self) -> int:
        return len(self._queue) + len(self._messages)

    def is_full(self) -> bool:
        """Whether so many departures wait that no more of the log should be read before some are told."""
        return len(self._queue) >= QUEUE_MAX

    def log_is_behind(self, steady_ms: int) -> None:
        """There is more of the log to be read: what it does not know of yet, it may still tell."""
        self._behind_ms = steady_ms

    def takes_messages(self, steady_ms: int) -> bool:
        """False while so many wait for a log that is behind that no more should be read."""
        is_behind = self._log is not None and steady_ms < self._behind_ms + self._wait_ms
        return len(self._messages) < WAITING_MAX or not is_behind

    def take_settled(self) -> list[Archived]:
        """The messages of which nothing is left to be told, since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def flush(self) -> None:
        """Nothing waits for its other half any more."""
        for each in self._queue:
            each.wait_until_ms = 0

    def _depart(self, mail: LoggedMail, steady_ms: int) -> None:
        self._skip_told(mail)
        if len(mail.sent) > mail.told and mail.queue_id not in self._unlogged:
            self._told.pop(mail.queue_id, None)
            self._enqueue(mail, steady_ms)
        else:
            self._ended(mail)

    def _skip_told(self, mail: LoggedMail) -> None:
        mail.told = max(mail.told, min(self._told.get(mail.queue_id, 0), len(mail.sent)))

    def _enqueue(self, mail: LoggedMail, steady_ms: int) -> None:
        gaps = [SENT_LATER] if mail.told else []
        if not mail.is_whole and mail.login is None:
            gaps.append(NO_BEGINNING)
        domains = tuple(sorted(set(mail.sent[mail.told :])))
        mail.told = len(mail.sent)
        self._queue.append(
            Departure(domains, mail, None, gaps, self._line, self._at, steady_ms + self._wait_ms, steady_ms)
        )

    def _ended(self, mail: LoggedMail) -> None:
        """Nothing of it is left to tell."""
        self._told.pop(mail.queue_id, None)
        self._remember(mail, without_archive=False)
        message = self._message_of(mail)
        if message is not None:
            self._settle(message)

    def _remember(self, mail: LoggedMail, *, without_archive: bool) -> None:
        self._recent[mail.queue_id] = without_archive
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    def _message_of(self, mail: LoggedMail) -> Message | None:
        order = self._by_queue_id.get(mail.queue_id)
        if order is None and mail.message_id is not None:
            order = next(iter(self._by_message_id.get(mail.message_id, ())), None)
        return None if order is None else self._messages.get(order)

    def _settle(self, message: Message) -> None:
        head, order = message.head, message.archived.order
        self._messages.pop(order, None)
        if head.queue_id is not None and self._by_queue_id.get(head.queue_id) == order:
            del self._by_queue_id[head.queue_id]
        if head.message_id is not None and order in self._by_message_id.get(head.message_id, ()):
            self._by_message_id[head.message_id].remove(order)
            if not self._by_message_id[head.message_id]:
                del self._by_message_id[head.message_id]
        if self.read is not None:
            self.read.add(order)
        self._settled.append(message.archived)

    def _without_log(self, steady_ms: int) -> Iterator[Departure]:
        """Archived mails that nothing in the log belongs to."""
        is_logged = self._logged()
        for message in list(self._messages.values()):
            is_too_many = len(self._messages) > WAITING_MAX
            if self._log is not None and not is_too_many:
                if steady_ms < max(message.seen_ms, self._behind_ms) + self._wait_ms:
                    # They stand in the order in which they were seen.
                    return
                if is_logged(message.head):
                    continue
            self._dropped[TOO_MANY_WAITING] += is_too_many
            domains = tuple(each for each in message.head.domains if not self._domains.is_own(each))
            if domains:
                gaps = [] if self._log is None else [NOT_LOGGED]
                at = (self._emitted, self._emitted_at)
                yield Departure(domains, None, message, gaps, *at, 0, message.seen_ms)
            else:
                self._settle(message)

    def _logged(self) -> Callable[[MessageHead], bool]:
        """Whether the log has told of a message. Many may wait for days, so each is a look into a table."""
        if self._log is None:
            return lambda _: False
        under_way = self._log.under_way
        queued = [each.logged for each in self._queue if each.logged is not None]
        queue_ids = {mail.queue_id for mail in queued}
        message_ids = {mail.message_id for mail in (*under_way.values(), *queued)}

        def is_logged(head: MessageHead) -> bool:
            if head.queue_id is not None:
                return head.queue_id in under_way or head.queue_id in queue_ids
            return head.message_id is not None and head.message_id in message_ids

        return is_logged
