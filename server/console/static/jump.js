// Ctrl-K, from everywhere: to an alert by number, to a person by pseudonym, to a policy or an endpoint.
import { ask } from "./console.js";

const dialog = document.getElementById("jump");
const field = dialog?.querySelector("input"), found = dialog?.querySelector("[role=listbox]");
let timer = 0, at = 0, turn = 0;

document.addEventListener("keydown", (event) => {
  if (!dialog || event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (document.querySelector("dialog[open]")) return;
  field.value = "";
  found.replaceChildren();
  dialog.showModal();
});
field?.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 120); });
async function look() {
  const mine = ++turn;
  const answer = await ask(`/jump?q=${encodeURIComponent(field.value)}`);
  if (!answer?.ok || mine !== turn) return;
  found.replaceChildren(...(await answer.json()).map((place, index) => {
    const link = Object.assign(document.createElement("a"), { href: place.address, id: `jump-${index}` });
    link.setAttribute("role", "option");
    link.append(Object.assign(document.createElement("span"), { textContent: place.kind }), Object.assign(document.createElement("bdi"), { textContent: place.words }));
    return link;
  }));
  mark(0);
}
function mark(next) {
  const all = [...found.children];
  at = Math.max(0, Math.min(all.length - 1, next));
  all.forEach((each, index) => each.setAttribute("aria-selected", String(index === at)));
  if (all[at]) field.setAttribute("aria-activedescendant", all[at].id); else field.removeAttribute("aria-activedescendant");
  field.setAttribute("aria-expanded", String(all.length > 0));
}
field?.addEventListener("keydown", async (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(at + (event.key === "ArrowDown" ? 1 : -1)); }
  if (event.key === "Enter") {
    event.preventDefault();
    clearTimeout(timer);
    await look();
    found.children[at]?.click();
  }
});
