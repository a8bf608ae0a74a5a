// Names that are shown for an hour: asking without losing the reason when the session ended meanwhile, the
// time that is left, and the page without the name when it is over.

import { ask } from "./console.js";

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

function tick() {
  for (const chip of document.querySelectorAll("[data-until]")) {
    const left = Number(chip.dataset.until) - Number(chip.dataset.now) - (performance.now() - opened);
    if (left <= 0) { location.reload(); return; }
    const whole = Math.ceil(left / 1000);
    chip.querySelector("[data-left]").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
}

if (document.querySelector("[data-until]")) { tick(); setInterval(tick, 1000); }
