"""Files of real uploads are read afterwards: the hash and labels of what was sent, or the reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from collectors.file_hashing import CHANGED_BEFORE as HASH_CHANGED
from collectors.file_hashing import GONE as HASH_GONE
from collectors.file_hashing import OFF, TOO_LATE
from collectors.file_labelling import CHANGED_BEFORE as LABELS_CHANGED
from collectors.file_labelling import GONE as LABELS_GONE
from collectors.labels import LabelSettings
from event_schema.codec import encode_event
from event_schema.ocsf_transfer_events import FileHostingActivity
from tests.collectors.linux.real_mounts import needs_root
from tests.collectors.upload_lab import UploadLab, watching

pytestmark = [pytest.mark.root, needs_root, pytest.mark.long]
TEXT = "身份证 11010519491231002X\n" * 20


@pytest.fixture
def lab() -> Iterator[UploadLab]:
    with UploadLab() as made:
        yield made


def sha256_of(event: FileHostingActivity) -> list[str]:
    return [each.value for each in event.file.hashes or ()]


def test_an_upload_carries_the_hash_and_the_labels_of_its_file(lab: UploadLab) -> None:
    web = lab.web()
    file = lab.file("customers.txt")
    file.write_text(TEXT)
    with watching(lab.collector(LabelSettings(cpu_share=1.0))) as observing:
        lab.run("curl", "-sT", file, f"http://127.0.0.1:{web}/x")
        (event,) = lab.wait(observing, 1)
        assert "labels: read by a process confined by" in (observing.collector.detail() or "")
    assert sha256_of(event) == [hashlib.sha256(TEXT.encode()).hexdigest()]
    assert event.file.mime_type == "text/plain"
    (found,) = event.file.data_classifications or ()
    assert [(each.type, each.count) for each in found.discovery_details] == [("resident_id", 1)]
    assert "data_classification" in (event.metadata.profiles or ())
    assert event.unmapped.evidence.gap is None
    assert b"11010519491231002X" not in encode_event(event)


def test_a_file_that_is_gone_or_changed_after_its_upload_is_told_with_the_reason(lab: UploadLab) -> None:
    web = lab.web()
    url = f"http://127.0.0.1:{web}/x"
    gone, changed, replaced = (lab.file(name) for name in ("gone", "changed", "replaced"))
    with watching(lab.collector(LabelSettings(cpu_share=1.0))) as observing:
        for file in (gone, changed, replaced):
            lab.run("curl", "-sT", file, url)
            if file is changed:
                changed.write_bytes(changed.read_bytes()[::-1])
            else:
                file.unlink()
        replaced.write_bytes(b"x" * 20_000)
        found = {event.file.name: event for event in lab.wait(observing, 3)}
        dropped = observing.collector.dropped()
    assert found.keys() == {"gone", "changed", "replaced"}
    assert not any(sha256_of(event) or event.file.data_classifications for event in found.values())
    reasons = {name: event.unmapped.evidence.gap for name, event in found.items()}
    is_gone, is_changed = f"{HASH_GONE}; {LABELS_GONE}", f"{HASH_CHANGED}; {LABELS_CHANGED}"
    assert (reasons["gone"], reasons["changed"]) == (is_gone, is_changed)
    # The new file may have got the number of the one that was removed.
    assert reasons["replaced"] in {is_gone, is_changed}
    assert dropped[HASH_GONE] + dropped[HASH_CHANGED] == 3
    assert {event.unmapped.evidence.fidelity for event in found.values()} == {"exact"}


def test_no_event_waits_longer_for_its_hash_than_the_setting_says(lab: UploadLab) -> None:
    web = lab.web()
    large, small = lab.file("large.iso", 64 << 20), lab.file("small.pdf")
    with watching(lab.collector(hash_cpu_share=0.01, hash_wait_s=1.0)) as observing:
        for file in (large, small):
            lab.run("curl", "-sT", file, f"http://127.0.0.1:{web}/x")
        found = {event.file.name: event for event in lab.wait(observing, 2, seconds=15)}
    assert found.keys() == {"large.iso", "small.pdf"}
    assert found["large.iso"].unmapped.evidence.gap == TOO_LATE
    with watching(lab.collector(hash_max_bytes=0)) as observing:
        lab.run("curl", "-sT", small, f"http://127.0.0.1:{web}/x")
        (event,) = lab.wait(observing, 1)
    assert event.unmapped.evidence.gap == OFF
