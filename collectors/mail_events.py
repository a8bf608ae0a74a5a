"""A mail that left, as an event. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from collectors.file_extension import extension_of
from collectors.mail_domains import MailDomains, domain_of_address
from collectors.mail_parts import Attachment, Attachments, MessageHead
from collectors.postfix_log import LoggedMail
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_network import MAIL_RECIPIENTS_MAX, Email, SourceEndpoint
from event_schema.ocsf_objects import Actor, File, FileType, Fingerprint, HashAlgorithm, Host, User
from event_schema.ocsf_transfer_events import EmailActivity, email_sent
from event_schema.ocsf_unmapped import Evidence, Transfer, TransferUnmapped
from event_schema.printable import printable_name
from event_schema.struct_base import NAME_CHARACTERS

MORE_DOMAINS: Final = "more than 200 domains"


class Sender(msgspec.Struct, frozen=True):
    """Who sent it, and how sure that is."""

    name: str | None
    uid: int | None
    address: str
    fidelity: Literal["exact", "likely", "possible"]


def sender_of(logged: LoggedMail | None, head: MessageHead | None, host: str) -> Sender | None:
    """The login that the server checked; else the sender that it was told; else what the mail says of itself.

    None: nobody is named, as in notices of failed delivery."""
    login = logged.login if logged is not None else None
    uid = logged.uid if logged is not None else None
    told = logged.sender if logged is not None else None
    if head is not None:
        login = login or head.login
        uid = head.uid if uid is None else uid
        told = told or head.envelope_sender
    written = head.from_address if head is not None else None
    if login is None and uid is None:
        if not told and (logged is not None or not written):
            return None
        address = told or written or ""
        name = _valid(address)
        if name is None:
            return None
        return Sender(name, None, name, "likely" if told else "possible")
    account = login or f"uid-{uid}"
    address = (
        _valid(told or "")
        or _valid(written or "")
        or _valid(account)
        or f"{account.replace('@', '.')}@{host}"
    )
    return Sender(login, uid, _valid(address) or "unknown@unknown", "exact")


def mail_event(
    *,
    version: str,
    host: Host,
    time_ms: int,
    sender: Sender,
    domains: Sequence[str],
    size: int | None,
    client: str | None,
    attachments: Attachments | None,
    gaps: Sequence[str],
    own: MailDomains,
) -> EmailActivity:
    """domains: outside the company, each once. attachments None: not known."""
    told = [*gaps, *(attachments.gaps if attachments is not None else ())]
    if len(domains) > MAIL_RECIPIENTS_MAX:
        told.append(MORE_DOMAINS)
    files = None if attachments is None or not attachments.found else tuple(map(_file, attachments.found))
    user = User(name=sender.name, uid=None if sender.uid is None else str(sender.uid))
    return email_sent(
        time=time_ms,
        metadata=event_metadata(
            "mail", version, labelled=any(file.data_classifications is not None for file in files or ())
        ),
        actor=Actor(user=user),
        device=host,
        email=Email(
            sender_address=sender.address,
            to=tuple(f"*@{domain}" for domain in domains[:MAIL_RECIPIENTS_MAX]),
            size=size,
            files=files,
        ),
        unmapped=TransferUnmapped(
            evidence=Evidence(
                fidelity=sender.fidelity,
                observed_by="log_file" if attachments is None else "mailbox",
                actor_from="server" if sender.fidelity == "exact" else "unknown",
                gap="; ".join(told)[:NAME_CHARACTERS] or None,
            ),
            transfer=Transfer(category=own.category(domains)),
        ),
        src_endpoint=None if client is None else SourceEndpoint(ip=client),
    )


def _file(attachment: Attachment) -> File:
    hashes, labels = None, attachment.labels
    if attachment.sha256 is not None:
        hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=attachment.sha256),)
    # What it is by its content, where that is known; else as the sender's program calls it.
    kind = (labels.mime_type if labels is not None else None) or attachment.mime_type
    return File(
        name=attachment.name,
        type_id=FileType.REGULAR,
        ext=extension_of(attachment.name),
        mime_type=kind[:NAME_CHARACTERS],
        size=attachment.size,
        hashes=hashes,
        is_encrypted=None if labels is None else labels.is_encrypted,
        data_classifications=None if labels is None else labels.classifications(),
    )


def _valid(address: str) -> str | None:
    """The address if the event may hold it."""
    address = printable_name(address)
    local, at, domain = address.rpartition("@")
    is_plain = not any(character.isspace() or character == "@" for character in local + domain)
    if at and 0 < len(local) <= 255 and 0 < len(domain) <= 255 and is_plain and domain_of_address(address):
        return address
    return None
