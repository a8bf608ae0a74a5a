// The policies' list by keys, and the editor of a policy: numbers of lines, problems while one types, names of
// fields, a draft that stays in this tab. Without it the form works all the same.

import { ask, onKey, toast } from "./console.js";

// The list: filters apply as they are chosen, j and k go from row to row.
const filters = document.querySelector("form[data-filters]");
// By keys a choice changes with every arrow: then the button applies it.
let pointed = false;
filters?.addEventListener("pointerdown", () => { pointed = true; });
filters?.addEventListener("keydown", () => { pointed = false; });
filters?.addEventListener("change", (event) => { if (pointed && event.target.matches("select")) filters.requestSubmit(); });
filters?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
});
const rows = [...document.querySelectorAll("tr[data-row]")];
let at = -1;
function go(to) {
  if (!rows[to]) return;
  rows[at]?.classList.remove("here");
  at = to;
  rows[at].classList.add("here");
  rows[at].querySelector("a.name").focus({ preventScroll: true });
  rows[at].scrollIntoView({ block: "nearest" });
}
if (rows.length) onKey((key) => {
  if (key === "j") { go(Math.min(at + 1, rows.length - 1)); return true; }
  if (key === "k") { go(Math.max(at - 1, 0)); return true; }
  return false;
});

const form = document.querySelector("form[data-policy-editor]");
if (form) edit(form);

function edit(form) {
  const area = form.elements.text;
  const numbers = form.querySelector(".numbers");
  const problems = document.getElementById("problems");
  const said = form.querySelector("[data-draft]");
  // A draft belongs to the version that it was made from: another's is never written over.
  const drafts = `leaver-draft ${location.pathname} `;
  const kept = drafts + form.dataset.base;
  const published = area.defaultValue;
  const LINE = 20, TOP = 10;

  function number() {
    const faulty = new Set([...problems.querySelectorAll("li[data-line]")].map((each) => Number(each.dataset.line)));
    const count = area.value.split("\n").length;
    const shown = [];
    for (let line = 1; line <= count; line += 1) {
      const mark = document.createElement("span");
      mark.textContent = line;
      if (faulty.has(line)) mark.className = "faulty";
      shown.push(mark);
    }
    numbers.replaceChildren(...shown);
    numbers.scrollTop = area.scrollTop;
  }
  const lineOf = (position) => area.value.slice(0, position).split("\n").length;
  function goTo(line) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    area.scrollTop = Math.max(0, (line - 4) * LINE);
  }

  let timer = 0, asked = 0;
  async function check() {
    clearTimeout(timer);
    const mine = (asked += 1);
    const answer = await ask(form.dataset.check, { method: "POST", body: new URLSearchParams({ text: area.value }) });
    // What was typed meanwhile has been asked about since.
    if (!answer?.ok || mine !== asked) return;
    problems.innerHTML = await answer.text();
    number();
  }
  function keep() {
    try {
      if (area.value === published) sessionStorage.removeItem(kept);
      else sessionStorage.setItem(kept, area.value);
    } catch { /* no room, or storage is off: the text stays in the page */ }
  }
  area.addEventListener("input", () => { number(); clearTimeout(timer); timer = setTimeout(check, 400); complete(); });
  area.addEventListener("focus", () => fields(), { once: true });
  area.addEventListener("scroll", () => { numbers.scrollTop = area.scrollTop; hide(); });
  problems.addEventListener("click", (event) => {
    const line = event.target.closest("[data-goes]")?.dataset.goes;
    if (line) goTo(Number(line));
  });
  form.querySelector("[data-checks]").addEventListener("click", check);

  form.addEventListener("keydown", async (event) => {
    if (event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault(); keep(); await check(); toast(form.dataset.kept, { seconds: 3 });
    } else if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault(); keep(); form.requestSubmit(form.querySelector("button.primary"));
    } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const lines = [...problems.querySelectorAll("li[data-line]")].map((each) => Number(each.dataset.line)).filter(Boolean);
      if (!lines.length) return;
      event.preventDefault();
      const here = lineOf(area.selectionStart);
      const next = event.key === "ArrowDown" ? lines.find((line) => line > here) ?? lines[0] : lines.findLast((line) => line < here) ?? lines.at(-1);
      goTo(next);
    }
  });
  form.addEventListener("submit", keep);
  area.addEventListener("keydown", (event) => {
    if (event.isComposing || area !== document.activeElement) return;
    if (!list.hidden && chooseBy(event)) { event.preventDefault(); event.stopPropagation(); return; }
    if (event.ctrlKey && event.key === " ") { event.preventDefault(); complete(true); return; }
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      // The next line begins where this one does; one further in below a key.
      const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
      const indent = /^\s*/.exec(line)[0] + (/:\s*$/.test(line) ? "  " : "");
      if (indent) { event.preventDefault(); document.execCommand("insertText", false, `\n${indent}`); }
    }
  });

  // Names of fields: offered where a key of a selection begins, or asked for with Ctrl-Space.
  const list = document.getElementById("field-names");
  let known = null, offered = [], chosen = 0;
  const fields = () => {
    known ??= ask("/policies/fields").then((answer) => (answer?.ok ? answer.json() : []));
    return known;
  };
  const begun = () => /^(\s*(?:- )?)([\w.]*)$/.exec(area.value.slice(0, area.selectionStart).split("\n").at(-1));
  const selecting = () => /^(detection|filter):/.test(area.value.slice(0, area.selectionStart).split("\n").findLast((line) => /^\w+:/.test(line)) ?? "");
  async function complete(wanted = false) {
    const all = await fields();
    // As it stands by now.
    const found = begun();
    if (!found || (!wanted && (found[2].length < 2 || !selecting() || found[1] === ""))) { hide(); return; }
    const word = found[2].toLowerCase();
    offered = [...all.filter((each) => each.path.startsWith(word)), ...all.filter((each) => !each.path.startsWith(word) && each.path.includes(word))].slice(0, 8);
    if (!offered.length || (offered.length === 1 && offered[0].path === word)) { hide(); return; }
    chosen = 0;
    list.replaceChildren(...offered.map((each, number) => {
      const item = document.createElement("li");
      item.id = `field-${number}`;
      item.role = "option";
      const name = Object.assign(document.createElement("b"), { textContent: each.path });
      const about = Object.assign(document.createElement("small"), { textContent: `${each.type} · ${each.about}${each.values.length ? ` · ${each.values.join(", ")}` : ""}` });
      item.append(name, about);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); chosen = number; take(); });
      return item;
    }));
    const line = lineOf(area.selectionStart);
    list.hidden = false;
    const below = TOP + line * LINE - area.scrollTop;
    list.style.top = `${below + 224 > area.clientHeight ? Math.max(0, below - LINE - list.offsetHeight) : below}px`;
    list.style.left = `${Math.min(46 + 10 + found[1].length * 8, Math.max(0, area.clientWidth - 300))}px`;
    mark();
  }
  function mark() {
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === chosen)));
    area.setAttribute("aria-activedescendant", `field-${chosen}`);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  }
  function hide() { list.hidden = true; area.removeAttribute("aria-activedescendant"); }
  function take() {
    const word = begun()?.[2] ?? "";
    area.focus();
    area.setSelectionRange(area.selectionStart - word.length, area.selectionStart);
    document.execCommand("insertText", false, `${offered[chosen].path}: `);
    hide();
  }
  function chooseBy(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return false;
    switch (event.key) {
      case "ArrowDown": chosen = (chosen + 1) % offered.length; mark(); return true;
      case "ArrowUp": chosen = (chosen + offered.length - 1) % offered.length; mark(); return true;
      case "Enter": case "Tab": take(); return true;
      case "Escape": hide(); return true;
      default: return false;
    }
  }
  area.addEventListener("blur", () => setTimeout(hide, 150));

  // A draft of the version that holds comes back; one of an earlier version is offered, until somebody decides.
  const offer = (...parts) => said.replaceChildren(...parts.flatMap((each) => [each, " "]));
  const button = (textContent, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "button quiet", textContent });
    made.addEventListener("click", act);
    return made;
  };
  const read = (key) => { try { return sessionStorage.getItem(key); } catch { return null; } };
  const forget = (key) => { try { sessionStorage.removeItem(key); } catch { /* storage is off: nothing is there */ } };
  function put(text) { area.value = text; keep(); number(); check(); area.focus(); }
  function offerEarlier() {
    let keys = [];
    try { keys = Object.keys(sessionStorage).filter((key) => key.startsWith(drafts) && key !== kept); } catch { /* none */ }
    for (const key of keys) {
      const text = read(key);
      // What was published since is no draft any more.
      if (text === null || text.trimEnd() === published.trimEnd()) { forget(key); continue; }
      offer(
        form.dataset.older.replace("{of}", key.slice(drafts.length)),
        button(form.dataset.shows, () => { const now = area.value; put(text); forget(key); undoable(now); }),
        button(form.dataset.drops, () => { forget(key); offer(); offerEarlier(); }),
      );
      return;
    }
  }
  function undoable(before) {
    offer(form.dataset.restored, button(form.dataset.again, () => { put(published); offer(); offerEarlier(); }));
    if (before !== published) toast(form.dataset.restored, { undo: () => { put(before); offer(); offerEarlier(); } });
  }
  const own = read(kept);
  if (own?.trimEnd() === published.trimEnd()) forget(kept);
  if (own !== null && own.trimEnd() !== published.trimEnd() && !new URLSearchParams(location.search).has("run")) {
    area.value = own;
    undoable(published);
    check();
  } else offerEarlier();
  number();
  new ResizeObserver(() => { numbers.style.height = `${area.offsetHeight}px`; }).observe(area);
}
