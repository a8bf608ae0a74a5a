"""Random detections and events for property tests: few words and fields, so that much of it meets."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WORDS = [
    "a",
    "B",
    "ab",
    "AB",
    "abc",
    "b*a",
    "?b",
    r"a\*b",
    r"\\a",
    "",
    "c c",
    "7",
    "7.0",
    "true",
    "ß",
    "Σ",
    "ας",
]
FIELDS = ["f", "g", "n.x", "n.y.z", "l.v", "d.o.t"]
MODIFIERS = [
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|contains|all",
    "|cased",
    "|contains|cased",
    "|windash",
]
TEXTS = [
    "a",
    "b",
    "ab",
    "aB",
    "abc",
    "cab",
    "xabx",
    "a*b",
    "\\a",
    "",
    "c c",
    "7",
    "7.5",
    "TRUE",
    "ß",
    "ΑΣ",
    "-a",
    "/a",
]


@st.composite
def selection_items(draw: Any) -> tuple[str, Any]:
    field = draw(st.sampled_from(FIELDS))
    kind = draw(st.integers(0, 9))
    if kind < 6:
        modifier = draw(st.sampled_from(MODIFIERS))
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
        return field + modifier, words if len(words) > 1 else words[0]
    choices: list[tuple[str, Any]] = [
        (field, draw(st.sampled_from([7, 7.5, 0, -1, True, False, None]))),
        (
            field + draw(st.sampled_from(["|gt", "|gte", "|lt", "|lte", "|neq"])),
            draw(st.sampled_from([0, 7, 7.5])),
        ),
        (field + "|exists", draw(st.booleans())),
        (
            field + draw(st.sampled_from(["|re", "|re|i"])),
            draw(st.sampled_from(["a+b", "^a", "b$", "[0-9]"])),
        ),
        (field + "|fieldref", draw(st.sampled_from(FIELDS))),
        (field + "|cidr", "10.0.0.0/8"),
    ]
    chosen: tuple[str, Any] = draw(st.sampled_from(choices))
    return chosen


selections = st.one_of(
    st.lists(selection_items(), min_size=1, max_size=3).map(dict),
    st.lists(st.lists(selection_items(), min_size=1, max_size=2).map(dict), min_size=1, max_size=3),
    st.lists(st.sampled_from([word for word in WORDS if word]), min_size=1, max_size=3),
)
conditions = st.sampled_from(
    ["s1", "s1 and s2", "s1 or s2", "not s1", "s1 and not s2", "not (s1 and s2)", "1 of s*", "all of s*",
     "(s1 or s2) and not s3", "s1 and (s2 or not s3)"]
)  # fmt: skip
detections = st.builds(
    lambda one, two, three, condition: {"s1": one, "s2": two, "s3": three, "condition": condition},
    selections, selections, selections, conditions,
)  # fmt: skip

scalars = st.one_of(
    st.sampled_from(TEXTS), st.sampled_from([7, 7.0, 7.5, 0, -1, True, False, None, "10.1.2.3"])
)
values: st.SearchStrategy[Any] = st.one_of(scalars, st.lists(scalars, max_size=3), st.just({}), st.just([]))
_lists = st.lists(st.fixed_dictionaries({}, optional={"v": values}), max_size=3)
events = st.fixed_dictionaries(
    {},
    optional={
        "f": values,
        "g": values,
        "n": st.fixed_dictionaries(
            {},
            optional={
                "x": values,
                "y": st.one_of(scalars, st.fixed_dictionaries({}, optional={"z": values})),
            },
        ),
        "l": st.one_of(_lists, st.fixed_dictionaries({"v": values}), scalars),
        "d.o.t": values,
        "d": st.fixed_dictionaries({"o": st.fixed_dictionaries({"t": values})}),
        "other": values,
    },
)
