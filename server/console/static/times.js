// How long ago something was goes on while a page is open: "3 min ago" becomes "4 min ago" (times_shown.py).
const words = document.getElementById("spoken")?.dataset ?? {};
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

/** The greatest whole unit. */
function span(ms) {
  if (ms < HOUR) return words.minutes.replace("{n}", Math.floor(ms / MINUTE));
  if (ms < 2 * DAY) return words.hours.replace("{n}", Math.floor(ms / HOUR));
  return words.days.replace("{n}", Math.floor(ms / DAY));
}
function said(ago) {
  if (Math.abs(ago) < MINUTE) return words.justNow;
  return ago > 0 ? words.ago.replace("{span}", span(ago)) : words.ahead.replace("{span}", span(-ago));
}
// The server's clock is the one that counts: this one's may be wrong by hours, but not in how it goes on.
const ahead = Number(document.body.dataset.now) - Date.now();
function tell() {
  const now = Date.now() + ahead;
  for (const each of document.querySelectorAll("time[data-relative]")) {
    const next = said(now - new Date(each.dateTime).getTime());
    if (each.textContent !== next) each.textContent = next;
  }
}
if (words.ago && Number.isFinite(ahead)) setInterval(tell, MINUTE / 2);
