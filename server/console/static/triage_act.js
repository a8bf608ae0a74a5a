// What is done to alerts from the keyboard: dialogs for close, assign, snooze and merge, one request at a time,
// what was refused stays on the screen with everything typed, and eight seconds to undo.
import { ask, sayRefusal, toast } from "./console.js";
import { lacksTitle, readyCase } from "./escalate.js";

const words = document.getElementById("queue-words").dataset;
const say = (phrase, values) => phrase.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
let busy = false;
let chosen = [];
let after = () => {};
let find = () => null;

/** `then({verb, done, changed, refused, undone})` is called after each change that was tried; `now(id)` gives an
 *  alert as it is on the screen: {id, version, score}. */
export function onDone(then, now) { after = then; find = now; }

/** Opens the verb's dialog for these alerts ([{id, version, score}]), or acts at once where there is none. */
export function act(verb, alerts, fields = {}) {
  if (!alerts.length) return;
  if (verb === "take") { send("assign", alerts, { owner: "me", ...fields }); return; }
  if (verb === "follow") {
    // What is followed already is so no longer, where all of them are.
    send(alerts.every((each) => each.followed === "alert") ? "unfollow" : "follow", alerts, fields);
    return;
  }
  const dialog = document.getElementById(`${verb}-dialog`);
  chosen = alerts;
  const about = alerts.length === 1 ? say(words.one, { id: alerts[0].id }) : say(words.many, { n: alerts.length });
  dialog.querySelector("[data-about]").textContent = about;
  problem(dialog, "");
  if (verb === "merge") dialog.querySelector("[name=into]").value = worst(alerts).id;
  dialog.showModal();
  if (verb === "escalate") {
    const [first] = alerts, more = alerts.length - 1;
    readyCase(dialog.querySelector("form"), say(more ? words.titleMany : words.titleOne, { id: first.id, n: more }));
    return;
  }
  (dialog.querySelector("input:checked") ?? dialog.querySelector("input, select, textarea")).focus();
}

const worst = (alerts) => alerts.reduce((best, each) => (each.score > best.score ? each : best));

function problem(dialog, text) {
  const shown = dialog?.querySelector("[data-problem]");
  if (!shown) return;
  shown.textContent = text;
  shown.hidden = !text;
}

/** Sends one change. While it is under way nothing else is sent, however often Enter is pressed. */
async function send(verb, alerts, fields, dialog = null) {
  if (busy) return;
  busy = true;
  try {
    const answer = await post(verb, alerts, fields);
    if (!answer) { problem(dialog, words.kept); return; }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) { finished(told, dialog); return; }
    // Nothing typed is lost: the dialog stays, and says who was first.
    if (dialog?.open) problem(dialog, told.error ?? String(answer.status));
    else if (told.refused) showRefused(told.refused);
    else sayRefusal(new Response(JSON.stringify(told), { status: answer.status }));
    if (told.refused) {
      await after({ verb, done: [], changed: [], refused: told.refused });
      chosen = chosen.map((each) => find(each.id) ?? each);
    }
  } finally { busy = false; }
}

function post(verb, alerts, fields) {
  const body = new URLSearchParams(fields);
  for (const each of alerts) { body.append("ids", each.id); body.append("seen", `${each.id}:${each.version}`); }
  return ask(`/alerts/${verb}`, { method: "POST", body, headers: { accept: "application/json" } });
}

function finished(outcome, dialog) {
  dialog?.close();
  dialog?.querySelector("form").reset();
  if (outcome.done.length) {
    toast(outcome.message, outcome.group !== null ? { undo: () => undo(outcome.group) } : {});
  }
  showRefused(outcome.refused);
  after(outcome);
}

function showRefused(refused) {
  const shown = document.querySelector("[data-refused]");
  if (!shown) return;
  shown.hidden = !refused.length;
  const ids = refused.map((each) => each.id).join(", ");
  shown.textContent = refused.length ? `${say(words.notDone, { ids })}. ${refused.map((each) => each.message).join(" ")}` : "";
}

/** Whether it happened. */
async function undo(group) {
  if (busy) return false;
  busy = true;
  try {
    const answer = await post("undo", [], { group });
    if (!answer) return false;
    if (!answer.ok) { sayRefusal(answer); return false; }
    const outcome = await answer.json();
    toast(outcome.message);
    showRefused(outcome.refused);
    after({ ...outcome, undone: outcome.done });
    return true;
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
    let alerts = chosen;
    if (verb === "escalate" && lacksTitle(form)) { problem(dialog, words.untitled); return; }
    if (verb === "merge") {
      fields.into = fields.into.replace("#", "").trim();
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
