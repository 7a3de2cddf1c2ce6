"""Any Panoptes classification export (CSV), ours included, into tables of questions and of what is summarised.

Columns are found by name. Rows are read one at a time; of each only its annotations are kept, once per different value.
"""

from __future__ import annotations

import csv
import json
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esocs.crowd.files.annotations import flatten
from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.reading import open_text
from esocs.crowd.files.tables import ANONYMOUS_PREFIX, NameIndex, ReadReport
from esocs.crowd.files.workflows import WorkflowTexts, parse_version, raise_field_limit

NEEDED = ("annotations", "subject_ids")
TRUE = frozenset({"true", "t", "1"})
ROWS_BETWEEN_REPORTS = 50_000

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass
class TaskColumn:
    """All annotations of one task: which classification made each, and its value as a number of `values`.

    Attributes:
        classification: index of each annotation's classification.
        value: number of each annotation's value.
        values: the different values: index of the workflow's version, task type or "", and the value as JSON.
        labels: what the question was called, with counts.
    """

    classification: array[int] = field(default_factory=lambda: array("q"))
    value: array[int] = field(default_factory=lambda: array("i"))
    values: dict[tuple[int, str, str], int] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)


@dataclass(kw_only=True)
class Export:
    """The classifications of one workflow.

    Attributes:
        subject: index into `subjects` of each classification.
        volunteer: index into `volunteers` of each classification.
        expert: 1 for a gold standard classification, which is no vote.
        subjects: names; several subjects shown together are one, `a;b`.
        volunteers: names.
        versions: of the workflow, that the values name.
        tasks: by key.
        workflow: tasks and labels; None where no workflows export was given.
        report: of the reading.
    """

    subject: array[int]
    volunteer: array[int]
    expert: bytearray
    subjects: NameIndex
    volunteers: NameIndex
    versions: NameIndex
    tasks: dict[str, TaskColumn]
    workflow: WorkflowTexts | None
    report: ReadReport


def is_export(names: Sequence[str]) -> bool:
    """Whether columns of these names make a classification export."""
    return set(NEEDED) <= {name.strip().lower() for name in names}


def read_export(
    path: Path,
    *,
    workflow_id: str | None = None,
    version: str | None = None,
    workflow: WorkflowTexts | None = None,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Read a classification export.

    Rows that cannot be read are counted in the report, with the line of the file that they end on.

    Args:
        path: the CSV; a `.gz` is decompressed. Bytes that are no UTF-8 are replaced.
        workflow_id: whose classifications; may be left out where there is one workflow.
        version: `5` for all of major version 5, `5.7` for that one alone.
        workflow: its tasks and labels.
        strict: a row that cannot be read is an error.
        on_progress: is told the number of rows read, of an unknown total (0).

    Raises:
        VotesFileError: no such file or column, no or several workflows, or with `strict` a row that cannot be read.
    """
    raise_field_limit()
    reader = _Reader(path=path, workflow_id=workflow_id, version=version, workflow=workflow, strict=strict)
    try:
        with open_text(path, errors="replace") as file:
            rows = csv.reader(file)
            reader.find_columns(next(rows, []))
            for cells in rows:
                reader.read(cells, line=rows.line_num)
                if on_progress and reader.report.rows % ROWS_BETWEEN_REPORTS == 0:
                    on_progress(reader.report.rows, 0)
    except (csv.Error, EOFError, OSError) as error:
        raise VotesFileError(
            f"this cannot be read as CSV ({error}).", path=path, hint="A quote may be missing."
        ) from error
    return reader.finish()


class _Reader:
    """Collects rows, one at a time."""

    def __init__(
        self, *, path: Path, workflow_id: str | None, version: str | None, workflow: WorkflowTexts | None, strict: bool
    ) -> None:
        self.report = ReadReport()
        self._path, self._strict = path, strict
        self._workflow_id, self._workflow = workflow_id, workflow
        self._version = version
        self._seen_workflows: Counter[str] = Counter()
        self._place: dict[str, int] = {}
        self._n_columns = 0
        self._out = Export(
            subject=array("i"),
            volunteer=array("i"),
            expert=bytearray(),
            subjects=NameIndex(),
            volunteers=NameIndex(),
            versions=NameIndex(),
            tasks={},
            workflow=workflow,
            report=self.report,
        )

    def find_columns(self, header: Sequence[str]) -> None:
        names = [name.strip().lower() for name in header]
        self._place = {name: i for i, name in reversed(list(enumerate(names)))}
        self._n_columns = len(names)
        missing = [name for name in NEEDED if name not in self._place]
        if missing or not {"user_name", "user_id", "user_ip"} & self._place.keys():
            raise VotesFileError(
                f"the columns {', '.join(missing or ['user_name'])} are missing.",
                path=self._path,
                row=1,
                hint="A Panoptes classification export has them.",
            )

    def read(self, cells: Sequence[str], *, line: int) -> None:
        if not cells:
            return
        self.report.rows += 1
        if len(cells) != self._n_columns:
            self._skip(line, f"{len(cells)} cells, the header has {self._n_columns}")
            return
        if not self._is_wanted(cells):
            self.report.other_workflows += 1
            return
        subject = self._cell(cells, "subject_ids")
        volunteer = self._volunteer(cells)
        if not subject or not volunteer:
            self._skip(line, "the subject is empty" if volunteer else "the volunteer is empty")
            return
        try:
            flat = list(flatten(json.loads(self._cell(cells, "annotations") or "[]")))
        except RecursionError:
            self._skip(line, "the annotations are nested too deep")
            return
        except json.JSONDecodeError as error:
            self._skip(line, f"the annotations are not JSON ({error})")
            return
        except (TypeError, ValueError) as error:
            self._skip(line, str(error))
            return
        self._keep(cells, subject=subject, volunteer=volunteer, annotations=flat)

    def finish(self) -> Export:
        if self._workflow_id is None and len(self._seen_workflows) > 1:
            several = ", ".join(f"{name} ({n:,} rows)" for name, n in self._seen_workflows.most_common(10))
            raise VotesFileError(
                f"it holds the workflows {several}.", path=self._path, hint="Choose one with --workflow."
            )
        if self._workflow_id is not None and self.report.rows and not self._out.expert and not self.report.n_skipped:
            seen = ", ".join(sorted(self._seen_workflows)) or "none"
            raise VotesFileError(
                f"no row is of workflow {self._workflow_id}{f', version {self._version}' if self._version else ''}.",
                path=self._path,
                hint=f"The workflows in it are {seen}.",
            )
        return self._out

    def _keep(
        self, cells: Sequence[str], *, subject: str, volunteer: str, annotations: Sequence[Mapping[str, Any]]
    ) -> None:
        out = self._out
        number = len(out.expert)
        gold = self._cell(cells, "gold_standard").lower() in TRUE
        self.report.gold_rows += gold
        out.subject.append(out.subjects.number(subject))
        out.volunteer.append(out.volunteers.number(volunteer))
        out.expert.append(gold)
        # Without the workflow's texts nothing depends on the version, and equal values are kept once.
        version = out.versions.number(self._cell(cells, "workflow_version") if self._workflow else "")
        for annotation in annotations:
            value = annotation.get("value")
            if value is None:
                continue
            task_type = annotation.get("taskType") or annotation.get("task_type") or ""
            column = out.tasks.setdefault(annotation["task"], TaskColumn())
            key = (version, task_type if isinstance(task_type, str) else "", _encode(value))
            column.classification.append(number)
            column.value.append(column.values.setdefault(key, len(column.values)))
            label = annotation.get("task_label")
            if isinstance(label, str) and label:
                column.labels[label] += 1

    def _is_wanted(self, cells: Sequence[str]) -> bool:
        if "workflow_id" in self._place:
            workflow_id = self._cell(cells, "workflow_id")
            self._seen_workflows[workflow_id] += 1
            if self._workflow_id is not None and workflow_id != self._workflow_id:
                return False
        if self._version is None:
            return True
        found, wanted = self._cell(cells, "workflow_version"), self._version
        return parse_version(found) == parse_version(wanted) if "." in wanted else found.partition(".")[0] == wanted

    def _volunteer(self, cells: Sequence[str]) -> str:
        name = self._cell(cells, "user_name") or self._cell(cells, "user_id")
        if name:
            return name
        address = self._cell(cells, "user_ip")
        return ANONYMOUS_PREFIX + address if address else ""

    def _cell(self, cells: Sequence[str], name: str) -> str:
        place = self._place.get(name)
        return "" if place is None else cells[place].strip()

    def _skip(self, line: int, reason: str) -> None:
        if self._strict:
            raise VotesFileError(f"{reason}.", path=self._path, row=line, hint="Without --strict such rows are passed.")
        self.report.skip(line, reason)
