// Review: one alert at a time, the worst first. What is done to it brings the next one.
import { ask, onKey, sayRefusal } from "./console.js";
import { act, onDone } from "./triage_act.js";

const box = document.getElementById("review");
const here = () => box.querySelector("[data-review]");
const target = () => {
  const { id, version, score } = here().dataset;
  return id ? [{ id: Number(id), version, score: Number(score) }] : [];
};

async function load(after) {
  const query = new URLSearchParams(here().dataset.query);
  if (after) query.set("after", after);
  const answer = await ask(`/alerts/review?${query}`);
  if (!answer) return;
  if (!answer.ok) { sayRefusal(answer); return; }
  box.innerHTML = await answer.text();
  history.replaceState(null, "", `/alerts/review?${query}`);
  window.htmx?.process(box);
  box.querySelector("[data-act]")?.focus({ preventScroll: true });
}

let before = "";
onDone(({ verb, done, undone }) => {
  if (undone) return load(before);
  const { after, here: place } = here().dataset;
  if (!done.length) return load(after);
  if (verb === "assign" || verb === "escalate") return load(after);
  // What was closed is behind the place where it stood: from there on.
  before = after;
  return load(place);
}, () => target()[0] ?? null);
onKey((key) => {
  switch (key) {
    case "n": case "j": if (here().dataset.here) load(here().dataset.here); return true;
    case "e": act("close", target()); return true;
    case "a": act("take", target()); return true;
    case "A": act("assign", target()); return true;
    case "s": act("snooze", target()); return true;
    case "m": act("merge", target()); return true;
    case "E": act("escalate", target()); return true;
    case "o": if (here().dataset.id) location.assign(`/alerts/${here().dataset.id}`); return true;
    default: return false;
  }
});
box.addEventListener("click", (event) => {
  const next = event.target.closest("[data-next]");
  if (next) { event.preventDefault(); load(here().dataset.here); return; }
  const button = event.target.closest("[data-act]");
  if (button) act(button.dataset.act, target());
});
