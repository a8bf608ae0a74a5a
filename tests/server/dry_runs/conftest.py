"""The pipeline's servers, for dry runs on what they stored."""

from __future__ import annotations

from tests.server.pipeline.conftest import _nothing_is_collected, new_server, server

__all__ = ["_nothing_is_collected", "new_server", "server"]
