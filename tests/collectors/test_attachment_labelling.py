"""Labels of what is attached to mails that a real Postfix sends."""

from __future__ import annotations

import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from collectors.attachment_labelling import COPY_BYTES_MAX, TOO_LARGE, AttachmentLabelling
from collectors.file_labelling import LabelResult
from collectors.labels import FileLabels, Labeller, LabelSettings, Source
from collectors.mail import TOO_LATE
from collectors.reading_pace import ReadingPace
from event_schema.codec import encode_event
from tests.collectors.drives import needs_root, open_folder
from tests.collectors.mail_lab import as_seen, collector_of, files_of, mail, mails
from tests.collectors.observing import Observing
from tests.postfix_server.server import MailServer

pytestmark = [pytest.mark.long, pytest.mark.root, needs_root]


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with open_folder() as folder:
        made = MailServer(folder / "postfix")
        yield made
        made.stop()


LIST = "姓名,身份证号\n" + "".join(f"张三{n},11010519491231002X\n" for n in range(3))


def test_attachments_are_labelled_and_nothing_of_them_is_told(server: MailServer) -> None:
    with Observing(collector_of(server, label_settings=LabelSettings(cpu_share=1.0))) as observing:
        made = mail(
            "x@163.com", ("plan.bin", LIST.encode("gb18030")), ("broken.zip", b"PK\x03\x04" + b"x" * 900)
        )
        server.send(made, "x@163.com")
        server.send(mail("x@163.com", ("again.csv", LIST.encode("gb18030"))), "x@163.com")
        observing.wait_for(lambda: len(observing.events) == 2, 40, "the mails")
        assert "labels: read by a process confined by" in (observing.collector.detail() or "")
        assert observing.collector.dropped() == {"labels: broken zip": 1}
    # Postfix may deliver the second one first.
    first, second = sorted(mails(observing), key=lambda each: -len(each.email.files or ()))
    assert first.email.files is not None
    assert second.email.files is not None
    found, broken = first.email.files
    assert [found.mime_type, found.is_encrypted, broken.mime_type] == ["text/plain", False, "application/zip"]
    for file in (found, *second.email.files):
        (labels,) = file.data_classifications or ()
        assert [(each.type, each.count) for each in labels.discovery_details] == [("resident_id", 1)]
    assert first.metadata.profiles is not None
    assert "data_classification" in first.metadata.profiles
    assert first.unmapped.evidence.gap == "labels: broken zip"
    assert b"11010519491231002X" not in encode_event(first)
    assert files_of(first)[0] == as_seen("plan.bin", LIST.encode("gb18030"))


def test_labels_that_take_too_long_hold_up_neither_the_mail_nor_the_next_ones_labels(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = Labeller.label

    def hangs_at_first(labeller: Labeller, source: Source) -> FileLabels:
        if source.size() == 4_000 and (pid := labeller.pid()) is not None:
            os.kill(pid, signal.SIGSTOP)
        return label(labeller, source)

    monkeypatch.setattr(Labeller, "label", hangs_at_first)
    settings = LabelSettings(cpu_share=0.1, cpu_seconds=60)
    with Observing(collector_of(server, label_settings=settings, label_wait_s=3.0)) as observing:
        server.send(mail("x@163.com", ("0.txt", LIST.encode())), "x@163.com")
        observing.wait_for(lambda: len(observing.events) == 1, 40, "the first mail")
        server.send(mail("x@163.com", ("1.txt", b"x" * 4_000), ("2.txt", b"y" * 10)), "x@163.com")
        observing.wait_for(lambda: len(observing.events) == 2, 20, "the mail that hangs")
        server.send(mail("x@163.com", ("3.txt", LIST.encode() * 2)), "x@163.com")
        observing.wait_for(lambda: len(observing.events) == 3, 20, "the next mail")
        assert observing.collector.dropped() == {TOO_LATE: 2}
    _, hung, after = mails(observing)
    assert hung.unmapped.evidence.gap == TOO_LATE
    assert files_of(hung) == [as_seen("1.txt", b"x" * 4_000), as_seen("2.txt", b"y" * 10)]
    assert after.email.files is not None
    assert after.email.files[0].data_classifications is not None
    assert max(observing.pauses) < 2, "control came back meanwhile"


def test_the_copy_that_labels_are_made_of_is_bounded_and_goes_when_it_is_not_needed() -> None:
    labelling = AttachmentLabelling(LabelSettings())
    reader = labelling.reader(lambda: None)
    tracemalloc.start()
    for _ in range(200):
        reader.update(b"x" * (1 << 20))
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.is_ready()
    assert reader.result == LabelResult(gap=TOO_LARGE)
    assert labelling.dropped() == {TOO_LARGE: 1}
    assert peak < 2 * COPY_BYTES_MAX
    assert now < 1 << 20
    late = labelling.reader(lambda: "no time")
    late.update(b"x")
    assert (late.is_ready(), late.result) == (True, LabelResult(gap="no time"))
    labelling.close()


class TellingPace(ReadingPace):
    """Remembers what it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[float, float]] = []

    def rest_s(self, used_s: float, share: float) -> float:
        self.told.append((used_s, share))
        return super().rest_s(used_s, share)


def test_attachments_are_labelled_at_the_pace_that_all_reading_shares() -> None:
    pace = TellingPace()
    labelling = AttachmentLabelling(LabelSettings(cpu_share=0.5, cpu_seconds=0.3), pace)
    reader = labelling.reader(lambda: None)
    reader.update(bytes(range(32, 127)) * 200_000)
    reader.finish("0" * 64)
    until = time.monotonic() + 60
    while not reader.is_ready():
        assert time.monotonic() < until
    labelling.close()
    assert reader.result is not None
    assert reader.result.gap == "labels: limit cpu_seconds"
    assert {share for _, share in pace.told} == {0.5}
    assert sum(used for used, _ in pace.told) > 0.2


def test_who_closes_does_not_wait_until_the_rest_is_over() -> None:
    pace = ReadingPace()
    pace.rest_s(1.0, 0.01)
    labelling = AttachmentLabelling(LabelSettings(), pace)
    reader = labelling.reader(lambda: None)
    reader.update(bytes(range(32, 127)) * 20_000)
    reader.finish("0" * 64)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert not reader.is_ready()
    threads = [each for each in threading.enumerate() if each.name == "attachment-labelling"]
    began = time.monotonic()
    labelling.close()
    assert time.monotonic() - began < 2
    assert threads
    assert not any(each.is_alive() for each in threads)
