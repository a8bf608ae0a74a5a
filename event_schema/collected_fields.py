"""The page that tells the people who are watched what is collected and why: docs/collected_fields.md.

Made from the field registry; `python -m event_schema.collected_fields > docs/collected_fields.md` renews it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from event_schema.field_registry import FieldSpec, control_fields, field_registry

_INTRODUCTION = """\
# What is collected, and why

Made from the program's own types: a field that is not here is not collected, not sent and not stored.
"Names" says whether a value can give a person away; analysts see a pseudonym there until somebody unmasks it,
with a reason, on the record. "Not yet": the field is reserved, and nothing
fills it.

What is never collected: contents of files, messages and mails, subjects, keystrokes, screens, command lines
and their arguments, query strings of URLs, titles of print jobs, literals of SQL.
"""


def collected_fields_page() -> str:
    """Markdown, in the order of the types."""
    specs = list(field_registry().values())
    observed = [spec for spec in specs if not spec.path.startswith("leaver.")]
    derived = [spec for spec in specs if spec.path.startswith("leaver.")]
    return "\n".join(
        (
            _INTRODUCTION,
            "## Seen on the endpoint (OCSF names)\n",
            *_table(observed),
            "\n## Worked out on the server, at the time of the event\n",
            *_table(derived),
            "\n## What an agent says about itself\n",
            *_table(control_fields()),
            "",
        )
    )


def _table(specs: Iterable[FieldSpec]) -> list[str]:
    rows = [f"| `{spec.path}` | {_kind(spec)} | {spec.purpose} | {_remarks(spec)} |" for spec in specs]
    return ["| field | type | why | |", "|---|---|---|---|", *rows]


def _kind(spec: FieldSpec) -> str:
    """What it can be, where that is little; else its type."""
    if not spec.values:
        return spec.type
    return ", ".join(str(value) if str(value) == name else f"{value} {name}" for value, name in spec.values)


def _remarks(spec: FieldSpec) -> str:
    return ", ".join(
        word for word, holds in (("names", spec.names_person), ("not yet", spec.not_yet)) if holds
    )


if __name__ == "__main__":
    sys.stdout.write(collected_fields_page())
