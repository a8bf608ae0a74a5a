// One-time links carry their token behind the #, which no server and no log ever sees.

const field = document.querySelector("[data-token]");
if (field) {
  const kept = sessionStorage.getItem("leaver-token");
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    // A wrong password loads the page anew, without what stood behind the #.
    sessionStorage.setItem("leaver-token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  field.value = given || kept || "";
  if (field.value) document.querySelector("[data-token-label]").hidden = true;
}
