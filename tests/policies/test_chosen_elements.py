"""A rule asks for elements of one type in a list: so many of just this kind."""

from __future__ import annotations

from typing import Any

import pytest

from policies.field_reader import FieldReader

FIELD = "file.labels.details[resident_id].count"


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        ([{"details": [{"type": "resident_id", "count": 3}, {"type": "email", "count": 9}]}], [3]),
        (
            [
                {"details": [{"type": "email", "count": 9}]},
                {"details": [{"type": "resident_id", "count": 1}]},
            ],
            [1],
        ),
        ([{"details": "resident_id"}, {"details": None}, {}], []),
        (None, None),
    ],
)
def test_only_elements_of_the_type_in_brackets_are_read(labels: Any, read: Any) -> None:
    reader = FieldReader([FIELD])
    assert reader.read({"file": {"labels": labels}})[reader.position[FIELD]] == read


def test_a_list_at_the_end_of_the_parents_is_chosen_from_too() -> None:
    reader = FieldReader(["details[b].count"])
    row = reader.read({"details": [{"type": "a", "count": 1}, {"type": "b", "count": 2}]})
    assert row[1] == [2]
