"""From tables of votes, or partitions of them, to the files of results: learn, reach the consensus, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from esocs.crowd.files.errors import PartitionsError
from esocs.crowd.files.mapping import Mapper, run_here
from esocs.crowd.files.partitioned_fit import Progress, fit_partitions
from esocs.crowd.files.partitions import Partitions, write_partitions
from esocs.crowd.files.questions import TaskResponses
from esocs.crowd.files.results import QuestionResult, ResultFiles
from esocs.crowd.files.tables import QuestionTable
from esocs.crowd.modes import DEFAULT_MODE
from esocs.crowd.modes.consensus import Consensus, reach_consensus, sum_votes
from esocs.crowd.modes.counting import count_pairs
from esocs.crowd.modes.hierarchical import HierarchicalSkill, judge
from esocs.crowd.modes.interface import CHUNK_CELLS, Gathered, Learned, Mode
from esocs.crowd.posterior import UNFITTED_TEMPER, expected_information_of, fit_temper
from esocs.crowd.skill import VolunteerSkill, volunteer_skill
from esocs.crowd.summaries import Response, summarise_task
from esocs.crowd.votes import Votes, pair_matrices

ROWS_AT_ONCE = 2_000
"""Summaries that wait before they are written."""


@dataclass(frozen=True, kw_only=True)
class QuestionOutcome:
    """What the closing table says of one question.

    Attributes:
        key: of the question.
        text: what was asked.
        subjects: with a vote.
        votes: first votes.
        volunteers: with a vote.
        unheard: volunteers whose votes were given no weight.
        flagged: subjects where the consensus is not what the majority says.
        gold: subjects with an expert's answer.
        temper: of the read-out.
        remark: of the mode, "" mostly.
    """

    key: str
    text: str
    subjects: int
    votes: int
    volunteers: int
    unheard: int
    flagged: int
    gold: int
    temper: float
    remark: str


def aggregate_table(table: QuestionTable, *, mode: Mode, files: ResultFiles) -> QuestionOutcome:
    """Learn from one question's votes, and write its consensus and its volunteers.

    Raises:
        InvalidVotesError: votes, gold or priors that cannot be; names the row.
    """
    gathered = table.gathered()
    learned = mode.learn(gathered)
    consensus = reach_consensus(gathered, learned)
    files.add_consensus(_result(table.key, table.text, table.answers, table.subjects, gathered, learned, consensus))
    skill = skill_of(learned, gathered.votes, consensus.probabilities)
    n = votes_of_volunteers(gathered.votes)
    files.add_volunteers(key=table.key, volunteers=table.volunteers, anonymous=table.anonymous, skill=skill, n=n)
    return QuestionOutcome(
        key=table.key,
        text=table.text,
        subjects=len(table.subjects),
        votes=len(table.answer),
        volunteers=len(table.volunteers),
        unheard=int((skill.weight == 0).sum()),
        flagged=int(consensus.flagged.sum()),
        gold=0 if table.gold is None else int((table.gold >= 0).sum()),
        temper=consensus.temper,
        remark=learned.remark,
    )


def aggregate_partitions(
    partitions: Partitions,
    *,
    mode: Mode,
    files: ResultFiles,
    key: str = "T0",
    text: str = "",
    gold: Mapping[str, str] | None = None,
    mapper: Mapper = run_here,
    on_progress: Progress | None = None,
) -> QuestionOutcome:
    """`aggregate_table` of votes that need not fit into memory; rows of the consensus come partition by partition.

    Args:
        partitions: of one question.
        mode: the default one; the others learn from all votes at once.
        files: where the results go.
        key: of the question.
        text: what was asked.
        gold: experts' answers by subject.
        mapper: where the E steps run.
        on_progress: is told how many of how many steps are done.

    Raises:
        PartitionsError: another mode, or partitions that are not whole.
    """
    if mode.name != DEFAULT_MODE:
        raise PartitionsError(
            f"The mode {mode.name} is not fitted over partitions.", hint=f"Use {DEFAULT_MODE}, or no partitions."
        )
    gold = gold or {}
    P = partitions.n_partitions

    def tell(done: int, _: int) -> None:
        if on_progress:
            on_progress(done, passes * P)

    with_gold = _gold_alone(partitions, gold)
    fits = 2 if with_gold.gold is not None and len(with_gold.gold) else 1
    passes = 7 * fits + 2  # of each fit one to sort, one to start, five iterations; the gold, the consensus
    temper = UNFITTED_TEMPER
    if with_gold.gold is not None and len(with_gold.gold):
        # As in `Hierarchical.learn_temper`: under a fit that has not seen the gold.
        blind = fit_partitions(partitions.folder, mapper=mapper, on_progress=tell)
        unseen = HierarchicalSkill(fit=blind.fit, skill=judge(blind.fit, votes=with_gold.votes))
        sums, opinion = sum_votes(with_gold, unseen)
        temper = fit_temper(sums, with_gold.gold, votes=with_gold.votes.per_subject, opinion=opinion)

    def tell_second(done: int, total: int) -> None:
        tell(done + 7 * (fits - 1) * P, total)

    fitted = fit_partitions(partitions.folder, mapper=mapper, gold=gold, on_progress=tell_second)
    skill = judge(fitted.fit, votes=with_gold.votes, gold=with_gold.gold)
    learned = HierarchicalSkill(fit=fitted.fit, skill=skill, temper=temper)
    tell((passes - 1) * P, 0)
    n, flagged = np.zeros(partitions.n_volunteers, np.int64), 0
    for index in range(P):
        part = partitions.load(index)
        known = part.gold(gold, partitions.answers)
        gathered = Gathered(votes=part.votes, gold=known, log_prior=part.log_prior)
        consensus = reach_consensus(gathered, learned)
        files.add_consensus(_result(key, text, partitions.answers, part.subjects, gathered, learned, consensus))
        n += votes_of_volunteers(part.votes)
        flagged += int(consensus.flagged.sum())
        tell((passes - 1) * P + index + 1, 0)
    files.add_volunteers(key=key, volunteers=fitted.volunteers, anonymous=partitions.anonymous(), skill=skill, n=n)
    return QuestionOutcome(
        key=key,
        text=text,
        subjects=fitted.n_subjects,
        votes=fitted.n_votes,
        volunteers=partitions.n_volunteers,
        unheard=int((skill.weight == 0).sum()),
        flagged=flagged,
        gold=with_gold.votes.n_subjects,
        temper=temper,
        remark=learned.remark,
    )


def partition_table(table: QuestionTable, folder: Path, *, n_partitions: int) -> Partitions:
    """A table's votes as partitions.

    Raises:
        PartitionsError: the folder is not empty.
    """
    answers = pa.array(table.answers, pa.string())

    def batches() -> Iterator[pa.RecordBatch]:
        for low in range(0, len(table.answer), 1 << 18):
            rows = slice(low, low + (1 << 18))
            columns = [
                table.subjects.take(pa.array(table.subject[rows])),
                table.volunteers.take(pa.array(table.volunteer[rows])),
                answers.take(pa.array(table.answer[rows])),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=["subject", "volunteer", "answer"])

    return write_partitions(batches(), folder, n_partitions=n_partitions, more_answers=table.answers)


def gold_by_subject(table: QuestionTable) -> dict[str, str]:
    """A table's gold by name, as partitions take it."""
    if table.gold is None:
        return {}
    known = np.flatnonzero(table.gold >= 0)
    subjects = table.subjects.take(pa.array(known)).to_pylist()
    return {subject: table.answers[k] for subject, k in zip(subjects, table.gold[known].tolist(), strict=True)}


def write_summaries(
    responses: Iterable[TaskResponses], files: ResultFiles, *, on_progress: Progress | None = None
) -> int:
    """Summarise each subject's responses to each task; how many there were."""
    rows, n = (_summary_row(item) for item in responses), 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        files.add_summaries(some)
        n += len(some)
        if on_progress:
            on_progress(n, 0)
    return n


def skill_of(learned: Learned, votes: Votes, probabilities: NDArray[np.float64]) -> VolunteerSkill:
    """What the mode says of its volunteers; where it does not judge, what its consensus makes of their votes."""
    if isinstance(learned, HierarchicalSkill):
        return learned.skill
    counts = count_pairs(votes, probabilities)
    step = max(1, CHUNK_CELLS // votes.n_answers**2)
    parts = []
    for low in range(0, max(votes.n_volunteers, 1), step):
        volunteers = np.arange(low, min(low + step, votes.n_volunteers))
        judged = volunteer_skill(
            confusion=learned.confusion(volunteers),
            counts=pair_matrices(volunteers, pairs=votes.pairs, counts=counts),
            class_prior=learned.class_prior,
        )
        heard = (learned.terms(volunteers) != 0).any(axis=(1, 2))
        parts.append((judged, heard.astype(np.float64)))
    merged = {
        name: np.concatenate([getattr(judged, name) for judged, _ in parts])
        for name in parts[0][0].__dataclass_fields__
    }
    return VolunteerSkill(**{**merged, "weight": np.concatenate([heard for _, heard in parts])})


def votes_of_volunteers(votes: Votes) -> NDArray[np.int64]:
    """(V,) first votes of each volunteer."""
    n = np.zeros(votes.n_volunteers, np.int64)
    np.add.at(n, votes.volunteer, votes.per_pair)
    return n


def _result(
    key: str,
    text: str,
    answers: Iterable[str],
    subjects: pa.Array,
    gathered: Gathered,
    learned: Learned,
    consensus: Consensus,
) -> QuestionResult:
    somebody = learned.confusion(np.array([-1]))[0]
    return QuestionResult(
        key=key,
        text=text,
        answers=tuple(answers),
        subjects=subjects,
        consensus=consensus,
        n=gathered.votes.per_subject,
        information=expected_information_of(consensus.probabilities, somebody),
        gold=gathered.gold,
    )


def _gold_alone(partitions: Partitions, gold: Mapping[str, str]) -> Gathered:
    """The votes on subjects that have gold, of all partitions: what judging and tempering need, and few."""
    columns: dict[str, list[NDArray[Any]]] = {"subject": [], "volunteer": [], "answer": []}
    truths, priors, n_subjects = [np.zeros(0, np.int64)], [], 0
    for index in range(partitions.n_partitions) if gold else ():
        part = partitions.load(index)
        known = part.gold(gold, partitions.answers)
        if known is None:
            continue
        chosen = known >= 0
        number = np.cumsum(chosen) - 1 + n_subjects
        subject, pair = _votes_as_rows(part.votes)
        rows = chosen[subject]
        columns["subject"].append(number[subject[rows]])
        columns["volunteer"].append(pair[rows] // part.votes.n_answers)
        columns["answer"].append(pair[rows] % part.votes.n_answers)
        truths.append(known[chosen])
        if part.log_prior is not None:
            priors.append(part.log_prior[chosen])
        n_subjects += int(chosen.sum())
    votes = Votes.build(
        **{name: np.concatenate([np.zeros(0, np.int64), *parts]) for name, parts in columns.items()},
        n_subjects=n_subjects,
        n_volunteers=partitions.n_volunteers,
        n_answers=len(partitions.answers),
    )
    truth = np.concatenate(truths)
    return Gathered(
        votes=votes, gold=truth if len(truth) else None, log_prior=np.concatenate(priors) if priors else None
    )


def _votes_as_rows(votes: Votes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) subject and (N,) pair of each vote."""
    block = np.repeat(np.arange(len(votes.first_vote) - 1), np.diff(votes.first_vote))
    subject = votes.row + votes.first_subject[block]
    return subject, votes.pairs[votes.block_pairs[votes.column + votes.first_pair[block]]]


def _summary_row(item: TaskResponses) -> dict[str, Any]:
    summary = summarise_task(item.task, [Response(volunteer, value) for volunteer, value in item.responses])
    return {
        "subject": item.subject,
        "task": item.task_key,
        "kind": summary.kind,
        "seen_by": summary.seen_by,
        "rejected": summary.rejected,
        "summary": summary.value,
    }
