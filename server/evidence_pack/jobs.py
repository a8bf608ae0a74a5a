"""Packs made in the background, a thread each, so that no page waits: few at once, one of a case at most."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from server.alerts.view_types import Unmasking
from server.cases.records import UnknownCase
from server.evidence_pack.archive import PackRefused, PackStopped
from server.evidence_pack.making import make_pack
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.scope import Scope, scope_of_case
from server.evidence_pack.stored import (
    PackRunning,
    begin_pack,
    end_abandoned,
    fail_pack,
    file_digest,
    finish_pack,
    pack_path,
    sweep,
)
from server.evidence_seal import SealKey
from server.store.database import Database, StoreUnavailable

AT_ONCE: Final = 2
_logger = logging.getLogger("leaver.packs")


class Progress(msgspec.Struct, frozen=True):
    """`percent`: 0–100, whole."""

    percent: int
    cancelled: bool


class _Job(msgspec.Struct):
    done: int
    of: int
    stop: threading.Event


class PackJobs:
    """Of one server. `folder`: where packs are kept."""

    def __init__(self, database: Database, folder: Path, key: SealKey) -> None:
        self._database = database
        self._folder = folder
        self._key = key
        self._jobs: dict[int, _Job] = {}
        self._beginning = 0
        self._lock = threading.Lock()
        end_abandoned(database, database.clock())
        sweep(database, folder)

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def key(self) -> SealKey:
        return self._key

    def start(self, case_id: int, request: PackRequest) -> int:
        """The pack's number. Raises UnknownCase, CaseRefused, PackRefused, PackRunning."""
        job = _Job(0, 1, threading.Event())
        # A place is taken before the pack is begun, so that no two take the last one.
        with self._lock:
            if len(self._jobs) + self._beginning >= AT_ONCE:
                raise PackRunning(f"{AT_ONCE} packs are being made now: try again soon")
            self._beginning += 1
        try:
            with self._database.read() as connection:
                scope = scope_of_case(connection, case_id)
            unmasking = request.unmasking
            pack_id = begin_pack(
                self._database,
                case_id,
                reason=None if unmasking is None else unmasking.reason,
                actor=request.made_by,
                at=request.at,
                alerts=len(scope.alerts),
            )
            with self._lock:
                self._jobs[pack_id] = job
        finally:
            with self._lock:
                self._beginning -= 1
        threading.Thread(
            target=self._run, args=(pack_id, job, scope, request), name=f"pack {pack_id}", daemon=True
        ).start()
        return pack_id

    def progress(self, pack_id: int) -> Progress | None:
        """None: it is not being made here."""
        with self._lock:
            job = self._jobs.get(pack_id)
        return None if job is None else Progress(100 * job.done // job.of, job.stop.is_set())

    def cancel(self, pack_id: int) -> bool:
        """Whether it was being made."""
        with self._lock:
            job = self._jobs.get(pack_id)
        if job is not None:
            job.stop.set()
        return job is not None

    def _run(self, pack_id: int, job: _Job, scope: Scope, request: PackRequest) -> None:
        state, fault = "failed", ""
        try:
            self._make(pack_id, job, scope, request)
        except PackStopped as error:
            state, fault = "cancelled", str(error)
        except (PackRefused, UnknownCase, StoreUnavailable) as error:
            fault = str(error)
        except OSError as error:
            fault = error.strerror or "the disk failed"
        except Exception as error:
            fault = f"an error of the program: {type(error).__name__}"
            _logger.exception("pack_not_made", extra={"pack": pack_id})
        try:
            if fault:
                with self._database.begin() as connection:
                    fail_pack(connection, pack_id, state, fault, at=self._database.clock())
            sweep(self._database, self._folder)
        except (StoreUnavailable, OSError) as error:
            # The next start ends what was begun.
            _logger.warning("pack_not_ended", extra={"pack": pack_id, "detail": str(error)})
        finally:
            with self._lock:
                del self._jobs[pack_id]

    def _make(self, pack_id: int, job: _Job, scope: Scope, request: PackRequest) -> None:
        def progress(done: int, of: int) -> None:
            job.done, job.of = done, of

        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = pack_path(self._folder, pack_id)
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                made = make_pack(
                    self._database,
                    scope,
                    request,
                    self._key,
                    file,
                    scratch=self._folder,
                    progress=progress,
                    stopped=job.stop.is_set,
                )
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        digest = file_digest(path)
        with self._database.begin() as connection:
            if not finish_pack(connection, pack_id, made, digest, at=self._database.clock()):
                _logger.info("pack_no_longer_wanted", extra={"pack": pack_id})


def asked(actor: str, at: int, *, language: str, reason: str | None, records: bool = False) -> PackRequest:
    """`reason`: why names are needed; None: without names. `records`: with what agents signed, too."""
    unmasking = None if reason is None else Unmasking(actor, at, reason)
    return PackRequest(actor, at, "zh" if language == "zh" else "en", unmasking, records)
