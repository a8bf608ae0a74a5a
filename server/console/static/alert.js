// One alert's page: keys, what is decided without losing what was typed, the evidence narrowed in place,
// raw records in a dialog, and names that hide themselves when their time is over.

import { ask, dialogOpen, onKey, sayRefusal, toast } from "./console.js";
import { lacksTitle, readyCase } from "./escalate.js";
import "./unmask.js";

const page = document.querySelector(".alert-page");
const words = document.getElementById("alert-words")?.dataset ?? {};
const number = page?.dataset.alert;

// ---- deciding: JSON, so that a refusal keeps the dialog and its text

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-verb]")) return;
  event.preventDefault();
  if (form.dataset.busy) return;
  if (form.closest("#escalate") && lacksTitle(form)) {
    const problem = form.querySelector("[data-problem]");
    problem.textContent = words.untitled;
    problem.hidden = false;
    return;
  }
  form.dataset.busy = "1";
  const answer = await ask(form.action, {
    method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams(new FormData(form)),
  });
  delete form.dataset.busy;
  if (!answer) return;
  if (!answer.ok) {
    const problem = form.querySelector("[data-problem]");
    if (!problem) { await sayRefusal(answer); return; }
    problem.textContent = (await answer.json().catch(() => ({}))).error ?? String(answer.status);
    problem.hidden = false;
    return;
  }
  const told = await answer.json();
  sessionStorage.setItem("leaver-told", JSON.stringify({ message: told.message, group: told.group, at: Date.now() }));
  form.reset();
  location.reload();
});

const kept = sessionStorage.getItem("leaver-told");
if (kept) {
  sessionStorage.removeItem("leaver-told");
  const told = JSON.parse(kept);
  const undo = told.group ? () => undoGroup(told.group) : null;
  if (Date.now() - told.at < 10_000) toast(told.message, { undo });
}

async function undoGroup(group) {
  const answer = await ask("/alerts/undo", {
    method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams({ group }),
  });
  if (!answer) return false;
  if (!answer.ok) { await sayRefusal(answer); return false; }
  location.reload();
  return true;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-opens=escalate]")) return;
  const form = document.querySelector("#escalate form");
  readyCase(form, form.elements.title.defaultValue);
});

// A verdict brings its usual reason, unless something else was typed.
document.addEventListener("change", (event) => {
  const chosen = event.target.closest("[data-default]");
  if (!chosen) return;
  const reason = chosen.form.elements.reason;
  const usual = [...chosen.form.querySelectorAll("[data-default]")].map((each) => each.dataset.default);
  if (reason.value === "" || usual.includes(reason.value)) reason.value = chosen.dataset.default;
});
document.getElementById("close-alert")?.addEventListener("keydown", (event) => {
  if (event.target.matches("textarea")) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
    return;
  }
  const radios = event.currentTarget.querySelectorAll("[name=verdict]");
  const chosen = radios[Number(event.key) - 1];
  if (chosen) {
    event.preventDefault();
    chosen.checked = true;
    chosen.focus();
    chosen.dispatchEvent(new Event("change", { bubbles: true }));
  }
});

// ---- evidence: links and the form narrow it in place

async function load(address, { push = true } = {}) {
  const box = document.getElementById("evidence");
  const asked = new URL(address, location.href);
  box.setAttribute("aria-busy", "true");
  const answer = await ask(`${box.dataset.address}/evidence${asked.search}`);
  const shown = document.getElementById("evidence");
  if (!answer?.ok) {
    shown.removeAttribute("aria-busy");
    if (answer) await sayRefusal(answer);
    return;
  }
  const text = await answer.text();
  const focused = document.activeElement?.id;
  const made = new DOMParser().parseFromString(text, "text/html").getElementById("evidence");
  shown.replaceWith(made);
  if (push) history.pushState(null, "", `${asked.pathname}${asked.search}#evidence`);
  if (focused) document.getElementById(focused)?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-evidence]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  load(link.getAttribute("href"));
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-evidence-filter]")) return;
  event.preventDefault();
  const filled = [...new FormData(event.target)].filter(([, value]) => value !== "");
  load(`${event.target.getAttribute("action")}?${new URLSearchParams(filled)}`);
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-evidence-filter]");
  if (form && event.target.matches("select")) form.requestSubmit();
});
addEventListener("popstate", () => load(location.href, { push: false }));
if (document.querySelector("[data-evidence-later]")) load(location.href, { push: false });

// ---- raw records

async function openRaw(link) {
  const answer = await ask(link.getAttribute("href"));
  if (!answer) return;
  if (!answer.ok) { await sayRefusal(answer); return; }
  const dialog = document.getElementById("raw");
  const text = await answer.text();
  dialog.querySelector("[data-raw-body]").replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
  dialog.showModal();
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-raw]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openRaw(link);
});

function moveRow(step) {
  const rows = [...document.querySelectorAll("table.evidence tbody tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("here"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  rows.forEach((row) => row.classList.toggle("here", row === next));
  next.querySelector("a[data-raw]").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

// ---- keys

/** The queue keeps the numbers of its rows, in their order, under this name. */
function neighbour(step) {
  let numbers = [];
  try { numbers = JSON.parse(sessionStorage.getItem("leaver-queue") ?? "[]").map(String); } catch { /* not ours */ }
  const at = numbers.indexOf(number);
  const next = at < 0 ? undefined : numbers[at + step];
  if (next === undefined) { toast(step > 0 ? words.last : words.first, { seconds: 3 }); return; }
  location.href = `/alerts/${next}`;
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  toast(words.copied, { seconds: 3 });
}
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-copy-link]")) copy(`${location.origin}/alerts/${number}`);
  // The menu closes behind what was chosen.
  const menu = document.querySelector("details.menu[open]");
  if (menu && !event.target.closest("summary")) menu.open = false;
});

onKey((key) => {
  if (!page || dialogOpen()) return false;
  if (/^[1-5]$/.test(key)) { document.querySelector(`[data-part="${key}"]`)?.click(); return true; }
  switch (key) {
    case "n": neighbour(1); return true;
    case "p": neighbour(-1); return true;
    case "y": copy(number); return true;
    case "j": moveRow(1); return true;
    case "k": moveRow(-1); return true;
    case "r": {
      const link = document.querySelector("tr.here a[data-raw], table.evidence a[data-raw]");
      if (link) openRaw(link);
      return link !== null;
    }
    default: {
      const button = document.querySelector(`.alert-actions [data-key="${CSS.escape(key)}"]`);
      if (!button) return false;
      button.click();
      return true;
    }
  }
});
