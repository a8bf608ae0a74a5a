"""Mail: what leaves the company's domains through its own Postfix, and what is attached to it.

Orchestration only. The log: postfix_log; the archive: mail_archive, mail_deletion; one message: mail_parts,
mail_headers, attachment_labelling; which halves belong together, and the cursor: mail_join; the event:
mail_events. Neither subject nor text of a mail is read further than to know where it ends.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from collectors.attachment_labelling import AttachmentLabelling
from collectors.contract import Advice, Observation, Unsupported
from collectors.labels import LabelSettings
from collectors.linux.user_names import UserNames
from collectors.log_lines import LINES_MAX, READ_BYTES
from collectors.log_tail import LogTail
from collectors.mail_archive import Archive, Maildir, Mbox
from collectors.mail_config import MailConfig
from collectors.mail_deletion import MailDeletion
from collectors.mail_domains import MailDomains, domain_of_address
from collectors.mail_events import Sender, mail_event, sender_of
from collectors.mail_join import Departure, MailJoin, Message, read_cursor
from collectors.mail_parts import HEADERS_CUT, Attachments, read_attachments, read_head
from collectors.postfix_log import LINE_BYTES_MAX, PostfixLog
from collectors.steady_clock import SteadyClock
from event_schema.ocsf_objects import Host
from event_schema.ocsf_transfer_events import EmailActivity

_TURN_S: Final = 0.1
_CALM_S: Final = 0.4
"""While nothing is written to the log."""
_ARCHIVE_EVERY_MS: Final = 500
_REST: Final = 20
"""An archive of 100,000 messages takes 0.2 s to look through: so many times as long it is left alone then."""
_END_WITHIN_S: Final = 0.5
"""Once it is to stop. What is not told by then is told after the next start."""
_PIECES: Final = 16
"""Of the log, in one turn: small ones, as at a rotation."""

LOST_LINES: Final = "times that the mail log went on elsewhere than where we had stopped"
LONG_LINES: Final = "lines of the mail log that are too long"
UNREADABLE: Final = "archived mails that could not be read"
NO_SENDER: Final = "mails to the outside that name no sender"
NO_ARCHIVE: Final = "no archive: attachments are not known"
NO_LOG: Final = "no mail log: recipients as the mail names them"
TOO_LATE: Final = "labels skipped: they were not ready in time"
STOPPED: Final = "labels skipped: the agent was stopped"
_MESSAGE_GONE: Final = "the archived mail could not be read: attachments are not known"


class MailCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "mail"
    emits: ClassVar[tuple[type, ...]] = (EmailActivity,)

    def __init__(
        self,
        config: MailConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        label_settings: LabelSettings | None = None,
    ) -> None:
        self._config, self._host, self._version = config, host, version
        is_labelled = config.labels and label_settings is not None and label_settings.enabled
        self._label_settings = label_settings if is_labelled else None
        self._labelling: AttachmentLabelling | None = None
        self._clock = SteadyClock(clock)
        self._domains = MailDomains(config.own_domains, config.free_mail_domains)
        self._tail: LogTail | None = None
        self._archive: Archive | None = None
        self._log: PostfixLog | None = None
        self._join: MailJoin | None = None
        self._names: UserNames | None = None
        self._archive_at = self._lost_places = 0
        self._trouble: dict[str, str] = {}
        """What cannot be read just now, and why."""
        self._deletion: MailDeletion | None = None
        self._end_by = 0.0
        self._dropped: Counter[str] = Counter()
        self._closing = threading.Event()

    def check_supported(self) -> None:
        config = self._config
        if not config.own_domains:
            raise Unsupported('tell which domains are the company\'s own: own_domains = ["example.com"]')
        if not config.archive and not config.log:
            raise Unsupported("tell where the archive (always_bcc) or Postfix's log is: archive, log")
        for path in filter(None, (config.archive, config.log)):
            try:
                _check_readable(Path(path))
            except OSError as error:
                raise Unsupported(f"{path}: {error.strerror}; run the agent as root") from error

    def advice(self) -> Sequence[Advice]:
        """What this host does not give, and what would bring it."""
        return (self._archive_advice(), self._log_advice())

    def _archive_advice(self) -> Advice:
        path, about = Path(self._config.archive), "archive"
        if not self._config.archive:
            text = (
                "attachments are not seen: set always_bcc = archive@… in Postfix's main.cf, and archive to "
                "that mailbox's Maildir"
            )
        elif not path.exists():
            text = f"{path} is not there yet: Postfix makes it with the first mail to always_bcc"
        elif self._config.delete_after_reading and not path.is_dir():
            text = "delete_after_reading deletes from a Maildir only, and the archive is an mbox"
        else:
            return Advice(about, is_met=True, text=str(path))
        return Advice(about, is_met=False, text=text)

    def _log_advice(self) -> Advice:
        path, about = Path(self._config.log), "log"
        if not self._config.log:
            text = "logins and blind copies are not seen: set log to Postfix's log (/var/log/mail.log)"
        elif not path.exists():
            text = f"{path} is not there yet: set maillog_file in Postfix's main.cf, or mail.* in rsyslog"
        else:
            return Advice(about, is_met=True, text=str(path))
        return Advice(about, is_met=False, text=text)

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        try:
            self._start(resume_from)
            while not (stop.is_set() or self._closing.is_set()):
                found = yield from self._turn(stop)
                stop.wait(_TURN_S if found else _CALM_S)
                yield None
            if self._join is not None and not self._closing.is_set():
                self._read_log()
                self._read_archive()
                self._join.flush()
                yield from self._departures(stop)
        finally:
            self._release()

    def saved(self, cursor: str | None) -> None:
        """What was read for events up to there is not needed any more."""
        if self._deletion is not None:
            self._deletion.saved(cursor)

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        for part in (self._join, self._log, self._archive, self._labelling, self._deletion):
            if part is not None:
                total.update(part.dropped())
        if self._tail is not None:
            total.update({LOST_LINES: self._tail.lost_places, LONG_LINES: self._tail.too_long})
        return {reason: count for reason, count in total.items() if count}

    def detail(self) -> str | None:
        join = self._join
        if join is None:
            return None
        parts = []
        if self._config.archive:
            kind = "mbox" if isinstance(self._archive, Mbox) else "Maildir"
            parts.append(f"archive: {kind} {self._config.archive}")
        if self._config.log:
            parts.append(f"log: {self._config.log}")
        if waiting := join.waiting():
            parts.append(f"{waiting} mails wait for their other half")
        confined = None if self._labelling is None else self._labelling.describe()
        if confined:
            parts.append(f"labels: read by a process confined by {confined}")
        parts += [f"the {what} cannot be read: {why}" for what, why in sorted(self._trouble.items())]
        return "; ".join(parts)

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _start(self, resume_from: str | None) -> None:
        config, resume = self._config, read_cursor(resume_from)
        self._names = UserNames()
        read = None
        if config.archive:
            path = Path(config.archive)
            archived = None if resume is None else resume.archive
            archive = Mbox(path, archived) if path.is_file() else Maildir(path, archived)
            self._archive, read = archive, archive.read
            if config.delete_after_reading and isinstance(archive, Maildir):
                self._deletion = MailDeletion(archive, resume_from, () if archived is None else archived.done)
            if self._label_settings is not None:
                self._labelling = AttachmentLabelling(self._label_settings)
        if config.log:
            zone = ZoneInfo(config.time_zone) if config.time_zone else None
            self._log = PostfixLog(self._domains.is_own, zone)
            self._tail = LogTail(
                Path(config.log), None if resume is None else resume.log, line_bytes_max=LINE_BYTES_MAX
            )
        self._join = MailJoin(self._log, read, self._domains, int(config.join_wait_s * 1000), resume)
        if self._tail is not None:
            self._join.begin_log(self._tail.position())
        self._archive_at = self._lost_places = 0
        self._end_by = 0.0

    def _is_over(self, stop: threading.Event) -> bool:
        """Whether there is no more time to tell anything."""
        if not stop.is_set():
            return False
        self._end_by = self._end_by or time.monotonic() + _END_WITHIN_S
        return time.monotonic() > self._end_by

    def _turn(self, stop: threading.Event) -> Generator[Observation | None, None, bool]:
        """One piece of the log, and what came into the archive. Whether there was anything in the log."""
        more = self._read_log()
        now = self._clock.now_ms()
        if now >= self._archive_at:
            began = time.thread_time()
            self._read_archive()
            took_ms = (time.thread_time() - began) * 1000
            if self._archive is None or not self._archive.has_more:
                self._archive_at = now + max(_ARCHIVE_EVERY_MS, int(took_ms * _REST))
        yield from self._departures(stop)
        if more:
            yield None
        return more

    def _read_log(self) -> bool:
        """Up to its end, also where it was rotated; one large piece at most. Whether there was anything."""
        if self._tail is None or self._join is None:
            return False
        found = False
        for _ in range(_PIECES):
            if self._join.is_full():
                break
            try:
                lines = self._tail.take()
            except OSError as error:
                self._trouble = self._trouble | {"log": str(error.strerror)}
                return found
            self._trouble = {what: why for what, why in self._trouble.items() if what != "log"}
            if self._tail.lost_places > self._lost_places:
                self._lost_places = self._tail.lost_places
                self._join.lines_are_lost()
            found = found or bool(lines)
            now, steady = self._clock.wall_ms(self._clock.now_ms()), self._clock.now_ms()
            for line in lines:
                self._join.take_line(line, now, steady)
            if self._tail.is_at_end:
                return found
            if len(lines) >= LINES_MAX or sum(len(line.content) for line in lines) > READ_BYTES // 2:
                break
        self._join.log_is_behind(self._clock.now_ms())
        return found

    def _read_archive(self) -> None:
        if self._archive is None or self._join is None:
            return
        if not self._join.takes_messages(self._clock.now_ms()):
            return
        try:
            found = self._archive.new()
        except OSError as error:
            self._trouble = self._trouble | {"archive": str(error.strerror)}
            return
        self._trouble = {what: why for what, why in self._trouble.items() if what != "archive"}
        for archived in found:
            try:
                with self._archive.open(archived) as file:
                    head = read_head(file)
            except Exception:  # noqa: BLE001 - Python's header parser on hostile mail: one message only, counted
                self._dropped[UNREADABLE] += 1
                continue
            self._dropped[HEADERS_CUT] += head.is_cut
            self._join.take_message(Message(archived, head, self._clock.now_ms()))

    def _departures(self, stop: threading.Event) -> Iterator[Observation | None]:
        join = self._join
        if join is None:
            return
        for departure in join.due(self._clock.now_ms()):
            event = yield from self._event(departure, stop)
            if self._join is None or self._is_over(stop):
                return
            cursor = join.emitted(departure, self._clock.now_ms())
            if self._deletion is not None:
                self._deletion.settled(join.take_settled(), None if event is None else cursor)
            if event is not None:
                yield Observation(event, cursor)
        settled = join.take_settled()
        if self._deletion is not None:
            self._deletion.settled(settled, None)

    def _event(
        self, departure: Departure, stop: threading.Event
    ) -> Generator[None, None, EmailActivity | None]:
        logged, message = departure.logged, departure.message
        head = None if message is None else message.head
        sender = sender_of(logged, head, self._host.hostname)
        if sender is None or not self._is_ours(sender):
            # An empty sender is a notice that something could not be delivered.
            if sender is None and (logged is None or logged.sender is None):
                self._dropped[NO_SENDER] += 1
            return None
        if sender.name is None and self._names is not None:
            sender = msgspec.structs.replace(sender, name=self._names.name(sender.uid))
        gaps = list(departure.gaps)
        attachments = None
        if message is not None:
            attachments = yield from self._attachments(departure, message, stop)
            if attachments is None:
                gaps.append(_MESSAGE_GONE)
        if not self._config.archive:
            gaps.append(NO_ARCHIVE)
        if not self._config.log:
            gaps.append(NO_LOG)
        size = logged.size if logged is not None else None
        if size is None and message is not None:
            size = message.archived.size
        return mail_event(
            version=self._version,
            host=self._host,
            time_ms=logged.sent_at if logged is not None else message.archived.time_ms if message else 0,
            sender=sender,
            domains=departure.domains,
            size=size,
            client=None if logged is None else logged.client,
            attachments=attachments,
            gaps=gaps,
            own=self._domains,
        )

    def _is_ours(self, sender: Sender) -> bool:
        """Others' mail that is only passed on is none of ours."""
        return sender.fidelity == "exact" or self._domains.is_own(domain_of_address(sender.address))

    def _attachments(
        self, departure: Departure, message: Message, stop: threading.Event
    ) -> Generator[None, None, Attachments | None]:
        archive, labelling = self._archive, self._labelling
        if archive is None:
            return None
        until_ms = departure.seen_ms + int(self._config.label_wait_s * 1000)

        def why_not() -> str | None:
            if stop.is_set() or self._closing.is_set():
                return STOPPED
            return TOO_LATE if self._clock.now_ms() > until_ms else None

        label = None if labelling is None else lambda: labelling.reader(why_not)
        try:
            with archive.open(message.archived) as file:
                walk = read_attachments(file, self._config.message_max_bytes, label)
                while not self._is_over(stop):
                    try:
                        yield next(walk)
                    except StopIteration as end:
                        found: Attachments = end.value
                        return found
        except OSError:
            self._dropped[UNREADABLE] += 1
        return None

    def _release(self) -> None:
        if self._tail is not None:
            self._tail.close()
        if self._names is not None:
            self._names.close()
            self._names = None
        if self._labelling is not None:
            self._labelling.close()
        self._dropped = Counter(self.dropped())
        self._tail = self._archive = self._log = self._join = self._labelling = self._deletion = None


def _check_readable(path: Path) -> None:
    """Raises OSError; what is not there yet may come."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            with path.open("rb"):
                pass
