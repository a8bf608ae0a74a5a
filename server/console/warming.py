"""Reads once, after the start, what the first page would wait for: who is who, which names are hidden, what
the policies are and found."""

from __future__ import annotations

import logging
import threading

from server.console.known_people import KnownPeople
from server.console.page import Console
from server.console.policies.sheets import Sheets
from server.people.text_mask import text_mask
from server.store.database import StoreUnavailable

_logger = logging.getLogger("leaver.console")


def warm(console: Console) -> None:
    """Beside everything else; a page that comes meanwhile waits for what it needs of it."""
    threading.Thread(target=_read, args=(console,), name="console-warm", daemon=True).start()


def _read(console: Console) -> None:
    try:
        known = console.made(KnownPeople)
        with console.database.read() as connection:
            known.directory(connection)
        text_mask(console.database)
        # After these: it is longest, and the rules' texts are parsed for the pipeline meanwhile.
        console.made(Sheets).of.sheet(now=console.clock())
    except (StoreUnavailable, ReferenceError) as error:
        # Pages say it themselves.
        _logger.info("console_not_warmed", extra={"detail": str(error)})
