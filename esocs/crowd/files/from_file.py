"""A file of votes or a Panoptes export, aggregated: no database, no Redis and no running site."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from esocs.crowd.files.aggregation import (
    QuestionOutcome,
    aggregate_partitions,
    aggregate_table,
    gold_by_subject,
    partition_table,
    write_summaries,
)
from esocs.crowd.files.dask_mapper import dask_client, dask_mapper
from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.exports import is_export, read_export
from esocs.crowd.files.mapping import Mapper, run_here
from esocs.crowd.files.partitions import write_partitions
from esocs.crowd.files.questions import Questions, TaskResponses
from esocs.crowd.files.reading import column_names, read_gold, read_votes, stream_votes
from esocs.crowd.files.results import FORMATS, ResultFiles, describe, sha256_of
from esocs.crowd.files.tables import QuestionTable, ReadReport
from esocs.crowd.files.workflows import read_workflows
from esocs.crowd.modes import DEFAULT_MODE, get_mode

Steps = Callable[[str], Callable[[int, int], None]]
"""Given what a long step is called, what to tell how much of it is done."""

DASK_PARTITIONS = 64
"""Where a cluster is given and no number of partitions."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to aggregate.

    Attributes:
        out: folder for the results.
        mode: name of the way of weighing votes.
        formats: of `FORMATS`.
        partitions: 0 holds all votes in memory at once.
        dask: address of a scheduler, "" for none; its workers must see `out` under the same name.
        strict: a row that cannot be read is an error.
        gold: file of experts' answers.
        workflow_id: of an export.
        workflow_version: of an export.
        workflows: file of the tasks and labels.
    """

    out: Path
    mode: str = DEFAULT_MODE
    formats: Sequence[str] = FORMATS
    partitions: int = 0
    dask: str = ""
    strict: bool = False
    gold: Path | None = None
    workflow_id: str | None = None
    workflow_version: str | None = None
    workflows: Path | None = None


@dataclass(kw_only=True)
class Aggregation:
    """What was done.

    Attributes:
        report: of the reading.
        questions: one outcome each.
        summaries: rows of the summaries.
        paths: the files written.
    """

    report: ReadReport
    questions: list[QuestionOutcome] = field(default_factory=list)
    summaries: int = 0
    paths: list[Path] = field(default_factory=list)


def aggregate_file(path: Path, options: Options, *, steps: Steps | None = None) -> Aggregation:
    """Aggregate a file of votes (`reading.stream_votes`) or a classification export (`exports.read_export`).

    Args:
        path: the file.
        options: how.
        steps: is told of long steps.

    Raises:
        VotesFileError: a file, column or row that cannot be read.
        UnknownModeError: no such mode.
        PartitionsError: partitions with another mode than the default one.
        ExtraMissingError: a cluster without Dask.
        ClusterUnavailableError: a cluster that does not answer.
    """
    get_mode(options.mode)
    steps = steps or _silent
    gold = read_gold(options.gold) if options.gold else {}
    metadata = describe(mode=options.mode, source=path.name, sha256=sha256_of(path) if path.exists() else "")
    if not is_export(column_names(path)):
        _refuse_export_options(path, options)
        if _n_partitions(options):
            return _stream(path, options, gold=_only_gold(gold, options), metadata=metadata, steps=steps)
        table, report = read_votes(
            path, gold=_only_gold(gold, options), strict=options.strict, on_progress=steps("reading votes")
        )
        return aggregate_tables([table], options, metadata=metadata, report=report, steps=steps)
    workflow = None
    if options.workflows:
        if options.workflow_id is None:
            raise VotesFileError("whose tasks?", path=options.workflows, hint="Name the workflow with --workflow.")
        workflow = read_workflows(options.workflows, workflow_id=options.workflow_id)
    export = read_export(
        path,
        workflow_id=options.workflow_id,
        version=options.workflow_version,
        workflow=workflow,
        strict=options.strict,
        on_progress=steps("reading classifications"),
    )
    questions = Questions(export, gold=gold)
    return aggregate_tables(
        questions.tables(),
        options,
        metadata=metadata,
        report=export.report,
        steps=steps,
        responses=questions.responses() if questions.has_summaries else None,
    )


def aggregate_tables(
    tables: Iterable[QuestionTable],
    options: Options,
    *,
    metadata: Mapping[str, str],
    report: ReadReport,
    steps: Steps | None = None,
    responses: Iterable[TaskResponses] | None = None,
) -> Aggregation:
    """Aggregate questions wherever they come from, our own rows for one.

    Args:
        tables: one a question.
        options: how; those of reading are not looked at.
        metadata: `results.describe`.
        report: of the reading.
        steps: is told of long steps.
        responses: to the tasks that are summarised; read when all tables have been.
    """
    mode, steps = get_mode(options.mode), steps or _silent
    done = Aggregation(report=report)
    files = ResultFiles(options.out, formats=options.formats, metadata=metadata)
    with files, _mapper(options) as mapper:
        for table in tables:
            if not len(table.answer):
                continue
            if not _n_partitions(options):
                tell = steps(f"fitting {table.key}")
                done.questions.append(aggregate_table(table, mode=mode, files=files))
                tell(1, 1)
                continue
            with _scratch(options) as folder:
                partitions = partition_table(table, folder, n_partitions=_n_partitions(options))
                done.questions.append(
                    aggregate_partitions(
                        partitions,
                        mode=mode,
                        files=files,
                        key=table.key,
                        text=table.text,
                        gold=gold_by_subject(table),
                        mapper=mapper,
                        on_progress=steps(f"fitting {table.key}"),
                    )
                )
        if responses is not None:
            done.summaries = write_summaries(responses, files, on_progress=steps("summarising"))
    done.paths = sorted(files.paths)
    return done


def _stream(
    path: Path, options: Options, *, gold: Mapping[str, str], metadata: Mapping[str, str], steps: Steps
) -> Aggregation:
    """A file of votes that never lies in memory as a whole."""
    done = Aggregation(report=ReadReport())
    files = ResultFiles(options.out, formats=options.formats, metadata=metadata)
    tell = steps("partitioning votes")

    def told() -> Iterator[object]:
        for batch in stream_votes(path, report=done.report, strict=options.strict):
            tell(done.report.rows, 0)
            yield batch

    with files, _mapper(options) as mapper, _scratch(options) as folder:
        partitions = write_partitions(
            told(), folder, n_partitions=_n_partitions(options), more_answers=sorted(set(gold.values()))
        )
        if partitions.n_volunteers:
            outcome = aggregate_partitions(
                partitions,
                mode=get_mode(options.mode),
                files=files,
                gold=gold,
                mapper=mapper,
                on_progress=steps("fitting"),
            )
            done.questions.append(outcome)
            done.report.repeats = partitions.rows - outcome.votes
    done.paths = sorted(files.paths)
    return done


def _n_partitions(options: Options) -> int:
    return options.partitions or (DASK_PARTITIONS if options.dask else 0)


def _only_gold(gold: Mapping[str, Mapping[str, str]], options: Options) -> Mapping[str, str]:
    """The gold of a file with one question."""
    if set(gold) - {"", "T0"}:
        several = ", ".join(sorted(gold))
        raise VotesFileError(
            f"gold of the questions {several} for a file that asks one.",
            path=options.gold or Path(),
            hint="Leave out the column `question`.",
        )
    return {**gold.get("", {}), **gold.get("T0", {})}


def _refuse_export_options(path: Path, options: Options) -> None:
    for name, given in (
        ("--workflow", options.workflow_id),
        ("--workflow-version", options.workflow_version),
        ("--workflows", options.workflows),
    ):
        if given is not None:
            raise VotesFileError(
                f"{name} is for classification exports, and this is a file of votes.",
                path=path,
                hint="An export has the columns annotations and subject_ids.",
            )


@contextmanager
def _mapper(options: Options) -> Iterator[Mapper]:
    with ExitStack() as stack:
        yield dask_mapper(stack.enter_context(dask_client(options.dask))) if options.dask else run_here


@contextmanager
def _scratch(options: Options) -> Iterator[Path]:
    """A folder beside the results, where the workers of a cluster see it too; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="partitions-", dir=options.out) as folder:
        yield Path(folder)


def _silent(_: str) -> Callable[[int, int], None]:
    return lambda _done, _total: None
