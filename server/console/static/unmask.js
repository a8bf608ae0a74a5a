// Names that are shown for an hour: the time that is left, and the page without the name when it is over.

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
