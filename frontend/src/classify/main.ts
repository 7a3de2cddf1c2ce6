// The volunteer's page: joins the parts and starts the session.

import "./classify.css";
import { PLAIN_LOOK, type Look } from "./image-viewer";
import { listenToKeys } from "./keyboard";
import { openOutbox } from "./outbox";
import { Session } from "./session";
import type { PageData } from "./types";
import { View } from "./view";

function readPage(): PageData {
  const text = document.getElementById("classify-data")?.textContent;
  if (!text) throw new Error("The page has no data.");
  return JSON.parse(text) as PageData;
}

/** Connects the sliders and the invert button; returns what toggles the inversion. */
function setUpLook(view: View, session: Session): () => void {
  let look: Look = { ...PLAIN_LOOK };
  const apply = (): void => {
    session.picture.setLook(look);
    view.invert.setAttribute("aria-pressed", String(look.inverted));
    view.brightness.value = String(look.brightness);
    view.contrast.value = String(look.contrast);
  };
  const invert = (): void => {
    look = { ...look, inverted: !look.inverted };
    apply();
  };
  view.invert.addEventListener("click", invert);
  view.brightness.addEventListener("input", () => {
    look = { ...look, brightness: Number(view.brightness.value) };
    apply();
  });
  view.contrast.addEventListener("input", () => {
    look = { ...look, contrast: Number(view.contrast.value) };
    apply();
  });
  view.plain.addEventListener("click", () => {
    look = { ...PLAIN_LOOK };
    apply();
  });
  apply();
  return invert;
}

function setUpSmoothing(view: View, session: Session): void {
  const apply = (): void => {
    const width = Number(view.smoothing.value);
    view.smoothingValue.textContent = width === 1 ? "off" : `${width} samples`;
    session.spectrum?.setSmoothing(width);
  };
  view.smoothing.addEventListener("input", apply);
  apply();
}

function setUpButtons(view: View, session: Session): void {
  const reset = (): void => {
    session.picture.reset();
    session.spectrum?.reset();
  };
  const help = (): void => {
    view.keys.showModal();
  };
  view.zoomIn.addEventListener("click", () => {
    session.picture.zoomIn();
  });
  view.zoomOut.addEventListener("click", () => {
    session.picture.zoomOut();
  });
  view.reset.addEventListener("click", reset);
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
    pan: (right, down) => {
      session.picture.pan(right, down);
    },
    zoomIn: () => {
      session.picture.zoomIn();
    },
    zoomOut: () => {
      session.picture.zoomOut();
    },
    reset,
    invert: setUpLook(view, session),
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
  setUpSmoothing(view, session);
  addEventListener("beforeunload", (event) => {
    // A stored outbox needs no warning: it is sent at the next visit.
    if (!outbox.durable && view.saving.dataset.state !== "saved") event.preventDefault();
  });
  await session.start();
}

void main();
