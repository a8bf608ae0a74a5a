"""The streams' events are what the collectors make of the same acts, field by field."""

from __future__ import annotations

from collectors.access_log_config import AccessLogSource, Rule
from collectors.access_log_events import act_event
from collectors.access_log_lines import AccessLine
from collectors.access_log_rules import Mapped
from collectors.file_changes import FileFacts
from collectors.finished_files import FinishedFile
from collectors.linux.process_identity import Who
from collectors.login_acts import LoginAct
from collectors.login_events import login_event
from collectors.mail_domains import MailDomains
from collectors.mail_events import Sender, mail_event
from collectors.mail_parts import Attachment, Attachments
from collectors.storage_events import EventSource, Volume, file_event
from event_schema.ocsf_events import FileActivity
from event_schema.ocsf_objects import FileType, Host, PeripheralDevice, PeripheralType
from server.evaluation.departures import observed_acts as acts

TIME = 1_795_000_000_000
DIGEST = "5a" * 32
KEY = "SHA256:hK1Hfcrc4kIJQ+lbQLG1d09SuIF168Lbl+wyr5MQ2Mw"


def source(collector: str, host: Host) -> EventSource:
    return EventSource(collector, acts.VERSION, host)


def test_a_login_at_a_machine_is_what_the_collector_of_logins_sends() -> None:
    host = acts.laptop("laptop-7")
    told = LoginAct("logon", TIME, "gdm-password", acts.process_id(TIME), "li.wang", is_first_hand=True)
    expected = login_event(source("logins", host), told, "journald", None, None, lambda _: None)
    assert acts.login(TIME, host, "li.wang") == expected


def test_a_login_with_a_key_is_what_the_collector_of_logins_sends() -> None:
    host = acts.server("srv-build")
    told = LoginAct(
        "logon",
        TIME,
        "sshd",
        acts.process_id(TIME),
        "deploy",
        is_first_hand=True,
        host="60.1.2.3",
        port=40_000 + TIME % 20_000,
        method="publickey",
        credential=KEY,
    )
    expected = login_event(source("logins", host), told, "journald", None, None, lambda _: None)
    assert acts.login(TIME, host, "deploy", service="sshd", address="60.1.2.3", key=KEY) == expected


def test_failures_that_were_put_together_are_what_the_collector_of_logins_sends() -> None:
    host = acts.server("mx")
    told = LoginAct(
        "logon",
        TIME,
        "dovecot",
        acts.process_id(TIME),
        "li.wang",
        is_first_hand=True,
        host="60.1.2.3",
        port=40_000 + TIME % 20_000,
        reason="wrong_credential",
    )
    expected = login_event(source("logins", host), told, "journald", 9, None, lambda _: None)
    shown = acts.login(
        TIME, host, "li.wang", service="dovecot", address="60.1.2.3", failed="wrong_credential", count=9
    )
    assert shown == expected


def test_an_act_in_an_application_is_what_the_collector_of_access_logs_sends() -> None:
    host = acts.server("srv-shipping")
    rule = Rule(action="manual_order_created", activity="create", path="/orders", object_type="order")
    application = AccessLogSource(name="shipping", path="/var/log/shipping.log", format="json", rules=(rule,))
    line = AccessLine(TIME, "kefu", "60.1.2.3", "d41d8cd9", "POST", "/orders", True)
    expected = act_event(source("access_log", host), application, line, Mapped(rule, 0, "M-1001", None), None)
    shown = acts.act(
        TIME,
        host,
        "shipping",
        "kefu",
        "manual_order_created",
        address="60.1.2.3",
        device="d41d8cd9",
        activity="create",
        object_type="order",
        name="M-1001",
    )
    assert shown == expected


def test_a_copy_is_what_the_collector_of_removable_storage_sends() -> None:
    host = acts.laptop("laptop-7")
    device = PeripheralDevice(
        name="SanDisk Ultra",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid="0781:5591:4C53",
        serial_number="4C53",
        vendor_name="SanDisk",
        model="Ultra",
    )
    who = Who(None, "li.wang", "/usr/bin/nautilus", acts.process_id(TIME), None, "audit")
    facts = FileFacts(1, 2, FileType.REGULAR, 4096, 1000, 1, 0, 0)
    finished = FinishedFile(
        FileActivity.CREATE, "/media/li.wang/ULTRA/a.xlsx", TIME, who.pid, who=who, facts=facts
    )
    expected = file_event(
        source("removable_storage", host),
        finished,
        Volume(device, "ULTRA"),
        who,
        "fanotify_fid",
        sha256=DIGEST,
        gap=None,
    )
    shown = acts.copy_to_stick(TIME, host, "li.wang", stick="4C53", name="a.xlsx", size=4096, digest=DIGEST)
    assert shown == expected


def test_a_mail_is_what_the_collector_of_mail_sends() -> None:
    host = acts.server("mx")
    attached = Attachment("a.pdf", "application/pdf", 3000, DIGEST)
    own = MailDomains(("firm.example",))
    for domain, category in (("gmail.com", "webmail"), ("partner.example", "other")):
        expected = mail_event(
            version=acts.VERSION,
            host=host,
            time_ms=TIME,
            sender=Sender("li.wang", None, "li.wang@firm.example", "exact"),
            domains=(domain,),
            size=4000,
            client="60.1.2.3",
            attachments=Attachments((attached,), ()),
            gaps=(),
            own=own,
        )
        shown = acts.mail(
            TIME,
            host,
            "li.wang",
            domain=domain,
            category="webmail" if category == "webmail" else "other",
            address="60.1.2.3",
            name="a.pdf",
            mime_type="application/pdf",
            size=3000,
            digest=DIGEST,
        )
        assert shown == expected
