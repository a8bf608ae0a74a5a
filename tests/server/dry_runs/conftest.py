"""The pipeline's servers, for dry runs on what they stored."""

from __future__ import annotations

from tests.server.pipeline.conftest import new_server, server

__all__ = ["new_server", "server"]
