"""The pipeline's servers, for back-tests of what they stored."""

from __future__ import annotations

from tests.server.pipeline.conftest import new_server, server

__all__ = ["new_server", "server"]
