"""The company's folder of rules: what changes in it is taken over, once it has come to rest.

A change counts when two looks in a row find the folder the same, so that a file that is half written, or a
checkout that is half done, is not taken for what somebody meant. Nothing in the folder is ever written.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from policies.errors import PolicyError
from policies.rule_file import (
    RULE_ENDINGS,
    SHIPPED_RULES,
    ParsedText,
    RuleText,
    parse_text,
    read_folder,
)
from server.installation import Installation
from server.policies.publishing import FoundTexts, Published, publish
from server.pulse import Pulse
from server.store.database import Database, StoreUnavailable

LOOK_SECONDS: Final = 3.0
TURN_SECONDS_MAX: Final = 300.0

_Seen = frozenset[tuple[str, int, int, int]]
"""Name, size, time of change and inode of each file."""

_logger = logging.getLogger("leaver.policies")


class PolicyFolder:
    """`folder`: None where the company has none; then only the shipped rules are taken over, once."""

    def __init__(
        self,
        database: Database,
        folder: Path | None,
        *,
        clock: Callable[[], int],
        look_seconds: float = LOOK_SECONDS,
        pulse: Pulse | None = None,
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._look_seconds = look_seconds
        self._pulse = pulse or Pulse(TURN_SECONDS_MAX)
        self._parsed: dict[tuple[str, str], ParsedText] = {}
        self._seen: _Seen | str | None = None
        self._taken: _Seen | str | None = None

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._look_seconds):
            self._pulse.beat()
            try:
                self.look()
            except StoreUnavailable as error:
                _logger.warning("policies_wait", extra={"detail": str(error)})

    def look(self) -> Published | None:
        """What was taken over; None where nothing changed, or not yet come to rest. Raises
        StoreUnavailable."""
        seen = self._state()
        at_rest, self._seen = seen == self._seen, seen
        if not at_rest or seen == self._taken:
            return None
        return self.take()

    def take(self) -> Published:
        """As the folder is now. Raises StoreUnavailable."""
        seen = self._state()
        found = [_shipped()]
        if self._folder is not None:
            found.append(self._found(self._folder, seen))
        with self._database.begin() as connection:
            published = publish(connection, found, now=self._clock())
        is_first, self._seen, self._taken = self._taken is None, seen, seen
        counts = {"changed": published.changed, "gone": published.gone, "faults": len(published.faults)}
        # The rules of a first start are no news.
        if published.faults or (any(counts.values()) and not is_first):
            _logger.info("policies_taken", extra=counts)
        return published

    def _state(self) -> _Seen | str:
        """Or why it cannot be read."""
        if self._folder is None:
            return frozenset()
        try:
            if self._folder.stat().st_mode & stat.S_IWOTH:
                return "everybody may write there; nothing in it is believed"
            return frozenset(_files(str(self._folder), ""))
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _found(self, folder: Path, seen: _Seen | str) -> FoundTexts:
        if isinstance(seen, str):
            return FoundTexts("folder", str(folder), [], [PolicyError(str(folder), 1, seen)], whole=False)
        texts, errors = read_folder(folder)
        # What did not change is not parsed again.
        self._parsed = {(text.file, text.hash): self._parse(text) for text in texts}
        whole = not any(error.file == str(folder) for error in errors)
        return FoundTexts("folder", str(folder), list(self._parsed.values()), errors, whole)

    def _parse(self, text: RuleText) -> ParsedText:
        return self._parsed.get((text.file, text.hash)) or parse_text(text)


def policy_folder(installation: Installation, pulse: Pulse | None = None) -> PolicyFolder:
    """The one that the installation's settings name."""
    folder = installation.config.policies.folder
    return PolicyFolder(
        installation.database, Path(folder) if folder else None, clock=installation.clock, pulse=pulse
    )


@cache
def _shipped() -> FoundTexts:
    texts, errors = read_folder(SHIPPED_RULES)
    return FoundTexts("shipped", str(SHIPPED_RULES), [parse_text(text) for text in texts], errors)


def _files(folder: str, before: str) -> list[tuple[str, int, int, int]]:
    found: list[tuple[str, int, int, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = before + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path, name + "/")
            elif entry.name.endswith(RULE_ENDINGS):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    # Gone meanwhile, or a link that leads nowhere: reading it will tell.
                    found.append((name, 0, 0, 0))
                else:
                    found.append((name, status.st_size, status.st_mtime_ns, status.st_ino))
    return found
