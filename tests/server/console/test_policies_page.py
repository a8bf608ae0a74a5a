"""Policies in the console: noisiest first, edited with faults at their lines, tried, published, gone back to.
Over HTTP, as browsers without scripts do it."""

from __future__ import annotations

import io
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import audit
from server.backtest.backtesting import Outcome
from server.backtest.share_work import Cancelled
from server.dry_runs.running import DryRunner
from server.dry_runs.stored_runs import add_run, runs_of_rule
from server.people.roles import Role
from server.policies.versions import save
from tests.server.alerts.recorded_leak import SECRETS
from tests.server.console.published_policies import HIGH, admin, analyst, filled, held, tried
from tests.server.console.site import Site
from tests.server.policies.rule_texts import COPIED, RULE

__all__ = ["admin", "analyst", "filled"]
pytestmark = pytest.mark.databases("sqlite")
NAMING = COPIED.replace("    file.ext: xlsx\n", "    file.ext: xlsx\n    leaver.person.id: E1007\n").replace(
    "with: {file.ext: XLSX}", "with: {file.ext: XLSX, leaver.person.id: E1007}"
)


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.ANALYST])
def test_each_page_shows(filled: Site, role: Role) -> None:
    client = filled.client(role)
    for place in (
        "",
        f"/{RULE}",
        f"/{RULE}/exceptions",
        f"/{RULE}/dry-run",
        f"/{RULE}/versions",
        "/exceptions",
    ):
        answer = client.get(f"/policies{place}")
        assert answer.status_code == 200, (place, answer.text[-500:])
    for place in ("/nothing", "/nothing/versions", "/nothing/dry-run", "/nothing/exceptions"):
        assert client.get(f"/policies{place}").status_code == 404


def test_the_list_is_filtered_by_its_address(analyst: httpx.Client) -> None:
    def shown(query: str) -> list[str]:
        return re.findall(r'data-row.*?<a class="name" href="/policies/([0-9a-f-]+)"', page(query), re.DOTALL)

    def page(query: str) -> str:
        return analyst.get(f"/policies?{query}").text

    assert shown("q=spreadsheet+REMOVABLE") == [RULE]
    assert len(shown("")) == 97
    assert len(shown("channel=printing")) < 20
    assert RULE in shown("show=changed")
    assert len(shown("tag=t1052")) > 1
    assert shown("show=noisy") == []
    assert "No policy matches" in page("q=xyzzy")
    assert shown("state=off") == []
    assert len(shown("state=nonsense&show=nonsense&after=nonsense")) == 97


def test_a_bad_text_is_told_at_its_lines_and_the_old_version_stays(filled: Site, admin: httpx.Client) -> None:
    bad = HIGH.replace("file.ext: xlsx\n", "file.extt: xlsx\n").replace("family:", "famly:")
    answer = admin.post(f"/policies/{RULE}/check", data={"text": bad}, headers={"hx-request": "true"})
    assert re.findall(r'data-goes="(\d+)"', answer.text) == ["11", "14"]
    assert "file.ext" in answer.text
    begun = admin.post(f"/policies/{RULE}/dry-run", data={"text": bad, "base": "1"})
    assert begun.status_code == 422
    assert "stays in use" in begun.text
    form = {"text": "a: [", "base": "1", "reason": "x", "unproven": "1"}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 422
    assert held(filled).text == COPIED
    good = admin.post(f"/policies/{RULE}/check", data={"text": HIGH.replace("\n", "\r\n")})
    assert "No problems" in good.text


def test_a_change_is_tried_published_compared_and_taken_back(filled: Site, admin: httpx.Client) -> None:
    place = tried(admin, {"text": HIGH.replace("\n", "\r\n"), "base": "1"})
    page = admin.get(place).text
    assert "Publish version 2" in page
    # The same alerts are raised: that they weigh more must show, also to who sees none of them.
    assert re.search(r"<td class=.high.>high</td><td class=.critical.>critical</td><td class=.n.>1<", page)
    run = place.rpartition("=")[2]
    form = {"base": "1", "run": run, "reason": ""}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 422
    done = admin.post(f"/policies/{RULE}/publish", data=form | {"reason": "it matters <b>"})
    assert done.headers["location"] == f"/policies/{RULE}/versions?published=2"
    assert (held(filled).text, held(filled).saved_by) == (HIGH, "user:admin.one")
    page = admin.get(done.headers["location"]).text
    assert "it matters &lt;b&gt;" in page
    assert '<span class="taken">- level: medium' in page
    assert '<span class="added">+ level: high' in page
    again = admin.post(f"/policies/{RULE}/publish", data=form | {"reason": "again"})
    assert again.status_code == 409
    place = tried(admin, {"base": "2", "number": "1"})
    form = {"base": "2", "run": place.rpartition("=")[2], "reason": "too loud"}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 303
    assert held(filled).text == COPIED
    with filled.database.read() as connection:
        entries = [each for each in audit.newest(connection, limit=6) if each.action != "dry_run.view"]
        assert audit.verify(connection) is None
    assert [each.action for each in entries][:4] == [
        "policy.rollback",
        "policy.dry_run",
        "policy.save",
        "policy.dry_run",
    ]


def test_nothing_is_published_that_was_not_tried_unless_somebody_says_why(
    filled: Site, admin: httpx.Client
) -> None:
    for form in ({"text": HIGH}, {"enabled": "0"}, {"number": "1"}):
        answer = admin.post(f"/policies/{RULE}/publish", data={**form, "base": "1", "reason": "x"})
        assert answer.status_code == 409, form
        assert "no dry run" in answer.text or "so already" in answer.text
    form = {"enabled": "0", "base": "1", "reason": "it floods us", "unproven": "1"}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 303
    assert not held(filled).enabled
    with filled.database.read() as connection:
        actions = [each.action for each in audit.newest(connection, limit=2)]
    assert actions == ["policy.disable", "policy.without_dry_run"]


def test_switching_is_tried_first(filled: Site, admin: httpx.Client) -> None:
    assert "Switch off" in admin.get(f"/policies/{RULE}/switch").text
    place = tried(admin, {"base": "1", "enabled": "0"})
    assert "As if it were switched off" in admin.get(place).text
    form = {"base": "1", "run": place.rpartition("=")[2], "reason": "holidays"}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 303
    assert not held(filled).enabled
    assert "As if it were switched off" not in admin.get(f"/policies/{RULE}/switch").text


def test_of_two_who_edit_one_version_the_second_is_told_by_whom(filled: Site, admin: httpx.Client) -> None:
    filled.add_user("omar", Role.ADMINISTRATOR)
    other = filled.client(Role.ADMINISTRATOR, user="omar")
    place = tried(admin, {"text": HIGH, "base": "1"})
    form = {"text": HIGH.replace("For tests", "By omar"), "base": "1", "reason": "mine", "unproven": "1"}
    assert other.post(f"/policies/{RULE}/publish", data=form).status_code == 303
    late = admin.post(
        f"/policies/{RULE}/publish",
        data={"base": "1", "run": place.rpartition("=")[2], "reason": "mine"},
        headers={"hx-request": "true"},
    )
    assert late.status_code == 409
    assert "user:omar published version 2 meanwhile" in late.json()["error"]
    assert "says nothing about publishing" in admin.get(place).text
    assert admin.post(f"/policies/{RULE}/dry-run", data={"text": HIGH, "base": "1"}).status_code == 409


def test_a_new_policy_is_tried_and_published(filled: Site, admin: httpx.Client) -> None:
    page = admin.get("/policies/new").text
    new_id = re.search(r"^id: ([0-9a-f-]{36})$", page, re.MULTILINE)
    assert new_id is not None
    text = COPIED.replace(RULE, new_id[1])
    checked = admin.post("/policies/new/check", data={"text": text})
    assert "No problems" in checked.text
    place = tried(admin, {"text": text, "base": "0"}, rule="new")
    assert place.startswith(f"/policies/{new_id[1]}/dry-run")
    page = admin.get(place).text
    assert "as a new policy" in page
    back = re.search(r'href="(/policies/new\?run=\d+)"', page)
    assert back is not None
    assert new_id[1] in admin.get(back[1]).text
    form = {"base": "0", "run": place.rpartition("=")[2], "reason": "new"}
    assert admin.post(f"/policies/{new_id[1]}/publish", data=form).status_code == 303
    assert held(filled, new_id[1]).number == 1
    taken = admin.post("/policies/new/dry-run", data={"text": text, "base": "0"})
    assert taken.status_code == 409


def test_analysts_read_texts_and_reasons_without_names(filled: Site, analyst: httpx.Client) -> None:
    with filled.database.begin() as connection:
        text = NAMING.replace("For tests.", "Asked for by Alice Wang.")
        save(connection, text, file="own.yml", actor="cli:lin", reason="Berta Braun said so", now=0)
    for place in (f"/{RULE}", f"/{RULE}/versions", f"/{RULE}/dry-run", "", f"/{RULE}/exceptions"):
        answer = analyst.get(f"/policies{place}")
        found = [each for each in SECRETS if each.casefold() in answer.text.casefold()]
        assert found == [], place
    for place in (f"/{RULE}", "?q=spreadsheet", "/exceptions"):
        told = analyst.get(f"/api/v1/policies{place}").text.casefold()
        assert [each for each in SECRETS if each.casefold() in told] == [], place
    admin = filled.client(Role.ADMINISTRATOR)
    assert "Berta Braun said so" in admin.get(f"/policies/{RULE}/versions").text


def test_what_is_found_about_somebody_by_name_is_not_told_to_who_sees_names(
    filled: Site, admin: httpx.Client, analyst: httpx.Client
) -> None:
    place = tried(admin, {"text": NAMING, "base": "1"})
    page = admin.get(place).text
    assert "about somebody by name" in page
    assert "P-" not in page
    assert "Publish version 2" in page
    assert "Alerts that begin, by day" in analyst.get(place).text
    form = {"base": "1", "run": place.rpartition("=")[2], "reason": "x"}
    assert admin.post(f"/policies/{RULE}/publish", data=form).status_code == 303
    assert "about somebody by name" in admin.get("/policies").text
    assert "about somebody by name" not in analyst.get("/policies").text


def test_administrators_get_counts_and_no_alerts(admin: httpx.Client, analyst: httpx.Client) -> None:
    place = tried(admin, {"base": "1", "enabled": "0"})
    assert "Single alerts are shown to whoever may see alerts" in admin.get(place).text
    assert "/people/" not in admin.get(place).text
    assert "Alerts that would differ" in analyst.get(place).text


def test_everything_is_exported_as_files(filled: Site, admin: httpx.Client) -> None:
    answer = admin.post("/policies/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        names = packed.namelist()
        assert f"rules/own-{RULE[:8]}.yml" in names
        assert packed.read(f"rules/own-{RULE[:8]}.yml").decode() == COPIED
    assert len(names) == len(set(names)) == 97
    with filled.database.read() as connection:
        (entry,) = audit.newest(connection, limit=1)
    assert (entry.action, entry.detail) == ("policy.export", {"files": 97})


def test_fields_are_told_to_the_editor(admin: httpx.Client) -> None:
    fields = {each["path"]: each for each in admin.get("/policies/fields").json()}
    assert fields["file.ext"]["about"]
    assert "leaver.person.status" in fields


def test_what_was_left_running_is_told(filled: Site, admin: httpx.Client) -> None:

    with filled.database.begin() as connection:
        add_run(connection, rule_id=RULE, base=1, text=HIGH, enabled=True, days=30, actor="user:x", now=0)
        assert runs_of_rule(connection, RULE)[0].status == "running"
    assert "cut short" in admin.get(f"/policies/{RULE}/dry-run").text


def test_templates_of_policies_have_no_style_or_script_within() -> None:
    folder = Path(__file__).parents[3] / "server/console/templates/policies"
    for path in folder.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "style=" not in text, path.name
        assert not re.search(r"\son\w+=", text), path.name


def test_programs_do_the_same(filled: Site, admin: httpx.Client, analyst: httpx.Client) -> None:
    listed = analyst.get("/api/v1/policies?q=spreadsheet").json()
    assert [each["id"] for each in listed["policies"]] == [RULE]
    assert (listed["count"], len(listed["policies"][0]["alerts"])) == (1, 30)
    one = admin.get(f"/api/v1/policies/{RULE}").json()
    assert [(each["number"], each["text"]) for each in one["versions"]] == [(1, COPIED)]
    bad = {"text": COPIED.replace("file.ext: xlsx\n", "file.extt: xlsx\n")}
    checked = admin.post(f"/api/v1/policies/{RULE}/check", json=bad).json()
    assert [each["line"] for each in checked["problems"]] == [11]
    begun = admin.post(f"/api/v1/policies/{RULE}/dry-runs", json={"base": 1, "text": HIGH})
    run = begun.json()["run"]
    for _ in range(600):
        answer = admin.get(f"/api/v1/dry-runs/{run}").json()
        if answer["status"] != "running":
            break
        time.sleep(0.1)
    assert (answer["status"], answer["confirmed_missed"]) == ("done", 0)
    untried = {"base": 1, "run": run + 1, "reason": "x"}
    assert admin.post(f"/api/v1/policies/{RULE}/publish", json=untried).status_code == 404
    published = admin.post(
        f"/api/v1/policies/{RULE}/publish", json={"base": 1, "run": run, "reason": "it matters"}
    )
    assert published.json()["version"] == 2
    assert held(filled).text == HIGH
    assert analyst.get("/api/v1/policies/exceptions").json() == {"exceptions": []}
    assert analyst.post(f"/api/v1/policies/{RULE}/publish", json=untried).status_code == 403


def test_a_dry_run_tells_how_far_it_is_and_is_cancelled(
    filled: Site, admin: httpx.Client, analyst: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(_runner: DryRunner, job: Any, _trial: object) -> Outcome:
        job.note(3, 12)
        assert job.stop.wait(60)
        raise Cancelled

    monkeypatch.setattr(DryRunner, "_outcome", endless)
    begun = admin.post(f"/policies/{RULE}/dry-run", data={"text": HIGH, "base": "1"})
    place = begun.headers["location"]
    run = place.rpartition("=")[2]
    page = admin.get(place).text
    assert "3 / 12" in page or "3 of 12 blocks" in page
    assert f'hx-get="/policies/dry-runs/{run}/progress"' in page
    part = analyst.get(f"/policies/dry-runs/{run}/progress", headers={"hx-request": "true"})
    assert "3 of 12 blocks" in part.text
    second = admin.post(f"/policies/{RULE}/dry-run", data={"text": HIGH, "base": "1"})
    assert second.status_code == 409
    assert "under way" in second.text
    assert admin.post(f"/policies/dry-runs/{run}/cancel").headers["location"] == place
    assert "It was cancelled" in admin.get(place).text
    assert admin.post("/policies/dry-runs/999999/cancel").status_code == 404
