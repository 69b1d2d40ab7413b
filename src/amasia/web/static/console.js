// Keeps the live part of a page quiet while nobody looks, and says when the control plane does not answer.
"use strict";

const stale = () => document.getElementById("stale");
const ours = (event) => event.detail?.ctx?.sourceElement?.hasAttribute("data-live");

document.addEventListener("htmx:before:request", (event) => {
  // An open question is not redrawn under somebody's finger.
  const asking = document.querySelector("[popover]:popover-open");
  if (ours(event) && (document.hidden || asking)) event.preventDefault();
});

document.addEventListener("htmx:error", (event) => {
  if (ours(event)) stale().hidden = false;
});

document.addEventListener("htmx:after:request", (event) => {
  if (ours(event)) stale().hidden = event.detail.ctx.response.status < 400;
});

// Back at the tab: look at once rather than at the next beat.
document.addEventListener("visibilitychange", () => {
  const live = document.querySelector("[data-live]");
  if (!document.hidden && live) htmx.trigger(live, "every");
});

// "Copy" takes the text of the element that it names.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).innerText;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {  // without https a browser has no clipboard
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
