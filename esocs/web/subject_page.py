"""Everything that is known about one subject, as its page shows it: the room's reading, with labels and shares."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404

from esocs.crowd.models import GoldStandard, Skill
from esocs.crowd.queries import SubjectResult, Vote, get_subject_result
from esocs.machine.models import Prediction, Route
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels
from esocs.projects.services import ensure_pictures
from esocs.web.results import Share, probability_shares, vote_shares
from esocs.web.retirement_words import ChangeLine, describe_changes
from esocs.web.review import waits_for_expert
from esocs.web.similar import SHOWN_BESIDE_A_SUBJECT, SimilarPage, read_similar
from esocs.web.task_summaries import SummaryView, view_summaries


@dataclass(frozen=True, kw_only=True)
class WeighedVote:
    """One classification, with the volunteer's skill in the epoch that the consensus was computed under."""

    vote: Vote
    answer: str
    skill_bits: float | None
    muted: bool


@dataclass(frozen=True, kw_only=True)
class MachineOpinion:
    """What one model version said, and where that sent the subject."""

    prediction: Prediction
    shares: list[Share]
    routes: list[Route]


@dataclass(frozen=True, kw_only=True)
class SubjectPage:
    """The room's result and what the page makes of it."""

    result: SubjectResult
    label: str
    majority: str
    shares: list[Share]
    votes: list[WeighedVote]
    opinions: list[MachineOpinion]
    gold: list[tuple[GoldStandard, str]]
    changes: list[ChangeLine]
    summaries: list[SummaryView]
    similar: SimilarPage | None

    @property
    def waits_for_expert(self) -> bool:
        return waits_for_expert(self.result.status)

    @property
    def picture_url(self) -> str | None:
        pictures = [media for media in self.result.pictures if media.media_type.startswith("image/")]
        return pictures[0].url if pictures else None


def read_subject_page(workflow: Workflow, subject_id: int) -> SubjectPage:
    """One subject of the workflow.

    Raises:
        Http404: it has none of this number.
    """
    result = get_subject_result(workflow, subject_id)
    if result is None:
        raise Http404("There is no such subject.")
    if not result.pictures and result.subject.plane_id is not None:
        ensure_pictures([result.subject])
        result = get_subject_result(workflow, subject_id) or result
    consensus, labels = result.consensus, result.labels
    return SubjectPage(
        result=result,
        label=_label(labels, consensus.answer) if consensus else "",
        majority=_label(labels, consensus.majority) if consensus and consensus.majority is not None else "",
        shares=vote_shares(labels, consensus.answer_counts) if consensus else [],
        votes=_weigh(result),
        opinions=[
            MachineOpinion(
                prediction=prediction,
                shares=probability_shares(labels, prediction),
                routes=[route for route in result.routes if route.prediction_id == prediction.pk],
            )
            for prediction in result.predictions
        ],
        gold=[
            (row, _label(answer_labels(workflow.tasks, workflow.strings, row.task_key), row.answer))
            for row in result.gold
        ],
        changes=describe_changes(result.changes, labels),
        summaries=view_summaries(workflow, result.summaries, result.pictures),
        similar=read_similar(workflow, subject_id, limit=SHOWN_BESIDE_A_SUBJECT),
    )


def _label(labels: list[str], answer: int) -> str:
    return labels[answer] if answer < len(labels) else str(answer)


def _weigh(result: SubjectResult) -> list[WeighedVote]:
    skills: dict[int, tuple[float, bool]] = {}
    if result.status is not None and result.status.epoch_id is not None:
        rows = Skill.objects.filter(
            epoch_id=result.status.epoch_id,
            task_key=result.workflow.first_task,
            volunteer__classifications__in=[vote.classification_id for vote in result.votes],
        )
        values = rows.values_list("volunteer__classifications__id", "skill_bits", "muted")
        skills = {classification_id: (bits, muted) for classification_id, bits, muted in values}
    return [
        WeighedVote(
            vote=vote,
            answer=", ".join(vote.answers.values()) or "–",
            skill_bits=skills[vote.classification_id][0] if vote.classification_id in skills else None,
            muted=vote.classification_id in skills and skills[vote.classification_id][1],
        )
        for vote in result.votes
    ]
