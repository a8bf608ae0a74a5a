// What every page has: keys that lead elsewhere, dialogs, toasts with undo, the banner for what failed,
// and signing in again in place, so that nothing typed is lost when a session ends.
import "./times.js";

const spoken = document.getElementById("spoken")?.dataset ?? {};
const singleKeys = "singleKeys" in document.body.dataset;

/** Whether keys belong to what is focused, so that no shortcut may take them. */
export const typing = (target) => target.closest?.("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable]") !== null;

/** Whether a dialog is open: the page's own keys wait. */
export const dialogOpen = () => document.querySelector("dialog[open]") !== null;

/** Calls `act` for a single-letter key of this page, unless somebody types, a dialog is open, or they are off. */
export function onKey(act) {
  document.addEventListener("keydown", (event) => {
    if (!singleKeys || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target) || dialogOpen() || event.isComposing) return;
    if (act(event.key, event) === true) event.preventDefault();
  });
}

/** A short message; with `undo` a button for so many seconds, and the key z. Where `undo` resolves to false it
 *  did not happen: the button stays. */
export function toast(text, { undo = null, seconds = 8 } = {}) {
  const box = document.getElementById("toasts");
  const shown = document.createElement("div");
  shown.className = "toast";
  shown.append(Object.assign(document.createElement("span"), { textContent: text }));
  let timer = 0;
  let taken = false;
  const gone = () => { clearTimeout(timer); shown.remove(); if (pending === take) pending = null; };
  const take = async () => {
    if (taken) return;
    taken = true;
    clearTimeout(timer);
    if ((await undo()) !== false) { gone(); return; }
    taken = false;
    timer = setTimeout(gone, seconds * 1000);
  };
  if (undo) {
    const button = Object.assign(document.createElement("button"), { className: "button", type: "button", textContent: spoken.undo });
    button.addEventListener("click", take);
    shown.append(button);
    pending = take;
  }
  box.replaceChildren(shown);
  timer = setTimeout(gone, seconds * 1000);
}
let pending = null;

/** The banner above the content: what failed; `again` is called by its button; null: there is none. */
export function banner(text, again = () => location.reload()) {
  const shown = document.getElementById("banner");
  const button = shown.querySelector("[data-banner-again]");
  shown.querySelector("[data-banner-text]").textContent = text;
  button.hidden = again === null;
  button.onclick = () => { shown.hidden = true; again(); };
  shown.hidden = false;
}

let waiting = [];
const goOn = () => { const all = waiting; waiting = []; all.forEach((each) => each()); };

/** Resolves once somebody presses Retry, or the server answers something else. */
function untilRetried() {
  banner(spoken.offline, goOn);
  return new Promise((resolve) => { waiting.push(resolve); });
}

/** Takes the banner away: what failed works again. */
export const noBanner = () => { document.getElementById("banner").hidden = true; goOn(); };

/** Asks to sign in again in place; resolves once that worked. Whoever signs in as somebody else, here or in
 *  another tab, begins anew: what this page shows and what was about to be sent are not theirs. */
export async function signInAgain() {
  const dialog = document.getElementById("sign-in-again");
  if (!dialog) { location.reload(); return new Promise(() => {}); }
  if (!dialog.open) dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", () => resolve(), { once: true }));
  const answer = await fetch("/api/v1/me").catch(() => null);
  const me = answer?.ok ? await answer.json().catch(() => null) : null;
  if (me && me.name !== document.body.dataset.user) return beginAnew();
  // Closed without signing in, or the server is away: whoever waits asks again and hears it.
  return me;
}

/** For somebody else: nothing of this page is kept. */
function beginAnew() {
  document.getElementById("content").replaceChildren();
  location.replace("/");
  return new Promise(() => {});
}

const againForm = document.querySelector("[data-sign-in-again]");
againForm?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = againForm.querySelector(".problem");
  const answer = await fetch("/sign-in", {
    method: "POST", headers: { "hx-request": "true" }, body: new URLSearchParams(new FormData(againForm)),
  }).catch(() => null);
  if (answer?.ok) {
    againForm.password.value = "";
    problem.hidden = true;
    document.getElementById("sign-in-again").close();
  } else {
    problem.textContent = answer ? (await answer.json().catch(() => ({}))).error ?? answer.status : spoken.offline;
    problem.hidden = false;
  }
});

/** fetch() for our own pages: signs in again where the session ended, shows in the banner what failed.
 *  Resolves to the response, or to null where there is none that can be used. */
export async function ask(address, options = {}) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(address, { ...options, headers: { "hx-request": "true", ...options.headers } });
    } catch {
      if ((options.method ?? "GET") !== "GET") { banner(spoken.unsent, null); return null; }
      if (options.headers?.["x-by-itself"]) { banner(spoken.offline); return null; }
      await untilRetried();
      continue;
    }
    if (answer.status !== 401) { noBanner(); return answer; }
    await signInAgain();
  }
}

/** Says what a refused answer says. */
export async function sayRefusal(answer) {
  const why = (await answer.clone().json().catch(() => ({}))).error ?? String(answer.status);
  banner(spoken.failed.replace("{why}", why), () => noBanner());
}

// htmx: what is refused is never swapped in (frame.html: noSwap); here it is said.
document.addEventListener("htmx:response:error", async (event) => {
  const { ctx } = event.detail;
  if (ctx.response.status === 401) {
    await signInAgain();
    const source = ctx.sourceElement;
    // What asks by itself, again and again, goes on by itself.
    if (source.tagName === "FORM") source.requestSubmit(); else if (!source.matches("[hx-trigger^=every]")) source.click();
    return;
  }
  if (ctx.sourceElement.closest("[data-says-refusals]")) return;
  let why = String(ctx.response.status);
  try { why = JSON.parse(ctx.text).error ?? why; } catch { /* no JSON: the number says it */ }
  banner(spoken.failed.replace("{why}", why), () => noBanner());
});
document.addEventListener("htmx:error", (event) => {
  const typed = event.detail?.ctx?.sourceElement?.tagName === "FORM";
  if (typed) banner(spoken.unsent, null); else banner(spoken.offline);
});

let went = 0;
onKey((key) => {
  const now = performance.now();
  if (went && now - went < 1500) {
    went = 0;
    const place = document.querySelector(`a[data-go="${CSS.escape(key)}"]`);
    if (place) { place.click(); return true; }
  }
  went = 0;
  switch (key) {
    case "g": went = now; return true;
    case "?": document.getElementById("keys")?.showModal(); return true;
    case "/": { const search = document.querySelector("input[type=search]"); search?.focus(); search?.select(); return search !== null; }
    case "u": history.back(); return true;
    case "z": if (pending) { pending(); return true; } return false;
    default: return false;
  }
});

// Dialogs: [data-opens=ID] opens, [data-closes] closes; Escape is the browser's own.
document.addEventListener("click", (event) => {
  const opens = event.target.closest("[data-opens]");
  if (opens) { event.preventDefault(); document.getElementById(opens.dataset.opens)?.showModal(); }
  const closes = event.target.closest("[data-closes]");
  if (closes) { event.preventDefault(); closes.closest("dialog")?.close(); }
});

// A form is sent once, however often Enter is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || form.matches("[hx-post],[hx-get],[data-downloads]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
});

// A form that leads to another page is sent only while the session holds: else what was typed would be lost.
// With [data-says-refusals] it is sent from here, and what is refused is said in it, above what was typed.
// At the window, behind everybody who sends a form in a way of their own.
addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post" || form.matches("[hx-post],[action='/sign-out']")) return;
  if (!document.body.dataset.user || form.dataset.holds) { delete form.dataset.holds; return; }
  event.preventDefault();
  const { submitter } = event;
  if (form.matches("[data-says-refusals]")) { await sendInPlace(form, submitter); delete form.dataset.sent; return; }
  const answer = await ask("/api/v1/me");
  delete form.dataset.sent;
  if (!answer?.ok) return;
  const me = await answer.json().catch(() => null);
  if (me && me.name !== document.body.dataset.user) { beginAnew(); return; }
  form.dataset.holds = "1";
  form.requestSubmit(submitter);
});

async function sendInPlace(form, submitter) {
  const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  const answer = await ask(address, { method: "POST", body: new URLSearchParams(new FormData(form, submitter)) });
  if (!answer) return;
  if (!answer.ok) { await sayInForm(form, answer); return; }
  const place = answer.headers.get("hx-redirect");
  if (place) { location.assign(place); return; }
  const shown = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
  if (!shown) { location.reload(); return; }
  document.getElementById("content").replaceWith(document.adoptNode(shown));
  shown.querySelector("[data-answer]")?.scrollIntoView({ block: "center" });
}

async function sayInForm(form, answer) {
  let problem = form.querySelector("[data-problem]");
  if (!problem) {
    problem = Object.assign(document.createElement("p"), { className: "problem", role: "alert" });
    problem.dataset.problem = "";
    form.prepend(problem);
  }
  problem.textContent = (await answer.json().catch(() => ({}))).error ?? String(answer.status);
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

// What was copied is said. [data-copies] holds the text, or the id of what holds it (#ID).
document.addEventListener("click", async (event) => {
  const copies = event.target.closest("[data-copies]");
  if (!copies) return;
  const wanted = copies.dataset.copies;
  await navigator.clipboard.writeText(wanted.startsWith("#") ? document.querySelector(wanted).textContent : wanted);
  if (copies.dataset.copied) toast(copies.dataset.copied);
});
