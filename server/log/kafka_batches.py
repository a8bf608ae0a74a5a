"""Kafka batches that a hostile producer made, read without harm.

kafka-python decompresses a batch without any bound (15 KB became 500 MB), and stops for ever at one whose
records cannot be parsed (a header name that is not UTF-8 is enough). Here such a batch comes out as one
record with the batch's last offset, whose value is a RefusedBatch: the batch as it lies on the log.

`install` puts the guard into kafka-python for the whole process. No reader of this process wants it
otherwise: producers of Leaver compress inside the value.
"""

from __future__ import annotations

from typing import Any

from kafka.errors import CorruptRecordError  # type: ignore[import-untyped]
from kafka.record import memory_records  # type: ignore[import-untyped]
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch  # type: ignore[import-untyped]

_CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


class RefusedBatch(bytes):
    """A batch that was not read; `reason` says why."""

    reason: str


class GuardedBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch that yields its records, or itself as one RefusedBatch in place of those it cannot yield."""

    def __init__(self, buffer: Any) -> None:
        super().__init__(buffer)
        self._refused = False

    def __iter__(self) -> GuardedBatch:
        return self

    def __next__(self) -> Any:
        if self._refused:
            raise StopIteration
        codec = self.compression_type
        if codec != self.CODEC_NONE:
            return self._refuse(f"batch is compressed with {_CODECS.get(codec, codec)}, only values may be")
        self._decompressed = True
        try:
            return super().__next__()
        except CorruptRecordError as error:
            return self._refuse(f"batch cannot be read: {error}")

    def _refuse(self, reason: str) -> Any:
        self._refused = True
        value = RefusedBatch(self._buffer)
        value.reason = reason
        return DefaultRecord(
            len(value), self.last_offset, self.max_timestamp, self.timestamp_type, None, value, []
        )


def install() -> None:
    """Makes every consumer of this process read through GuardedBatch. Idempotent."""
    memory_records.DefaultRecordBatch = GuardedBatch
