"""What is too long is cut, since an event must fit: paths in the middle (where the copy lies begins and ends
one), and of a mail with very many attachments and domains the largest and first are kept. Pure."""

from __future__ import annotations

import msgspec

from event_schema.ocsf_endpoint_events import FileSystemActivity, ProcessActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_network import Email
from event_schema.ocsf_objects import Actor, Executable, File, Process
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from event_schema.struct_base import NAME_CHARACTERS

CUT = "…"
"""Stands for the folders, or the part of a name, that were left out."""
_GAP = "long paths shortened"
_FEWER = "only 24 domains and the 32 largest attachments are told: all do not fit in an event"
_MAIL_DOMAINS, _MAIL_FILES, _MAIL_WORD = 24, 32, 64
"""What a mail that is too large as it is keeps: so many, words of so many characters. A character takes 4
bytes at most, and what else is told of an attachment 900: together 54 KB."""


def short_path(path: str, characters: int) -> str:
    """At most `characters`: the beginning in whole folders, the mark, and the file's name.

    >>> short_path("/media/STICK/first/second/third/list.csv", 30)
    '/media/STICK/first/…/list.csv'
    """
    if len(path) <= characters:
        return path
    folders, slash, name = path.rpartition("/")
    room = characters - len(name) - len(CUT) - 2 * len(slash)
    if slash and room > 0:
        beginning = folders[: room + 1].rpartition("/")[0]
        return f"{beginning}/{CUT}/{name}"
    # The name alone is as long: its beginning, and its end with the extension.
    room = characters - len(CUT)
    end = min(32, room // 2)
    return path[: room - end] + CUT + path[len(path) - end :]


def with_short_paths(event: Event, characters: int) -> Event:
    """The event with no path over `characters`, and saying so where one was."""
    changed: dict[str, object] = {"actor": _actor(event.actor, characters)}
    match event:
        case FileSystemActivity(file=file, file_result=result):
            changed["file"] = _file(file, characters)
            changed["file_result"] = None if result is None else _file(result, characters)
        case FileHostingActivity(file=file):
            changed["file"] = _file(file, characters)
        case ProcessActivity(process=process):
            changed["process"] = _process(process, characters)
        case EmailActivity(email=email):
            changed["email"] = _email(email)
    short = msgspec.structs.replace(event, **changed)
    if short == event:
        return event
    evidence = event.unmapped.evidence
    what = _FEWER if _is_shorter(event, short) else _GAP
    gap = what if evidence.gap is None else f"{evidence.gap}; {what}"
    if len(gap) > NAME_CHARACTERS:
        gap = what
    unmapped = msgspec.structs.replace(event.unmapped, evidence=msgspec.structs.replace(evidence, gap=gap))
    return msgspec.structs.replace(short, unmapped=unmapped)


def _file(file: File, characters: int) -> File:
    return msgspec.structs.replace(
        file,
        name=short_path(file.name, characters),
        path=None if file.path is None else short_path(file.path, characters),
    )


def _email(email: Email) -> Email:
    if email.files is None or len(email.files) <= _MAIL_FILES:
        files = email.files
    else:
        # Whoever hides something among many hides it among small ones.
        files = tuple(sorted(email.files, key=lambda file: -(file.size or 0))[:_MAIL_FILES])
    if files is not None:
        files = tuple(_attachment(file) for file in files)
    return msgspec.structs.replace(email, to=email.to[:_MAIL_DOMAINS], files=files)


def _attachment(file: File) -> File:
    kind = None if file.mime_type is None else short_path(file.mime_type, _MAIL_WORD)
    return msgspec.structs.replace(_file(file, _MAIL_WORD), mime_type=kind)


def _is_shorter(event: Event, short: Event) -> bool:
    return (
        isinstance(event, EmailActivity) and isinstance(short, EmailActivity) and event.email != short.email
    )


def _actor(actor: Actor, characters: int) -> Actor:
    if actor.process is None:
        return actor
    return msgspec.structs.replace(actor, process=_process(actor.process, characters))


def _process(process: Process, characters: int) -> Process:
    if process.file is None:
        return process
    executable: Executable = process.file
    short = msgspec.structs.replace(
        executable,
        name=short_path(executable.name, characters),
        path=None if executable.path is None else short_path(executable.path, characters),
    )
    return msgspec.structs.replace(process, file=short)
