"""What waits for an expert, each with the reason: the review page's table."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import Q

from esocs.crowd.models import SubjectStatus
from esocs.crowd.review import ReviewCounts
from esocs.projects.models import Workflow
from esocs.web.results import ResultRow, read_rows, read_statuses

PAGE_SIZE = 25

KINDS = {
    "": "Everything",
    "routed": "Sent to the experts",
    "contested": "Contested",
    "flagged": "Majority disagrees",
    "audit": "Audit",
    "disagrees": "Machine disagrees",
}
"""The tabs, in their order; the reasons of one subject exclude each other."""

SENT = Q(audience=SubjectStatus.Audience.EXPERTS, state=SubjectStatus.State.OPEN)

ROUTE_REASONS = {
    "reserved": "Set aside for the experts, to calibrate or to test the machine.",
    "quality": "The file fails the quality flags, so the machine does not judge it.",
}


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One kind of what waits, and how much of it."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ReviewRow:
    """One subject that waits, and why.

    `blind` rows are of an audit: who is about to answer should not read what it is about.
    """

    result: ResultRow
    kind: str
    why: str

    @property
    def blind(self) -> bool:
        return self.kind in {SubjectStatus.Review.AUDIT, SubjectStatus.Review.DISAGREES}


def list_tabs(counts: ReviewCounts) -> list[Tab]:
    """How many subjects stand under each tab."""
    return [
        Tab(kind=kind, name=name, count=getattr(counts, kind) if kind else counts.total) for kind, name in KINDS.items()
    ]


def list_waiting(workflow: Workflow, *, kind: str, page: str | None, count: int) -> tuple[list[ReviewRow], Page[int]]:
    """One page of what waits, in the order in which experts are asked; a fixed number of statements.

    Args:
        workflow: whose.
        kind: of `KINDS`.
        page: its number.
        count: how many wait.
    """
    found = Paginator(range(count), PAGE_SIZE).get_page(page)
    shown = read_statuses(_waiting_ids(workflow, kind=kind, first=found.start_index() - 1 if count else 0))
    return [_review_row(row) for row in read_rows(workflow, shown)], found


def _waiting_ids(workflow: Workflow, *, kind: str, first: int) -> list[int]:
    """The ids of a page that begins with the `first`; the two reasons to wait each have an index in this order."""
    rows = SubjectStatus.objects.filter(workflow=workflow)
    reviewed = rows.filter(review=kind) if kind else rows.exclude(review="")
    sources = [rows.filter(SENT)] if kind == "routed" else [reviewed] if kind else [rows.filter(SENT), reviewed]
    order = ("priority", "random_key", "pk")
    merged = {row for each in sources for row in each.order_by(*order).values_list(*order)[: first + PAGE_SIZE]}
    return [pk for _, _, pk in sorted(merged)[first : first + PAGE_SIZE]]


def waits_for_expert(status: SubjectStatus | None) -> bool:
    """Whether an expert is asked about the subject."""
    if status is None:
        return False
    sent = status.audience == SubjectStatus.Audience.EXPERTS and status.state == SubjectStatus.State.OPEN
    return sent or status.review != ""


def _review_row(row: ResultRow) -> ReviewRow:
    status = row.status
    assert status is not None, "the rows are made of statuses"
    return ReviewRow(result=row, kind=status.review or "routed", why=_why(row, status))


def _why(row: ResultRow, status: SubjectStatus) -> str:
    match status.review:
        case SubjectStatus.Review.CONTESTED:
            return f"{status.classifications_count} volunteers were asked, and no answer is probable enough."
        case SubjectStatus.Review.FLAGGED:
            return "Most volunteers say otherwise than those who are right more often, or the machine."
        case SubjectStatus.Review.AUDIT:
            drawn = f" on {status.audited_at:%Y-%m-%d}" if status.audited_at else ""
            return f"Drawn by chance{drawn}, to find out how often the consensus is wrong."
        case SubjectStatus.Review.DISAGREES:
            return "In the blind audit volunteers said otherwise than the machine, which would have been believed."
        case _ if row.route is None:
            return ROUTE_REASONS["reserved"]
        case _:
            return ROUTE_REASONS.get(row.route.reason, f"The machine sent it here: {row.route.reason}.")
