"""No refusal that a page shows, and no word of what could not be seen, is without its Chinese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.console.phrases import chinese
from server.console.said_words import said_in, seen_in
from server.pipeline.agent_state import FindingKind
from tests.server.console.raised_words import SERVER, Raised, modules, parts_of, raised, shown_kinds

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_VALUES = ("7", "2026-11-28", ": 7")
_KINDS = shown_kinds() - {"LogUnavailable", "StoreUnavailable", "ReferenceError", "ValueError", "_Bad"}
"""Those of databases and logs are for the server's own log; a ValueError says nothing of whose it is."""
_MORE_KINDS = frozenset({"CaseRefused", "PasswordRefused", "BadAgentName", "PackRefused", "PackStopped"})
_ITS_VALUE_ERRORS = ("triage", "dry_runs", "people/unmaskings.py", "policies/making_exceptions.py")
_OTHERWISE = frozenset({"{} {}", "{}: {}", "{}: {} > {}", "{}: ␀"})
"""Put together of what is in the viewer's language already."""
_ITS_NUMBER = {
    "{} {} open: close what was looked at, or a note has to say why": "2 alerts are open:"
    " close what was looked at, or a note has to say why",
    "{} of the {} {} open: a note has to say why": "2 of the accounts are open: a note has to say why",
}
COLLECTORS = SERVER.parent / "collectors"
_COMMANDS = frozenset({"in /etc/mysql/mariadb.conf.d/90-leaver.cnf (or my.cnf), then restart the server:"})
"""For who sets it up."""
_SENTENCE = re.compile(r"(?:; )?[a-z][\w',.:;/()=-]*(?: [\w',.:;/()=-]+)+")


def _in_chinese(one: Raised) -> bool:
    whole = one.filled("{}")
    if whole in chinese() or whole in _OTHERWISE:
        return True
    filled = [_ITS_NUMBER[whole]] if whole in _ITS_NUMBER else [one.filled(value) for value in _VALUES]
    return any(_CHINESE.search(said_in("zh", words)) for words in filled)


def _refusals() -> Iterator[Raised]:
    yield from raised(SERVER, (_KINDS | _MORE_KINDS) - {"AccountRefused"})
    yield from raised(SERVER / "people", frozenset({"AccountRefused"}))
    for folder in (SERVER / "console", SERVER / "api" / "request_body.py"):
        yield from raised(folder, frozenset({"ApiError"}))
    for place in _ITS_VALUE_ERRORS:
        yield from raised(SERVER / place, frozenset({"ValueError"}))


def test_every_refusal_that_a_page_shows_is_there_in_chinese() -> None:
    found = list(_refusals())
    assert len(found) > 120
    missing = {one.where: one.filled("{}") for one in found if not _in_chinese(one)}
    # What only the command line asks for.
    for where in [where for where in missing if where.startswith("commands/")]:
        del missing[where]
    assert missing == {}


def test_refusals_with_a_phrase_of_their_own_are_there_in_chinese() -> None:
    found = [*raised(SERVER / "accounts", frozenset({"AccountRefused"}))]
    found += raised(SERVER / "console", frozenset({"AccountRefused"}))
    assert [one.filled("{}") for one in found if one.parts[0] not in chinese()] == []


def _gap_words() -> Iterator[tuple[str, str]]:
    """Sentences that collectors have names for, what they count as dropped, and what is given as a gap."""
    for path, module in modules(COLLECTORS):
        for node in ast.walk(module):
            for words in _words_of(node):
                yield f"{path.relative_to(COLLECTORS)}", words


def _words_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name.isupper():
            values = value.elts if isinstance(value, ast.Tuple) else [value]
        case ast.Subscript(value=ast.Attribute(attr="_dropped"), slice=key):
            values = [key.body, key.orelse] if isinstance(key, ast.IfExp) else [key]
        case ast.keyword(arg="gap", value=value):
            values = [value]
        case _:
            return
    for each in values:
        parts = parts_of(each)
        if parts is None:
            continue
        words = "".join("7" if part is None else part for part in parts)
        if isinstance(node, ast.AnnAssign) and not _SENTENCE.fullmatch(words):
            continue
        if words:
            yield words


def test_every_word_of_what_could_not_be_seen_is_there_in_chinese() -> None:
    found = list(_gap_words())
    assert len(found) > 100
    missing = {
        words: where
        for where, words in found
        if words not in _COMMANDS and not _CHINESE.search(seen_in("zh", words))
    }
    assert missing == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "hash skipped: the drive does not answer (1 of 30 events, with cp)",
            "未计算哈希：存储设备没有响应（30 个事件中的 1 个，程序：cp）",
        ),
        (
            "long paths shortened; labels skipped: the agent was stopped",
            "过长的路径已缩短；未识别内容标签：终端代理已停止",
        ),
        (
            "agent host-1, not watching: removable_storage did not run on 2026-11-20",
            "终端代理 host-1（未监测）：移动存储采集器在以下日期未运行：2026-11-20",
        ),
        (
            "agent host-1, degraded: mail counts what it could not do since it started:"
            " more than 100 attachments 1,204, the kernel's queue overflowed 3",
            "终端代理 host-1（采集受限）：邮件采集器启动以来未能完成："
            "附件超过 100 个 1,204；内核事件队列溢出 3",
        ),
        ("words of a later agent", "words of a later agent"),
    ],
)
def test_what_could_not_be_seen_is_said_with_its_values(line: str, said: str) -> None:
    assert seen_in("zh", line) == said
    assert seen_in("en", line) == line


@pytest.mark.parametrize(
    "place", ["status_findings.py", "pipeline/agent_records.py", "alerts/blind_spots.py"]
)
def test_findings_are_there_in_chinese(place: str) -> None:
    """Each sentence of a finding by itself; those that are put together of several are below."""
    found = [
        words
        for _, module in modules(SERVER / Path(place))
        for node in ast.walk(module)
        if isinstance(node, ast.JoinedStr) and (parts := parts_of(node)) is not None
        for words in ["".join("7" if part is None else part for part in parts)]
        if len(re.findall("[a-z]{3,}", words)) > 2 and not _PUT_TOGETHER.search(words)
    ]
    assert found
    assert [words for words in found if not _CHINESE.search(said_in("zh", words))] == []


_PUT_TOGETHER = re.compile(
    r"clock is 7 7|token of 7 \(7\) 7|no longer: 7; 7|chosen by hand, so|^nothing since|^ and 7 more"
)


@pytest.mark.parametrize(
    "words",
    [
        "this machine's clock is 2 min behind the time that the server goes by; it is followed when agents"
        " agree with it, or when it has stood for 10 min",
        "the token of export (analyst) ends on 2026-11-20: leaver token create, then revoke",
        "anomaly model 4 fits no longer: drift; leaver model train learns the days of now",
        "nothing since 2026-11-20 10:00 UTC, before the alert's last event",
        "mail did not run on 2026-11-20, 2026-11-21 and 3 more days",
    ],
)
def test_findings_put_together_are_there_in_chinese(words: str) -> None:
    assert _CHINESE.search(said_in("zh", words))


def test_kinds_of_findings_are_there_in_chinese() -> None:
    kinds = {each.value for each in FindingKind} | {"not_watching", "degraded", "not_heard_of"}
    for _, module in modules(SERVER / "status_findings.py"):
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "StatusFinding":
                word = parts_of(node.args[0])
                kinds |= {word[0]} if word and word[0] else set()
    said = [kind.replace("_", " ") for kind in kinds]
    assert len(said) > 25
    assert [kind for kind in said if not _CHINESE.search(said_in("zh", kind))] == []
