// On every page: styles, theme, and the account menu that closes as people expect.

import "./fonts.css";
import "./tokens.css";
import "./base.css";
import "./components.css";
import { setUpTheme } from "./theme";

function setUpMenus(): void {
  const menus = document.querySelectorAll<HTMLDetailsElement>("details[data-menu]");
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (menu.open && !menu.contains(event.target as Node)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) {
      if (!menu.open) continue;
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

setUpTheme();
setUpMenus();
