"""The chain without its HTTPS side, from the pipeline's tests."""

from tests.server.pipeline.conftest import new_server, server

__all__ = ["new_server", "server"]
