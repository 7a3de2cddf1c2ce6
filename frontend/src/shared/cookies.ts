// Reads the page's cookies: the theme and Django's CSRF token.

export function readCookie(name: string): string {
  for (const part of document.cookie.split("; ")) {
    const [key, ...value] = part.split("=");
    if (key === name) return decodeURIComponent(value.join("="));
  }
  return "";
}

/** Django's token as it is now: it changes at log-in, also in another tab. */
export function csrfToken(): string {
  return readCookie("csrftoken");
}
