// A small part of Markdown, made into elements without ever reading HTML: paragraphs, lines, lists, **bold**, *italic*,
// `code`, [links](https://…) and ![pictures](https://… =200x). What is not understood stays text.

/** Where a picture or a link may lead: this site, or another one by https. */
function safeAddress(address: string): string | null {
  if (/^\/(?!\/)/.test(address)) return address;
  try {
    const url = new URL(address);
    return url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

export function safeImage(address: string | undefined): string | null {
  return address ? safeAddress(address) : null;
}

const INLINE = new RegExp(
  [
    String.raw`!\[(?<alt>[^\]\n]{0,500})\]\((?<src>[^\s)]{1,2000})(?:\s+=(?<width>\d{1,4})?x(?<height>\d{1,4})?)?\)`,
    String.raw`\[(?<text>[^\]\n]{1,500})\]\((?:\+tab\+)?(?<href>[^\s)]{1,2000})\)`,
    String.raw`\*\*(?<bold>[^*\n]+)\*\*`,
    String.raw`__(?<bold2>[^_\n]+)__`,
    String.raw`\*(?<italic>[^*\s][^*\n]*)\*`,
    String.raw`(?<![\p{L}\d])_(?<italic2>[^_\s][^_\n]*)_(?![\p{L}\d])`,
    "`(?<code>[^`\\n]+)`",
  ].join("|"),
  "gu",
);

interface Allowed {
  /** False inside a button, where a link could not be pressed: its text alone is shown. */
  links: boolean;
}

/** The text of one line, with its marks made into elements. */
export function inline(text: string, allowed: Allowed = { links: true }): DocumentFragment {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    fragment.append(text.slice(end, match.index));
    fragment.append(mark(match[0], match.groups ?? {}, allowed));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

function mark(whole: string, found: Record<string, string | undefined>, allowed: Allowed): Node | string {
  if (found.src !== undefined) return picture(whole, found);
  if (found.text !== undefined) {
    const address = safeAddress(found.href ?? "");
    if (!address) return whole;
    if (!allowed.links) return found.text;
    const link = document.createElement("a");
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.append(inline(found.text, { links: false }));
    return link;
  }
  const name =
    found.code !== undefined ? "code" : (found.bold ?? found.bold2) !== undefined ? "strong" : "em";
  const element = document.createElement(name);
  const words = found.code ?? found.bold ?? found.bold2 ?? found.italic ?? found.italic2 ?? "";
  element.append(found.code === undefined ? inline(words, allowed) : words);
  return element;
}

function picture(whole: string, found: Record<string, string | undefined>): Node | string {
  const address = safeAddress(found.src ?? "");
  if (!address) return whole;
  const image = document.createElement("img");
  image.alt = found.alt ?? "";
  image.loading = "lazy";
  image.decoding = "async";
  image.referrerPolicy = "no-referrer";
  if (found.width) image.width = Number(found.width);
  if (found.height) image.height = Number(found.height);
  image.src = address;
  return image;
}

/** Several paragraphs and lists. */
export function blocks(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const block of text.replaceAll("\r\n", "\n").split(/\n\s*\n/)) {
    const lines = block.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0) continue;
    const bullets = lines.every((line) => /^\s*[-*] /.test(line));
    const numbers = lines.every((line) => /^\s*\d{1,3}[.)] /.test(line));
    fragment.append(bullets || numbers ? list(lines, numbers) : paragraph(lines));
  }
  return fragment;
}

function list(lines: string[], ordered: boolean): HTMLElement {
  const element = document.createElement(ordered ? "ol" : "ul");
  for (const line of lines) {
    const item = document.createElement("li");
    item.append(inline(line.replace(/^\s*([-*]|\d{1,3}[.)]) /, "")));
    element.append(item);
  }
  return element;
}

function paragraph(lines: string[]): HTMLElement {
  const element = document.createElement("p");
  lines.forEach((line, place) => {
    if (place > 0) element.append(document.createElement("br"));
    const heading = /^#{1,6} +(.*)$/.exec(line);
    if (heading) {
      const strong = document.createElement("strong");
      strong.append(inline(heading[1] ?? ""));
      element.append(strong);
    } else element.append(inline(line));
  });
  return element;
}
