// The part of the page that tasks are written into, found once.

export interface TaskElements {
  /** Holds all of the following, so that Enter in a field goes on. */
  form: HTMLFormElement;
  /** Where the tasks of a step stand. */
  step: HTMLElement;
  shortcuts: HTMLElement;
  /** Why the walk cannot go on. */
  missing: HTMLElement;
  next: HTMLButtonElement;
  /** Read aloud; not seen. */
  status: HTMLElement;
  back: HTMLButtonElement;
}

function find<T extends Element>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`The page has no ${selector}.`);
  return element;
}

export function findTaskElements(): TaskElements {
  return {
    form: find("#task-form", HTMLFormElement),
    step: find("#task-step", HTMLElement),
    shortcuts: find("#task-shortcuts", HTMLElement),
    missing: find("#task-missing", HTMLElement),
    next: find("#task-next", HTMLButtonElement),
    status: find("#task-status", HTMLElement),
    back: find("#back", HTMLButtonElement),
  };
}
