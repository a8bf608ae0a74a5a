// Leavers: j and k through the list, letters of buttons, dates that say how they are read, files that are dropped.
import { onKey } from "./console.js";

const rows = () => [...document.querySelectorAll("tr[data-row]")];
let at = -1;

function go(step) {
  const all = rows();
  if (!all.length) return false;
  at = Math.min(Math.max(at + step, 0), all.length - 1);
  all.forEach((row, number) => row.classList.toggle("here", number === at));
  all[at].querySelector("a").focus({ preventScroll: true });
  all[at].scrollIntoView({ block: "nearest" });
  return true;
}

onKey((key) => {
  if (key === "j") return go(1);
  if (key === "k") return go(-1);
  if (key === "z") { const form = document.querySelector("form[data-undo]"); form?.requestSubmit(); return form !== null; }
  const button = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!button) return false;
  button.click();
  return true;
});

// The first of those who were found is chosen by Enter; arrows go through them.
const search = document.querySelector("[data-finds-people]");
search?.addEventListener("keydown", (event) => {
  const found = [...document.querySelectorAll("#found a")];
  if (event.key === "ArrowDown" && found.length) { event.preventDefault(); found[0].focus(); }
  if (event.key === "Enter" && !event.isComposing && found.length && document.getElementById("found").dataset.of === search.value.trim()) {
    event.preventDefault();
    found[0].click();
  }
});
document.getElementById("found")?.addEventListener("keydown", (event) => {
  const found = [...document.querySelectorAll("#found a")];
  const here = found.indexOf(document.activeElement);
  if (event.key === "ArrowDown") { event.preventDefault(); found[Math.min(here + 1, found.length - 1)]?.focus(); }
  if (event.key === "ArrowUp") { event.preventDefault(); (here > 0 ? found[here - 1] : search).focus(); }
});

// A file that is dropped is brought at once, as one that is chosen.
const drop = document.querySelector("[data-drop]");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length !== 1) return;
    input.files = event.dataTransfer.files;
    drop.requestSubmit();
  });
  input.addEventListener("change", () => { if (input.files.length) drop.requestSubmit(); });
}
