"""The chain without its HTTPS side, from the pipeline's tests."""

from tests.server.pipeline.conftest import server

__all__ = ["server"]
