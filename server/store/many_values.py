"""A list of thousands of values as one parameter of a statement.

Written out, each value is a parameter of its own: the statement is then put together and read anew for each
length of the list, which takes longer than finding the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Text


class _TextsOf(GenericFunction[str]):
    """Rows of the texts of a JSON list."""

    type = Text()
    inherit_cache = True
    name = "leaver_texts_of"


@compiles(_TextsOf, "sqlite")
def _on_sqlite(element: _TextsOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kwargs)})"


@compiles(_TextsOf, "postgresql")
def _on_postgresql(element: _TextsOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kwargs)} AS JSON))"


def any_of(texts: Iterable[str]) -> Select[tuple[str]]:
    """For `column.in_(any_of(texts))`."""
    given = bindparam(None, orjson.dumps(list(texts)).decode(), type_=Text())
    rows = _TextsOf(given).table_valued("value", name="given")
    return select(rows.c.value)
