"""What an analyst reads of each act, whatever the channel."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.console import Console

from event_schema.ocsf_account_events import Authentication, AuthenticationActivity, Outcome
from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import FileHostingActivity
from server.accounts.audit_words import in_english
from server.alerts.act_words import act_of
from server.alerts.view_types import EventView
from server.commands.evidence_rows import PHRASES, Words, evidence_row
from server.console.phrases import chinese
from server.enrich.amounts import amounts_of
from tests.event_schema.sample_events import sample_events

READ = {
    100101: ("123 kB", "客户名单.xlsx [14 resident_id]", "cp", "ababababab"),
    100105: ("123 kB", "客户名单.xlsx → 客户名单.xlsx [14 resident_id]", "cp", "ababababab"),
    100701: ("", "cp started", "-", "-"),
    101001: ("", "SanDisk Ultra plugged in", "-", "-"),
    101002: ("", "SanDisk Ultra taken out", "-", "-"),
    101099: ("12 p.", "printed on SanDisk Ultra", "-", "-"),
    300201: ("3 ×", "sshd: refused (account_expired)", "192.0.2.7", "-"),
    300207: ("3 ×", "sshd: refused to become alice (account_expired)", "192.0.2.7", "-"),
    400901: ("99 kB", "客户名单.xlsx → mail.example", "-", "ababababab"),
    600301: ("153 ×", "create_manual_order orders", "192.0.2.7", "-"),
    600501: ("200,000 rows", "shop: customers", "psql", "-"),
    600601: ("123 kB", "客户名单.xlsx → Netdisk [14 resident_id]", "cp", "ababababab"),
}


def _view(event: Event) -> EventView:
    plain: dict[str, Any] = msgspec.to_builtins(event) | {"leaver": {}}
    return EventView("a", "0" * 16, 0, event.time, act_of(event), amounts_of(event).bytes, plain)


@pytest.mark.parametrize("event", sample_events(), ids=lambda e: str(e.type_uid))
def test_every_act_has_a_row_that_says_what_it_was(event: Event) -> None:
    row = evidence_row(_view(event))
    assert row == READ.get(event.type_uid, row)
    assert "class" not in row[1]
    assert len(row) == 4
    # A terminal takes it as it is.
    console = Console(markup=False, highlight=False)
    with console.capture() as printed:
        console.print(*row)
    assert printed.get().strip()


def test_a_file_in_a_synced_folder_is_not_called_an_upload() -> None:
    sample = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
    metadata = msgspec.structs.replace(sample.metadata, log_name="sync_folders")
    event = msgspec.structs.replace(sample, metadata=metadata)
    assert (act_of(sample), act_of(event)) == ("upload", "sync")
    assert evidence_row(_view(event))[1].startswith("客户名单.xlsx → synced folder of Netdisk")


@pytest.mark.parametrize(
    ("activity", "outcome", "word", "words"),
    [
        (AuthenticationActivity.LOGON, Outcome.SUCCESS, "login", "sshd: logged in"),
        (AuthenticationActivity.LOGOFF, Outcome.SUCCESS, "logout", "sshd: logged out"),
        (AuthenticationActivity.LOGON, Outcome.FAILURE, "login refused", "sshd: refused"),
        (AuthenticationActivity.ACCOUNT_SWITCH, Outcome.SUCCESS, "account switch", "sshd: became alice"),
    ],
)
def test_a_login_says_whether_it_worked_and_who_somebody_became(
    activity: AuthenticationActivity, outcome: Outcome, word: str, words: str
) -> None:
    sample = next(e for e in sample_events() if isinstance(e, Authentication))
    event = msgspec.structs.replace(
        sample,
        activity_id=activity,
        type_uid=300_200 + activity,
        status_id=outcome,
        status_detail=None,
    )
    view = _view(event)
    assert (view.act, evidence_row(view)[1]) == (word, words)


def test_all_that_a_row_says_of_its_own_is_a_phrase_that_is_there_in_chinese() -> None:
    asked: set[str] = set()

    def say(words: str, /, **values: object) -> str:
        asked.add(words)
        return in_english(words, **values)

    for event in sample_events():
        assert evidence_row(_view(event), Words(say, str)) == evidence_row(_view(event))
    assert len(asked) > 5
    assert asked - PHRASES == set()
    assert PHRASES - chinese().keys() == set()
