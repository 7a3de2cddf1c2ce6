"""From the classifications of an export to one table per question, and to the responses that are summarised.

A task of one answer is the question `T0`; one of several is a question per label, `T1.2`, 0 not chosen and 1 chosen.
A question knows only the subjects on which somebody reached it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from esocs.crowd.files.annotations import Kind, kind_of_type, kind_of_value, label_of, labels_of
from esocs.crowd.files.exports import Export, TaskColumn
from esocs.crowd.files.tables import NO_GOLD, QuestionTable, compact, gold_of, is_anonymous, natural_key
from esocs.crowd.votes import first_votes

LARGEST_DISCOVERED = 64
"""Different answers beyond which a task of unknown type is one of free text."""

BINARY = ("0", "1")


@dataclass(frozen=True, kw_only=True)
class TaskResponses:
    """What one subject's volunteers answered to a task that is summarised, not voted on.

    Attributes:
        task_key: its key.
        task: Panoptes' task object; without the workflow, its type alone.
        subject: name.
        responses: volunteer and value, the first of each volunteer.
    """

    task_key: str
    task: Mapping[str, Any]
    subject: str
    responses: Sequence[tuple[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The export's classifications in arrays, names in natural order."""

    export: Export
    subjects: pa.Array
    volunteers: pa.Array
    anonymous: NDArray[np.bool_]
    subject: NDArray[np.int32]
    volunteer: NDArray[np.int32]
    expert: NDArray[np.bool_]
    counts: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Values:
    """The different values of one task, and what each is.

    Attributes:
        kind: of the task.
        objects: (U,) the values.
        labels: (U,) the answers' texts at each value's version.
        fits: (U,) bool, whether the value is of the task's kind.
    """

    kind: Kind
    objects: list[Any]
    labels: list[Sequence[str]]
    fits: NDArray[np.bool_]


class Questions:
    """An export's tasks, sorted into questions and summaries."""

    def __init__(self, export: Export, *, gold: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Sort the tasks; gold by question, "" for the first.

        Args:
            export: the classifications; its report is told of repeats and of annotations that do not fit their task.
            gold: experts' answers by question and subject, beside those in the export; a label, or 0 and 1.
        """
        self._frame = _frame(export)
        self._tasks = {key: _read_values(key, export) for key in sorted(export.tasks, key=_task_order)}
        self._gold = self._by_question(gold or {})
        self._note_unfit()

    @property
    def task_kinds(self) -> dict[str, Kind]:
        return {key: values.kind for key, values in self._tasks.items()}

    @property
    def has_summaries(self) -> bool:
        """Whether any task is summarised, not voted on."""
        return any(kind not in {Kind.SINGLE, Kind.MULTIPLE} for kind in self.task_kinds.values())

    def tables(self) -> Iterator[QuestionTable]:
        """One table per question, one at a time: tasks in their order, a task's labels in theirs."""
        asked = set()
        for key, values in self._tasks.items():
            if values.kind not in {Kind.SINGLE, Kind.MULTIPLE}:
                continue
            made = self._single(key, values) if values.kind == Kind.SINGLE else self._multiple(key, values)
            for table in made:
                if len(table.answer):
                    asked.add(table.key)
                    yield _with_gold(table, self._gold.get(table.key, {}))
        for key in sorted(set(self._gold) - asked):
            self._frame.export.report.notes.append(f"There is gold for {key!r}, and no such question.")

    def responses(self) -> Iterator[TaskResponses]:
        """Of every task that is summarised, one subject after another."""
        frame = self._frame
        for key, values in self._tasks.items():
            if values.kind in {Kind.SINGLE, Kind.MULTIPLE}:
                continue
            classification, code = self._votes(frame.export.tasks[key], values.fits, experts=False)
            order = np.lexsort((classification, frame.subject[classification]))
            subject = frame.subject[classification][order]
            bounds = np.flatnonzero(np.diff(subject, prepend=-1))
            workflow = frame.export.workflow
            task = (workflow.task(key) if workflow else {}) or (
                {} if values.kind in {Kind.OTHER, Kind.EMPTY} else {"type": str(values.kind)}
            )
            for low, high in zip(bounds, [*bounds[1:], len(order)], strict=True):
                rows = order[low:high]
                names = frame.volunteers.take(pa.array(frame.volunteer[classification[rows]])).to_pylist()
                said = [(name, values.objects[c]) for name, c in zip(names, code[rows].tolist(), strict=True)]
                yield TaskResponses(
                    task_key=key, task=task, subject=frame.subjects[int(subject[low])].as_py(), responses=said
                )

    def _single(self, key: str, values: _Values) -> Iterator[QuestionTable]:
        labels = [
            label_of(value, known) if fits else None
            for value, known, fits in zip(values.objects, values.labels, values.fits, strict=True)
        ]
        answers = self._answers(key, {label for label in labels if label})
        if answers and not self._frame.export.workflow:
            answers = sorted({*answers, *self._gold.get(key, {}).values()}, key=natural_key)
        number = {label: k for k, label in enumerate(answers)}
        answer = np.array([-1 if label is None else number[label] for label in labels], np.int32)
        yield self._table(key, text=self._text(key), answers=answers, answer=answer)

    def _multiple(self, key: str, values: _Values) -> Iterator[QuestionTable]:
        chosen = [
            labels_of(value, known) if fits else None
            for value, known, fits in zip(values.objects, values.labels, values.fits, strict=True)
        ]
        answers = self._answers(key, {label for labels in chosen if labels for label in labels})
        for k, label in enumerate(answers):
            answer = np.array([-1 if labels is None else int(label in labels) for labels in chosen], np.int32)
            text = f"{self._text(key)} {label}".strip()
            yield self._table(f"{key}.{k}", text=text, answers=BINARY, answer=answer, column=key)

    def _table(
        self, key: str, *, text: str, answers: Sequence[str], answer: NDArray[np.int32], column: str = ""
    ) -> QuestionTable:
        """The first votes, and the experts' answers as gold; `answer` is of each different value, -1 for none."""
        frame, stored = self._frame, self._frame.export.tasks[column or key]
        classification, code = self._votes(stored, answer >= 0, experts=False)
        subject, volunteer = frame.subject[classification], frame.volunteer[classification]
        gold = np.full(len(frame.subjects), NO_GOLD, np.int64)
        experts, expert_code = self._votes(stored, answer >= 0, experts=True)
        if len(experts):
            by_answer = np.zeros((len(frame.subjects), len(answers)), np.int64)
            np.add.at(by_answer, (frame.subject[experts], answer[expert_code]), 1)
            highest = by_answer.max(axis=1, keepdims=True)
            agreed = (highest[:, 0] > 0) & ((by_answer == highest).sum(axis=1) == 1)
            gold[agreed] = by_answer[agreed].argmax(axis=1)
        used = np.unique(subject)
        subjects, subject, _ = compact(names=frame.subjects, index=subject)
        volunteers, volunteer, anonymous = compact(names=frame.volunteers, index=volunteer, anonymous=frame.anonymous)
        return QuestionTable(
            key=key,
            text=text,
            answers=tuple(answers),
            subjects=subjects,
            volunteers=volunteers,
            anonymous=frame.anonymous if anonymous is None else anonymous,
            subject=subject,
            volunteer=volunteer,
            answer=answer[code],
            gold=gold[used] if len(experts) else None,
        )

    def _votes(
        self, stored: TaskColumn, fits: NDArray[np.bool_], *, experts: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Classification and value of each annotation that counts: a volunteer's first on the subject, or experts'."""
        classification = np.array(stored.classification, np.int64)
        code = np.array(stored.value, np.int32)
        wanted = self._frame.expert if experts else self._frame.counts
        keep = wanted[classification] & fits[code] if len(code) else np.zeros(0, bool)
        return classification[keep], code[keep]

    def _answers(self, key: str, found: set[str]) -> list[str]:
        """The answers in the workflow's order, then those found beside them."""
        workflow = self._frame.export.workflow
        known = [label for label in workflow.labels(key) if label] if workflow else []
        return [*known, *sorted(found - set(known), key=natural_key)]

    def _text(self, key: str) -> str:
        workflow = self._frame.export.workflow
        if workflow and workflow.question(key):
            return workflow.question(key)
        labels = self._frame.export.tasks[key].labels
        return max(labels, key=lambda label: (labels[label], label)).strip() if labels else ""

    def _by_question(self, gold: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """The gold with what names no question under the first one."""
        kinds = {key: kind for key, kind in self.task_kinds.items() if kind in {Kind.SINGLE, Kind.MULTIPLE}}
        first = next((key if kind == Kind.SINGLE else f"{key}.0" for key, kind in kinds.items()), "")
        found: dict[str, dict[str, str]] = {}
        for key, answers in gold.items():
            found.setdefault(key or first, {}).update(answers)
        return found

    def _note_unfit(self) -> None:
        for key, values in self._tasks.items():
            stored = self._frame.export.tasks[key]
            unfit = int((~values.fits)[np.array(stored.value, np.int32)].sum()) if stored.values else 0
            if unfit:
                self._frame.export.report.notes.append(
                    f"{unfit:,} annotations of task {key} are not of the kind {values.kind} and were passed over;"
                    " its type may have changed between versions of the workflow."
                )


def _frame(export: Export) -> _Frame:
    subjects, subject_place = export.subjects.in_order()
    volunteers, volunteer_place = export.volunteers.in_order()
    subject = subject_place[np.array(export.subject, np.int32)] if subjects else np.zeros(0, np.int32)
    volunteer = volunteer_place[np.array(export.volunteer, np.int32)] if volunteers else np.zeros(0, np.int32)
    expert = np.frombuffer(bytes(export.expert), np.uint8).astype(bool)
    counts = np.zeros(len(expert), bool)
    ordinary = np.flatnonzero(~expert)
    counts[ordinary] = first_votes(subject[ordinary], volunteer[ordinary])
    export.report.repeats = int(len(ordinary) - counts.sum())
    names = pa.array(volunteers, pa.string())
    return _Frame(
        export=export,
        subjects=pa.array(subjects, pa.string()),
        volunteers=names,
        anonymous=is_anonymous(names),
        subject=subject,
        volunteer=volunteer,
        expert=expert,
        counts=counts,
    )


def _read_values(key: str, export: Export) -> _Values:
    """Decode the different values, and settle the task's kind: what most of its annotations are."""
    stored, workflow = export.tasks[key], export.workflow
    versions = list(export.versions)
    uses = np.bincount(np.array(stored.value, np.int64), minlength=len(stored.values))
    objects: list[Any] = []
    labels: list[Sequence[str]] = []
    kinds: list[Kind] = []
    for version, task_type, text in stored.values:
        value = json.loads(text)
        at = workflow.at(versions[version]) if workflow else None
        task = at.tasks.get(key, {}) if at else {}
        shape = kind_of_value(value)
        told = kind_of_type(task.get("type")) or kind_of_type(task_type)
        objects.append(value)
        labels.append(at.labels(key) if at else ())
        kinds.append(told if told and _is_shaped(shape, told) else shape)
    weight: Counter[Kind] = Counter()
    for kind, n in zip(kinds, uses.tolist(), strict=True):
        weight[kind] += n
    nonempty = {kind: n for kind, n in weight.items() if kind != Kind.EMPTY} or weight
    kind = min(nonempty, key=lambda k: (-nonempty[k], k)) if nonempty else Kind.OTHER
    told_at_all = workflow is not None or any(task_type for _, task_type, _ in stored.values)
    if kind == Kind.SINGLE and not told_at_all and len({o for o in objects if isinstance(o, str)}) > LARGEST_DISCOVERED:
        kind, kinds = Kind.TEXT, [Kind.TEXT if k == Kind.SINGLE else k for k in kinds]
    takes_empty = kind in {Kind.MULTIPLE, Kind.DRAWING, Kind.SURVEY, Kind.DROPDOWN, Kind.OTHER, Kind.EMPTY}
    fits = np.array([k == kind or (k == Kind.EMPTY and takes_empty) for k in kinds], bool)
    return _Values(kind=kind, objects=objects, labels=labels, fits=fits)


def _is_shaped(shape: Kind, told: Kind) -> bool:
    """Whether a value of that shape can be of the kind that its task says."""
    allowed = {
        Kind.SINGLE: {Kind.SINGLE},
        Kind.MULTIPLE: {Kind.MULTIPLE, Kind.EMPTY},
        Kind.TEXT: {Kind.SINGLE, Kind.OTHER},
        Kind.SLIDER: {Kind.SINGLE, Kind.SLIDER},
        Kind.DRAWING: {Kind.DRAWING, Kind.EMPTY, Kind.OTHER},
        Kind.SURVEY: {Kind.SURVEY, Kind.EMPTY},
        Kind.DROPDOWN: {Kind.DROPDOWN, Kind.EMPTY, Kind.OTHER},
    }
    return shape in allowed[told]


def _with_gold(table: QuestionTable, gold: Mapping[str, str]) -> QuestionTable:
    """Given gold goes before what the export's experts said."""
    given = gold_of(table.subjects, gold=gold, answers=table.answers)
    if given is None:
        return table
    return replace(table, gold=given if table.gold is None else np.where(given >= 0, given, table.gold))


def _task_order(key: str) -> tuple[Any, ...]:
    """T2 before T10."""
    head = key.rstrip("0123456789")
    tail = key[len(head) :]
    return (head, int(tail) if tail and len(tail) < 20 else -1, key)
