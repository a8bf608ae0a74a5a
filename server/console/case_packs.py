"""The one maker of evidence packs of a listener."""

from __future__ import annotations

from server.console.page import Console
from server.evidence_pack.jobs import PackJobs
from server.pki.files import PkiFiles


class Packs:
    """For `console.made`. Raises PkiError where the installation's key cannot be read."""

    def __init__(self, console: Console) -> None:
        directory = console.service.directory
        key = PkiFiles(directory.pki_path, clock=console.clock).ensure_seal_key()
        with console.database.begin() as connection:
            key.register(connection, at=console.clock(), actor="leaver up")
        self.jobs = PackJobs(console.database, directory.packs_path, key)
