"""The token that may read the metrics and nothing else: one line in a file that only the server's user reads.

Read again at every request, so that it can be changed while the server runs. A file that is missing, or
holds no token, opens nothing.
"""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

CHARACTERS_MIN = 16
CHARACTERS_MAX = 128

_logger = logging.getLogger("leaver.api")


def is_metrics_token(token_file: str, presented: str) -> bool:
    """`token_file` is empty where there is no such token."""
    if not token_file or not presented:
        return False
    try:
        with Path(token_file).open("rb") as file:
            known = file.read(2 * CHARACTERS_MAX).strip()
    except OSError as error:
        _logger.warning("metrics_token_unreadable", extra={"errno": error.errno})
        return False
    if not CHARACTERS_MIN <= len(known) <= CHARACTERS_MAX or b"\n" in known:
        _logger.warning("metrics_token_refused", extra={"bytes": len(known)})
        return False
    return hmac.compare_digest(known, presented.encode("utf-8", "surrogatepass"))
