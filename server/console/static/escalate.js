// The dialog that puts alerts into a case: a new one has a title, ready to be typed over; one that is there needs
// none. An empty title is refused in words, and nothing that was typed goes.

/** Called when the dialog opened. `title`: what a new case is called, unless somebody types another title. */
export function readyCase(form, title) {
  const field = form.elements.title;
  if (!field.value.trim() || field.value === field.dataset.ready) field.value = title;
  field.dataset.ready = title;
  field.disabled = form.elements.case.value !== "";
  if (field.disabled) form.elements.case.focus();
  else { field.focus(); field.select(); }
}

/** Whether a new case would have no title; then the field has the focus. */
export function lacksTitle(form) {
  const field = form.elements.title;
  if (field.disabled || field.value.trim()) return false;
  field.focus();
  return true;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[action='/alerts/escalate']");
  if (form && event.target.name === "case") form.elements.title.disabled = event.target.value !== "";
});
