"""How a statement takes data out of a database: into a file, to a program or the client, as a dump. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from collectors.sql_tokens import Token

Method = Literal["copy_to", "dump", "into_outfile", "select", "other"]
DUMP_PROGRAMS: Final = frozenset(
    {
        "pg_dump", "pg_dumpall", "pg_basebackup",
        "mysqldump", "mariadb-dump", "mariadb-backup", "mysqlpump", "mydumper",
    }
)  # fmt: skip
"""By the name that a client gives itself. Whoever hides it is seen by what the program asks."""
_MYSQLDUMP: Final = "/*!40001 SQL_NO_CACHE */"
_INTO: Final = frozenset({"outfile", "dumpfile"})


class Way(msgspec.Struct, frozen=True):
    """`server_file`: what the server was told to write, as the statement says it: a literal, to be opened on
    this host only."""

    method: Method
    server_file: str | None = None


def way_out(tokens: Sequence[Token]) -> Way | None:
    """How the statement takes data out; None where it just answers. COPY, and INTO OUTFILE."""
    words = [token.text.lower() if token.kind == "word" else token.kind for token in tokens]
    for at, word in enumerate(words):
        if word == "copy" and _begins_statement(tokens, at):
            way = _copy(tokens, words, at)
            if way is not None:
                return way
        elif word == "into" and words[at + 1 : at + 2] and words[at + 1] in _INTO:
            return Way("into_outfile", _literal(tokens, at + 2))
    return None


def is_mysqldump(statement: str) -> bool:
    """What mysqldump and mariadb-dump put into every statement that reads a table."""
    return _MYSQLDUMP in statement[:200]


def _begins_statement(tokens: Sequence[Token], at: int) -> bool:
    return at == 0 or tokens[at - 1] == Token("sign", ";")


def _copy(tokens: Sequence[Token], words: Sequence[str], at: int) -> Way | None:
    depth = 0
    for place in range(at + 1, len(tokens)):
        sign = tokens[place].text if tokens[place].kind == "sign" else ""
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == ";" and not depth:
            return None
        if depth or words[place] not in {"to", "from"}:
            continue
        if words[place] == "from":
            return None
        is_program = words[place + 1 : place + 2] == ["program"]
        return Way("copy_to", None if is_program else _literal(tokens, place + 1))
    # Its end was lost: a COPY into the database has no query in brackets, and seldom such length.
    return Way("copy_to") if tokens and tokens[-1].kind == "lost" else None


def _literal(tokens: Sequence[Token], at: int) -> str | None:
    if at < len(tokens) and tokens[at].kind == "literal" and tokens[at].text:
        return tokens[at].text
    return None
