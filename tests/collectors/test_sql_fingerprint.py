"""No literal of a statement is in its fingerprint, however it is written; statements that differ in literals
only have one fingerprint."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sql_exports import Way, is_mysqldump, way_out
from collectors.sql_fingerprint import (
    TEXT_CHARACTERS_MAX,
    TableFinder,
    fingerprint_of,
    shown_name,
)
from collectors.sql_tokens import STATEMENT_CHARACTERS_MAX, Dialect, tokens_of

DIALECTS: tuple[Dialect, ...] = ("postgres", "mysql")
MARK = "zqxjk"
"""In every literal, and nowhere else."""


def _escaped(text: str, quote: str) -> str:
    return text.replace(quote, quote * 2)


_inside = st.text(alphabet="ab '\"`\\$-/*#\n\r\t;,()[]{}?%@:é张\0=0123456789", max_size=12)
_value = st.builds(lambda before, after: f"{before}{MARK}{after}", _inside, _inside)
_no_backslash = _value.map(lambda value: value.replace("\\", "").replace("\0", ""))
_number = st.integers(10_000_000, 10**30)
_POSTGRES_LITERALS = st.one_of(
    _no_backslash.map(lambda value: f"'{_escaped(value, chr(39))}'"),
    _value.map(lambda value: f"'{_escaped(value, chr(39))}'"),
    _value.map(lambda value: "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    _no_backslash.map(lambda value: f"U&'{_escaped(value, chr(39))}'"),
    _value.map(lambda value: f"$q${value.replace('$q$', '')}$q$"),
    _value.map(lambda value: f"$${value.replace('$', '')}$$"),
    _no_backslash.map(lambda value: '"' + _escaped(value + " ", '"') + '"'),
    _value.map(lambda value: f"/* {value.replace('*', '').replace('/', '')} */ 1"),
    _value.map(lambda value: "-- " + value.replace("\n", "").replace("\r", "") + "\n 1"),
)
_MYSQL_LITERALS = st.one_of(
    _no_backslash.map(lambda value: f"'{_escaped(value, chr(39))}'"),
    _value.map(lambda value: "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    _value.map(lambda value: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    _no_backslash.map(lambda value: "`" + _escaped(value + " ", "`") + "`"),
    _no_backslash.map(lambda value: f"_utf8mb4'{_escaped(value, chr(39))}'"),
    _value.map(lambda value: f"/*! {value.replace('*', '').replace('/', '')} */ 1"),
    _value.map(lambda value: f"/* {value.replace('*', '').replace('/', '')} */ 1"),
    _value.map(lambda value: "# " + value.replace("\n", "").replace("\0", "") + "\n 1"),
    _value.map(lambda value: "-- " + value.replace("\n", "").replace("\0", "") + "\n 1"),
)
_FRAMES = (
    "SELECT * FROM customers WHERE a = {} AND b IN ({}, {})",
    "INSERT INTO t (a, b) VALUES ({}, {}), ({}, 1)",
    "SELECT {}||{} AS x, {} FROM t;",
    "COPY (SELECT {} FROM t WHERE b={}) TO {}",
    "UPDATE t SET a={} WHERE b={} OR c LIKE {}",
    "{} {} {}",
    "SELECT({}),[{}]::text,-{}",
)


def _check(statement: str, dialect: Dialect) -> None:
    found = fingerprint_of(statement, dialect)
    assert MARK not in found.text
    assert len(found.text) <= TEXT_CHARACTERS_MAX


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(_FRAMES), st.lists(_POSTGRES_LITERALS, min_size=3, max_size=3), st.integers(0, 400))
def test_no_literal_of_postgresql_is_in_the_fingerprint_also_of_a_cut_statement(
    frame: str, literals: list[str], cut: int
) -> None:
    statement = frame.format(*literals)
    _check(statement, "postgres")
    _check(statement[:cut], "postgres")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(_FRAMES), st.lists(_MYSQL_LITERALS, min_size=3, max_size=3), st.integers(0, 400))
def test_no_literal_of_mysql_is_in_the_fingerprint_also_of_a_cut_statement(
    frame: str, literals: list[str], cut: int
) -> None:
    statement = frame.format(*literals)
    _check(statement, "mysql")
    _check(statement[:cut], "mysql")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DIALECTS), _number, st.sampled_from(("{}", "{}.5", "-{}", "0x{}", "{}e7", ".{}", "1_{}"))
)
def test_no_number_is_in_the_fingerprint(dialect: Dialect, number: int, form: str) -> None:
    written = form.format(number)
    statement = f"SELECT a FROM t WHERE id = {written} OR id IN ({written},{written}) LIMIT {number}"
    assert not any(character.isdigit() for character in fingerprint_of(statement, dialect).text)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(DIALECTS),
    st.lists(
        st.sampled_from([*"'\"\\`$#;-\n \r", "--", "/*", "*/", "$a$", "E'", "/*!", "secret", "x"]),
        max_size=14,
    ),
)
def test_whatever_another_tokenizer_takes_for_a_string_is_not_in_the_fingerprint(
    dialect: Dialect, parts: list[str]
) -> None:
    """sqlglot's tokenizer as the judge of statements that make little sense."""
    statement = "".join(parts)
    try:
        tokens = sqlglot.tokenize(statement, read=dialect)
    except sqlglot.errors.SqlglotError:
        return
    shown = fingerprint_of(statement, dialect).text
    named = ("VAR", "IDENTIFIER")
    outside = sum(token.text.count("secret") for token in tokens if token.token_type.name in named)
    assert shown.count("secret") <= outside


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        # Read in one way or the other as standard_conforming_strings or sql_mode is set.
        ("postgres", r"SELECT 'a\' , ' secret '"),
        ("postgres", r"SELECT 'a\'', secret '"),
        ("mysql", r"SELECT 'a\' , secret '"),
        ("mysql", r"""SELECT "a\" , secret " """),
        # Run or skipped as the server's version is.
        ("mysql", "/*!999999 it's */ SELECT 'secret'"),
        ("mysql", "/*! SELECT '*/ secret' */"),
        ("mysql", '/*M!100100 SELECT "*/ secret" */'),
        # Never ended.
        ("postgres", "SELECT 'secret"),
        ("postgres", "SELECT $a$ secret $b$ secret"),
        ("postgres", "/* /* */ secret"),
        ("mysql", "/* secret"),
        ("mysql", "SELECT `secret"),
        # What ends a comment for the server.
        ("postgres", "SELECT 1 --'\r, 'secret'"),
        ("mysql", "SELECT 5--'\nsecret'"),
        ("mysql", "SELECT 1 -- '\0 'secret'"),
        # Quotes that are none.
        ("postgres", "SELECT ‘secret’"),
        ("mysql", "SELECT “secret”"),
        # Names that look like data.
        ("postgres", 'SELECT 1 AS "secret@example.com"'),
        ("mysql", "SELECT 1 AS `secret person`"),
    ],
)
def test_what_can_be_read_in_two_ways_is_left_out(dialect: Dialect, statement: str) -> None:
    assert "secret" not in fingerprint_of(statement, dialect).text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_that_differ_in_literals_case_and_space_are_one(dialect: Dialect) -> None:
    written = [
        "SELECT name FROM customers WHERE id IN (1, 2, 3) AND city = 'Berlin'",
        "select name from customers\nwhere id in (7) and city='a''b' -- why",
        "select  name /* x */ from customers where id IN (-1,2,  3,4) and city = ''",
    ]
    assert len({fingerprint_of(each, dialect).uid for each in written}) == 1
    assert fingerprint_of("SELECT phone FROM customers WHERE id IN (1) AND city = ''", dialect).uid != (
        fingerprint_of(written[0], dialect).uid
    )


def test_rows_of_an_insert_are_one() -> None:
    one = fingerprint_of("INSERT INTO t VALUES (1, 'a')", "postgres")
    many = fingerprint_of(
        "INSERT INTO t VALUES " + ",".join(f"({n}, 'a{n}')" for n in range(500)), "postgres"
    )
    assert one == many
    assert one.text == "INSERT INTO t VALUES (?)"


@pytest.mark.parametrize(
    "statement",
    ["'" * 10_000_000, "(" * 10_000_000, "SELECT " + "a," * 5_000_000, "/*" * 5_000_000, "a\\" * 5_000_000],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_ten_megabytes_leave_a_short_text(dialect: Dialect, statement: str) -> None:
    """Within the time that a test has: they would take hours where reading is not linear."""
    found = fingerprint_of(statement, dialect)
    TableFinder(dialect).tables(found)
    assert len(found.text) <= TEXT_CHARACTERS_MAX


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DIALECTS), st.text(max_size=200))
def test_any_text_can_be_read(dialect: Dialect, text: str) -> None:
    found = fingerprint_of(text, dialect)
    assert isinstance(found.text.encode(), bytes)
    TableFinder(dialect).tables(found)
    way_out(list(tokens_of(text, dialect)))


def test_names_that_look_like_data_are_not_shown() -> None:
    assert [
        shown_name(name) for name in ("customers", "客户", "orders_20261122", "a b", "x@y", "a" * 64)
    ] == [
        "customers",
        "客户",
        "orders_N",
        "?",
        "?",
        "?",
    ]


@pytest.mark.parametrize(
    ("dialect", "statement", "tables"),
    [
        ("postgres", "COPY customers TO STDOUT", ("customers",)),
        ("postgres", "COPY public.customers (id, name) TO stdout;", ("public.customers",)),
        (
            "postgres",
            "COPY (SELECT a FROM c JOIN hr.s ON s.id=c.id WHERE x='y') TO PROGRAM 'gzip'",
            ("c", "hr.s"),
        ),
        ("postgres", "DECLARE c NO SCROLL CURSOR WITH HOLD FOR\n SELECT * FROM customers", ("customers",)),
        ("postgres", "WITH a AS (SELECT * FROM hr.s) SELECT * FROM a", ("hr.s",)),
        ("postgres", "CREATE TEMP TABLE t AS SELECT * FROM customers", ("customers",)),
        ("postgres", "this is no SQL", ()),
        ("mysql", "SELECT /*!40001 SQL_NO_CACHE */ `id` FROM `crm`.`customers`", ("crm.customers",)),
        ("mysql", "SELECT a INTO OUTFILE '/tmp/x' FIELDS TERMINATED BY ',' FROM customers", ("customers",)),
    ],
)
def test_tables_are_found_in_the_text_without_literals(
    dialect: Dialect, statement: str, tables: tuple[str, ...]
) -> None:
    assert TableFinder(dialect).tables(fingerprint_of(statement, dialect)) == tables


@pytest.mark.parametrize(
    ("dialect", "statement", "way"),
    [
        ("postgres", "COPY t TO STDOUT", Way("copy_to")),
        ("postgres", "copy (select 1) to '/srv/a''b.csv' csv", Way("copy_to", "/srv/a'b.csv")),
        (
            "postgres",
            "COPY (SELECT * FROM a WHERE b = ' to ''/x''') TO PROGRAM 'cat > /tmp/y'",
            Way("copy_to"),
        ),
        ("postgres", "BEGIN; COPY t TO '/srv/x'; COMMIT", Way("copy_to", "/srv/x")),
        ("postgres", "COPY t FROM '/srv/x'", None),
        ("postgres", "SELECT copy FROM t", None),
        ("mysql", "SELECT * FROM t INTO OUTFILE '/srv/x'", Way("into_outfile", "/srv/x")),
        ("mysql", "SELECT a INTO DUMPFILE 'x' FROM t", Way("into_outfile", "x")),
        ("mysql", "SELECT 'INTO OUTFILE'", None),
    ],
)
def test_how_a_statement_takes_data_out(dialect: Dialect, statement: str, way: Way | None) -> None:
    assert way_out(list(tokens_of(statement, dialect))) == way


def test_a_dump_is_known_by_what_it_asks() -> None:
    assert is_mysqldump("SELECT /*!40001 SQL_NO_CACHE */ * FROM t")
    assert not is_mysqldump("SELECT * FROM t")


def test_the_rest_of_a_very_long_statement_is_lost_and_shown_so() -> None:
    statement = "SELECT a FROM t WHERE x = '" + "y" * STATEMENT_CHARACTERS_MAX + "' AND secret = 1"
    assert fingerprint_of(statement, "postgres").text == "SELECT a FROM t WHERE x = …"
