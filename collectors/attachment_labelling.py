"""Labels of mail attachments, in a thread of its own.

An attachment is no file of its own, and what reads it wants to go back and forth. So a copy of it, of
bounded size, is held in memory, one at a time, until its labels are there or are not waited for any longer.
What parses it is the confined process that reads files (labels/), at the pace that all labelling shares
(reading_pace.py). The copy goes nowhere else, to no disk.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from collectors.drive_reading import yield_to_users
from collectors.file_labelling import PARTIAL, LabelResult
from collectors.labels import FileLabels, Labeller, LabelSettings
from collectors.labels.file_labels import failed
from collectors.reading_pace import OF_THE_AGENT, ReadingPace
from event_schema.ocsf_labels import ClassificationStatus

COPY_BYTES_MAX: Final = 32 << 20
"""Mail servers seldom take larger mails."""
TOO_LARGE: Final = "labels skipped: an attachment over 32 MiB"
_REST_AFTER_S: Final = 60.0
_TURN_S: Final = 0.05
_JOIN_S: Final = 2.0
_KNOWN_MAX: Final = 64

_log = logging.getLogger(__name__)


class AttachmentReader:
    """Takes an attachment's bytes as they pass, then has them labelled. `result` is there once `is_ready`."""

    def __init__(self, owner: AttachmentLabelling, why_not: Callable[[], str | None]) -> None:
        """`why_not`: why labels are not waited for any longer; None while they are."""
        self._owner, self._why_not = owner, why_not
        self._copy = bytearray()
        self._done = threading.Event()
        self.result: LabelResult | None = None
        reason = why_not()
        if reason is not None:
            self._settle(LabelResult(gap=reason))

    def update(self, piece: bytes) -> None:
        if self.result is None:
            self._copy += piece
            if len(self._copy) > COPY_BYTES_MAX:
                self._settle(LabelResult(gap=TOO_LARGE))

    def finish(self, sha256: str) -> None:
        """All of it has passed."""
        if self.result is None:
            known = self._owner.known(sha256)
            if known is not None:
                self._settle(LabelResult(known))
            else:
                self._owner.submit(self, sha256)

    def is_ready(self) -> bool:
        """Waits for it, but a moment only."""
        if self.result is None and not self._done.wait(_TURN_S):
            reason = self._why_not()
            if reason is not None:
                self._settle(LabelResult(gap=reason))
                self._owner.give_up()
        return self.result is not None

    def size(self) -> int:
        """As a Source of bytes; so is `read`."""
        if self.result is not None:
            raise OSError("given up")
        return len(self._copy)

    def read(self, offset: int, length: int) -> bytes:
        if self.result is not None:
            raise OSError("given up")
        return bytes(self._copy[offset : offset + length])

    def labelled(self, labels: FileLabels) -> None:
        """From the thread that labels."""
        if self.result is None:
            gap = None if labels.gap is None else f"labels: {labels.gap}"
            self._settle(LabelResult(labels, gap))

    def _settle(self, result: LabelResult) -> None:
        if self._owner.settle(self, result):
            self._copy = bytearray()
            self._done.set()


class AttachmentLabelling:
    """Starts its thread with the first attachment. All but what is said otherwise is for one thread."""

    def __init__(self, settings: LabelSettings, pace: ReadingPace = OF_THE_AGENT) -> None:
        self._cpu_share, self._pace = settings.cpu_share, pace
        self._labeller = Labeller(settings, self._rest)
        self._stop = threading.Event()
        self._jobs: queue.SimpleQueue[tuple[AttachmentReader, str] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._known: OrderedDict[str, FileLabels] = OrderedDict()
        """By SHA-256: the same file goes to many."""
        self._dropped: Counter[str] = Counter()

    def reader(self, why_not: Callable[[], str | None]) -> AttachmentReader:
        return AttachmentReader(self, why_not)

    def known(self, sha256: str) -> FileLabels | None:
        with self._lock:
            return self._known.get(sha256)

    def submit(self, reader: AttachmentReader, sha256: str) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="attachment-labelling", daemon=True)
            self._thread.start()
        self._jobs.put((reader, sha256))

    def settle(self, reader: AttachmentReader, result: LabelResult) -> bool:
        """Whether this is the first result. From any thread."""
        with self._lock:
            if reader.result is not None:
                return False
            reader.result = result
            if result.gap is not None:
                is_partial = (
                    result.labels is not None and result.labels.status is ClassificationStatus.PARTIAL
                )
                self._dropped[PARTIAL if is_partial else result.gap] += 1
            return True

    def give_up(self) -> None:
        """Whatever is read just now is not waited for."""
        self._labeller.give_up()

    def describe(self) -> str | None:
        """How the process that reads is confined; None as long as there was none."""
        return ", ".join(self._labeller.held) or None

    def dropped(self) -> Mapping[str, int]:
        """Attachments without labels, or with partial ones, by reason."""
        return self._dropped

    def close(self) -> None:
        """May be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._jobs.put(None)
            self._labeller.give_up()
            self._thread.join(_JOIN_S)
            self._thread = None

    def _rest(self, used_s: float) -> None:
        self._stop.wait(self._pace.rest_s(used_s, self._cpu_share))

    def _run(self) -> None:
        yield_to_users()
        try:
            while True:
                try:
                    job = self._jobs.get(timeout=_REST_AFTER_S)
                except queue.Empty:
                    self._labeller.rest()
                    continue
                if job is None:
                    return
                self._label(*job)
        finally:
            self._labeller.rest()

    def _label(self, reader: AttachmentReader, sha256: str) -> None:
        try:
            labels = self._labeller.label(reader)
        except Exception as error:  # noqa: BLE001 - the edge: without this thread no mail would have labels again
            # Nothing of the error but its kind: it may quote what was read.
            _log.error("an attachment was not labelled", extra={"facts": {"error": type(error).__name__}})
            labels = failed("the labeller failed")
        if labels.status is ClassificationStatus.COMPLETE:
            with self._lock:
                self._known[sha256] = labels
                if len(self._known) > _KNOWN_MAX:
                    self._known.popitem(last=False)
        reader.labelled(labels)
