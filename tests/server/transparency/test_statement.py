"""The statement for the watched says what runs: no field more, none less."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert

from agent.collector_registry import COLLECTORS
from event_schema.channel_facts import CHANNEL_FACTS
from event_schema.channels import CHANNELS
from event_schema.field_registry import field_registry
from server.config import RetentionConfig, ServerConfig, parse_config
from server.console.phrases import chinese
from server.people.roles import Right, Role
from server.store.database import Database
from server.store.tables import agent_settings, agents
from server.transparency.assessment import Open, assessment, open_points
from server.transparency.markdown import markdown
from server.transparency.statement import RIGHTS, Statement, kept, statement
from tests.event_schema.sample_events import sample_events
from tests.server.conftest import NOW


def _set(database: Database, settings: str) -> None:
    with database.begin() as connection:
        row = {"version": 1, "issued_at": NOW, "issued_by": "t", "reason": "t"}
        connection.execute(insert(agent_settings).values(**row, settings=settings, bundle=b""))


def _stated(database: Database, config: ServerConfig | None = None) -> Statement:
    with database.read() as connection:
        return statement(connection, config or ServerConfig())


def _plain(words: str, /, **values: object) -> str:
    return words.format(**values) if values else words


EVERYTHING = "\n".join(f"[collectors.{name}]\nenabled = true\nlabels = true" for name in sorted(CHANNELS))


def test_every_channel_is_described_with_the_defaults_of_its_collector() -> None:
    assert CHANNEL_FACTS.keys() == CHANNELS
    for kind in COLLECTORS:
        config = kind.config_type()()
        facts = CHANNEL_FACTS[kind.name]
        assert facts.on_by_default == getattr(config, "enabled", True), kind.name
        assert (facts.labels is not None) == kind.labels_files, kind.name
        if facts.labels is not None:
            assert facts.labels == getattr(config, "labels", True), kind.name


def test_each_field_that_exists_is_told_with_its_purpose_where_all_collectors_run(database: Database) -> None:
    _set(database, EVERYTHING)
    stated = _stated(database)
    told = {field.path: field.purpose for field in (*stated.seen, *stated.derived)}
    assert told == {spec.path: spec.purpose for spec in field_registry().values()}
    assert all(field.by for field in stated.seen)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_collector_that_is_switched_off_takes_its_fields_away(database: Database, name: str) -> None:
    _set(
        database,
        EVERYTHING.replace(f"[collectors.{name}]\nenabled = true", f"[collectors.{name}]\nenabled = false"),
    )
    stated = _stated(database)
    assert [each.name for each in stated.collectors if not each.is_on] == [name]
    title = CHANNEL_FACTS[name].title
    assert not [field.path for field in stated.seen if title in field.by]
    alone = {
        spec.path
        for spec in CHANNEL_FACTS[name].fields(labels=True)
        if not any(
            spec.path in {other.path for other in facts.fields(labels=True)}
            for each, facts in CHANNEL_FACTS.items()
            if each != name
        )
    }
    assert alone.isdisjoint(field.path for field in stated.seen)
    if name in {"logins", "mail", "printing", "screenshots", "access_log", "removable_storage"}:
        assert alone


@pytest.mark.databases("sqlite")
def test_without_labels_no_field_of_labels_is_told(database: Database) -> None:
    assert any(".data_classifications." in field.path for field in _stated(database).seen)
    _set(database, "[labels]\nenabled = false\n")
    stated = _stated(database)
    assert not any(".data_classifications." in field.path for field in stated.seen)
    assert not any(each.labels for each in stated.collectors)


def test_what_an_endpoint_switched_on_counts_where_the_settings_say_nothing(
    database: Database,
) -> None:
    beat = {"collectors": [{"name": "mail", "state": "running"}, {"name": "printing", "state": "stopped"}]}
    with database.begin() as connection:
        connection.execute(insert(agents).values(name="a", created_at=NOW, clock_offset=0, heartbeat=beat))
    on = {each.name for each in _stated(database).collectors if each.is_on}
    assert "mail" in on
    assert "printing" not in on
    _set(database, "[collectors.mail]\nenabled = false\n")
    assert "mail" not in {each.name for each in _stated(database).collectors if each.is_on}


@pytest.mark.databases("sqlite")
def test_a_fresh_installation_says_the_defaults(database: Database) -> None:
    stated = _stated(database)
    assert {each.name for each in stated.collectors if each.is_on} == {
        name for name, facts in CHANNEL_FACTS.items() if facts.on_by_default
    }


def test_what_a_channel_is_said_to_leave_empty_exists() -> None:
    paths = list(field_registry())
    for name, facts in CHANNEL_FACTS.items():
        for start in facts.without:
            assert any(path.startswith(start) for path in paths), (name, start)
    for event in sample_events():
        assert any(event.__struct_config__.tag in facts.classes for facts in CHANNEL_FACTS.values())


def test_times_are_those_of_the_settings() -> None:
    retention = RetentionConfig(events_days=31, alerts_days=77, uses_days=66, activity_days=44)
    days = {each.setting: each.days for each in kept(retention) if each.setting}
    assert days == {
        "events_days": 31,
        "alerts_days": 77,
        "activity_days": 44,
        "uses_days": 66,
        "erased_accounts_days": 365,
    }
    assert set(days) == set(RetentionConfig.__struct_fields__)


@pytest.mark.databases("sqlite")
def test_every_right_is_put_into_words_and_each_role_is_told(database: Database) -> None:
    assert RIGHTS.keys() == set(Right)
    told = {each.role: each for each in _stated(database).access}
    assert told.keys() == set(Role)
    assert RIGHTS[Right.SEE_ALERTS] in told[Role.HR].not_this
    assert RIGHTS[Right.SEE_NAMES] in told[Role.ANALYST].not_this


@pytest.mark.databases("sqlite")
def test_the_draft_is_made_from_the_same_source_and_marks_what_is_open(database: Database) -> None:
    config = parse_config(
        b'[company]\nprivacy_contact = "Office <b> | x"\n[retention]\nevents_days = 33', source="t"
    )
    _set(database, "[collectors.logins]\nenabled = false\n")
    stated = _stated(database, config)
    sections = assessment(stated, made_on="2026-11-22")
    text = markdown("Draft", sections, _plain)
    assert text.count("- [ ] **To be filled in:**") == open_points(sections) > 15
    assert "Office \\<b\\> \\| x" in text
    assert "33 days" in text.replace("33 day\\|33 days", "33 days")
    assert CHANNEL_FACTS["logins"].sees not in text
    assert CHANNEL_FACTS["uploads"].sees in text
    without = assessment(_stated(database), made_on="2026-11-22")
    assert open_points(without) == open_points(sections) + 1
    assert any(isinstance(block, Open) for block in without[0].blocks)
    assert msgspec.json.encode(stated)


@pytest.mark.databases("sqlite")
def test_all_that_is_told_is_there_in_chinese(database: Database) -> None:
    """Phrases come from data here, so the test of the console's own phrases does not see them."""
    _set(database, EVERYTHING)
    stated = _stated(database)
    missing: set[str] = set()

    def say(words: str, /, **values: object) -> str:
        if words and words not in chinese():
            missing.add(words)
        return words.format(**values) if values else words

    markdown("Impact assessment (draft)", assessment(stated, made_on="2026-11-22"), say)
    told = [stated.settings_say.text, *stated.never]
    told += [text for each in stated.collectors for text in (each.title, each.sees, each.why)]
    told += [text for pair in stated.from_hr for text in pair]
    told += [text for each in stated.kept for text in (each.what, each.until or "")]
    told += [text for each in stated.access for text in (each.role.value, *each.sees, *each.not_this)]
    told += [each.purpose for each in (*stated.seen, *stated.derived, *stated.of_agents)]
    for text in told:
        say(text)
    assert missing == set()
