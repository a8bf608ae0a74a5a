"""Which agent this is. Alone in its file, so that `--version` loads nothing else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def agent_version() -> str:
    try:
        return version("leaver")
    except PackageNotFoundError:
        return "unpackaged"
