// The stream that says that the queue changed; it holds a mark and nothing else. While the tab is hidden it is
// closed: browsers give a site few connections.
const words = document.getElementById("queue-words").dataset;
const RETRY_SECONDS = 8;

/** `changed(mark)` is called when the state differs from `mark()`, that of what is on the screen.
 *  `pause()` of what is returned: what changed could not be had; after a while it is looked at again. */
export function listen(mark, changed) {
  const shown = document.querySelector("[data-live]");
  const text = document.querySelector("[data-live-text]");
  let source = null, timer = 0;
  const state = (name, said) => { shown.dataset.live = name; text.textContent = said; };

  function open() {
    clearInterval(timer);
    source?.close();
    source = new EventSource(`/alerts/live?from=${encodeURIComponent(mark())}`);
    source.addEventListener("open", () => state("on", words.live));
    source.addEventListener("message", (event) => changed(event.data));
    source.addEventListener("ended", () => { pause(); changed("ended"); });
    source.addEventListener("error", pause);
  }
  function pause() {
    source?.close();
    source = null;
    clearInterval(timer);
    if (document.hidden) return;
    let left = RETRY_SECONDS;
    const tell = () => state("paused", words.paused.replace("{n}", left));
    tell();
    timer = setInterval(() => { left -= 1; if (left > 0) tell(); else open(); }, 1000);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { clearInterval(timer); source?.close(); source = null; } else if (!source) open();
  });
  addEventListener("pagehide", () => { clearInterval(timer); source?.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  open();
  return { pause };
}
