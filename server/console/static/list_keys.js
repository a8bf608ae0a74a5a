// j, k and Enter in a table of links ([data-rows]): the row that keys stand on is marked, and in view.
import { onKey } from "./console.js";

const rows = () => [...document.querySelectorAll("[data-rows] tbody tr")];
let at = -1;

function stand(place) {
  const all = rows();
  if (!all.length) return;
  at = Math.max(0, Math.min(place, all.length - 1));
  all.forEach((row, number) => row.classList.toggle("here", number === at));
  all[at].querySelector("a")?.focus({ preventScroll: true });
  all[at].scrollIntoView({ block: "nearest" });
}

onKey((key) => {
  if (key === "j") { stand(at + 1); return true; }
  if (key === "k") { stand(at - 1); return true; }
  if (key === "o" && at >= 0) { rows()[at]?.querySelector("a")?.click(); return true; }
  return false;
});
