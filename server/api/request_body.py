"""Reads request bodies while they arrive, bounded in size, in time, and in memory over all requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from server.api.errors import ApiError


class BodyBudget:
    """Bytes that all requests together may hold. Used on the event loop's thread only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Raises ApiError(503) when there is no room now."""
        if self.used + size > self._limit:
            raise ApiError(503, "busy", "too many requests are arriving at once", retry_after=2)
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size


class RequestBody:
    """The body of one request. `complete` is False while the client may still be sending."""

    def __init__(self, request: Request, budget: BodyBudget) -> None:
        self._request = request
        self._budget = budget
        self._held = 0
        headers = request.headers
        self.complete = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"

    @contextmanager
    def released(self) -> Iterator[None]:
        """Gives the memory back at the end of the block."""
        try:
            yield
        finally:
            self._budget.give_back(self._held)
            self._held = 0

    async def read(self, limit: int, seconds: float) -> bytes:
        """The whole body. Raises ApiError: 413 over `limit` bytes (before they are read, where announced),
        408 when it takes longer than `seconds`, 503 without memory, 400 when the client went away."""
        announced = self._request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for chunk in self._request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    self._budget.take(len(chunk))
                    self._held += len(chunk)
                    chunks.append(chunk)
        except TimeoutError:
            message = f"the body did not arrive within {seconds:g} s"
            raise ApiError(408, "timeout", message) from None
        except ClientDisconnect:
            raise ApiError(400, "truncated", "the connection ended before the body did") from None
        self.complete = True
        return b"".join(chunks)

    async def discard(self, limit: int, seconds: float) -> None:
        """Reads on without keeping it, so that the client gets to read a refusal; gives up at the bounds."""
        if self.complete:
            return
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for chunk in self._request.stream():
                    size += len(chunk)
                    if size > limit:
                        return
        except (TimeoutError, ClientDisconnect, RuntimeError):
            # RuntimeError: the stream was read from before and ended with the client.
            return
        self.complete = True


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "oversized", f"the body is more than {limit} bytes")
