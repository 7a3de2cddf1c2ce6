// The scientists' pages: htmx exchanges the tables, the form of the retirement and the export's progress in place.

import htmx from "htmx.org";
import { csrfToken } from "../shared/cookies";
import "./review.css";
import "./crowd.css";
import "./machine.css";

// Set before htmx looks at the page: nothing on these pages needs evaluated text or injected styles.
htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyCacheSize = 0;
// A form that cannot be followed comes back with its errors, which belong on the page.
htmx.config.responseHandling = [
  { code: "204", swap: false },
  { code: "[23]..", swap: true },
  { code: "422", swap: true },
  { code: "[45]..", swap: false, error: true },
];

document.addEventListener("htmx:configRequest", (event) => {
  const { verb, headers } = (event as CustomEvent<{ verb: string; headers: Record<string, string> }>).detail;
  if (verb !== "get") headers["X-CSRFToken"] = csrfToken();
});
document.addEventListener("htmx:sendError", () => {
  say("The server could not be reached. Please try again in a moment.");
});
document.addEventListener("htmx:responseError", () => {
  say("The server could not answer that. Please try again, or reload the page.");
});
document.addEventListener("htmx:afterRequest", (event) => {
  if ((event as CustomEvent<{ successful: boolean }>).detail.successful) say("");
});

function say(sentence: string): void {
  const place = document.getElementById("notice");
  if (!place) return;
  place.textContent = sentence;
  place.hidden = sentence === "";
}
