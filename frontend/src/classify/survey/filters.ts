// What the things of a survey look like, to narrow its list: for each characteristic one value, or any.

import { t } from "../../shared/i18n";
import type { Choice, Task } from "../tasks/types";
import type { TaskContext } from "../tasks/view";

export class Filters {
  readonly element = document.createElement("details");
  private readonly selects = new Map<string, HTMLSelectElement>();
  private readonly summary = document.createElement("summary");

  constructor(
    task: Task,
    context: TaskContext,
    private readonly onChange: () => void,
  ) {
    const all = task.characteristics ?? {};
    const order = task.characteristicsOrder ?? Object.keys(all);
    this.element.className = "filters";
    this.element.append(this.summary);
    for (const key of order) {
      const characteristic = all[key];
      if (!characteristic) continue;
      const values = characteristic.values ?? {};
      const select = document.createElement("select");
      select.className = "input";
      select.append(
        new Option(t("any"), ""),
        ...(characteristic.valuesOrder ?? Object.keys(values)).flatMap((value) => {
          const known = values[value];
          return known ? [new Option(context.text(known.label), value)] : [];
        }),
      );
      select.addEventListener("change", () => {
        this.onChange();
      });
      const label = document.createElement("label");
      label.className = "filter";
      const name = document.createElement("span");
      name.textContent = context.text(characteristic.label);
      label.append(name, select);
      this.element.append(label);
      this.selects.set(key, select);
    }
    this.element.hidden = this.selects.size === 0;
  }

  /** Characteristic → value, where one was chosen. */
  get chosen(): Record<string, string> {
    return Object.fromEntries(
      [...this.selects].flatMap(([key, select]) => (select.value === "" ? [] : [[key, select.value]])),
    );
  }

  /** Whether a choice has the chosen values. */
  fits(choice: Choice | undefined): boolean {
    return Object.entries(this.chosen).every(([key, value]) =>
      choice?.characteristics?.[key]?.includes(value),
    );
  }

  clear(): void {
    for (const select of this.selects.values()) select.value = "";
  }

  /** How many choices are left. */
  tell(left: string): void {
    const narrowed = Object.keys(this.chosen).length > 0;
    this.summary.textContent = narrowed ? t("Narrow the list: {left}", { left }) : t("Narrow the list");
  }
}
