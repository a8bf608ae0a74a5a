// What is done to alerts from the keyboard: dialogs for close, assign, snooze and merge, one request at a time,
// what was refused stays on the screen with everything typed, and eight seconds to undo.
import { ask, sayRefusal, toast } from "./console.js";

const words = document.getElementById("queue-words").dataset;
const say = (phrase, values) => phrase.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
let busy = false;
let chosen = [];
let after = () => {};
let undoGroup = null;

/** `then({verb, done, refused, undone})` is called after each change that the server made. */
export function onDone(then) { after = then; }

/** Opens the verb's dialog for these alerts ([{id, version, score}]), or acts at once where there is none. */
export function act(verb, alerts, fields = {}) {
  if (!alerts.length) return;
  if (verb === "take") { send("assign", alerts, { owner: document.querySelector("[data-me]").dataset.me, ...fields }); return; }
  if (verb === "escalate") { escalate(alerts); return; }
  const dialog = document.getElementById(`${verb}-dialog`);
  chosen = alerts;
  const about = alerts.length === 1 ? say(words.one, { id: alerts[0].id }) : say(words.many, { n: alerts.length });
  dialog.querySelector("[data-about]").textContent = about;
  problem(dialog, "");
  if (verb === "merge") dialog.querySelector("[name=into]").value = worst(alerts).id;
  dialog.showModal();
  (dialog.querySelector("input:checked") ?? dialog.querySelector("input, select, textarea")).focus();
}

const worst = (alerts) => alerts.reduce((best, each) => (each.score > best.score ? each : best));

function problem(dialog, text) {
  const shown = dialog?.querySelector("[data-problem]");
  if (!shown) return;
  shown.textContent = text;
  shown.hidden = !text;
}

async function escalate(alerts) {
  const query = alerts.map((each) => `alert=${each.id}`).join("&");
  const answer = await ask(`/cases/escalate?${query}`);
  if (!answer) return;
  if (!answer.ok) { sayRefusal(answer); return; }
  const dialog = document.getElementById("escalate-dialog");
  const inner = dialog.querySelector("[data-escalate]");
  inner.innerHTML = await answer.text();
  window.htmx?.process(inner);
  dialog.showModal();
}

/** Sends one change. While it is under way nothing else is sent, however often Enter is pressed. */
async function send(verb, alerts, fields, dialog = null) {
  if (busy) return;
  busy = true;
  const body = new URLSearchParams(fields);
  for (const each of alerts) { body.append("alert", each.id); if (each.version) body.append("version", each.version); }
  try {
    const answer = await ask(`/alerts/${verb}`, { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer) { problem(dialog, words.kept); return; }
    if (!answer.ok) {
      if (dialog) problem(dialog, `${(await answer.json().catch(() => ({}))).error ?? answer.status} ${words.kept}`);
      else sayRefusal(answer);
      return;
    }
    finished(verb, await answer.json(), dialog);
  } finally { busy = false; }
}

function finished(verb, outcome, dialog) {
  const told = outcome.refused.map((each) => each.message).join(" ");
  if (outcome.refused.length && !outcome.done.length && dialog) {
    // Nothing typed is lost: the dialog stays, and says who was first.
    problem(dialog, told);
    after({ verb, ...outcome });
    return;
  }
  dialog?.close();
  dialog?.querySelector("form").reset();
  const done = outcome.changed.length ? outcome.done.length : 0;
  undoGroup = outcome.group ?? undoGroup;
  if (outcome.done.length) {
    const text = say(words[`done${verb[0].toUpperCase()}${verb.slice(1)}`] ?? "{n}", { n: outcome.done.length });
    toast(text, outcome.group !== null && done ? { undo: () => undo(outcome.group) } : {});
  }
  showRefused(outcome.refused, told);
  after({ verb, ...outcome });
}

function showRefused(refused, told) {
  const shown = document.querySelector("[data-refused]");
  if (!shown) return;
  shown.hidden = !refused.length;
  shown.textContent = refused.length ? `${say(words.notDone, { ids: refused.map((each) => each.id).join(", ") })}. ${told}` : "";
}

async function undo(group) {
  if (busy) return;
  busy = true;
  try {
    const answer = await ask("/alerts/undo", { method: "POST", body: new URLSearchParams({ group }), headers: { accept: "application/json" } });
    if (!answer) return;
    if (!answer.ok) { sayRefusal(answer); return; }
    const outcome = await answer.json();
    toast(say(words.undone, { n: outcome.done.length }));
    showRefused(outcome.refused, outcome.refused.map((each) => each.message).join(" "));
    after({ verb: "undo", ...outcome, undone: outcome.done });
  } finally { busy = false; }
}

for (const form of document.querySelectorAll("form[data-verb]")) {
  const dialog = form.closest("dialog");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    const { verb } = form.dataset;
    if (verb === "close") {
      if (!fields.verdict) { problem(dialog, words.choose); form.querySelector("[name=verdict]").focus(); return; }
      if (!fields.reason.trim()) { form.elements.reason.focus(); return; }
    }
    if (verb === "snooze") { fields.until = String(Date.now() + Number(fields.for) * 3_600_000); delete fields.for; }
    let alerts = chosen;
    if (verb === "merge") {
      fields.into = fields.into.replace("#", "");
      alerts = chosen.filter((each) => String(each.id) !== fields.into);
      if (!alerts.length) { form.elements.into.select(); return; }
    }
    send(verb, alerts, fields, dialog);
  });
  form.addEventListener("keydown", (event) => {
    const writing = event.target.matches("textarea, input:not([type=radio])");
    if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); form.requestSubmit(); return; }
    if (event.key === "Enter" && event.target.type === "radio") { event.preventDefault(); form.requestSubmit(); return; }
    if (writing || event.ctrlKey || event.altKey || event.metaKey || !/^[1-4]$/.test(event.key)) return;
    const picked = form.querySelectorAll("input[type=radio]")[Number(event.key) - 1];
    if (!picked) return;
    event.preventDefault();
    picked.checked = true;
    picked.focus();
    picked.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

// The reason follows the outcome for as long as nobody wrote one.
const closing = document.querySelector("#close-dialog form");
closing?.addEventListener("change", (event) => {
  if (event.target.name !== "verdict") return;
  const { reason } = closing.elements;
  const ready = [...closing.querySelectorAll("[data-reason]")].map((each) => each.dataset.reason);
  if (!reason.value.trim() || ready.includes(reason.value)) reason.value = event.target.dataset.reason;
});

/** Whether a change is under way. */
export const isBusy = () => busy;
