// The volunteer's page: joins the parts and starts the session.

import "./classify.css";
import { t } from "../shared/i18n";
import { Keyboard, type Action } from "./keyboard";
import { KeysDialog } from "./keys-dialog";
import { openOutbox } from "./outbox";
import { Session } from "./session";
import { Swipes } from "./swipes";
import { pressOnTap } from "./taps";
import type { PageData } from "./types";
import { View } from "./view";
import "./viewers/viewer.css";

function readPage(): PageData {
  const text = document.getElementById("classify-data")?.textContent;
  if (!text) throw new Error("The page has no data.");
  return JSON.parse(text) as PageData;
}

const KEYED_ANSWERS = 9;

function answerActions(session: Session): Action[] {
  const group = t("Answer");
  const digits = Array.from({ length: KEYED_ANSWERS }, (_, index) => ({
    id: `answer-${index + 1}`,
    label: t("Give answer {number}", { number: index + 1 }),
    group,
    defaultKeys: [String(index + 1)],
    run: () => session.walk.choose(index),
  }));
  const walk = [
    { id: "answer-next", label: t("Go to the next answer"), defaultKeys: ["ArrowDown"], step: 1 },
    { id: "answer-previous", label: t("Go to the previous answer"), defaultKeys: ["ArrowUp"], step: -1 },
  ];
  const steps = walk.map(({ step, ...action }) => ({
    ...action,
    group,
    repeats: true,
    run: () => {
      session.walk.moveFocus(step);
    },
  }));
  return [...digits, ...steps, ...session.walk.keyActions];
}

/** What can be done on the page besides looking and answering. */
function pageActions(session: Session, help: () => void): Action[] {
  const group = t("Page");
  return [
    {
      id: "skip",
      label: t("Skip this one"),
      group,
      defaultKeys: ["s"],
      run: () => {
        session.skip();
      },
    },
    {
      id: "undo",
      label: t("Take the last answer back"),
      group,
      defaultKeys: ["u"],
      run: () => session.undo(),
    },
    { id: "keys", label: t("Show this list"), group, defaultKeys: ["?"], run: help },
  ];
}

function setUpKeys(view: View, session: Session): void {
  const keyboard = new Keyboard({ viewer: view.viewer, drawing: session.stage.overlay });
  const swipes = new Swipes(
    view.viewer,
    () => session.showsAll,
    (action) => {
      keyboard.run(action);
    },
  );
  const dialog = new KeysDialog(view.keys, keyboard, swipes);
  const help = (): void => {
    dialog.show();
  };
  view.showKeys.addEventListener("click", help);
  keyboard.register(answerActions(session));
  keyboard.register(session.stage.actions);
  keyboard.register(pageActions(session, help));
}

function setUpButtons(view: View, session: Session): void {
  pressOnTap(view.task);
  for (const button of [view.skip, view.skipDamaged])
    button.addEventListener("click", () => {
      session.skip();
    });
  view.undo.addEventListener("click", () => {
    session.undo();
  });
  view.lookAgain.addEventListener("click", () => {
    void session.lookAgain();
  });
  view.retry.addEventListener("click", () => {
    session.retry();
  });
}

async function main(): Promise<void> {
  const view = new View();
  const outbox = await openOutbox();
  const page = readPage();
  const session = new Session(page, view, outbox);
  setUpButtons(view, session);
  setUpKeys(view, session);
  addEventListener("beforeunload", (event) => {
    // A stored outbox needs no warning: it is sent at the next visit.
    if (!outbox.durable && view.saving.dataset.state !== "saved") event.preventDefault();
  });
  // Vite's name for it. Who asked for the script goes on without it.
  addEventListener("vite:preloadError", () => {
    view.writePartMissing();
  });
  await session.start();
  await import("./companion/companion").then(
    ({ Companion }) => {
      session.accompany(new Companion(page, page.companion, view.companion));
    },
    () => {
      // Answering needs none of it.
    },
  );
}

void main();
