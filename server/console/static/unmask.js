// Names that are shown for an hour: asking without losing the reason when the session ended meanwhile, the
// time that is left, and the page without the name when it is over.

import { ask, dialogOpen } from "./console.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-unmask]")) return;
  event.preventDefault();
  const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!answer) return;
  if (answer.ok) { location.reload(); return; }
  const problem = form.querySelector("[data-problem]");
  problem.textContent = (await answer.json().catch(() => ({}))).error ?? String(answer.status);
  problem.hidden = false;
});

const opened = performance.now();

/** Whether somebody typed here what is not sent. */
const typed = () => dialogOpen() || [...document.querySelectorAll("textarea, input:not([type=hidden], [type=checkbox], [type=radio])")]
  .some((field) => field.value !== field.defaultValue);

/** What said the name says it no longer, wherever it stands; and the page is asked for again, as the server now
 *  shows it, as soon as nothing typed would be lost by that. */
function over(chip) {
  const form = chip.closest("form"), shown = form.previousElementSibling;
  const name = shown?.querySelector("b")?.textContent ?? "";
  const words = [name, ...name.split(/\s+/), ...(shown?.querySelector("span")?.textContent.split(/[,\s]+/) ?? [])].filter((each) => each.length > 1);
  shown?.remove();
  form.remove();
  if (words.length) {
    const said = new RegExp(words.map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "giu");
    const texts = document.createTreeWalker(document.getElementById("content"), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (text.parentElement.closest("textarea, option")) continue;
      const without = text.data.replace(said, "…");
      if (without !== text.data) text.data = without;
    }
  }
  const again = () => { if (!typed()) location.reload(); };
  again();
  setInterval(again, 1000);
}

function tick() {
  for (const chip of document.querySelectorAll("[data-until]")) {
    const left = Number(chip.dataset.until) - Number(chip.dataset.now) - (performance.now() - opened);
    if (left <= 0) { over(chip); continue; }
    const whole = Math.ceil(left / 1000);
    chip.querySelector("[data-left]").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
}

if (document.querySelector("[data-until]")) { tick(); setInterval(tick, 1000); }
