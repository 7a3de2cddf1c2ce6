// What surrounds the answering: help to read, places to keep and to talk, and what training subjects tell.

export interface TutorialStep {
  content: string;
  /** A picture's or film's address, or none. */
  media: string | null;
}

export interface Tutorial {
  id: string;
  title: string;
  steps: TutorialStep[];
}

export interface GuideItem {
  title: string;
  content: string;
  icon: string | null;
}

export interface Example {
  src: string;
  caption: string;
}

/** In the page's data under `companion`; addresses have `0` where a subject's number belongs. */
export interface CompanionData {
  tutorial: Tutorial | null;
  guide: GuideItem[];
  /** Task → answer's index → pictures of such subjects. */
  examples: Record<string, Record<string, Example[]>>;
  /** Whether training subjects tell what was right. */
  feedback: boolean;
  signedIn: boolean;
  urls: { subject: string; collect: string; feedback: string };
}

/** What a training subject tells once it is answered. */
export interface Lesson {
  task: string;
  right: boolean;
  message: string;
}
