"""What the scientists' tables show: each subject with its route, prediction, votes and consensus.

Pages are cut by id (keyset), so the last page of a million subjects is as quick as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Prefetch, prefetch_related_objects

from classifier.calibration import apply_temperature
from esocs.crowd import queries
from esocs.crowd.models import Consensus, SubjectStatus
from esocs.crowd.retirement import task_of
from esocs.machine.models import ModelVersion, Prediction, Route
from esocs.projects.models import Media, Subject, Workflow
from esocs.projects.rules import answer_labels

PAGE_SIZE = 25


@dataclass(frozen=True, kw_only=True)
class Share:
    """One answer with the part it got: of a probability, or of the votes."""

    label: str
    share: float
    count: int = 0
    leads: bool = False


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a reader asked to see. Empty and None leave everything in."""

    route: str = ""
    state: str = ""
    answer: int | None = None
    flagged: bool = False
    subject: int | None = None


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One subject as a line of the table."""

    subject: Subject
    picture_url: str | None
    route: Route | None
    prediction: Prediction | None
    machine: list[Share]
    status: SubjectStatus | None
    consensus: Consensus | None
    consensus_label: str
    majority_label: str
    votes: list[Share]
    flagged: bool

    @property
    def machine_label(self) -> str:
        return next((share.label for share in self.machine if share.leads), "")

    @property
    def votes_total(self) -> int:
        return sum(share.count for share in self.votes)


@dataclass(frozen=True, kw_only=True)
class ResultPage:
    """Some lines, and where the next page starts (None: there is none)."""

    rows: list[ResultRow]
    next_after: int | None


def probability_shares(labels: Sequence[str], prediction: Prediction) -> list[Share]:
    """A prediction's calibrated probabilities, most probable first."""
    model = prediction.model_version
    values = apply_temperature([prediction.probabilities], model.temperature or 1.0)[0].tolist()
    best = max(range(len(values)), key=values.__getitem__)
    shares = [
        Share(label=labels[i] if i < len(labels) else str(i), share=value, leads=i == best)
        for i, value in enumerate(values)
    ]
    return sorted(shares, key=lambda share: -share.share)


def vote_shares(labels: Sequence[str], counts: Sequence[int]) -> list[Share]:
    """The counted votes of each answer that got any, most first."""
    total = sum(counts)
    most = max(counts, default=0)
    shares = [
        Share(label=labels[i], count=n, share=n / total, leads=n == most)
        for i, n in enumerate(counts)
        if n and i < len(labels)
    ]
    return sorted(shares, key=lambda share: -share.count)


def list_results(workflow: Workflow, *, filters: Filters, after: int = 0, limit: int = PAGE_SIZE) -> ResultPage:
    """One page of subjects in the order they were published, or accepted where that is what is asked for."""
    if filters.route == Route.Decision.ACCEPT:
        return _list_accepted(workflow, filters=filters, after=after, limit=limit)
    page = queries.list_status_ids(
        workflow,
        after=after,
        limit=limit + 1,
        state=filters.state,
        answer=filters.answer,
        decision=filters.route,
        flagged=filters.flagged,
        subject_id=filters.subject,
    )
    shown = read_statuses(page[:limit])
    return ResultPage(rows=read_rows(workflow, shown), next_after=shown[-1].pk if len(page) > limit else None)


def read_statuses(status_ids: Sequence[int]) -> list[SubjectStatus]:
    """The statuses with all that their lines show, in the order of the ids given."""
    rows = queries.with_results(SubjectStatus.objects.filter(pk__in=status_ids)).defer(
        "route__prediction__embedding", "route__prediction__model_version__card"
    )
    found = {row.pk: row for row in rows}
    return [found[pk] for pk in status_ids if pk in found]


def read_rows(workflow: Workflow, statuses: Sequence[SubjectStatus]) -> list[ResultRow]:
    """The lines of statuses that `crowd.queries.with_results` selected, by at most one more statement."""
    champion = _champion_predictions(workflow, [status.subject_id for status in statuses if status.route is None])
    return [
        _row(
            workflow,
            subject=status.subject,
            route=status.route,
            prediction=status.route.prediction if status.route else champion.get(status.subject_id),
            status=status,
        )
        for status in statuses
    ]


def _list_accepted(workflow: Workflow, *, filters: Filters, after: int, limit: int) -> ResultPage:
    routes = queries.list_accepted(workflow, answer=filters.answer).filter(pk__gt=after).order_by("pk")
    if filters.subject is not None:
        routes = routes.filter(prediction__subject_id=filters.subject)
    page = list(
        routes.select_related("prediction__subject", "prediction__model_version").defer(
            "prediction__embedding", "prediction__model_version__card"
        )[: limit + 1]
    )
    shown = page[:limit]
    rows = read_machine_rows(workflow, [(route.prediction, route) for route in shown])
    return ResultPage(rows=rows, next_after=shown[-1].pk if len(page) > limit else None)


def read_machine_rows(workflow: Workflow, found: Sequence[tuple[Prediction, Route | None]]) -> list[ResultRow]:
    """The lines of predicted subjects, whether or not people were asked about them, by a fixed number of statements.

    Args:
        workflow: in which they are subjects.
        found: each prediction, with `subject` and `model_version` selected, and its route where there is one.
    """
    subjects = [prediction.subject for prediction, _ in found]
    pictures = Media.objects.filter(role=Media.Role.LOCATION)
    prefetch_related_objects(subjects, Prefetch("media", queryset=pictures, to_attr="pictures"))
    found_statuses = queries.with_results(SubjectStatus.objects.filter(workflow=workflow, subject__in=subjects))
    statuses = {status.subject_id: status for status in found_statuses}
    return [
        _row(
            workflow,
            subject=prediction.subject,
            route=route,
            prediction=prediction,
            status=statuses.get(prediction.subject_id),
        )
        for prediction, route in found
    ]


def _champion_predictions(workflow: Workflow, subject_ids: list[int]) -> dict[int, Prediction]:
    if not subject_ids:
        return {}
    predictions = Prediction.objects.filter(
        subject_id__in=subject_ids,
        model_version__workflow=workflow,
        model_version__state=ModelVersion.State.CHAMPION,
    )
    predictions = predictions.select_related("model_version").defer("embedding", "model_version__card")
    return {prediction.subject_id: prediction for prediction in predictions}


def _row(
    workflow: Workflow,
    *,
    subject: Subject,
    route: Route | None,
    prediction: Prediction | None,
    status: SubjectStatus | None,
) -> ResultRow:
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    # `consensus_rows` and `pictures` are the lists that the room's query has prefetched.
    found = [row for row in getattr(status, "consensus_rows", []) if task_of(row.task_key) == workflow.first_task]
    outcome = _read_outcome(labels, sorted(found, key=lambda row: (len(row.task_key), row.task_key)))
    pictures: list[Media] = getattr(subject, "pictures", [])
    picture = next((media for media in pictures if media.media_type.startswith("image/")), None)
    return ResultRow(
        subject=subject,
        picture_url=picture.url if picture else None,
        route=route,
        prediction=prediction,
        machine=probability_shares(labels, prediction) if prediction else [],
        status=status,
        consensus=outcome.least_sure,
        consensus_label=outcome.consensus,
        majority_label=outcome.majority,
        votes=outcome.votes,
        flagged=any(row.flagged for row in found),
    )


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What the first task came to; of a multiple choice `least_sure` is its least certain label."""

    least_sure: Consensus | None = None
    consensus: str = ""
    majority: str = ""
    votes: list[Share] = field(default_factory=list)


def _read_outcome(labels: Sequence[str], rows: Sequence[Consensus]) -> _Outcome:
    """The consensus rows of the first task: one for a single choice, one a label for a multiple choice."""
    if not rows:
        return _Outcome()
    if "." not in rows[0].task_key:
        only = rows[0]
        return _Outcome(
            least_sure=only,
            consensus=_label(labels, only.answer),
            majority=_label(labels, only.majority),
            votes=vote_shares(labels, only.answer_counts),
        )
    named = [(_label(labels, int(row.task_key.rpartition(".")[2])), row) for row in rows]
    asked = max((sum(row.answer_counts) for row in rows), default=0)
    return _Outcome(
        least_sure=min(rows, key=lambda row: row.probability),
        consensus=", ".join(name for name, row in named if row.answer == 1) or "none of them",
        majority=", ".join(name for name, row in named if row.majority == 1) or "none of them",
        votes=[
            Share(label=name, count=row.answer_counts[1], share=row.answer_counts[1] / asked, leads=row.answer == 1)
            for name, row in named
            if asked and row.answer_counts[1]
        ],
    )


def _label(labels: Sequence[str], answer: int | None) -> str:
    return labels[answer] if answer is not None and answer < len(labels) else ""
