// The shapes that the classify page reads and writes: Panoptes' tasks, subjects and annotations.

export interface Answer {
  label: string;
  next?: string | null;
}

export interface Task {
  type: string;
  question?: string;
  help?: string;
  required?: boolean;
  next?: string | null;
  answers?: Answer[];
}

export interface Workflow {
  id: string;
  version: string;
  kind: "image" | "spectrum";
  display_name: string;
  first_task: string;
  tasks: Record<string, Task>;
  strings: Record<string, string>;
}

export interface PageData {
  project: { id: string; name: string };
  workflow: Workflow;
  urls: { queue: string; classifications: string; csrf: string };
  queue: { depth: number; decode_ahead: number };
  /** The person answers as an expert: the answers are the gold standard. */
  gold: boolean;
}

export interface Subject {
  id: string;
  metadata: Record<string, unknown>;
  locations: Record<string, string>[];
  /** Where a spectrum's numbers lie, if the subject is one. */
  spectrumUrl: string | null;
}

export interface Annotation {
  task: string;
  value: number | null;
}

export interface Dimensions {
  clientWidth: number;
  clientHeight: number;
  naturalWidth: number;
  naturalHeight: number;
}

export interface ClassificationBody {
  classifications: {
    annotations: Annotation[];
    metadata: Record<string, unknown>;
    links: { project: string; workflow: string; subjects: string[] };
    completed: true;
    gold_standard?: true;
  };
}

/** A spectrum as the archive room wrote it; null where the file has no value. */
export interface SpectrumData {
  wavelength_nm: number[];
  flux: (number | null)[];
  error: (number | null)[] | null;
  flux_unit: string;
}
