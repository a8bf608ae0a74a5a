"""Log lines are JSON, and repeat nobody's name, address or input."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from server.json_log import CLIENTS, JsonFormatter, log_to_stderr


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


@pytest.fixture
def log_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "leaver", *CLIENTS)]
    handlers, levels = loggers[0].handlers[:], [logger.level for logger in loggers]
    yield
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("log_as_before")
def test_a_broker_that_is_away_is_told_by_us_and_not_by_every_try_of_the_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_stderr()
    logging.getLogger("kafka.net.connection").error("connection to broker 7 failed")
    logging.getLogger("psycopg").warning("error ignored terminating broker 7")
    logging.getLogger("uvicorn.error").error("a library fails")
    logging.getLogger("leaver.pipeline").warning("log_unavailable")
    said = capsys.readouterr().err
    assert "broker 7" not in said
    assert "a library fails" in said
    assert "log_unavailable" in said
