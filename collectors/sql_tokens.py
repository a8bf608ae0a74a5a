"""A statement's words, and where its literals are, for PostgreSQL and for MariaDB and MySQL. Pure.

Written for one promise: nothing inside a literal or a comment is ever taken for a word. sqlglot's tokenizer
cannot give it: it does not know the server's settings (standard_conforming_strings, sql_mode, versions in
conditional comments), and raises on what is unfinished. Where two settings would read a statement in two
ways, or where it does not end what it began, the rest of it is one token of kind "lost".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Dialect = Literal["postgres", "mysql"]
STATEMENT_CHARACTERS_MAX: Final = 64 * 1024
"""What is looked at of a statement; a longer one loses its rest."""


class Token(NamedTuple):
    """`text` of a word, a quoted name (without its quotes), a sign, or a literal (its value, where it is a
    plain string). Of the rest that was lost it is empty."""

    kind: Literal["word", "name", "sign", "literal", "lost"]
    text: str = ""


_PLAIN: Final = r"'[^']*+(?:''[^']*+)*+'"
_ESCAPED: Final = r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'"
_COMMON: Final = r"""
    (?P<space>[\ \t\n\r\f\v]++)
  | (?P<block>/\*)
"""
_POSTGRES: Final = re.compile(
    _COMMON
    + rf"""
  | (?P<comment>--[^\n\r]*+)
  | (?P<dollar>\$(?:[^\W\d]\w*+)?\$)
  | (?P<parameter>\$\d++)
  | (?P<estring>[eE]{_ESCAPED})
  | (?:[nNbBxX]|[uU]&)?(?P<string>')
  | (?:[uU]&)?(?P<quoted>"[^"]*+(?:""[^"]*+)*+")
  | (?P<number>\d[\w.]*+|\.\d\w*+)
  | (?P<word>[^\W\d][\w$]*+)
  | (?P<sign>::|[<>=!~|&^@\#%:?`]++|[-+*/(),;.\[\]])
""",
    re.VERBOSE | re.DOTALL,
)
_MYSQL: Final = re.compile(
    _COMMON
    + r"""
  | (?P<comment>\#[^\n\0]*+|--(?=[\x00-\x20\x7f]|\Z)[^\n\0]*+)
  | (?P<string>['"])
  | (?P<quoted>`[^`]*+(?:``[^`]*+)*+`)
  | (?P<number>\d[\w.$]*+|\.\d\w*+)
  | (?P<word>(?:[^\W\d]|\$)[\w$]*+)
  | (?P<sign>:=|[<>=!~|&^%:?@]++|[-+*/(),;.{}])
""",
    re.VERBOSE | re.DOTALL,
)
_STRINGS: Final = {
    "'": (re.compile(_PLAIN, re.DOTALL), re.compile(_ESCAPED, re.DOTALL)),
    '"': (
        re.compile(_PLAIN.replace("'", '"'), re.DOTALL),
        re.compile(_ESCAPED.replace("'", '"'), re.DOTALL),
    ),
}
_AMBIGUOUS: Final = re.compile(r"""['"`\#]|--|/\*""")


def tokens_of(statement: str, dialect: Dialect) -> Iterator[Token]:
    """All but comments and space, in order. Takes any text, and time in proportion to its length."""
    text = statement[:STATEMENT_CHARACTERS_MAX]
    pattern = _POSTGRES if dialect == "postgres" else _MYSQL
    at = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            yield Token("lost")
            return
        kind = match.lastgroup
        at = match.end()
        if kind in {"space", "comment"}:
            continue
        if kind in {"word", "sign"}:
            yield Token("word" if kind == "word" else "sign", match.group())
        elif kind in {"number", "parameter"} or kind == "estring":
            yield Token("literal")
        elif kind == "quoted":
            quote = match.group("quoted")[0]
            yield Token("name", match.group("quoted")[1:-1].replace(quote * 2, quote))
        else:
            end = _END_OF[str(kind)](text, match, dialect)
            if end is None:
                yield Token("lost")
                return
            if kind == "string":
                quote = text[match.start("string")]
                value = text[match.start("string") + 1 : end - 1].replace(quote * 2, quote)
                yield Token("literal", value)
            elif kind == "dollar":
                yield Token("literal", text[at : end - len(match.group())])
            at = end
    if len(statement) > len(text):
        yield Token("lost")


def _end_of_string(text: str, match: re.Match[str], dialect: Dialect) -> int | None:
    """None where a backslash before a quote ends the string or does not, as the server is set."""
    start = match.start("string")
    plain, escaped = (pattern.match(text, start) for pattern in _STRINGS[text[start]])
    if plain is None or escaped is None or plain.end() != escaped.end():
        return None
    return plain.end()


def _end_of_dollar(text: str, match: re.Match[str], dialect: Dialect) -> int | None:
    end = text.find(match.group(), match.end())
    return None if end < 0 else end + len(match.group())


def _end_of_block(text: str, match: re.Match[str], dialect: Dialect) -> int | None:
    if dialect == "postgres":
        depth, at = 1, match.end()
        for mark in re.compile(r"/\*|\*/").finditer(text, at):
            depth += 1 if mark.group() == "/*" else -1
            if not depth:
                return mark.end()
        return None
    end = text.find("*/", match.end())
    if end < 0:
        return None
    # What the server runs or not, as its version is: the end may lie elsewhere for it.
    if text.startswith(("!", "M!", "+"), match.end()) and _AMBIGUOUS.search(text, match.end(), end):
        return None
    return end + 2


_END_OF: Final = {"string": _end_of_string, "dollar": _end_of_dollar, "block": _end_of_block}
