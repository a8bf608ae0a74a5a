// One person's page and the list of people: ranges by keys, filters that need no button.
import { onKey } from "./console.js";
import "./unmask.js";

onKey((key) => {
  if ("136".includes(key)) { document.querySelector(`[data-months="${key}"]`)?.click(); return true; }
  if ("[]cw".includes(key)) { document.querySelector(`[data-key="${key}"]`)?.click(); return true; }
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
