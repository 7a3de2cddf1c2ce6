// The part of the page that tasks are written into, found once.

export interface TaskElements {
  question: HTMLElement;
  help: HTMLElement;
  answers: HTMLElement;
  back: HTMLButtonElement;
}

function find<T extends Element>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`The page has no ${selector}.`);
  return element;
}

export function findTaskElements(): TaskElements {
  return {
    question: find("#question", HTMLElement),
    help: find("#task-help", HTMLElement),
    answers: find("#answers", HTMLElement),
    back: find("#back", HTMLButtonElement),
  };
}
