"""A statement without its literals: what of it may leave the endpoint.

Fingerprints are made of tokens, never of the statement's text: literals become "?", lists of them one "?",
comments nothing, names that look like data "?", and what cannot be read for certain "…". sqlglot sees only
that text, to find tables where the server's log names none: no error of it can give a literal away, and
statements that differ in literals share one entry of the cache.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

from collectors.sql_tokens import Dialect, Token, tokens_of

TEXT_CHARACTERS_MAX: Final = 4096
TABLES_MAX: Final = 64
_CACHED: Final = 2_000
_NAME: Final = re.compile(r"[^\W\d][\w$]{0,62}")
_MANY_DIGITS: Final = re.compile(r"\d{5,}")
_NO_SPACE_BEFORE: Final = frozenset({",", ")", ".", ";", "::", "]", "["})
_NO_SPACE_AFTER: Final = frozenset({"(", ".", "::", "[", ""})
_BEFORE_A_NUMBER: Final = frozenset({"(", ",", "=", "<", ">", "<=", ">=", "<>", "!="})

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class Fingerprint(msgspec.Struct, frozen=True):
    """`uid`: the same for statements that differ in literals, case and space only. `text`: without literals,
    at most TEXT_CHARACTERS_MAX."""

    uid: str
    text: str


def fingerprint(tokens: Iterable[Token]) -> Fingerprint:
    text = _text(tokens)
    return Fingerprint(hashlib.sha256(text.lower().encode("utf-8", "replace")).hexdigest()[:32], text)


def fingerprint_of(statement: str, dialect: Dialect) -> Fingerprint:
    return fingerprint(tokens_of(statement, dialect))


def shown_name(name: str) -> str:
    """A name as it may be shown: one that looks like data does not come through.

    >>> shown_name("customers_20261122"), shown_name("li@example.com")
    ('customers_N', '?')
    """
    if _NAME.fullmatch(name) is None:
        return "?"
    return _MANY_DIGITS.sub("N", name)


class TableFinder:
    """Finds the tables that a fingerprint reads. Keeps the answers for the statements seen last."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def tables(self, found: Fingerprint) -> tuple[str, ...]:
        """Empty where sqlglot cannot read the statement."""
        known = self._known.get(found.uid)
        if known is None:
            known = _tables(found.text, self._dialect)
            self._known[found.uid] = known
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(found.uid)
        return known


def _tables(text: str, dialect: Dialect) -> tuple[str, ...]:
    import sqlglot  # noqa: PLC0415 - slow to import; only agents on database servers need it
    from sqlglot import exp  # noqa: PLC0415

    found: dict[str, None] = {}
    for part in text.split(";"):
        readable = part.partition("…")[0].strip()
        for pattern, instead in _WHAT_SQLGLOT_CANNOT_READ:
            readable = pattern.sub(instead, readable)
        if not readable:
            continue
        try:
            parsed = sqlglot.parse_one(readable, dialect=dialect)
        except (sqlglot.errors.SqlglotError, RecursionError):
            continue
        not_read = {query.alias for query in parsed.find_all(exp.CTE)}
        not_read |= {_name(into.this) for into in parsed.find_all(exp.Create, exp.Into)}
        for table in parsed.find_all(exp.Table):
            if (name := _name(table)) not in {"", "?", *not_read}:
                found[name] = None
    return tuple(found)[:TABLES_MAX]


def _name(table: object) -> str:
    return ".".join(filter(None, (getattr(table, part, "") for part in ("catalog", "db", "name"))))


_WHAT_SQLGLOT_CANNOT_READ: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), instead)
    for pattern, instead in (
        (r"^copy \((.*)\) to\b.*$", r"\1"),
        (r"^copy (\w[\w.$]*)\s*(?:\([^()]*\) )?to\b.*$", r"SELECT * FROM \1"),
        (r"^declare \S+ (?:\w+ )*?cursor (?:with hold |without hold )?for ", ""),
        (r"^prepare \S+\s*(?:\([^()]*\) )?as ", ""),
        (r"^explain (?:analyze |verbose |\([^()]*\) )*", ""),
        (r"\binto (?:outfile|dumpfile) \?.*?(?=\bfrom\b|$)", ""),
    )
)


def _text(tokens: Iterable[Token]) -> str:
    words: list[str] = []
    size = 0
    for token in tokens:
        if token.kind == "lost":
            words.append("…")
            break
        word = _word(token)
        if word == "?":
            if len(words) > 1 and words[-1] in {"-", "+"} and words[-2] in _BEFORE_A_NUMBER:
                words.pop()
            if words[-1:] == ["?"]:
                continue
            if words[-2:] == ["?", ","]:
                words.pop()
                continue
        words.append(word)
        if words[-7:] == ["(", "?", ")", ",", "(", "?", ")"]:
            del words[-4:]
        size += len(word) + 1
        if size > 2 * TEXT_CHARACTERS_MAX:
            words.append("…")
            break
    parts: list[str] = []
    before = ""
    for word in words:
        if before not in _NO_SPACE_AFTER and word not in _NO_SPACE_BEFORE:
            parts.append(" ")
        parts.append(word)
        before = word
    text = "".join(parts)
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _word(token: Token) -> str:
    match token.kind:
        case "literal":
            return "?"
        case "sign":
            return token.text
        case _:
            return shown_name(token.text)
