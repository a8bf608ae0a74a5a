"""Deletes messages of the archive that were read, once all that they led to is on disk.

A message is settled when nothing is left to be told of it. It may go when the events that were yielded until
then are in the spool: if the agent dies before, they are made once more, and that needs the message.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from collectors.mail_archive import Archived, Maildir, Order

WAITING_MAX: Final = 10_000
_AT_ONCE: Final = 200

TOO_MANY: Final = "read messages that stay in the archive: too many were waiting to be deleted"
NOT_DELETED: Final = "read messages that stay in the archive: they cannot be deleted"


class MailDeletion:
    """For one thread."""

    def __init__(self, archive: Maildir, resume_from: str | None, before: Collection[Order]) -> None:
        """`before`: messages that were settled at the cursor `resume_from`, and may have been left. Raises
        OSError."""
        self._archive = archive
        self._yielded = self._saved = 0
        self._unsaved: deque[tuple[int, str]] = deque(maxlen=WAITING_MAX)
        """Events that may not be on disk yet: which, and its cursor."""
        self._waiting: deque[tuple[int, Archived]] = deque()
        """After which event's saving, and what."""
        self._dropped: Counter[str] = Counter()
        if resume_from is not None and before:
            self.settled(archive.still_there(before), resume_from)

    def settled(self, messages: Iterable[Archived], cursor: str | None) -> None:
        """With the cursor of the event that is yielded next, if there is one."""
        if cursor is not None:
            self._yielded += 1
            self._unsaved.append((self._yielded, cursor))
        for message in messages:
            self._waiting.append((self._yielded, message))
            if len(self._waiting) > WAITING_MAX:
                self._waiting.popleft()
                self._dropped[TOO_MANY] += 1

    def saved(self, cursor: str | None) -> None:
        """Where the last event on disk stood. Deletes some."""
        number = next((number for number, text in self._unsaved if text == cursor), None)
        if number is not None:
            self._saved = number
            while self._unsaved and self._unsaved[0][0] <= number:
                self._unsaved.popleft()
        for _ in range(_AT_ONCE):
            if not self._waiting or self._waiting[0][0] > self._saved:
                return
            message = self._waiting.popleft()[1]
            try:
                self._archive.delete(message)
            except FileNotFoundError:
                continue
            except OSError:
                self._dropped[NOT_DELETED] += 1

    def dropped(self) -> Mapping[str, int]:
        return self._dropped
