"""The pipeline's servers, for tests of looking back."""

from __future__ import annotations

from tests.server.pipeline.conftest import new_server, server

__all__ = ["new_server", "server"]
