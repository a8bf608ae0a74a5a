// One person's page and the list of people: ranges by keys, filters that need no button, the time that is left.
import { onKey } from "./console.js";

onKey((key) => {
  if ("136".includes(key)) { document.querySelector(`[data-months="${key}"]`)?.click(); return true; }
  if ("[]c".includes(key)) { document.querySelector(`[data-key="${key}"]`)?.click(); return true; }
  return false;
});

// Where a chart is wider than the window, its latest days are seen first.
const toTheEnd = () => document.querySelectorAll(".chart-figure-lanes > .chart-scrolls, .chart-figure-risk > .chart-scrolls").forEach((box) => { box.scrollLeft = box.scrollWidth; });
toTheEnd();
document.addEventListener("htmx:after:swap", toTheEnd);

// What is chosen from a list holds at once; a text when Enter is pressed.
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-filters], [data-auto]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});

// How long a name is still shown; at the end the page is asked for again, without it.
const chip = document.querySelector("[data-until]");
if (chip) {
  const left = Number(chip.dataset.until) - Number(chip.dataset.now);
  const shown = chip.querySelector("[data-left]");
  const end = performance.now() + left;
  const tick = () => {
    const seconds = Math.max(0, Math.round((end - performance.now()) / 1000));
    if (!seconds) { location.reload(); return; }
    shown.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    setTimeout(tick, 1000);
  };
  tick();
}
