"""What the domain says is said in Chinese too, with its values; what is not known stays as it is."""

from __future__ import annotations

import pytest

from server.console.phrases import chinese, phrase
from server.console.said_words import _KNOWN, said
from server.people.dates import UnreadableDate, read_day, read_minute


class _Look:
    language = "zh"


class _Asking:
    """As much of a request as words need."""

    look = _Look()

    def text(self, words: str, **values: object) -> str:
        return phrase(words, "zh", **values)


def _said(message: str) -> str:
    return said(_Asking(), message)  # type: ignore[arg-type]


def test_every_phrase_takes_the_values_of_its_pattern() -> None:
    for pattern, known in _KNOWN:
        values = dict.fromkeys(pattern.groupindex, "7")
        assert phrase(known.words, "zh", **values) != known.words
        assert known.words in chinese()


@pytest.mark.parametrize("written", ["soon", "2026-13-40", "03/04/2026", "1.2.26", "46000", "1900-01-01"])
def test_what_is_wrong_with_a_date_is_said(written: str) -> None:
    with pytest.raises(UnreadableDate) as refused:
        read_day(written)
    assert _said(str(refused.value)) != str(refused.value)


def test_values_stay() -> None:
    with pytest.raises(UnreadableDate) as refused:
        read_minute("25:00")
    assert "25:00" in _said(str(refused.value))
    before = "the last day 2026-12-04 is before the notice date 2026-12-05"
    assert _said(before) == "最后工作日 2026-12-04 早于提出离职日期 2026-12-05。"
    assert _said("something that is new") == "something that is new"
