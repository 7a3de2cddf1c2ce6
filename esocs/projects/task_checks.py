"""Whether tasks can be asked: every kind that Panoptes knows, and what is wrong with one, in a sentence. Pure.

Checked are the parts that the classify page and the crowd's summaries read; whatever else a task holds is kept.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from esocs.projects.rules import InvalidWorkflowError

LONGEST_TASK_KEY = 40
MOST_TASKS = 500
MOST_MARKS = 1000

SHOWN_TYPES = frozenset(
    {"single", "multiple", "text", "slider", "dropdown", "dropdown-simple", "survey", "combo", "shortcut", "drawing",
     "dataVisAnnotation"}
)  # fmt: skip
"""Types that the page asks."""

OTHER_TYPES = frozenset(
    {"crop", "flipbook", "geoDrawing", "highlighter", "subjectGroupComparison", "textFromSubject", "transcription",
     "volumetric"}
)  # fmt: skip
"""Types of Zooniverse's classifiers that are kept, and which the page leaves out."""

SHOWN_TOOLS = frozenset(
    {"point", "line", "circle", "ellipse", "rectangle", "rotateRectangle", "polygon", "freehandLine", "column",
     "fullWidthLine", "fullHeightLine", "graph2dRangeX"}
)  # fmt: skip
OTHER_TOOLS = frozenset(
    {"anchoredEllipse", "arrow", "bezier", "fan", "freehandSegmentLine", "freehandSegmentShape", "freehandShape",
     "grid", "pointGrid", "temporalPoint", "temporalRotateRectangle", "transcriptionLine", "triangle"}
)  # fmt: skip

DETAIL_TYPES = frozenset({"single", "multiple", "text", "slider", "dropdown", "dropdown-simple"})
"""What may be asked about one mark."""

DRAWN_TYPES = frozenset({"drawing", "dataVisAnnotation"})

_COLOUR = re.compile(r"#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,30}|(rgb|hsl)a?\([\d\s.,%/]{3,40}\)")


def check_tasks(tasks: Mapping[str, Any], steps: Sequence[Any] = ()) -> Mapping[str, Any]:
    """The tasks, if they can be asked.

    Args:
        tasks: by key, with texts or keys of texts.
        steps: Panoptes' `[[step key, {taskKeys, next}], …]`, or none.

    Raises:
        InvalidWorkflowError: a part is missing, of the wrong kind, or names another that is not there; the message
            says which, and of which task.
    """
    if len(tasks) > MOST_TASKS:
        raise InvalidWorkflowError(f"A workflow has at most {MOST_TASKS} tasks.")
    for key, task in tasks.items():
        if not isinstance(task, Mapping) or not key or len(key) > LONGEST_TASK_KEY:
            raise InvalidWorkflowError(f"Task {key[:60]!r} is not an object under a key of its own.")
    for key, task in tasks.items():
        _Task(key, task).check()
    targets = check_steps(steps, tasks) | set(tasks)
    for key, task in tasks.items():
        _check_links(_Task(key, task), tasks, targets)
    return tasks


def check_asked(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tasks of `{"tasks": {…}, "first_task": …, "steps": […]}`, as a file gives them.

    Raises:
        InvalidWorkflowError: see `check_tasks`; or there is no task, or no such first one.
    """
    tasks, steps, first = asked.get("tasks"), asked.get("steps", []), asked.get("first_task")
    if not isinstance(tasks, Mapping) or not tasks or not isinstance(steps, list):
        raise InvalidWorkflowError(
            "The tasks are not an object of tasks by key.", hint='Such as {"tasks": {"T0": {"type": "single", …}}}.'
        )
    if first is not None and (not isinstance(first, str) or first not in tasks):
        raise InvalidWorkflowError(f"first_task {str(first)[:60]!r} is none of the tasks.")
    return check_tasks(tasks, steps)


def check_steps(steps: Sequence[Any], tasks: Mapping[str, Any]) -> set[str]:
    """The steps' keys.

    Raises:
        InvalidWorkflowError: a step is no pair of a key and an object, or names a task or step that is not there.
    """
    keys: set[str] = set()
    for step in steps:
        pair = isinstance(step, list | tuple) and len(step) == 2
        if not pair or not isinstance(step[0], str) or not isinstance(step[1], Mapping):
            raise InvalidWorkflowError(
                "A step is not a pair of its key and an object.", hint='Such as ["S0", {"taskKeys": ["T0", "T1"]}].'
            )
        keys.add(step[0])
    for key, step in steps:
        asked = step.get("taskKeys", [])
        if not isinstance(asked, list) or not all(isinstance(one, str) and one in tasks for one in asked):
            raise InvalidWorkflowError(f"The taskKeys of step {key!r} are not a list of this workflow's tasks.")
        if step.get("next") not in [None, "", *keys]:
            raise InvalidWorkflowError(f"Step {key!r} leads to {step['next']!r}, which is no step of this workflow.")
        _one_drawing(asked, tasks, f"Step {key!r}")
    return keys


class _Task:
    """One task being checked; `name` stands in every message."""

    def __init__(self, key: str, task: Mapping[str, Any], name: str = "") -> None:
        self.key, self.task, self.name = key, task, name or f"task {key!r}"

    def fail(self, what: str, hint: str = "") -> NoReturn:
        raise InvalidWorkflowError(f"In {self.name}: {what}", hint=hint)

    def check(self) -> None:
        kind = self.task.get("type", "")
        if not isinstance(kind, str):
            raise InvalidWorkflowError(f"The type of {self.name} is not a text.")
        if kind and kind not in SHOWN_TYPES | OTHER_TYPES:
            self.fail(f"there is no type {kind[:40]!r}.", _nearest(kind, SHOWN_TYPES))
        for part in ("question", "instruction", "help"):
            if not isinstance(self.task.get(part, ""), str | None):
                self.fail(f"{part} is not a text.")
        if self.task.get("required") not in [None, True, False, "", "true", "false"]:
            self.fail("required is neither true nor false.")
        if "answers" in self.task:
            self._check_answers(self.task["answers"])
        if check := _CHECKS.get(kind):
            check(self)

    def list_of_objects(self, part: str) -> list[Mapping[str, Any]]:
        value = self.task.get(part)
        if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
            self.fail(f"{part} is not a list of objects, at least one.")
        return value

    def number(self, part: str, value: Any) -> float | None:
        """A number, also as text; None where there is none."""
        if value is None or value == "":
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{part} is no number: {str(value)[:40]!r}.")
        return number

    def known(self, part: str, keys: Any, there: Mapping[str, Any], what: str) -> list[str]:
        """A list of keys that are there."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            self.fail(f"{part} is not a list of texts.")
        missing = [key for key in keys if key not in there]
        if missing:
            self.fail(f"{part} names {missing[0][:60]!r}, which is no {what} of it.")
        return keys

    def objects(self, part: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
        """An object whose members are objects with a label each."""
        if not isinstance(value, Mapping):
            self.fail(f"{part} is not an object.")
        for key, one in value.items():
            if not isinstance(one, Mapping) or not isinstance(one.get("label"), str):
                self.fail(f"{part} {str(key)[:60]!r} is not an object with a label.")
        return value

    def _check_answers(self, answers: Any) -> None:
        labelled = isinstance(answers, list) and all(
            isinstance(answer, Mapping) and isinstance(answer.get("label"), str) for answer in answers
        )
        if not labelled:
            raise InvalidWorkflowError(f"The answers of {self.name} are not a list of objects with a label each.")
        if any(not isinstance(answer.get("unsure", False), bool) for answer in answers):
            self.fail("an answer's unsure is neither true nor false.")


def _check_links(task: _Task, tasks: Mapping[str, Any], targets: set[str]) -> None:
    """That what a task names is there: the next task, a shortcut, the parts of a combination."""
    answers = task.task.get("answers")
    steps = [("it", task.task), *((f"answer {i}", one) for i, one in enumerate(answers or []))]
    for name, one in steps:
        target = one.get("next")
        if target not in [None, ""] and (not isinstance(target, str) or target not in targets):
            task.fail(f"{name} leads to {str(target)[:60]!r}, which is no task of this workflow.")
    shortcut = task.task.get("unlinkedTask")
    if shortcut and (not isinstance(shortcut, str) or tasks.get(shortcut, {}).get("type") != "shortcut"):
        task.fail(f"unlinkedTask {str(shortcut)[:60]!r} is no shortcut task of this workflow.")
    if task.task.get("type") != "combo":
        return
    parts = task.known("tasks", task.task.get("tasks"), tasks, "task")
    for part in parts:
        if tasks[part].get("type") in {"combo", "shortcut"}:
            task.fail(f"{part!r} is a {tasks[part]['type']}, which cannot stand beside other tasks.")
    _one_drawing(parts, tasks, f"Task {task.key!r}")


def _one_drawing(keys: Sequence[str], tasks: Mapping[str, Any], name: str) -> None:
    drawn = [key for key in keys if tasks[key].get("type") in DRAWN_TYPES]
    if len(drawn) > 1:
        raise InvalidWorkflowError(
            f"{name} has two drawings at once, {drawn[0]!r} and {drawn[1]!r}.",
            hint="Ask for them one after the other, or give one drawing more tools.",
        )


def _check_text(task: _Task) -> None:
    tags = task.task.get("text_tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 40 for tag in tags):
        task.fail("text_tags is not a list of short texts.")


def _check_slider(task: _Task) -> None:
    low, high, step, start = (task.number(part, task.task.get(part)) for part in ("min", "max", "step", "defaultValue"))
    if low is None or high is None or not low < high:
        task.fail("min is not below max.", 'Such as "min": 0, "max": 100.')
    if step is not None and step <= 0:
        task.fail("step is not above 0.")
    if start is not None and not low <= start <= high:
        task.fail(f"defaultValue is not between {low:g} and {high:g}.")


def _check_dropdown(task: _Task) -> None:
    seen: list[str] = []
    for place, select in enumerate(task.list_of_objects("selects")):
        name = f"list {place + 1}"
        condition = select.get("condition")
        if condition is not None and condition not in seen:
            task.fail(f"{name} depends on {str(condition)[:60]!r}, which is no list before it.")
        options = select.get("options", {})
        groups = options.values() if isinstance(options, Mapping) else [options]
        for option in (one for group in groups for one in (group if isinstance(group, list) else [None])):
            if not isinstance(option, Mapping) or not all(
                isinstance(option.get(part), str) for part in ("label", "value")
            ):
                task.fail(
                    f"the options of {name} are not lists of objects with a label and a value.",
                    'Such as {"*": [{"label": "Orion", "value": "ori"}]}.',
                )
        if not isinstance(select.get("allowCreate", False), bool):
            task.fail(f"allowCreate of {name} is neither true nor false.")
        if isinstance(select.get("id"), str):
            seen.append(select["id"])


def _check_drawing(task: _Task) -> None:
    for place, tool in enumerate(task.list_of_objects("tools")):
        one = _Task(task.key, tool, f"tool {place} of {task.name}")
        kind = tool.get("type")
        if not isinstance(kind, str) or kind not in SHOWN_TOOLS | OTHER_TOOLS:
            one.fail(f"there is no type {str(kind)[:40]!r}.", _nearest(str(kind), SHOWN_TOOLS))
        if task.task["type"] == "dataVisAnnotation" and kind != "graph2dRangeX":
            one.fail("a graph is marked with graph2dRangeX alone.", "Use a drawing task for other tools.")
        if not isinstance(tool.get("label", ""), str):
            one.fail("label is not a text.")
        colour = tool.get("color")
        if colour and not (isinstance(colour, str) and _COLOUR.fullmatch(colour)):
            one.fail(f"color {str(colour)[:40]!r} is no colour.", 'Such as "#ffb000".')
        least, most = (one.number(part, tool.get(part)) for part in ("min", "max"))
        if (least or 0) < 0 or (most is not None and not max(1, least or 0) <= most):
            one.fail("min and max are not numbers of marks, the least first.")
        presets = tool.get("presets", [])
        if not isinstance(presets, list) or any((one.number("presets", size) or 0) <= 0 for size in presets):
            one.fail("presets is not a list of sizes above 0.")
        _check_details(one, tool.get("details"))


def _check_details(tool: _Task, details: Any) -> None:
    if details is None:
        return
    if not isinstance(details, list) or not all(isinstance(detail, Mapping) for detail in details):
        tool.fail("details is not a list of tasks.")
    for place, detail in enumerate(details):
        asked = _Task(tool.key, detail, f"detail {place} of {tool.name}")
        if detail.get("type") not in list(DETAIL_TYPES):
            asked.fail(
                f"{str(detail.get('type'))[:40]!r} cannot be asked about a mark.",
                f"Ask one of: {', '.join(sorted(DETAIL_TYPES))}.",
            )
        asked.check()


def _check_survey(task: _Task) -> None:
    choices = task.objects("choice", task.task.get("choices"))
    if not choices:
        task.fail("choices is empty.")
    questions = task.objects("question", task.task.get("questions", {}))
    characteristics = task.objects("characteristic", task.task.get("characteristics", {}))
    for question, asked in questions.items():
        answers = task.objects(f"answer of question {question!r}:", asked.get("answers", {}))
        task.known(f"answersOrder of {question!r}", asked.get("answersOrder", []), answers, "answer")
    for name, characteristic in characteristics.items():
        values = task.objects(f"value of {name!r}:", characteristic.get("values", {}))
        task.known(f"valuesOrder of {name!r}", characteristic.get("valuesOrder", []), values, "value")
    for part, there, what in (
        ("choicesOrder", choices, "choice"),
        ("questionsOrder", questions, "question"),
        ("characteristicsOrder", characteristics, "characteristic"),
        ("exclusions", choices, "choice"),
    ):
        task.known(part, task.task.get(part) or [], there, what)
    asked_about = task.task.get("questionsMap") or {}
    if not isinstance(asked_about, Mapping):
        task.fail("questionsMap is not an object.")
    for choice, keys in asked_about.items():
        task.known("questionsMap", [choice], choices, "choice")
        task.known(f"questionsMap of {choice!r}", keys, questions, "question")
    for name, choice in choices.items():
        if not isinstance(choice.get("confusions", {}), Mapping) or not isinstance(choice.get("images", []), list):
            task.fail(f"choice {name!r} has confusions that are no object, or images that are no list.")
    if not isinstance(task.task.get("images", {}), Mapping):
        task.fail("images is not an object of file names and addresses.")


_CHECKS: dict[str, Callable[[_Task], None]] = {
    "text": _check_text,
    "slider": _check_slider,
    "dropdown": _check_dropdown,
    "dropdown-simple": _check_dropdown,
    "drawing": _check_drawing,
    "dataVisAnnotation": _check_drawing,
    "survey": _check_survey,
}


def _nearest(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known))}."


def picture_sites(tasks: Mapping[str, Any], strings: Mapping[str, Any]) -> set[str]:
    """Other sites (`https://host`) whose pictures the questions, helps and choices show."""
    addresses = [*_pictures(dict(tasks)), *_pictures(list(strings.values()))]
    return {found[0] for address in addresses if (found := _SITE.match(address))}


_SITE = re.compile(r"https://[A-Za-z0-9.-]{1,253}(:\d{1,5})?(?=[/?#]|$)")
_PICTURE = re.compile(r"!\[[^\]\n]{0,500}\]\((https://[^\s)]{1,2000})")


def _pictures(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (match[1] for match in _PICTURE.finditer(value))
    elif isinstance(value, Mapping):
        images = value.get("images")
        if isinstance(images, Mapping):
            yield from (one for one in images.values() if isinstance(one, str))
        for one in value.values():
            yield from _pictures(one)
    elif isinstance(value, list):
        for one in value:
            yield from _pictures(one)
