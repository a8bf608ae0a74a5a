// The fleet: keys of the list, and c for the line that enrols a machine.
import { onKey } from "./console.js";
import "./list_keys.js";

onKey((key) => {
  if (key !== "c") return false;
  document.getElementById("enrol").showModal();
  return true;
});
