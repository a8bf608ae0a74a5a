"""The pipeline's servers, for tests of looking back."""

from __future__ import annotations

from tests.server.pipeline.conftest import _nothing_is_collected, new_server, server

__all__ = ["_nothing_is_collected", "new_server", "server"]
