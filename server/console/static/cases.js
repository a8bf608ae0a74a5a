// Cases: j, k and Enter in the list; a, n and e on a case; a download leaves the page as it is.
import { onKey } from "./console.js";

const rows = [...document.querySelectorAll("[data-rows] tbody tr")];
let here = -1;

function go(to) {
  if (!rows.length) return;
  rows[here]?.classList.remove("here");
  here = Math.min(rows.length - 1, Math.max(0, to));
  rows[here].classList.add("here");
  rows[here].scrollIntoView({ block: "nearest" });
  rows[here].querySelector("a")?.focus({ preventScroll: true });
}

onKey((key) => {
  if (rows.length) {
    if (key === "j") { go(here + 1); return true; }
    if (key === "k") { go(here - 1); return true; }
    if ((key === "o" || key === "Enter") && here >= 0) { rows[here].querySelector("a").click(); return true; }
  }
  if (key === "n") {
    const note = document.getElementById("case-note");
    note?.focus();
    return note !== null;
  }
  const pressed = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!pressed) return false;
  if (pressed.tagName === "FORM") {
    if (!pressed.querySelector("button[disabled]")) pressed.requestSubmit();
  } else {
    pressed.click();
  }
  return true;
});

// The page stays after a download, and so must the button.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-downloads]")) setTimeout(() => { delete form.dataset.sent; }, 1500);
});

// What is refused is said in the form, under what was typed; console.js signs in again where the session ended.
document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  const form = ctx.sourceElement.closest("[data-says-refusals]");
  if (!form || ctx.response.status === 401) return;
  const said = form.querySelector("[data-problem]");
  let why = String(ctx.response.status);
  try { why = JSON.parse(ctx.text).error ?? why; } catch { /* no JSON: the number says it */ }
  said.textContent = why;
  said.hidden = false;
});
