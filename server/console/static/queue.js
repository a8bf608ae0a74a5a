// The queue: moving and choosing by keys, the panel that follows, filters that stand in the address, and rows
// that change in place. New ones wait behind the pill: nothing moves under the cursor.
import { ask, onKey, sayRefusal } from "./console.js";
import { act, onDone } from "./triage_act.js";
import { listen } from "./queue_live.js";

const $ = (selector) => document.querySelector(selector);
const panel = $("#panel"), holder = $("#list"), filters = $("#filters"), pill = $("[data-fresh]"), bulk = $("#bulk");
const PANEL_MS = 90;
const spoken = $("#spoken")?.dataset ?? {}, words = $("#queue-words").dataset;
const picked = new Set();
const drafts = new Map();
let current = null, selectedAt = 0, panelTimer = 0, panelAsked = null, checking = false, again = false, seen = "", turn = 0;

const list = () => holder.querySelector("[data-list]");
const rows = () => [...holder.querySelectorAll("tr[data-id]")];
const row = (id) => document.getElementById(`a${id}`);
const told = (tr) => ({ id: Number(tr.dataset.id), version: tr.dataset.version, score: Number(tr.dataset.score), followed: tr.dataset.followed });

// ---- the cursor and the panel
function select(tr, { scroll = true, at = PANEL_MS } = {}) {
  if (!tr) return;
  holder.querySelector("tr.here")?.classList.remove("here");
  tr.classList.add("here");
  current = tr.dataset.id;
  if (scroll) tr.scrollIntoView({ block: "nearest" });
  if (!panel.checkVisibility()) return;
  clearTimeout(panelTimer);
  // A key that is held passes over rows; one that is pressed once has nothing to wait for.
  const passing = performance.now() - selectedAt < PANEL_MS;
  selectedAt = performance.now();
  panelTimer = setTimeout(() => show(tr.dataset.id), passing ? at : 0);
}

async function show(id, { force = false } = {}) {
  if (!force && panel.dataset.shown === id) return;
  panelAsked?.abort();
  const asked = panelAsked = new AbortController();
  let answer;
  try {
    answer = await fetch(`/alerts/${id}/panel`, { headers: { "hx-request": "true" }, signal: asked.signal });
  } catch {
    if (!asked.signal.aborted && id === current) unshown(id, spoken.offline);
    return;
  }
  if (id !== current) return;
  if (answer.status === 401) { answer = await ask(`/alerts/${id}/panel`); if (!answer) return; }
  if (!answer.ok) {
    const why = (await answer.json().catch(() => ({}))).error ?? String(answer.status);
    if (id === current) unshown(id, why);
    return;
  }
  const body = await answer.text().catch(() => null);
  if (id !== current) return;
  if (body === null) { if (!asked.signal.aborted) unshown(id, spoken.offline); return; }
  keepDrafts();
  const same = panel.dataset.shown === id, top = panel.scrollTop;
  panel.innerHTML = body;
  panel.dataset.shown = id;
  window.htmx?.process(panel);
  for (const field of panel.querySelectorAll("textarea, input[type=text]")) {
    const kept = drafts.get(`${id} ${field.name}`);
    if (kept) field.value = kept;
  }
  panel.scrollTop = same ? top : 0;
}

/** The panel never shows another alert than the one that keys act on: it says what failed instead. */
function unshown(id, why) {
  keepDrafts();
  const said = Object.assign(document.createElement("p"), { className: "problem" });
  said.setAttribute("role", "alert");
  said.textContent = words.panel.replace("{id}", id).replace("{why}", why);
  const again = Object.assign(document.createElement("button"), { className: "button", type: "button", textContent: words.again });
  again.addEventListener("click", () => show(id, { force: true }));
  panel.replaceChildren(said, again);
  panel.dataset.shown = "";
}

/** What was typed in the panel comes back with its alert. */
function keepDrafts() {
  const id = panel.dataset.shown;
  for (const field of panel.querySelectorAll("textarea, input[type=text]")) {
    if (field.value !== field.defaultValue) drafts.set(`${id} ${field.name}`, field.value);
    else drafts.delete(`${id} ${field.name}`);
  }
}
const typingInPanel = () => panel.contains(document.activeElement) && document.activeElement.matches("textarea, input, select");

function move(step, extend) {
  const all = rows(), at = all.findIndex((tr) => tr.dataset.id === current);
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  if (!next) return;
  if (extend) { pick(all[at], true); pick(next, true); }
  select(next);
}

// ---- choosing
function pick(tr, on) {
  if (!tr) return;
  const box = tr.querySelector("input[type=checkbox]");
  box.checked = on ?? !box.checked;
  if (box.checked) picked.add(tr.dataset.id); else picked.delete(tr.dataset.id);
  tr.classList.toggle("picked", box.checked);
  paintBulk();
}
function paintBulk() {
  const refused = bulk.querySelector("[data-refused]");
  bulk.hidden = !picked.size && refused.hidden;
  bulk.querySelector("[data-bulk-count]").textContent = picked.size;
}
function clearPicked() {
  for (const tr of rows()) pick(tr, false);
  picked.clear();
  bulk.querySelector("[data-refused]").hidden = true;
  paintBulk();
}
const targets = () => (picked.size ? rows().filter((tr) => picked.has(tr.dataset.id)) : [row(current)]).filter(Boolean).map(told);

// ---- the list
async function load(address, { push = null, keep = true, headers = {} } = {}) {
  // What was asked for last is what is shown, however late an earlier answer comes.
  const mine = turn += 1;
  const answer = await ask(address, { headers });
  if (!answer || mine !== turn) return;
  if (!answer.ok) { sayRefusal(answer); return; }
  const made = await answer.text();
  if (mine !== turn) return;
  holder.innerHTML = made;
  notice(holder.querySelector("template[data-notice]")?.innerHTML ?? "");
  if (push === "push") history.pushState(null, "", address);
  if (push === "replace") history.replaceState(null, "", address);
  pill.hidden = true;
  seen = list().dataset.mark;
  restore(keep);
}
/** Whether the list is all there is stands above it, and is said again only where it is something else. */
function notice(html) {
  const place = $("#ingest"), made = document.createElement("template");
  made.innerHTML = html;
  if (made.content.textContent.trim() !== place.textContent.trim()) place.replaceChildren(made.content);
}
function restore(keep) {
  const all = rows(), there = new Set(all.map((tr) => tr.dataset.id));
  for (const id of [...picked]) if (!there.has(id)) picked.delete(id);
  for (const tr of all) if (picked.has(tr.dataset.id)) pick(tr, true);
  paintBulk();
  const wanted = (keep && row(current)) || all[0];
  if (wanted) select(wanted, { scroll: keep, at: 0 }); else { current = null; panel.textContent = ""; panel.dataset.shown = ""; }
}
const address = (after = "") => {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(filters)) {
    if (value && !(name === "status" && value === "open") && !(name === "sort" && value === "score")) query.append(name, value);
  }
  if (after) query.set("after", after);
  return query.size ? `/alerts?${query}` : "/alerts";
};
const reload = () => load(address(list().dataset.after));

let typed = 0;
filters.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typed); filter("push"); });
filters.addEventListener("change", (event) => { if (event.target.name !== "text") filter("push"); });
filters.addEventListener("input", (event) => {
  if (event.target.name !== "text") return;
  clearTimeout(typed);
  typed = setTimeout(() => filter("replace"), 200);
});
function filter(push) {
  const wanted = address();
  filters.querySelector("[data-clear]").hidden = wanted === "/alerts";
  for (const link of document.querySelectorAll(".views a")) link.toggleAttribute("aria-current", link.getAttribute("href") === wanted);
  load(wanted, { push, keep: false });
}
addEventListener("popstate", () => location.reload());

// ---- what others change
async function check() {
  if (checking) { again = true; return; }
  checking = true;
  const mine = turn, byItself = { "x-by-itself": "1" };
  try {
    const shown = rows().map((tr) => `${tr.dataset.id}.${tr.dataset.stamp}`).join(",");
    const query = new URLSearchParams(list().dataset.query);
    query.set("rows", shown);
    if (list().dataset.next) query.set("until", list().dataset.next);
    const answer = await ask(`/alerts/changes?${query}`, { headers: byItself });
    if (!answer?.ok) { live.pause(); return; }
    const found = await answer.json();
    // Another list came meanwhile.
    if (mine !== turn) return;
    seen = found.mark;
    notice(found.notice);
    if (!rows().length) { await load(address(list().dataset.after), { headers: byItself }); return; }
    for (const each of found.rows) replace(each.alert, each.html);
    const isFirst = !list().dataset.after;
    pill.hidden = !found.fresh || !isFirst;
    pill.textContent = found.fresh_words;
    holder.querySelector("[data-count]").textContent = found.count;
  } finally {
    checking = false;
    if (again) { again = false; check(); }
  }
}
function replace(id, html) {
  const old = row(id);
  if (!old) return;
  if (html === null) { old.classList.add("gone"); return; }
  const made = document.createElement("template");
  made.innerHTML = html;
  const next = made.content.firstElementChild;
  const focused = old.contains(document.activeElement) ? document.activeElement.tagName : null;
  if (old.classList.contains("here")) next.classList.add("here");
  old.replaceWith(next);
  next.classList.add("changed");
  if (picked.has(String(id))) pick(next, true);
  if (focused) next.querySelector(focused === "A" ? "a" : "input")?.focus();
  if (String(id) === current && !typingInPanel()) show(current, { force: true });
}

onDone(({ verb, done, undone }) => {
  const ids = new Set(done.map(String));
  if (undone) { current = String(undone[0] ?? current); return reload(); }
  const leaves = (verb === "close" || verb === "snooze" || verb === "merge") && ids.size;
  if (leaves && holder.querySelector("#rows")) {
    const all = rows(), at = all.findIndex((tr) => tr.dataset.id === current);
    const next = all.slice(at).find((tr) => !ids.has(tr.dataset.id)) ?? all.slice(0, Math.max(at, 0)).reverse().find((tr) => !ids.has(tr.dataset.id));
    const status = filters.elements.status.value;
    if (status === "open" || (status === "snoozed" && verb !== "snooze")) {
      for (const id of ids) { row(id)?.remove(); picked.delete(id); }
    }
    for (const id of ids) picked.delete(id);
    // What stood behind this page is the first one of what is left.
    if (next) select(next); else return load(address(), { push: "replace" });
  } else {
    for (const id of ids) { picked.delete(id); const tr = row(id); if (tr) pick(tr, false); }
  }
  paintBulk();
  return check();
}, (id) => { const tr = row(id); return tr && told(tr); });

// ---- keys and clicks
onKey((key) => {
  const here = row(current);
  switch (key) {
    case "j": move(1, false); return true;
    case "k": move(-1, false); return true;
    case "J": move(1, true); return true;
    case "K": move(-1, true); return true;
    case "x": pick(here); return true;
    case "*": { const all = rows(), on = all.some((tr) => !picked.has(tr.dataset.id)); for (const tr of all) pick(tr, on); return true; }
    case "a": act("take", targets()); return true;
    case "A": act("assign", targets()); return true;
    case "s": act("snooze", targets()); return true;
    case "e": act("close", targets()); return true;
    case "m": act("merge", targets()); return true;
    case "E": act("escalate", targets()); return true;
    case "w": act("follow", targets()); return true;
    case ".": if (!pill.hidden) load(address(), { keep: true }); return true;
    case "o": case "Enter": {
      const focused = document.activeElement;
      if (key === "Enter" && focused?.matches("a, button, summary, input, select")) return false;
      here?.querySelector("[data-open]").click();
      return here !== null;
    }
    case "Escape": clearPicked(); return true;
    default: return false;
  }
});
holder.addEventListener("click", (event) => {
  const link = event.target.closest("[data-page]");
  if (link && !event.ctrlKey && !event.metaKey) { event.preventDefault(); load(link.getAttribute("href"), { push: "push", keep: false }).then(() => $(".queue-list").scrollTo(0, 0)); return; }
  const tr = event.target.closest("tr[data-id]");
  if (!tr || event.target.closest("a")) return;
  if (event.target.closest(".pick")) return;
  select(tr, { scroll: false, at: 0 });
});
holder.addEventListener("change", (event) => { const tr = event.target.closest("tr[data-id]"); if (tr) pick(tr, event.target.checked); });
bulk.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  if (button.dataset.act === "clear") clearPicked(); else act(button.dataset.act, targets());
});
panel.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button && current) { event.preventDefault(); act(button.dataset.act, [told(row(current))]); }
});
pill.addEventListener("click", () => load(address(), { keep: true }));
$("[data-save-view]")?.addEventListener("submit", (event) => {
  const form = event.target;
  for (const old of form.querySelectorAll("[type=hidden]")) old.remove();
  for (const [name, value] of new FormData(filters)) if (value) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
});

seen = list().dataset.mark;
restore(false);
const live = listen(() => seen, (mark) => { if (mark !== seen) check(); });

// n and p on an alert's page go on from here (alert.js).
addEventListener("pagehide", () => {
  sessionStorage.setItem("leaver-queue", JSON.stringify([...document.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id)));
});
