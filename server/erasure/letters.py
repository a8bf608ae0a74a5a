"""Dead letters that hold something of a person or account: found by what stands in them.

A dead letter is what could not be read, so nothing says whom it is about. It goes where its bytes, unpacked
if they are a zstd frame (or as far as a frame that was cut off unpacks), or its message hold an account, the
id or the name; and, where nothing in it can be read, if it came from an agent that the person used.
"""

from __future__ import annotations

from collections.abc import Callable

import zstandard
from sqlalchemy import select

from event_schema.wire import CONTENT_BYTES_MAX
from server.erasure.plan import Plan
from server.erasure.selection import NamedIn
from server.store.database import Database
from server.store.tables import dead_letters

LETTERS_PER_SEARCH = 100
_ZSTD = b"\x28\xb5\x2f\xfd"


def dead_letters_of(database: Database, plan: Plan, progress: Callable[[int, int], None]) -> list[int]:
    """Their numbers."""
    named_in = NamedIn(plan)
    found: list[int] = []
    last, done = 0, 0
    while True:
        with database.read() as connection:
            rows = connection.execute(
                select(dead_letters.c.id, dead_letters.c.agent, dead_letters.c.message, dead_letters.c.data)
                .where(dead_letters.c.id > last)
                .order_by(dead_letters.c.id)
                .limit(LETTERS_PER_SEARCH)
            ).all()
        for row in rows:
            content = _readable(bytes(row.data))
            is_theirs = row.agent in plan.agents if content is None else named_in(content)
            if is_theirs or named_in(row.message.encode()):
                found.append(row.id)
        done += len(rows)
        if len(rows) < LETTERS_PER_SEARCH:
            progress(max(done, 1), max(done, 1))
            return found
        progress(done, done + 1)
        last = rows[-1].id


def _readable(data: bytes) -> bytes | None:
    """As text, unpacked; None where it is neither."""
    if data.startswith(_ZSTD):
        stream = zstandard.ZstdDecompressor(max_window_size=CONTENT_BYTES_MAX * 2).decompressobj()
        unpacked = b""
        try:
            for start in range(0, len(data), 4096):
                unpacked += stream.decompress(data[start : start + 4096])
                if len(unpacked) > CONTENT_BYTES_MAX:
                    break
        except zstandard.ZstdError:
            pass
        return unpacked or None
    if b"\x00" in data[:1024]:
        return None
    return data
