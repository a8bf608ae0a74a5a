"""Makes a pack: reads a case's alerts, evidence, rules, models and custody, and writes them into one archive.

Events go through one by one, so that the size of a case does not show in memory. What was signed by agents
holds names, and other people's events beside the case's: it is in a pack only where names were unmasked and
somebody asked for it as well; the audit trail then says of how many others it tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from server import audit
from server.alerts.evidence import evidence, stored_events
from server.alerts.view_types import AlertDetail
from server.alerts.views import alert_detail
from server.enrich.who import WhoIsWho
from server.evidence_pack import verifier
from server.evidence_pack.archive import ArchiveWriter, FinishedArchive, PackStopped
from server.evidence_pack.custody import CustodyRow, custody_rows, objects_of
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.report import ReportFacts, write_report
from server.evidence_pack.rules_and_models import RuleVersion, models_used, rule_versions
from server.evidence_pack.scope import AlertsOfEvents, Scope, portions
from server.evidence_pack.sight import PSEUDONYMS_MAX, PackSight, pseudonyms_in
from server.evidence_pack.signed_records import HeldRecords, write_records
from server.evidence_pack.statements import read_me, statements
from server.evidence_pack.timeline import Timeline
from server.evidence_seal import SealKey
from server.json_times import rfc3339, with_datetimes
from server.people.directory import load_directory
from server.people.pseudonyms import shown_names
from server.store.database import Database

PORTION = 2000
LARGEST_SHOWN = 20
LARGEST_IN_ALL = 1500
"""Events in the report, of all alerts together."""
_SAFE = re.compile(r"[^A-Za-z0-9._-]")

Progress = Callable[[int, int], None]
"""(done, of)."""


class MadePack(msgspec.Struct, frozen=True):
    """`pseudonyms`: of everybody whom it tells of; empty in a pack with names."""

    archive: FinishedArchive
    alerts: int
    events: int
    first_time: int | None
    last_time: int | None
    pseudonyms: tuple[str, ...]


def make_pack(
    database: Database,
    scope: Scope,
    request: PackRequest,
    key: SealKey,
    file: BinaryIO,
    *,
    scratch: Path,
    progress: Progress = lambda _done, _of: None,
    stopped: Callable[[], bool] = lambda: False,
) -> MadePack:
    """Into a file that can be read and written anywhere. `scratch`: a folder for the report while it is made.
    Raises PackRefused, PackStopped, StoreUnavailable."""
    return _Making(database, scope, request, key, progress, stopped).make(file, scratch)


class _Making:
    def __init__(
        self,
        database: Database,
        scope: Scope,
        request: PackRequest,
        key: SealKey,
        progress: Progress,
        stopped: Callable[[], bool],
    ) -> None:
        self._database = database
        self._scope = scope
        self._request = request
        self._key = key
        self._progress = progress
        self._stopped = stopped
        self._done = 0
        self._of = 3 * scope.events + 2 * len(scope.alerts) + 1
        self._pseudonyms: set[str] = set()
        with database.read() as connection:
            self._directory = load_directory(connection)
        self._sight = self._make_sight()

    def make(self, file: BinaryIO, scratch: Path) -> MadePack:
        scope, sight, request = self._scope, self._sight, self._request
        archive = ArchiveWriter(file)
        archive.add("README.txt", read_me(names=sight.unmasked, records=request.with_records).encode())
        archive.add("verify.py", Path(verifier.__file__).read_bytes())
        history = [{**msgspec.structs.asdict(each), "text": self._typed(each.text)} for each in scope.entries]
        if scope.case is not None:
            told = {**msgspec.structs.asdict(scope.case), "history": history}
            told |= {"title": self._typed(scope.case.title), "reason": self._typed(scope.case.reason)}
            archive.add("case.json", _document(told))
        details = self._write_alerts(archive)
        timeline = self._write_evidence(archive)
        if request.with_records:
            held = write_records(self._database, scope, archive, self._step, who=WhoIsWho(self._directory))
            self._note_records(held)
        key, _ = shown_names(self._database, ())
        with self._database.read() as connection:
            rules = rule_versions(connection, scope.alerts)
            used = models_used(connection, scope.alerts)
            case_id = None if scope.case is None else scope.case.id
            ids = [each.id for each in scope.alerts]
            objects = objects_of(connection, case_id, ids, sight.told_of)
            custody = custody_rows(connection, objects, sight, key=key)
            last = audit.head(connection)
        head = last and (last[0], audit.fingerprint(key, *last))
        self._write_rules(archive, rules)
        archive.add("models.json", _document(used))
        self._write_custody(archive, custody)
        fields = self._fields(head, timeline, custody)
        facts = ReportFacts(
            scope.case and msgspec.structs.replace(scope.case, title=self._typed(scope.case.title) or ""),
            history,
            details,
            timeline,
            custody,
            self._request,
            self._key.fingerprint,
            archive.contents_digest,
            head,
        )
        with archive.entry("report.pdf", packed=False) as report:
            for part in write_report(facts, scratch, self._check):
                report.write(part)
        finished = archive.finish(fields, self._key.sign_pack)
        self._progress(self._of, self._of)
        shown = () if sight.unmasked else tuple(sorted(self._pseudonyms)[:PSEUDONYMS_MAX])
        return MadePack(
            finished, len(scope.alerts), timeline.events, timeline.earliest, timeline.latest, shown
        )

    def _note_records(self, held: HeldRecords) -> None:
        """On record before the pack is anywhere, and so among its own custody rows."""
        scope, request = self._scope, self._request
        with self._database.begin() as connection:
            audit.append(
                connection,
                at=request.at,
                actor=request.made_by,
                action="pack.records",
                object=f"alert:{scope.alerts[0].id}" if scope.case is None else f"case:{scope.case.id}",
                reason=None if request.unmasking is None else request.unmasking.reason,
                detail=msgspec.structs.asdict(held),
            )

    def _make_sight(self) -> PackSight:
        accounts: dict[tuple[str, str], None] = {}
        for alert in self._scope.alerts:
            self._check()
            with self._database.read() as connection:
                accounts.update(dict.fromkeys(evidence(connection, alert.id, 0).accounts))
            self._step(self._events_of(alert.id))
        return PackSight(
            self._database,
            self._directory,
            self._scope.alerts,
            accounts,
            self._request.unmasking,
        )

    def _write_alerts(self, archive: ArchiveWriter) -> list[AlertDetail]:
        scope = self._scope
        limit = min(LARGEST_SHOWN, max(3, LARGEST_IN_ALL // len(scope.alerts)))
        titles = [title for title in self._titles() if title]
        masked_title = self._sight.rules(titles)
        details: list[AlertDetail] = []
        with archive.entry("alerts.jsonl") as lines:
            for alert in scope.alerts:
                self._check()
                detail = alert_detail(
                    self._database,
                    alert.id,
                    directory=self._directory,
                    evidence_limit=limit,
                    sight=self._sight,
                )
                shares = tuple(
                    msgspec.structs.replace(each, title=masked_title(each.title)) for each in detail.shares
                )
                detail = msgspec.structs.replace(detail, shares=shares)
                details.append(detail)
                without = msgspec.structs.replace(detail.evidence, largest=())
                told = with_datetimes(msgspec.structs.replace(detail, evidence=without))
                told["evidence"].pop("largest")
                self._pseudonyms |= pseudonyms_in(msgspec.json.encode(detail))
                lines.line(told)
                self._step(self._events_of(alert.id))
        return details

    def _titles(self) -> set[str]:
        with self._database.read() as connection:
            return {each.title for each in rule_versions(connection, self._scope.alerts)}

    def _write_evidence(self, archive: ArchiveWriter) -> Timeline:
        scope = self._scope
        timeline = Timeline(
            min(each.first_time for each in scope.alerts), max(each.last_time for each in scope.alerts)
        )
        whose = AlertsOfEvents(scope.ranges)
        damaged: list[str] = []
        with archive.entry("evidence.jsonl") as lines:
            for part in portions(scope.whole, PORTION):
                with self._database.read() as connection:
                    for number, found in enumerate(stored_events(connection, part, damaged)):
                        if number % 100 == 0:
                            self._check()
                        line = self._sight.line(found, whose.of(found.agent, found.epoch, found.seq))
                        timeline.add(found.time, found.event.metadata.log_name or "", line["bytes"])
                        encoded = lines.line(line)
                        if len(self._pseudonyms) <= PSEUDONYMS_MAX:
                            self._pseudonyms |= pseudonyms_in(encoded)
                self._step(sum(each.count for each in part))
        return timeline

    def _write_rules(self, archive: ArchiveWriter, rules: list[RuleVersion]) -> None:
        mask = self._sight.rules([text for each in rules for text in (each.text, each.title)])
        index: list[dict[str, Any]] = []
        for number, each in enumerate(rules, start=1):
            name = f"policies/{number:03}-{_SAFE.sub('-', each.rule_id)[:64]}.v{each.number}.yml"
            text = mask(each.text)
            archive.add(name, text.encode())
            index.append(
                {
                    "file": name,
                    "rule_id": each.rule_id,
                    "version": each.number,
                    "title": mask(each.title),
                    # A guess at what is masked could be held against it.
                    "sha256": each.sha256 if text == each.text else None,
                    "masked": text != each.text,
                    "saved_at": rfc3339(each.saved_at),
                    "saved_by": each.saved_by,
                    "enabled": each.enabled,
                }
            )
        archive.add("policies/index.json", _document(index))

    def _write_custody(self, archive: ArchiveWriter, custody: list[CustodyRow]) -> None:
        with archive.entry("custody.jsonl") as lines:
            for row in custody:
                lines.line(row)

    def _fields(
        self, head: tuple[int, str] | None, timeline: Timeline, custody: list[CustodyRow]
    ) -> dict[str, Any]:
        """The manifest's, beside the files."""
        request, scope = self._request, self._scope
        unmasking = request.unmasking
        return {
            "made_at": rfc3339(request.at),
            "made_by": request.made_by,
            "case": scope.case and scope.case.id,
            "alerts": [each.id for each in scope.alerts],
            "events": timeline.events,
            "events_expected": scope.events,
            "names": "pseudonyms" if unmasking is None else "unmasked",
            "unmasked_because": unmasking and unmasking.reason,
            "audit_head": head and {"seq": head[0], "fingerprint": head[1]},
            "custody_rows": len(custody),
            "custody_rows_masked": sum(row.masked for row in custody),
            "key": {
                "algorithm": "Ed25519",
                "public_key": self._key.public_bytes.hex(),
                "fingerprint": self._key.fingerprint,
            },
            "statements": statements(names=unmasking is not None, records=request.with_records),
        }

    def _typed(self, text: str | None) -> str | None:
        return None if text is None else self._sight.prose(text)

    def _events_of(self, alert_id: int) -> int:
        return sum(each.count for each in self._scope.ranges[alert_id])

    def _step(self, count: int) -> None:
        self._check()
        self._done = min(self._done + count, self._of - 1)
        self._progress(self._done, self._of)

    def _check(self) -> None:
        if self._stopped():
            raise PackStopped("it was cancelled")


def _document(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
