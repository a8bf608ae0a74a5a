"""What a viewer may see of policies: those who may not see names get texts without anybody's, those who may
not see alerts get no numbers where a text says whom they are about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from server.console.known_people import KnownPeople as ConsolePeople
from server.console.page import Console, Viewer
from server.people.directory import people_version
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.policies.figures import NO_FIGURES
from server.policies.listing import ExceptionRow
from server.policies.masked_text import KnownPeople, known_people, names_people, text_mask
from server.policies.sheet import Sheet, SheetRow
from server.policies.versions import PolicyVersion

TEXTS_KEPT: Final = 200


class MaskedTexts:
    """Texts of policies without names, kept by version of the people: making them takes longer than a page
    may."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, tuple[str, ...]], tuple[str, ...]] = OrderedDict()
        self._people: tuple[int, KnownPeople] | None = None

    def texts(self, texts: Sequence[str]) -> list[str]:
        """In the same order. Raises StoreUnavailable."""
        with self._console.database.read() as connection:
            key = people_version(connection), tuple(texts)
            with self._lock:
                found = self._kept.get(key)
                if found is None and (self._people is None or self._people[0] < key[0]):
                    self._people = (
                        key[0],
                        known_people(connection, self._console.made(ConsolePeople).directory(connection)),
                    )
                people = self._people
        if found is None:
            assert people is not None
            mask = text_mask(self._console.database, texts, people[1])
            found = tuple(map(mask, texts))
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > TEXTS_KEPT:
                self._kept.popitem(last=False)
        return list(found)


class Sight:
    """Of one viewer."""

    def __init__(self, console: Console, viewer: Viewer) -> None:
        self._console = console
        self.names: Final = viewer.may(Right.SEE_NAMES)
        self.alerts: Final = viewer.may(Right.SEE_ALERTS)
        self.changes: Final = viewer.may(Right.CHANGE_POLICIES)
        self.excepts: Final = viewer.may(Right.MAKE_EXCEPTIONS)

    def text_of(self, version: PolicyVersion, *more: str) -> list[str]:
        """A version's text, and what was taken from it. What Leaver ships names nobody."""
        texts = [version.text or "", *more]
        return texts if version.origin == "shipped" else self.texts(texts)

    def prose(self, *texts: str) -> list[str]:
        """Titles and reasons."""
        return list(texts) if self.names else masked_prose(self._console, texts)

    def texts(self, texts: Sequence[str]) -> list[str]:
        """YAML, and what stands in it."""
        return list(texts) if self.names else self._console.made(MaskedTexts).texts(texts)

    def tells(self, named: bool) -> bool:
        """Whether numbers may be told. `named`: of what says whom they are about."""
        return self.alerts or not named

    def sheet(self, sheet: Sheet) -> Sheet:
        """As this viewer sees it. What is not told does not show in the order either."""
        titles = self.prose(*(_own_title(row) for row in sheet.rows))
        rows = [
            msgspec.structs.replace(
                row,
                rule=msgspec.structs.replace(row.rule, title=title or row.rule.title),
                figures=row.figures if self.tells(row.names_people) else NO_FIGURES,
            )
            for row, title in zip(sheet.rows, titles, strict=True)
        ]
        hidden = [row for row in rows if not self.tells(row.names_people)]
        told = [row for row in rows if self.tells(row.names_people)]
        hidden.sort(key=lambda row: row.rule.title.casefold())
        return msgspec.structs.replace(sheet, rows=(*told, *hidden))

    def exceptions(self, rows: Sequence[ExceptionRow], held: dict[str, PolicyVersion]) -> list[ExceptionRow]:
        """`hidden` is -1, and `hash` empty, where they are not told."""
        texts = self.prose(*(text for row in rows for text in (row.title, row.reason, row.owner)))
        shown = []
        for at, row in enumerate(rows):
            title, reason, owner = texts[3 * at : 3 * at + 3]
            told = msgspec.structs.replace(row, title=title, reason=reason, owner=owner)
            if not self.names:
                # Of the text as it is: a guess at who is named could be held against it.
                told = msgspec.structs.replace(told, hash="")
            text = held[row.id].text if row.id in held else None
            if not self.tells(text is not None and names_people(text)):
                told = msgspec.structs.replace(told, hidden=-1, last_hidden_at=None, preview=None)
            shown.append(told)
        return shown


def sight_of(console: Console, viewer: Viewer) -> Sight:
    return Sight(console, viewer)


def _own_title(row: SheetRow) -> str:
    """What somebody of the company may have typed; the titles that Leaver ships name nobody, and hold words
    that are somebody's name somewhere."""
    shipped = row.rule.origin == "shipped" and not row.rule.changed
    return "" if shipped else row.rule.title
