// What the volunteer's other tabs hold, so that no subject is asked about in two tabs. The list is a courtesy: if it is
// wrong or missing, a doubled answer is stored and counts once all the same.

const PREFIX = "esocs.tab.";
/** As long as the server reserves a subject; a tab that crashed is forgotten then. */
const FORGOTTEN_AFTER_MS = 15 * 60 * 1000;

interface Holding {
  at: number;
  ids: string[];
}

export class Tabs {
  private readonly key: string;

  constructor(id: string) {
    this.key = PREFIX + id;
    addEventListener("pagehide", () => {
      this.forget(this.key);
    });
  }

  /** Tell the other tabs what this one holds. */
  publish(ids: string[]): void {
    try {
      localStorage.setItem(this.key, JSON.stringify({ at: Date.now(), ids } satisfies Holding));
    } catch {
      // No storage: the tabs know nothing of each other.
    }
  }

  /** What the other tabs of this browser hold. */
  heldElsewhere(): string[] {
    const held: string[] = [];
    try {
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(PREFIX) || key === this.key) continue;
        const holding = JSON.parse(localStorage.getItem(key) ?? "{}") as Partial<Holding>;
        if (Date.now() - (holding.at ?? 0) > FORGOTTEN_AFTER_MS) this.forget(key);
        else held.push(...(holding.ids ?? []));
      }
    } catch {
      // As above.
    }
    return held;
  }

  private forget(key: string): void {
    try {
      localStorage.removeItem(key);
    } catch {
      // As above.
    }
  }
}
