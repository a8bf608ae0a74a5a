"""`leaver-agent access-log try`: what would become of a log's lines, for the one who tunes the mapping."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.command_line import main

SETTINGS = """
[collectors.access_log]
enabled = true
[[collectors.access_log.sources]]
name = "shop"
path = "{log}"
format = "combined"
[[collectors.access_log.sources.rules]]
action = "manual_order_created"
activity = "create"
method = ["POST"]
path = "/orders/manual"
outcome = "success"
"""
LINE = '203.0.113.66 - kefu [22/Nov/2026:02:01:54 +0100] "{} HTTP/1.1" {} 17 "-" "curl/8"\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "shop.log"
    lines = [LINE.format("POST /orders/manual?token=s3cret", 201)] * 3
    lines += [LINE.format("POST /orders/manual", 403), LINE.format("GET /pages/17?q=s3cret", 200)]
    log.write_text("".join(lines))
    return log


def call(log: Path, *arguments: str) -> Result:
    settings = log.with_name("agent.toml")
    settings.write_text(SETTINGS.format(log=log))
    return CliRunner().invoke(main, ["access-log", "try", *arguments, "--config", str(settings)])


def test_it_shows_what_is_mapped_what_is_not_and_why(log: Path) -> None:
    done = call(log)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "3 mapped 3 manual_order_created POST /orders/manual first: line 1" in words
    assert "1 manual_order_created: it was no success POST /orders/manual first: line 4" in words
    assert "1 no rule has such a path GET /pages/* first: line 5" in words
    assert "kefu created 203.0.113.66 shop: manual_order_created" in words
    assert "s3cret" not in done.output


def test_a_line_that_cannot_be_read_is_a_finding(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"nonsense\n" + b"x" * 600_000 + b"\n" + LINE.format("POST /orders/manual", 201).encode())
    done = call(log, "--json")
    assert done.exit_code == 3
    (trial,) = msgspec.json.decode(done.stdout)
    assert trial["lines"] == 8
    assert [(kind["what"], kind["first_line"]) for kind in trial["not_readable"]] == [
        ("not in the combined format", 6),
        ("over 262144 bytes", 7),
    ]
    assert trial["mapped"][0]["count"] == 4
    assert len(trial["events"]) == 4


def test_a_file_that_is_not_there_and_a_source_that_is_none_are_errors(log: Path) -> None:
    missing = call(log, str(log.with_name("missing.log")))
    assert (missing.exit_code, "missing.log: No such file" in missing.output) == (1, True)
    nothing = call(log, "--source", "stock")
    assert (nothing.exit_code, "there is: shop" in nothing.output) == (2, True)
