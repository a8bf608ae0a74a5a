"""Which agent this is. Alone in its file, so that `--version` loads nothing else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTIONS = ("leaver-agent", "leaver")
"""On an endpoint the agent's own package is installed, elsewhere the whole one."""


def agent_version() -> str:
    for name in _DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unpackaged"
