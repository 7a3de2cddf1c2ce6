"""From exported annotations back to what was sent, and, where nobody knows them, to the tasks that were asked. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esocs.projects.rules import Choice, UnknownAnswerError, UnknownTaskError, answer_labels, read_choices
from esocs.releases.rules import Version

Tasks = dict[str, dict[str, Any]]
Strings = dict[str, str]


def unlabel_annotations(annotations: Sequence[Any], version: Version | None) -> list[Any]:
    """The annotations with indices in place of labels, as `rules.label_annotations` would label them again.

    A label that the version does not have stays as it is: it can be no choice, and the file's text is kept beside it.
    """
    if version is None:
        return list(annotations)
    return [_unlabel(annotation, version) for annotation in annotations]


def choices_of(annotations: Sequence[Any], version: Version | None) -> list[Choice]:
    """The choices among them, each task's first; a value that is none of its answers is no choice."""
    found: dict[str, list[Choice]] = {}
    for annotation in annotations:
        key = annotation.get("task") if isinstance(annotation, dict) else None
        if version is None or not isinstance(key, str) or key in found:
            continue
        try:
            found[key] = read_choices(version.tasks, [annotation])
        except (UnknownTaskError, UnknownAnswerError):
            continue
    return [choice for choices in found.values() for choice in choices]


def _unlabel(annotation: Any, version: Version) -> Any:
    task = version.tasks.get(annotation["task"]) if isinstance(annotation, dict) and _key(annotation) else None
    if not isinstance(task, Mapping):
        return annotation
    value = annotation.get("value")
    plain = {key: part for key, part in annotation.items() if key != "task_label"}
    match task.get("type"):
        case "single":
            return {**plain, "value": _index(value, version, annotation["task"])}
        case "multiple" | "shortcut" if isinstance(value, list):
            return {**plain, "value": [_index(part, version, annotation["task"]) for part in value]}
        case "combo" if isinstance(value, list):
            return {**plain, "value": [_unlabel(part, version) for part in value]}
        case "drawing" if isinstance(value, list):
            return {**plain, "value": [_without(mark, "tool_label") for mark in value]}
        case "dropdown" if isinstance(value, list):
            return {**plain, "value": [_without(_without(part, "select_label"), "label") for part in value]}
        case "text":
            return plain
        case _:
            return annotation


def _key(annotation: Mapping[str, Any]) -> bool:
    return isinstance(annotation.get("task"), str)


def _without(value: Any, name: str) -> Any:
    return {key: part for key, part in value.items() if key != name} if isinstance(value, dict) else value


def _index(label: Any, version: Version, task_key: str) -> Any:
    labels = answer_labels(version.tasks, version.strings, task_key)
    return labels.index(label) if isinstance(label, str) and label in labels else label


@dataclass
class SeenTask:
    """What the annotations of one task, of one kind, told of it at one version.

    Attributes:
        text: the question's; None: it has none.
        tools: labels of a drawing's tools by their index.
    """

    text: str | None
    tools: dict[int, str] = field(default_factory=dict)


@dataclass
class SeenWorkflow:
    """What the classifications of one workflow told of its versions.

    Attributes:
        name: as the file has it.
        answers: of each task and kind, in the order of their appearance; of all versions, so that none is lost by a
            version's few rows.
        versions: version → task → kind.
    """

    name: str = ""
    answers: dict[tuple[str, str], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    versions: dict[tuple[int, int], dict[str, dict[str, SeenTask]]] = field(default_factory=dict)

    def see(self, version: tuple[int, int], annotations: Sequence[Any]) -> None:
        """Take in one classification's annotations."""
        tasks = self.versions.setdefault(version, {})
        for annotation in annotations:
            if not isinstance(annotation, dict) or not _key(annotation):
                continue
            kind, text, value = _kind(annotation), annotation.get("task_label"), annotation.get("value")
            seen = tasks.setdefault(annotation["task"], {}).setdefault(
                kind, SeenTask(text if isinstance(text, str) else None)
            )
            if kind == "combo":
                self.see(version, value or [])
            elif kind in CHOICES:
                parts = value if isinstance(value, list) else [value]
                self.answers[annotation["task"], kind].update(dict.fromkeys(p for p in parts if isinstance(p, str)))
            elif kind == "drawing":
                _see_tools(seen, value)

    def guess(self, version: tuple[int, int]) -> tuple[Tasks, Strings]:
        """The tasks and texts of a version; the newest also has the tasks that it was not seen to ask.

        Else answers to them would be answers to nothing that is asked today, and count nowhere.
        """
        tasks, strings = self._guess(version)
        if version == max(self.versions):
            for older in sorted(self.versions, reverse=True):
                found, texts = self._guess(older)
                new = found.keys() - tasks.keys()
                tasks |= {key: found[key] for key in sorted(new)}
                strings |= {name: text for name, text in texts.items() if name.partition(".")[0] in new}
        return tasks, strings

    def _guess(self, version: tuple[int, int]) -> tuple[Tasks, Strings]:
        tasks: Tasks = {}
        strings: Strings = {}
        for key, kinds in sorted(self.versions[version].items()):
            kind, seen = max(kinds.items(), key=lambda item: (item[0] not in UNSURE, item[0]))
            if kind in UNSURE:
                kind = self._likely(key)
            task: dict[str, Any] = {"type": kind}
            if kind not in WITHOUT_TEXT and seen.text is not None:
                task["question" if kind in CHOICES else "instruction"] = f"{key}.question"
                strings[f"{key}.question"] = seen.text
            if kind in CHOICES:
                answers = self.answers[key, kind]
                task["answers"] = [{"label": f"{key}.answers.{i}.label"} for i in range(len(answers))]
                strings |= {f"{key}.answers.{i}.label": label for i, label in enumerate(answers)}
            elif kind == "drawing":
                most = max(seen.tools, default=-1) + 1
                task["tools"] = [{"label": f"{key}.tools.{i}.label", "details": []} for i in range(most)]
                strings |= {f"{key}.tools.{i}.label": seen.tools.get(i, "") for i in range(most)}
            tasks[key] = task
        return tasks, strings

    def _likely(self, key: str) -> str:
        """What a task is of which this version holds empty values alone: what it is at another version."""
        kinds = [kind for kinds in self.versions.values() for kind in kinds.get(key, {}) if kind not in UNSURE]
        return max(kinds, key=kinds.count) if kinds else "single"


MOST_TOOLS = 100
CHOICES = frozenset({"single", "multiple", "shortcut"})
WITHOUT_TEXT = frozenset({"combo", "other"})
UNSURE = frozenset({"", "empty"})


def _kind(annotation: Mapping[str, Any]) -> str:
    """The kind of task that exports such an annotation; "" and "empty" where it cannot be told."""
    value = annotation.get("value")
    if "task_label" not in annotation:
        return "other"
    if list(annotation)[:3] == ["task", "value", "task_label"]:
        return "text"
    if isinstance(value, str):
        return "single"
    if not isinstance(value, list):
        return ""
    if not value:
        return "empty"
    if all(isinstance(part, dict) for part in value):
        return "combo" if annotation["task_label"] is None else "drawing"
    return "shortcut" if annotation["task_label"] is None else "multiple"


def _see_tools(seen: SeenTask, value: Any) -> None:
    for mark in value if isinstance(value, list) else []:
        tool = mark.get("tool", mark.get("toolIndex")) if isinstance(mark, dict) else None
        label = mark.get("tool_label") if isinstance(mark, dict) else None
        if isinstance(tool, int) and 0 <= tool < MOST_TOOLS and isinstance(label, str):
            seen.tools.setdefault(tool, label)
