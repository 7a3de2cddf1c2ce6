// The page's language. Texts are written in English where they are used; a catalogue, made from the translators' file
// esocs/web/locale/*/LC_MESSAGES/djangojs.po by scripts/messages.py, is loaded before the page's own script.

/** English text → its translation; for a text with a number, one for each of the language's plural forms. */
export type Catalogue = Record<string, string | string[]>;

export const language = document.documentElement.lang || "en";
const rules = new Intl.PluralRules(language);
const digits = new Intl.NumberFormat(language);
let catalogue: Catalogue = {};

/** Called by a language's own script, before any text is asked for. */
export function useCatalogue(messages: Catalogue): void {
  catalogue = messages;
}

type Values = Record<string, string | number>;

function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? digits.format(value) : value;
  });
}

/** The text in the page's language; `{name}` is replaced by a value, numbers as the language writes them. */
export function t(text: string, values: Values = {}): string {
  const translated = catalogue[text];
  return fill(typeof translated === "string" ? translated : text, values);
}

/** The same for a text that depends on a number, which it may show as `{count}`. */
export function tn(one: string, many: string, count: number, values: Values = {}): string {
  const forms = catalogue[one];
  const filled = { count, ...values };
  if (!Array.isArray(forms)) return fill(count === 1 ? one : many, filled);
  return fill(forms[pluralForm(count, forms.length)] ?? many, filled);
}

const ORDER = ["zero", "one", "two", "few", "many", "other"];

/** The place of a number's form among gettext's, which follow the order of Unicode's categories. */
function pluralForm(count: number, forms: number): number {
  const used = ORDER.filter((name) =>
    rules.resolvedOptions().pluralCategories.includes(name as Intl.LDMLPluralRule),
  );
  return Math.min(used.indexOf(rules.select(count)), forms - 1);
}
