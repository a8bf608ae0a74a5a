"""`leaver model`: train, list, show, compare, activate, rollback, as people call them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from server.command_line import main
from server.commands.opening import open_installation
from server.store.tables import activity_days, audit
from server.training.company_days import days_over
from tests.server.training.measured_company import act, measured_company, subject
from tests.server.training.test_past_risks import hit


class Commands:
    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["model", *arguments, "--data", str(self.data)])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(main, ["model", *arguments, "--json", "--data", str(self.data)])
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)


@pytest.fixture
def model(tmp_path: Path) -> Commands:
    data = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    return Commands(data)


def test_a_model_tells_the_line_that_keeps_rules_and_anomalies_to_the_budget(model: Commands) -> None:
    end = days_over(time.time_ns() // 1_000_000)
    with open_installation(model.data) as installation:
        measured_company(installation.database, subjects=30, days=40, end=end)
        for number in range(30):
            hit(installation.database, subject(number), end - 1 - number % 20)
    generous = model.json("train", "--alerts-per-1000", "1000")
    assert generous["summary"]["risk_line"] == 50
    assert f"risk line    50; {_asked(generous)}" in model("show", str(generous["id"]))
    scarce = model.json("train", "--alerts-per-1000", "20")
    assert scarce["summary"]["risk_line"] > 50
    assert scarce["summary"]["risk_alerts_a_day"] < generous["summary"]["risk_alerts_a_day"]
    with open_installation(model.data) as installation:
        for number in range(30):
            hit(installation.database, subject(number), end - 1 - number % 20, rule="r2", level="high")
    words = model("train", "--alerts-per-1000", "20")
    assert "20 alerts per 1,000 people and day, from risk 70 on; in use from now on" in words
    (loud,) = (each for each in model.json("list") if each["active"])
    assert loud["summary"]["risk_alerts_a_day"] > 1 > loud["summary"]["risk_alerts_allowed"]
    highest = "risk line    70, its highest, so that a rule of level high still speaks"
    assert f"{highest}; {_asked(loud)}" in model("show", str(loud["id"]))
    status = CliRunner().invoke(main, ["status", "--data", str(model.data)])
    told = " ".join(status.output.split())
    assert (
        "alerts from risk 70 on, the highest line: rules and anomalies ask for more than the budget" in told
    )


def test_a_setting_below_60_days_takes_drift_off_before_anything_was_swept(model: Commands) -> None:
    with open_installation(model.data) as installation:
        today = time.time_ns() // 86_400_000_000_000
        measured_company(installation.database, subjects=30, days=90, end=today - 1)
    assert model.json("train")["summary"]["slow_line"] > 0
    assert "no drift is looked for" not in _status(model)
    with (model.data / "server.toml").open("a") as settings:
        settings.write("\n[retention]\nactivity_days = 40\n")
    summary = model.json("train")["summary"]
    assert 38 <= summary["days"] <= 41
    assert summary["slow_line"] == 0
    assert "no drift yet" in model("show", str(model.json("list")[0]["id"]))
    assert "no drift is looked for: that takes 60 days, and sums are kept for 40" in _status(model)
    with open_installation(model.data) as installation, installation.database.read() as connection:
        assert connection.execute(select(func.min(activity_days.c.day))).scalar_one() < today - 80


def _status(model: Commands) -> str:
    told = CliRunner().invoke(main, ["status", "--data", str(model.data)])
    return " ".join(told.output.split())


def _asked(model: Any) -> str:
    asked, due = model["summary"]["risk_alerts_a_day"], model["summary"]["risk_alerts_allowed"]
    return f"the last 28 days' rules and anomalies would have opened {asked:g} alerts a day, {due:g} are due"


def test_without_days_commands_say_what_is_missing(model: Commands) -> None:
    assert "No model yet" in model("list")
    assert "Nothing was measured yet" in model("train")
    assert model.json("train") is None
    assert "there is no anomaly model 77" in model("show", "77", code=1)
    assert "no active anomaly model" in model("compare", "77", code=1)
    assert "no active anomaly model" in model("rollback", "--reason", "x", code=1)
    assert "Missing option '--reason'" in model("activate", "77", code=2)


def test_a_model_is_trained_shown_compared_chosen_and_taken_back(model: Commands) -> None:
    end = days_over(time.time_ns() // 1_000_000)
    with open_installation(model.data) as installation:
        measured_company(installation.database, subjects=30, days=40, end=end)
        act(installation.database, 7, end - 2, "removable_storage", 10**12, 50_000, 3)
    first = model.json("train", "--seed", "3")
    assert first["active"]
    # One did nothing at all on these days, and is not known of.
    assert first["summary"]["subjects"] == 29
    words = model("train", "--alerts-per-1000", "200")
    assert "29 subjects, 40 days" in words
    assert "200 alerts per 1,000 people and day, from risk 50 on; in use from now on" in words
    second = next(each["id"] for each in model.json("list") if each["active"])
    assert second > first["id"]
    assert "line p" in model("list")

    status = CliRunner().invoke(main, ["status", "--data", str(model.data)])
    assert f"model {second}, trained" in " ".join(status.output.split())

    shown = model("show", str(second))
    assert "removable_storage" in shown
    assert "scikit-learn" in shown
    assert "no drift yet" in shown
    assert model.json("show", str(second))["features"]["mail"]

    compared = model.json("compare", str(first["id"]), "--days", "5")
    assert [each["model_id"] for each in compared["models"]] == [first["id"], second]
    assert all(each["subject"].startswith("P-") for each in compared["differing"])
    told = model("compare", str(first["id"]), "--days", "5")
    assert f"model {second}: " in told
    assert "p00" not in told
    assert "the same one" in model("compare", str(second), code=2)

    assert f"Model {first['id']} is in use" in model("rollback", "--reason", "too loud")
    assert "chosen by hand" in model("list")
    assert "no model before" in model("rollback", "--reason", "again", code=1)
    assert model.json("activate", str(second), "--reason", "after all")["active"]
    with open_installation(model.data) as installation, installation.database.read() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.reason).order_by(audit.c.seq)).all()
    kept = [tuple(row) for row in rows if row.action.startswith("model.")]
    assert kept == [
        ("model.train", None),
        ("model.train", None),
        ("model.activate", "too loud"),
        ("model.activate", "after all"),
    ]
