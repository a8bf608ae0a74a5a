"""A small company in which nearly every kind of leaver is to be found, with what names them."""

from __future__ import annotations

from server.people.account_facts import AccountWords, close_account, declare_account
from server.people.facts import LeaverFlag
from server.people.flags import flag_person
from server.people.hr_import import ImportOptions, import_people
from server.people.leaver_ledger import load_leaver
from server.people.machines import reissue_machine, return_machine
from server.people.roles import Role
from server.people.sign_offs import Item, sign_off
from server.store.database import Database
from server.store.tables import alerts, trait_uses
from server.store.upsert import insert_new
from tests.server.people.directories import day, ms

NOW = ms("2026-11-22T10:00:00+08:00")
USED_AT = ms("2026-11-21T21:14:00+08:00")
STAFF = """\
id,name,accounts,devices,department,time zone,notice date,last working day,last hour,leaving type
E1001,Yan Zhuming,yanzm CORP\\yanzm y@corp.example,yanzm-laptop,sales,,2026-10-12,2026-11-13,17:30,dismissed
E1002,Lu Xiangyang,luxy,luxy-laptop,customer service,,2026-10-01,2026-11-06,,resigned
E1003,Meier Quendolin,quendolin,quendolin-pc,finance,,2026-10-20,2026-11-24,12:00,resigned
E1004,Ouyang Zhenhua,ouyangzh,,sales,,2026-11-02,2026-12-31,,end of contract
E1005,Fang Tiande,fangtd,,it,,2026-08-01,2026-10-30,,resigned
E1006,Kuang Wenli,kuangwl,kuangwl-mac,it,,2025-02-01,2025-03-31,,resigned
E1007,Bai Suzhen,baisz,,sales,,,,,
E1008,Gao Yaojie,gaoyj,,law,,2026-09-01,2026-10-15,,resigned
"""
NAMES = (
    "yanzm", "yan", "zhuming", "luxy", "xiangyang", "quendolin", "meier", "ouyang", "zhenhua", "fangtd",
    "tiande", "kuang", "wenli", "baisz", "suzhen", "gaoyj", "yaojie", "corp.example", "kefu", "e100",
)  # fmt: skip
"""What names somebody, or gives them away."""


def make_company(database: Database) -> None:
    """Gone: E1001 and E1002 with things open, E1005 with nothing signed, E1006 long ago, E1008 all done.
    E1003 and E1004 are leaving, E1007 stays. Nobody did anything so far."""
    with database.begin() as connection:
        import_people(
            connection,
            STAFF.encode(),
            actor="test",
            at=NOW,
            # A site with a recorded leak knows E1001 as somebody else.
            options=ImportOptions(expect_leavers=9, time_zone="Asia/Shanghai", same_people=True),
        )
        kefu = AccountWords(
            "kefu",
            "shipping",
            kind="shared",
            owner="E1007",
            knows=("E1001", "E1002", "E1003"),
            rotated_at=ms("2026-06-03T09:00:00+08:00"),
        )
        declare_account(connection, kefu, actor="test", at=NOW, reason=None)
        for account in ("luxy", "fangtd", "kuangwl", "gaoyj"):
            close_account(connection, account, "", when=NOW - 5, actor="test", at=NOW, reason=None)
        return_machine(connection, "E1006", "kuangwl-mac", when=NOW - 5, actor="test", at=NOW)
        reissue_machine(connection, "luxy-laptop", "E1007", when=NOW - 5, actor="test", at=NOW)
        flag_person(
            connection,
            "E1004",
            LeaverFlag(day("2026-12-04"), last_minute=18 * 60, leaving_type="resigned"),
            actor="test",
            at=NOW,
            reason=None,
        )
        gone = load_leaver(connection, "E1008", NOW)
        assert gone is not None
        for item, role in (
            (Item.DATES, Role.HR),
            (Item.ACCOUNTS, Role.ADMINISTRATOR),
            (Item.ACTIVITY, Role.ANALYST),
        ):
            note = "she copied 4,000 files of Gao Yaojie" if role is Role.ANALYST else None
            sign_off(connection, gone, item, role=role, actor="cli:root", at=NOW, note=note)


def use(
    database: Database,
    account: str,
    at: int,
    *,
    person_id: str | None = None,
    trait: str | None = None,
    until: int | None = None,
) -> None:
    """An account was used, by somebody where that is known; with `trait`, from there. ms UTC."""
    with database.begin() as connection:
        row = {
            "trait": trait or account,
            "subject": f"person:{person_id}" if person_id else f"{account}@somewhere",
            "account": account,
            "first_time": at,
            "last_time": until or at,
            "count": 1,
        }
        insert_new(connection, trait_uses, [row])


def alert(database: Database, subject: str, *, suspect: str | None = None, status: str = "open") -> None:
    with database.begin() as connection:
        row = {
            "subject": subject,
            "family": f"family of {subject} {suspect}",
            "status": status,
            "score": 80,
            "account_owner": None,
            "suspected_actor": suspect,
            "traits": [],
            "sentence": {},
            "shares": [],
            "facts": {},
            "policy_version": "1",
            "model_id": None,
            "first_time": NOW,
            "last_time": NOW,
            "events": 1,
            "opened_at": NOW,
            "updated_at": NOW,
        }
        insert_new(connection, alerts, [row])
