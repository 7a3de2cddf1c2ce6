// The volunteer's page: joins the parts and starts the session.

import "./classify.css";
import { listenToKeys } from "./keyboard";
import { openOutbox } from "./outbox";
import { Session } from "./session";
import type { PageData } from "./types";
import { View } from "./view";
import "./viewers/viewer.css";

function readPage(): PageData {
  const text = document.getElementById("classify-data")?.textContent;
  if (!text) throw new Error("The page has no data.");
  return JSON.parse(text) as PageData;
}

function setUpButtons(view: View, session: Session): void {
  const help = (): void => {
    view.keys.showModal();
  };
  view.skip.addEventListener("click", () => {
    session.skip();
  });
  view.skipDamaged.addEventListener("click", () => {
    session.skip();
  });
  view.lookAgain.addEventListener("click", () => {
    void session.lookAgain();
  });
  view.retry.addEventListener("click", () => {
    session.retry();
  });
  view.showKeys.addEventListener("click", help);
  listenToKeys(view.canvas, {
    choose: (index) => session.walk.choose(index),
    moveFocus: (step) => {
      session.walk.moveFocus(step);
    },
    viewer: session.stage.actions,
    skip: () => {
      session.skip();
    },
    back: () => {
      session.walk.back();
    },
    help,
  });
}

async function main(): Promise<void> {
  const view = new View();
  const outbox = await openOutbox();
  const session = new Session(readPage(), view, outbox);
  setUpButtons(view, session);
  addEventListener("beforeunload", (event) => {
    // A stored outbox needs no warning: it is sent at the next visit.
    if (!outbox.durable && view.saving.dataset.state !== "saved") event.preventDefault();
  });
  await session.start();
}

void main();
