import type { Catalogue } from "../../shared/i18n";

export const community: Catalogue = {
  Back: "Zurück",
  Close: "Schließen",
  Examples: "Beispiele",
  "Experts say so too: {answer}.": "Das sagen auch die Fachleute: {answer}.",
  "Experts say: {answer}. This one was for practice and counts for nothing.":
    "Die Fachleute sagen: {answer}. Das hier war zum Üben und zählt nicht.",
  Favourite: "Favorit",
  "Field guide": "Bestimmungshilfe",
  "Go on": "Weiter",
  Start: "Los geht’s",
  "Step {number} of {all}": "Schritt {number} von {all}",
  "Talk about the last one": "Über das letzte reden",
  Tutorial: "Einführung",
};
