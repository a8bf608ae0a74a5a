"""Whether folders can be watched here by the package watchdog: for what needs no drive and no fanotify."""

from __future__ import annotations

import sys

from collectors.contract import Unsupported


def check_folder_watching(what: str) -> None:
    """`what` as in "sync folders". Raises Unsupported."""
    if not sys.platform.startswith("linux"):
        raise Unsupported(f"{what} are watched by inotify; this is {sys.platform}")
    try:
        import watchdog  # noqa: F401, PLC0415 - only whether it is there
    except ImportError as error:
        raise Unsupported(
            "the Python package watchdog is missing: this environment has no agent packages; install"
            " leaver_agent-….whl (docs/install.md)"
        ) from error
