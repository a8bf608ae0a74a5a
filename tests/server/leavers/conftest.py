"""The chain without its HTTPS side, from the pipeline's tests."""

from tests.server.pipeline.conftest import _nothing_is_collected, server

__all__ = ["_nothing_is_collected", "server"]
