import type { Catalogue } from "../../shared/i18n";

export const keys: Catalogue = {
  Answer: "Antworten",
  Page: "Seite",
  Swiping: "Wischen",
  "Swipe to the left": "Nach links wischen",
  "Swipe to the right": "Nach rechts wischen",
  nothing: "nichts",
  "Give answer {number}": "Antwort {number} geben",
  "Go to the next answer": "Zur nächsten Antwort gehen",
  "Go to the previous answer": "Zur vorigen Antwort gehen",
  "Take the last answer back": "Die letzte Antwort zurücknehmen",
  "Skip this one": "Dieses überspringen",
  "Show this list": "Diese Liste zeigen",
  "Keys of one character are off. Tab, arrows and Enter work as before.":
    "Tasten mit einem Zeichen sind aus. Tab, Pfeile und Enter wirken wie zuvor.",
  "All keys are as they were in the beginning.": "Alle Tasten sind wie am Anfang.",
  Space: "Leertaste",
  none: "keine",
  "{action}: {keys}. Change": "{action}: {keys}. Ändern",
  "Press the new key for “{action}”, or Escape to leave it.":
    "Drück die neue Taste für „{action}“, oder Escape, um sie zu lassen.",
  "“{action}” is now {key}.": "„{action}“ ist jetzt {key}.",
  "{key} is the key for “{other}” already.": "{key} ist schon die Taste für „{other}“.",
  "Use {key} for “{action}” instead": "{key} stattdessen für „{action}“ nehmen",
};
