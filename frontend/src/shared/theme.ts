// Dark or light: the system's preference until the visitor chooses; the choice is a cookie, so the server's first
// byte already has the right colours.

import { readCookie } from "./cookies";
import { t } from "./i18n";

export type Theme = "dark" | "light";
export const THEME_EVENT = "esocs:theme";
const COOKIE = "esocs_theme";
const YEAR_S = 365 * 24 * 3600;

export function currentTheme(): Theme {
  const chosen = readCookie(COOKIE);
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function choose(theme: Theme): void {
  document.cookie = `${COOKIE}=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent(THEME_EVENT));
}

/** Makes every `[data-theme-toggle]` button switch, and tells when the system's preference changes. */
export function setUpTheme(): void {
  const buttons = document.querySelectorAll<HTMLButtonElement>("[data-theme-toggle]");
  const label = (): void => {
    const name = currentTheme() === "dark" ? t("Switch to light colours") : t("Switch to dark colours");
    for (const button of buttons) button.setAttribute("aria-label", name);
  };
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", () => {
      choose(currentTheme() === "dark" ? "light" : "dark");
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent(THEME_EVENT));
  });
  document.addEventListener(THEME_EVENT, label);
  label();
}
