import type { Catalogue } from "../../shared/i18n";

export const session: Catalogue = {
  "Switch to dark colours": "Zu dunklen Farben wechseln",
  "Switch to light colours": "Zu hellen Farben wechseln",
  "The question was changed while you were answering. Please reload the page to see it as it is now.":
    "Die Frage wurde geändert, während du geantwortet hast. Bitte lade die Seite neu, um sie zu sehen, wie sie jetzt ist.",
  "Enough people had already looked at that one, so your last answer was not needed. Thank you all the same.":
    "Das hatten sich schon genug Leute angesehen, deine letzte Antwort wurde nicht mehr gebraucht. Trotzdem danke.",
  "That one has been taken out of this question since you opened it. Your next answers count as usual.":
    "Das wurde aus dieser Frage herausgenommen, nachdem du es geöffnet hattest. Deine nächsten Antworten zählen wie immer.",
  "That one is waiting for an expert now, so your answer could not be taken.":
    "Das wartet jetzt auf eine Fachperson, deshalb konnte deine Antwort nicht angenommen werden.",
  "This question has just been closed. Thank you for every answer you gave.":
    "Diese Frage wurde soeben geschlossen. Danke für jede Antwort, die du gegeben hast.",
  "This question is no longer here. Thank you for every answer you gave.":
    "Diese Frage gibt es hier nicht mehr. Danke für jede Antwort, die du gegeben hast.",
  "One of your answers could not be taken. The others are safe; please go on.":
    "Eine deiner Antworten konnte nicht angenommen werden. Die anderen sind sicher; bitte mach weiter.",
  "All answers saved": "Alle Antworten gespeichert",
  "Saving 1 answer…": ["1 Antwort wird gespeichert …", "{count} Antworten werden gespeichert …"],
  "1 answer kept here until the connection is back": [
    "1 Antwort bleibt hier, bis die Verbindung wieder da ist",
    "{count} Antworten bleiben hier, bis die Verbindung wieder da ist",
  ],
  "A part of this page could not be fetched. Your answers are kept.":
    "Ein Teil dieser Seite konnte nicht geladen werden. Deine Antworten sind aufgehoben.",
  "Load the page again": "Seite neu laden",
  "Skipped.": "Übersprungen.",
  "Your answer stays as it was.": "Deine Antwort bleibt, wie sie war.",
  "Give your answer anew, or skip to leave it as it was.":
    "Gib deine Antwort noch einmal, oder überspring es, um sie zu lassen, wie sie war.",
  "Answered {label}.": "Geantwortet: {label}.",
  "Your browser cannot store answers, so please keep this tab open until all are saved.":
    "Dein Browser kann keine Antworten aufbewahren, lass diesen Tab also bitte offen, bis alle gespeichert sind.",
};
