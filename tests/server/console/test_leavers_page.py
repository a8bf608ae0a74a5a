"""HR's daily work over HTTP: the list, flagging, correcting, withdrawing, signing off, importing; who may
what, and what somebody sends who means no good."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from server.people.pseudonyms import known_pseudonyms
from server.people.roles import Role
from server.store.tables import audit, leaver_flags, people, person_names
from tests.server.console.site import SAME_ORIGIN, Site
from tests.server.leavers.company import NAMES, make_company

pytestmark = pytest.mark.databases("sqlite")
HOSTILE = "<b>Kunden</b> \u202egnp.exe\u202c"
NEW = "id,name,accounts,last working day\nN1,Nia New,nia,2026-12-24\nE1007,Bai Suzhen,baisz,2026-12-31\n"


@pytest.fixture
def company(site: Site) -> Iterator[Site]:
    make_company(site.database)
    yield site


def _post(client: httpx.Client, address: str, **form: str) -> httpx.Response:
    return client.post(address, data=form)


def _bring(client: httpx.Client, data: bytes, name: str = "staff.csv") -> httpx.Response:
    return client.post("/leavers/import", files={"file": (name, data)})


def _actions(site: Site) -> list[str]:
    with site.database.read() as connection:
        return list(connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars())


def test_hr_sees_names_and_dates_and_what_is_open(company: Site) -> None:
    page = company.client(Role.HR).get("/leavers").text
    for text in ("Meier Quendolin", "E1003", "24 Nov 2026", "finance", "✓"):
        assert text in page
    assert "leavers.view" in _actions(company)


def test_hr_sees_from_when_to_when_somebody_is_watched_as_leaving(company: Site) -> None:
    client = company.client(Role.HR)

    def said(person: str) -> str:
        page = client.get(f"/leavers/{person}").text
        whole = page.partition("Watched as leaving</dt>")[2].partition("</dd>")[0]
        return " ".join(re.sub("<[^>]*>", " ", whole).split())

    after = "After the last day, what is done with their accounts and devices is watched without an end."
    assert said("E1003") == f"20 Oct 2026 – 24 Nov 2026 , 12:00 from the notice date {after}"
    _post(client, "/leavers/flag", person="E1007", last_day="2026-12-18")
    assert said("E1007") == (
        f"19 Sep 2026 – 18 Dec 2026 from 90 days before the last day, as no notice date is known {after}"
    )
    assert client.get("/api/v1/leavers").json()["leavers"][0]["watched_from"] == "2026-10-20"


def test_analysts_see_pseudonyms_in_the_page_and_on_each_leavers_page(company: Site) -> None:
    client = company.client(Role.ANALYST)
    page = client.get("/leavers?scope=all")
    addresses = sorted(set(re.findall(r'href="(/leavers/P-[^"]+)"', page.text)))
    assert len(addresses) == 7
    for address in ["/leavers?scope=all", *addresses, *(f"/api/v1{each}" for each in addresses)]:
        answer = client.get(address)
        assert answer.status_code == 200
        written = f"{answer.headers} {answer.text}".casefold()
        assert not [name for name in NAMES if name in written], address
        assert "test" not in re.findall(r'class="name">([^<]*)<', answer.text)
    assert client.get("/leavers/E1001").status_code == 404
    assert client.get("/leavers?q=zhuming").text.count("data-row") == 0


def test_whom_nobody_knows_and_who_may_not_be_seen_look_alike(company: Site) -> None:
    client = company.client(Role.ANALYST)
    with company.database.read() as connection:
        stays = known_pseudonyms(connection, ["person:E1007"])["person:E1007"]
    answers = {client.get(f"/leavers/{each}").text for each in (stays, "P-ZZZZZ", "E1001", "nobody")}
    assert len(answers) == 1


def test_a_flag_is_set_corrected_withdrawn_and_undone(company: Site) -> None:
    client = company.client(Role.HR)
    done = _post(
        client,
        "/leavers/flag",
        person="E1007",
        last_day="2026-12-04",
        last_hour="17:30",
        leaving_type="resigned",
        note="moves to Xiamen",
    )
    assert done.status_code == 303
    page = client.get(done.headers["location"]).text
    for text in ("4 Dec 2026", "until 17:30", "moves to Xiamen", "Taken over", "hr.one"):
        assert text in page
    form = client.get("/leavers/flag?person=E1007").text
    assert 'value="2026-12-04"' in form
    corrected = _post(client, "/leavers/flag", person="E1007", last_day="11.12.2026")
    page = client.get(corrected.headers["location"]).text
    assert "11 Dec 2026" in page
    assert "until 17:30" not in page
    change = corrected.headers["location"].rpartition("=")[2]
    undone = _post(client, "/leavers/undo", person="E1007", change=change)
    assert "4 Dec 2026" in client.get(undone.headers["location"]).text
    refused = _post(client, "/leavers/withdraw", person="E1007", reason="  ")
    assert refused.status_code == 422
    _post(client, "/leavers/withdraw", person="E1007", reason="stays after all")
    page = client.get("/leavers/E1007").text
    assert "stays after all" in page
    with company.database.read() as connection:
        flagged = connection.execute(select(leaver_flags.c.person_id)).scalars().all()
        rows = connection.execute(select(audit).where(audit.c.action == "people.unflag")).all()
    assert flagged == ["E1004"]
    assert [(row.actor, row.reason) for row in rows] == [("user:hr.one", "stays after all")]


def test_a_form_that_makes_no_sense_is_shown_again_with_what_was_typed(company: Site) -> None:
    client = company.client(Role.HR)
    for form, words in (
        ({"last_day": ""}, "which day"),
        ({"last_day": "2026-13-40"}, "there is no day"),
        ({"last_day": "03/04/2026"}, "two ways"),
        ({"last_day": "2026-12-04", "notice_date": "2026-12-05"}, "before the notice date"),
        ({"last_day": "2026-12-04", "last_hour": "25:00"}, "there is no time"),
        ({"last_day": "2026-12-04", "leaving_type": "promoted"}, "no such kind"),
        ({"last_day": "2026-12-04", "note": "x" * 1001}, "1001"),
    ):
        answer = _post(client, "/leavers/flag", person="E1007", **{"note": "typed text", **form})
        assert answer.status_code == 422, form
        assert words in answer.text, form
        assert "Bai Suzhen" in answer.text
    assert _post(client, "/leavers/flag", person="nobody", last_day="2026-12-04").status_code == 404
    said = _post(client, "/leavers/said", last_day="4.12.2026")
    assert "4 Dec 2026" in said.text
    assert "Fri" in said.text


def test_people_are_found_by_parts_of_name_or_id(company: Site) -> None:
    client = company.client(Role.HR)
    found = client.get("/leavers/flag?q=su", headers={"hx-request": "true"}).text
    assert "Bai Suzhen" in found
    assert "<html" not in found
    only = client.get("/leavers/flag?q=bai+suz")
    assert only.headers["location"] == "/leavers/flag?person=E1007"
    assert "Nobody matches" in client.get("/leavers/flag?q=%25").text
    assert client.get("/leavers/flag?q=e10").text.count("/leavers/flag?person=") == 8


def test_each_department_signs_off_its_own(company: Site) -> None:
    hr, it = company.client(Role.HR), company.client(Role.ADMINISTRATOR)
    assert _post(hr, "/leavers/sign", person="E1005", item="dates").status_code == 303
    assert _post(hr, "/leavers/sign", person="E1005", item="accounts").status_code == 422
    assert _post(hr, "/leavers/sign", person="E1005", item="nothing").status_code == 400
    refused = _post(it, "/leavers/sign", person="E1001", item="accounts")
    assert refused.status_code == 422
    assert "a note has to say why" in refused.text
    done = _post(it, "/leavers/sign", person="E1001", item="accounts", note="handover until 12 December")
    assert "handover until 12 December" in it.get(done.headers["location"]).text
    taken = _post(hr, "/leavers/sign", person="E1005", item="dates", take_back="yes")
    assert taken.status_code == 303
    assert {"leaver.sign_off", "leaver.take_back"} <= set(_actions(company))


def test_administrators_close_what_is_open_and_nothing_else(company: Site) -> None:
    client = company.client(Role.ADMINISTRATOR)
    for form in (
        {"name": "yanzm", "act": "close"},
        {"name": "yanzm-laptop", "act": "returned"},
        {"name": "kefu", "system": "shipping", "act": "rotated"},
    ):
        answer = _post(client, "/leavers/holding", person="E1001", **form)
        assert answer.status_code == 303, answer.text
    page = client.get("/leavers/E1001").text
    assert "It works again" in page
    assert "Not back" not in page
    assert _post(client, "/leavers/holding", person="E1001", name="luxy", act="close").status_code == 404
    assert _post(client, "/leavers/holding", person="E1007", name="baisz", act="close").status_code == 404
    assert _post(client, "/leavers/holding", person="E1001", name="yanzm", act="burn").status_code == 400
    reopened = _post(client, "/leavers/holding", person="E1001", name="yanzm", act="reopen")
    assert reopened.status_code == 303
    assert company.client(Role.HR).post("/leavers/holding", data={}).status_code == 403


def test_a_file_is_looked_at_taken_over_and_taken_back(company: Site) -> None:
    client = company.client(Role.HR)
    brought = _bring(client, NEW.encode())
    page = client.get(brought.headers["location"]).text
    assert "Take over 2 people" in page
    assert "31 Dec 2026" in page
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version
    done = _post(client, f"{brought.headers['location']}/apply", version=version[1])
    assert client.get(brought.headers["location"]).status_code == 404
    assert "Taken over: 2 people" in client.get(done.headers["location"]).text
    number = re.search(r"/leavers/imports/(\d+)", done.headers["location"])
    assert number
    assert _post(client, f"/leavers/imports/{number[1]}/undo").status_code == 303
    page = client.get(f"/leavers/imports/{number[1]}").text
    assert "taken back" in page
    with company.database.read() as connection:
        assert "N1" not in set(connection.execute(select(people.c.id)).scalars())
    assert _post(client, f"/leavers/imports/{number[1]}/undo").status_code == 409
    assert _post(client, "/leavers/imports/999/undo").status_code == 404


def test_what_somebody_changed_meanwhile_is_looked_at_again(company: Site) -> None:
    client = company.client(Role.HR)
    place = _bring(client, NEW.encode()).headers["location"]
    version = re.search(r'name="version" value="(\d+)"', client.get(place).text)
    assert version
    _post(client, "/leavers/flag", person="E1007", last_day="2026-12-18")
    answer = _post(client, f"{place}/apply", version=version[1])
    assert answer.headers["location"] == f"{place}?changed=yes"
    page = client.get(answer.headers["location"]).text
    assert "Somebody changed people meanwhile" in page
    with company.database.read() as connection:
        assert "N1" not in set(connection.execute(select(people.c.id)).scalars())
    again = re.search(r'name="version" value="(\d+)"', page)
    assert again
    assert again[1] != version[1]
    assert "/leavers/imports/" in _post(client, f"{place}/apply", version=again[1]).headers["location"]


def test_bad_rows_stop_a_file_and_are_listed_with_their_lines(company: Site) -> None:
    client = company.client(Role.HR)
    rows = "id,name,last working day\nN1,=cmd(),2026-12-24\nN2,B,soon\n,C,\nN4,D,03/04/2026\n"
    place = _bring(client, rows.encode()).headers["location"]
    page = client.get(place).text
    assert "3 rows are bad" in page
    assert "/apply" not in page
    listed = client.get(f"{place}/messages.csv")
    text = listed.content.decode("utf-8-sig")
    assert [line.split(",")[1] for line in text.splitlines()[1:]] == ["3", "4", "5"]
    _post(client, f"{place}/read", date_order="day-first")
    assert "2 rows are bad" in client.get(place).text
    _post(client, f"{place}/read", part="meant", field="skip_bad_rows", meant="yes")
    page = client.get(place).text
    assert "Take over 2 people" in page
    assert "3 Apr 2026" in page


def test_a_guard_is_answered_by_typing_its_number(company: Site) -> None:
    client = company.client(Role.HR)
    rows = "id,last working day\n" + "".join(f"N{n},2026-12-24\n" for n in range(30))
    place = _bring(client, rows.encode()).headers["location"]
    page = client.get(place).text
    assert "It would mark 30 of" in page
    assert 'pattern="30"' in page
    _post(client, f"{place}/read", part="meant", field="expect_leavers", typed="29")
    assert "/apply" not in client.get(place).text
    _post(client, f"{place}/read", part="meant", field="expect_leavers", typed="30")
    assert "/apply" in client.get(place).text
    assert _post(client, f"{place}/read", part="meant", field="dry_run", meant="yes").status_code == 400


def test_columns_are_chosen_and_remembered(company: Site) -> None:
    client = company.client(Role.HR)
    rows = b"Pers.-Nr.;Wer;Letzter Tag\nN1;Nia;24.12.2026\n"
    place = _bring(client, rows).headers["location"]
    page = client.get(place).text
    assert "no column for the person" in page
    chosen = {"column-0": "id", "column-1": "name", "column-2": "last_working_day"}
    client.post(f"{place}/read", data=chosen)
    page = client.get(place).text
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version, page
    assert "24 Dec 2026" in page
    _post(client, f"{place}/apply", version=version[1])
    again = client.get(_bring(client, rows).headers["location"]).text
    assert "as you said the last time" in again
    assert "Nothing would change" in again


def test_files_are_their_bringers_and_bad_ones_say_why(company: Site) -> None:
    client = company.client(Role.HR)
    place = _bring(client, NEW.encode()).headers["location"]
    assert company.client(Role.ADMINISTRATOR).get(place).status_code == 404
    assert _post(client, f"{place}/discard").status_code == 303
    assert client.get(place).status_code == 404
    assert _bring(client, b"").status_code == 422
    for data in (
        b"\x00\x01\x02" * 900,
        b"PK\x03\x04broken",
        b"[{",
        b"id\n",
        "id,name\n1,\ud800x\n".encode("utf-8", "surrogatepass"),
    ):
        answer = _bring(client, data)
        if answer.status_code == 303:
            page = client.get(answer.headers["location"])
            assert page.status_code == 200
            assert 'class="problem"' in page.text or "rows are bad" in page.text or "row is bad" in page.text
    assert client.get("/leavers/import/../../etc").status_code == 404
    gbk = client.get(_bring(client, "工号,姓名\nN9,王小明\n".encode("gbk")).headers["location"]).text
    assert "GBK/GB18030" in gbk
    excel = client.get(_bring(client, "\ufeffid;name\nN9;Ann\n".encode()).headers["location"]).text
    assert "UTF-8 with BOM" in excel


def test_names_with_markup_and_marks_break_nothing(company: Site) -> None:
    client = company.client(Role.HR)
    rows = f'id,name,department,last working day\nX/1,"{HOSTILE}","<i>",2026-12-24\n'
    rows += f'~z,"{"长" * 200}",d,2026-12-24\n'
    place = _bring(client, rows.encode()).headers["location"]
    version = re.search(r'name="version" value="(\d+)"', client.get(place).text)
    assert version
    _post(client, f"{place}/apply", version=version[1])
    page = client.get("/leavers").text
    assert "<b>Kunden" not in page
    assert "&lt;b&gt;Kunden" in page
    with company.database.read() as connection:
        assert HOSTILE in set(connection.execute(select(person_names.c.name)).scalars())
    for person in ("X/1", "~z"):
        address = f"/leavers/~{person.encode().hex()}"
        assert address in page
        one = client.get(address)
        assert one.status_code == 200
        assert "24 Dec 2026" in one.text
    assert client.get("/leavers/~zz").status_code == 404


def test_the_template_is_read_again(company: Site) -> None:
    client = company.client(Role.HR)
    for language in ("en", "zh"):
        company.choose_look(Role.HR, user=None, language=language, theme="auto", time_zone="UTC")
        content = company.client(Role.HR).get("/leavers/import-template.csv").content
        row = b"N1,Nia,nia,pc,law,,,2020-01-01,2026-11-01,2026-12-24,17:30,resigned\r\n"
        page = client.get(_bring(client, content + row).headers["location"]).text
        assert 'name="version"' in page
        assert "Nia" not in page or language


def test_queries_that_mean_no_good_are_refused_or_empty(company: Site) -> None:
    client = company.client(Role.HR)
    assert client.get("/leavers?day=never").status_code == 400
    for query in ("after=%00", "after=9.9.zz", "q=%00%ff", "scope=%27", "q=" + "x" * 5000):
        assert client.get(f"/leavers?{query}").status_code == 200, query
    assert client.get("/api/v1/leavers?nothing=1").status_code == 400
    assert client.get("/api/v1/leavers?limit=101").status_code == 400
    assert client.get("/leavers/import?from=-1").status_code == 200
    client.headers.pop("sec-fetch-site")
    assert _post(client, "/leavers/flag", person="E1007", last_day="2026-12-04").status_code == 403
    assert SAME_ORIGIN


def test_programs_get_the_same(company: Site) -> None:
    answer = company.client(Role.HR).get("/api/v1/leavers").json()
    assert [each["person"] for each in answer["leavers"]][:2] == ["E1003", "E1004"]
    assert "last_uses" not in answer
    one = company.client(Role.HR).get("/api/v1/leavers/E1001").json()
    assert one["accounts"][0].keys() == {
        "account",
        "system",
        "kind",
        "state",
        "closed_at",
        "closed_at_dt",
    }
    assert company.client(Role.HR).get("/api/v1/last-uses").status_code == 403
    assert company.client(Role.ADMINISTRATOR).get("/api/v1/last-uses").json()["total"] == 6


def test_what_is_collected_is_there_for_everybody(company: Site) -> None:
    client = company.client(None)
    page = client.get("/transparency")
    assert page.status_code == 200
    assert "What is never collected" in page.text
    assert "什么" in client.get("/transparency?lang=zh").text
    stated = client.get("/api/v1/transparency").json()
    for field in (*stated["seen"], *stated["derived"], *stated["of_agents"]):
        assert field["purpose"].split(";")[0].split("'")[0] in page.text.replace("&#39;", "'")
    assert client.get("/transparency/assessment").status_code == 303
    administrator = company.client(Role.ADMINISTRATOR)
    assert "To be filled in" in administrator.get("/transparency/assessment").text
    draft = administrator.get("/transparency/assessment.md")
    assert draft.text.startswith("# Impact assessment (draft)")
