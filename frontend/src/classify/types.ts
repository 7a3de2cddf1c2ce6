// The shapes that the classify page reads and writes: Panoptes' tasks, subjects and annotations.

import type { CompanionData } from "./companion/types";
import type { Annotation, Asked } from "./tasks/types";

export type { Annotation };

export interface Workflow extends Asked {
  id: string;
  version: string;
  kind: "image" | "spectrum";
  display_name: string;
}

/** What a workflow's people set for the viewers, as it stands in its configuration: anything may be in it. */
export type ViewerConfiguration = Readonly<Record<string, unknown>>;

export interface PageData {
  companion: CompanionData;
  project: { id: string; name: string };
  workflow: Workflow;
  viewer: ViewerConfiguration;
  urls: { queue: string; classifications: string; csrf: string };
  /**
   * `depth` subjects are held, at most `at_once` fetched at a time, as soon as `refill_from` are missing; the first are
   * decoded ahead, the others fetched.
   */
  queue: { depth: number; at_once: number; refill_from: number; decode_ahead: number };
  /** The person answers as an expert: the answers are the gold standard. */
  gold: boolean;
}

export interface Subject {
  id: string;
  metadata: Record<string, unknown>;
  locations: Record<string, string>[];
  /** Where a spectrum's numbers lie, if the subject is one. */
  spectrumUrl: string | null;
  /** Where the first picture's own samples lie, if there are any. */
  planeUrl: string | null;
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
  /** Of another series of numbers, whose x is no wavelength: what its axes say. */
  labels?: { x: string; y: string };
  /** Further series over the same x. */
  more?: { label: string; flux: (number | null)[] }[];
}
