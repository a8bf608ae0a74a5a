"""Log lines are JSON, and repeat nobody's name, address or input."""

from __future__ import annotations

import json
import logging

from server.json_log import JsonFormatter


def _line(record: logging.LogRecord) -> dict[str, object]:
    line = json.loads(JsonFormatter().format(record))
    assert isinstance(line, dict)
    return line


def test_a_failure_is_told_by_type_and_place_and_not_by_its_message() -> None:
    try:
        raise ValueError("wang.fang at 10.0.0.1")
    except ValueError as error:
        record = logging.LogRecord(
            "leaver.api", logging.ERROR, "x", 1, "part_failed", (), (type(error), error, error.__traceback__)
        )
        record.part = "pipeline"
    line = _line(record)
    assert (line["event"], line["error"], line["part"]) == ("part_failed", "ValueError", "pipeline")
    assert "test_json_log.py" in str(line["places"])
    assert "wang" not in json.dumps(line)


def test_a_librarys_line_goes_without_its_arguments() -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, "%s - broken", ("10.0.0.1",), None)
    line = _line(record)
    assert line["event"] == "%s - broken"
    assert "10.0.0.1" not in json.dumps(line)
