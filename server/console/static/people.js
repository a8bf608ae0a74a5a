// The list of people and one person's page: rows by keys, ranges by keys, filters that need no button.
import { onKey } from "./console.js";

const rows = () => [...document.querySelectorAll("[data-rows] tbody tr")];

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("here"));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  all[at]?.classList.remove("here");
  next.classList.add("here");
  next.querySelector("a").focus();
}

onKey((key) => {
  if (rows().length) {
    if (key === "j") { move(1); return true; }
    if (key === "k") { move(-1); return true; }
    if (key === "o") { document.querySelector("tr.here a")?.click(); return true; }
  }
  if ("136".includes(key)) { document.querySelector(`[data-months="${key}"]`)?.click(); return true; }
  if ("[]c".includes(key)) { document.querySelector(`[data-key="${key}"]`)?.click(); return true; }
  return false;
});

// What is chosen from a list holds at once; a text when Enter is pressed.
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-filters], [data-auto]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});
