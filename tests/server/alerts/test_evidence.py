"""An alert's evidence: all of its events, no others, and whether they are proven."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update

from event_schema.leaver_fields import FileFields
from event_schema.ocsf_events import Event, FileActivity, FileSystemActivity, event_metadata
from event_schema.ocsf_labels import (
    ClassificationStatus,
    ClassifierDetails,
    DataCategory,
    DataClassification,
    DiscoveryDetails,
)
from server.alerts.evidence import evidence, evidence_events
from server.alerts.proof import EvidenceProof, verify_evidence
from server.store.database import Database
from server.store.tables import agent_keys, event_blocks, subject_events
from tests.server.alerts.recorded_leak import (
    AGENT,
    CHANNEL,
    DAY,
    EPOCH,
    NOW,
    copied_file,
    enrolled_agent,
    known_of,
    open_alert,
    pack,
    record_leak,
    store_block,
)


def _proof(database: Database) -> EvidenceProof:
    with database.read() as connection:
        return verify_evidence(connection, 1)


def _seqs(database: Database) -> list[int]:
    with database.read() as connection:
        return [found.seq for found in evidence_events(connection, 1, [])]


def _change_block(database: Database, first_seq: int, **values: Any) -> None:
    with database.begin() as connection:
        changed = connection.execute(
            update(event_blocks).where(event_blocks.c.first_seq == first_seq).values(**values)
        )
        assert changed.rowcount == 1


def test_evidence_counts_everything_and_shows_the_largest(database: Database) -> None:
    record_leak(database, files=30)
    with database.read() as connection:
        found = evidence(connection, 1, limit=3)
    assert [event.seq for event in found.events] == [29, 28, 27]
    assert (found.total, found.files, found.missing, found.read_all) == (30, 30, 0, True)
    assert found.bytes == sum(range(1, 31)) * 1_000_000
    assert found.acts == {"create": 30}
    assert [(d.volume, d.files, d.bytes) for d in found.destinations] == [
        ("Alice_Wang's stick", 30, found.bytes)
    ]
    assert found.gaps == ("hash skipped: alice's file was gone (1 of 30 events, with cp)",)
    assert found.accounts == (("Alice", "alice-laptop"),)


def test_marked_files_and_known_exports_come_before_labelled_and_large_ones(database: Database) -> None:
    key = enrolled_agent(database)
    labels = {0: ("mark_secret", 1), 2: ("resident_id", 400), 3: ("source_code", 1)}
    events = [
        _labelled(copied_file(number, size=10 + number), *labels[number])
        if number in labels
        else copied_file(number, size=10 + number)
        for number in range(6)
    ]
    exported = msgspec.structs.replace(known_of(1), file=FileFields(known_export=True))
    known = [(NOW + n, exported if n == 1 else known_of(n)) for n in range(6)]
    store_block(database, pack(key, 0, events), list(known))
    open_alert(database, events=6)
    with database.read() as connection:
        found = evidence(connection, 1, limit=4)
    assert [event.seq for event in found.events] == [1, 0, 2, 5]
    assert found.labels == {"resident_id": 400, "mark_secret": 1, "source_code": 1}


def _labelled(event: Event, label: str, count: int) -> Event:
    assert isinstance(event, FileSystemActivity)
    classified = DataClassification(
        category_id=DataCategory.PERSONAL,
        classifier_details=ClassifierDetails(type="leaver"),
        discovery_details=(DiscoveryDetails(type=label, count=count),),
        status_id=ClassificationStatus.COMPLETE,
    )
    file = msgspec.structs.replace(event.file, data_classifications=(classified,))
    metadata = event_metadata("removable_storage", "0.1.0", labelled=True)
    return msgspec.structs.replace(event, file=file, metadata=metadata)


def test_only_the_alerts_own_events_are_read_from_a_block(database: Database) -> None:
    record_leak(database, files=30)
    with database.begin() as connection:
        connection.execute(update(subject_events).values(first_seq=8, last_seq=11))
        elsewhere = [
            ("person:E1007", DAY, 10, 12),
            ("person:E1007", DAY + 1, 20, 29),
            ("person:E1001", DAY, 0, 7),
        ]
        for subject, day, first, last in elsewhere:
            connection.execute(
                insert(subject_events).values(
                    subject=subject, day=day, channel=CHANNEL, agent=AGENT, epoch=EPOCH,
                    first_seq=first, last_seq=last,
                )
            )  # fmt: skip
        connection.execute(
            insert(subject_events).values(
                subject="person:E1007", day=DAY, channel="mail", agent=AGENT, epoch=EPOCH,
                first_seq=20, last_seq=29,
            )
        )  # fmt: skip
    assert _seqs(database) == [8, 9, 10, 11, 12]
    assert _proof(database) == EvidenceProof(good=True, events=5, missing=0, blocks=2, bad=())


def test_records_sent_again_in_another_cut_count_each_event_once(database: Database) -> None:
    key = enrolled_agent(database)
    events = [copied_file(number, size=10) for number in range(15)]

    def known(first: int, last: int) -> list[Any]:
        return [(NOW + n, known_of(n)) if first <= n <= last else None for n in range(first, last + 1)]

    # 5 to 14 came first; then 0 to 9 was sent again, so its 5 to 9 are duplicates.
    store_block(database, pack(key, 5, events[5:15]), known(5, 14))
    store_block(database, pack(key, 0, events[0:10]), [*known(0, 4), *[None] * 5])
    open_alert(database, events=15)
    assert _seqs(database) == list(range(15))
    assert _proof(database).events == 15
    assert _proof(database).good


def test_deletions_and_renames_are_events_but_no_files_taken(database: Database) -> None:
    key = enrolled_agent(database)
    acts = [FileActivity.CREATE, FileActivity.RENAME, FileActivity.DELETE, FileActivity.UPDATE]
    events = [copied_file(number, size=100, activity=act) for number, act in enumerate(acts)]
    store_block(database, pack(key, 0, events), [(NOW, known_of(n)) for n in range(4)])
    open_alert(database, events=4)
    with database.read() as connection:
        found = evidence(connection, 1)
    assert (found.total, found.files, found.bytes) == (4, 2, 200)
    assert found.acts == {"create": 1, "delete": 1, "rename": 1, "update": 1}


def test_undisturbed_evidence_is_proven_whole(database: Database) -> None:
    record_leak(database, files=30)
    assert _proof(database) == EvidenceProof(good=True, events=30, missing=0, blocks=3, bad=())


def test_block_changed_in_the_database_is_named(database: Database) -> None:
    key = record_leak(database, files=30)
    forged = pack(Ed25519PrivateKey.generate(), 10, [copied_file(n, size=1) for n in range(10, 20)])
    _change_block(database, 10, value=forged.value, signature=forged.signature)
    proof = _proof(database)
    assert (proof.good, proof.events, proof.missing) == (False, 20, 10)
    assert [bad.message for bad in proof.bad] == ["no key of its agent signed events 10 to 19"]
    # Well signed, but for other numbers.
    moved = pack(key, 0, [copied_file(n, size=1) for n in range(10)])
    _change_block(database, 10, value=moved.value, signature=moved.signature)
    assert _proof(database).events == 20


def test_unreadable_block_is_said_and_hides_no_other(database: Database) -> None:
    record_leak(database, files=30)
    _change_block(database, 10, value=b"\0" * 50)
    _change_block(database, 20, leaver=b"\0" * 50)
    with database.read() as connection:
        found = evidence(connection, 1)
    assert (found.total, found.missing) == (10, 20)
    assert len(found.damaged) == 2
    assert _proof(database).events == 20  # what enrichment knew is not signed


def test_block_that_retention_dropped_is_counted_as_missing(database: Database) -> None:
    record_leak(database, files=30)
    with database.begin() as connection:
        connection.execute(delete(event_blocks).where(event_blocks.c.first_seq == 0))
    with database.read() as connection:
        assert evidence(connection, 1).missing == 10
    assert _proof(database) == EvidenceProof(good=False, events=20, missing=10, blocks=2, bad=())


def test_evidence_signed_with_an_older_key_of_the_agent_is_good(database: Database) -> None:
    record_leak(database, files=10)
    with database.begin() as connection:
        row = connection.execute(select(agent_keys)).one()
        newer = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        values = {**row._mapping, "key_id": "f" * 16, "public_key": newer}
        connection.execute(insert(agent_keys).values(values))
    assert _proof(database).good


@pytest.mark.parametrize("files", [0, 1])
def test_evidence_without_blocks_or_keys_is_not_good(database: Database, files: int) -> None:
    if files:
        record_leak(database, files=files)
        with database.begin() as connection:
            connection.execute(delete(agent_keys))
        assert [bad.message for bad in _proof(database).bad] == ["its agent has no key on record"]
    else:
        open_alert(database, events=5)
    assert not _proof(database).good
