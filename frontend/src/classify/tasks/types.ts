// Panoptes' task objects as a workflow keeps them, and what is sent as their answers. Texts are keys of its `strings`.

export interface Answer {
  label: string;
  next?: string | null;
  /** Somebody who gives it could not tell: an answer like any other, shown apart from them. */
  unsure?: boolean;
}

export interface SelectOption {
  label: string;
  value: string;
}

/** One list of a dropdown task. */
export interface Select {
  id?: string;
  title?: string;
  required?: boolean;
  /** What is not in the list may be written. */
  allowCreate?: boolean;
  /** The id of another list, on whose choice this one's options depend. */
  condition?: string;
  /** By the choices before, joined by `;`; under `*` where it depends on none. */
  options?: Record<string, SelectOption[]>;
}

export interface DrawingTool {
  type: string;
  label?: string;
  color?: string;
  min?: number | string;
  max?: number | string;
  /** Of a point: how large it is drawn. */
  size?: string;
  /** Radii, or half widths, in pixels of the picture (nm of a spectrum) that one click draws. */
  presets?: number[];
  details?: Task[];
}

export interface Choice {
  label: string;
  description?: string;
  images?: string[];
  noQuestions?: boolean;
  characteristics?: Record<string, string[]>;
  confusionsOrder?: string[];
  confusions?: Record<string, string>;
}

export interface Characteristic {
  label: string;
  valuesOrder?: string[];
  values?: Record<string, { label: string; image?: string }>;
}

export interface SurveyQuestion {
  label: string;
  multiple?: boolean;
  required?: boolean;
  answersOrder?: string[];
  answers?: Record<string, { label: string }>;
}

export interface Task {
  type: string;
  question?: string;
  instruction?: string;
  help?: string;
  required?: boolean | string;
  next?: string | null;
  answers?: Answer[];
  /** The key of a shortcut task that is offered beside this one. */
  unlinkedTask?: string;
  /** Of a shortcut: it is offered beside every task. */
  always?: boolean;
  /** Of a slider; text where Panoptes' editor wrote it. */
  min?: number | string;
  max?: number | string;
  step?: number | string;
  defaultValue?: number | string;
  text_tags?: string[];
  selects?: Select[];
  /** Of a combination: the tasks that stand side by side. */
  tasks?: string[];
  /** Of a combination: none of its tasks must be answered, whatever they say. */
  loosen_requirements?: boolean;
  tools?: DrawingTool[];
  choices?: Record<string, Choice>;
  choicesOrder?: string[];
  characteristics?: Record<string, Characteristic>;
  characteristicsOrder?: string[];
  questions?: Record<string, SurveyQuestion>;
  questionsOrder?: string[];
  /** Which questions are asked about a choice; the same for all where it is left out. */
  questionsMap?: Record<string, string[]>;
  /** File name → address. */
  images?: Record<string, string>;
  alwaysShowThumbnails?: boolean;
  /** Choices that exclude all others, such as "nothing here". */
  exclusions?: string[];
}

/** `[step key, {taskKeys, next}]` */
export type WorkflowStep = [string, { taskKeys?: string[]; next?: string | null }];

/** What a walk needs to know of a workflow. */
export interface Asked {
  first_task: string;
  tasks: Record<string, Task>;
  strings: Record<string, string>;
  steps?: WorkflowStep[];
}

export interface Annotation {
  task: string;
  /** Written where a reader cannot tell the kind of value otherwise, as Zooniverse's own classifier does. */
  taskType?: string;
  value: unknown;
}

/** Whether a task must be answered; Panoptes' editor has written it as a text as well. */
export function isRequired(task: { required?: boolean | string }): boolean {
  return task.required === true || task.required === "true";
}
