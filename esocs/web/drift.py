"""Drift as the scientists' page tells it: nights, batches and reliability of one policy, each with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.db.models import Sum

from classifier.drift import (
    PSI_NOTICED,
    Counts,
    Limits,
    ReliabilityCheck,
    Shift,
    check_reliability,
    control_limits,
    measure_shift,
)
from esocs.archive.models import IngestBatch
from esocs.machine.models import DriftCount, DriftReference, ReliabilityCount, RoutingPolicy
from esocs.machine.monitoring import read_reliability
from esocs.projects.models import Workflow

NIGHTS_SHOWN = 60
BATCHES_SHOWN = 6
# A batch whose unsure subjects the model has learned from looks surer than it is: it is shown, and not judged.
LEARNED_SHARE = 0.01
# Fewer labels than this say little about a diagram.
LABELS_ENOUGH = 50

SOURCES = {
    ReliabilityCount.Source.AUDIT: (
        "Blind audit",
        "A random share of everything, settled without the machine’s opinion or by experts: what comes in now.",
    ),
    ReliabilityCount.Source.CALIBRATION: (
        "Calibration sample",
        "Experts’ answers to the reserved random sample, on which the temperature was fitted: how it was at the start.",
    ),
    ReliabilityCount.Source.GOLD: (
        "Other experts’ answers",
        "Whatever else experts answered. They chose it for being difficult, so expect the machine to look worse here.",
    ),
    ReliabilityCount.Source.CONSENSUS: (
        "Settled consensus",
        "What volunteers settled. The machine’s opinion had a part in it, so it looks better here than it is.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Night:
    """One night's share out of distribution, with the limits within which an unchanged one lies."""

    night: date | None
    subjects: int
    out: int
    limits: Limits

    @property
    def share(self) -> float:
        return self.out / self.subjects

    @property
    def above(self) -> bool:
        return self.share > self.limits.high

    @property
    def below(self) -> bool:
        return self.share < self.limits.low


@dataclass(frozen=True, kw_only=True)
class BatchScores:
    """One ingest batch's scores beside the calibration sample's; `shift` is None where there is none to compare."""

    batch: IngestBatch | None
    subjects: int
    learned_from: int
    counts: Counts
    shift: Shift | None

    @property
    def judged(self) -> bool:
        """Whether it may be compared: not where the model learned from a part that was not drawn by chance."""
        return self.shift is not None and self.learned_from <= LEARNED_SHARE * (self.subjects + self.learned_from)


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """A reliability diagram against one kind of label."""

    source: str
    title: str
    about: str
    check: ReliabilityCheck

    @property
    def enough(self) -> bool:
        return self.check.subjects >= LABELS_ENOUGH


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One thing that is watched: `good`, `warn` or `unknown`, in words, and what to do about it."""

    state: str
    title: str
    sentence: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class DriftPage:
    """All that is known of one policy's drift."""

    policy: RoutingPolicy
    reference: DriftReference | None
    nights: list[Night]
    undated: Night | None
    nights_in_all: int
    batches: list[BatchScores]
    diagrams: list[Diagram]
    verdicts: list[Verdict]

    @property
    def level(self) -> float | None:
        """Share out of distribution of the calibration sample."""
        if self.reference is None or not self.reference.subjects:
            return None
        return self.reference.out_of_distribution / self.reference.subjects


def list_policies(workflow: Workflow) -> list[RoutingPolicy]:
    """Every policy of the workflow's models, the champion's first, then the newest."""
    policies = RoutingPolicy.objects.filter(model_version__workflow=workflow).select_related("model_version")
    rows = list(policies.defer("model_version__card").order_by("-model_version__number", "-number"))
    return sorted(rows, key=lambda policy: policy.model_version.state != "champion")


def read_drift(policy: RoutingPolicy) -> DriftPage:
    """One policy's counts, judged, in a fixed number of statements."""
    reference = DriftReference.objects.filter(policy=policy).first()
    nights, undated, in_all = _read_nights(policy, reference)
    batches = _read_batches(policy, reference)
    diagrams = _read_diagrams(policy)
    verdicts = [judge_nights(nights, reference), judge_scores(batches), judge_reliability(diagrams)]
    return DriftPage(
        policy=policy,
        reference=reference,
        nights=nights,
        undated=undated,
        nights_in_all=in_all,
        batches=batches,
        diagrams=diagrams,
        verdicts=verdicts,
    )


def _read_nights(policy: RoutingPolicy, reference: DriftReference | None) -> tuple[list[Night], Night | None, int]:
    """The newest nights in the order of time, what has no night, and how many nights there are in all."""
    counted = DriftCount.objects.filter(policy=policy, subjects__gt=0).order_by()
    rows = list(counted.values_list("night").annotate(n=Sum("subjects"), out=Sum("out_of_distribution")))
    hits, n = (reference.out_of_distribution, reference.subjects) if reference else (0, 0)
    dated = sorted((row for row in rows if row[0] is not None), key=lambda row: row[0])
    missing = [row for row in rows if row[0] is None]

    def make(row: tuple[date | None, int, int]) -> Night:
        limits = control_limits(row[1], reference_hits=hits, reference_n=n)
        return Night(night=row[0], subjects=row[1], out=row[2], limits=limits)

    return [make(row) for row in dated[-NIGHTS_SHOWN:]], make(missing[0]) if missing else None, len(dated)


def _read_batches(policy: RoutingPolicy, reference: DriftReference | None) -> list[BatchScores]:
    """The newest batches, the newest first."""
    counted = DriftCount.objects.filter(policy=policy)
    newest = list(
        counted.filter(subjects__gt=0)
        .order_by("-batch_id")
        .values_list("batch_id", flat=True)
        .distinct()[:BATCHES_SHOWN]
    )
    known = [pk for pk in newest if pk is not None]
    rows = counted.filter(batch__in=known).values_list("batch_id", "subjects", "learned_from", "score_counts")
    found = list(rows)
    if None in newest:
        found += list(counted.filter(batch=None).values_list("batch_id", "subjects", "learned_from", "score_counts"))
    batches = IngestBatch.objects.in_bulk(known)
    result = []
    for pk in newest:
        own = [row for row in found if row[0] == pk]
        counts = np.array([row[3] for row in own], dtype=np.int64).sum(axis=0)
        usable = reference is not None and reference.subjects > 0 and counts.sum() > 0
        result.append(
            BatchScores(
                batch=batches.get(pk) if pk is not None else None,
                subjects=sum(row[1] for row in own),
                learned_from=sum(row[2] for row in own),
                counts=counts,
                shift=measure_shift(counts, reference.score_counts) if usable and reference else None,
            )
        )
    return result


def _read_diagrams(policy: RoutingPolicy) -> list[Diagram]:
    found = read_reliability(policy)
    return [
        Diagram(
            source=source,
            title=title,
            about=about,
            check=check_reliability(found[source].subjects, found[source].right, found[source].probability_sums),
        )
        for source, (title, about) in SOURCES.items()
        if source in found
    ]


def judge_nights(nights: Sequence[Night], reference: DriftReference | None) -> Verdict:
    """Whether the newest nights hold more that is unlike the known than the calibration sample."""
    title = "Out of distribution"
    if reference is None or not reference.subjects or not nights:
        return Verdict(
            state="unknown",
            title=title,
            sentence="There is nothing to compare yet: it takes a calibration sample and nights that were routed.",
            advice="Run manage.py route; the counts follow within five minutes.",
        )
    above = [night for night in nights if night.above]
    if not above:
        return Verdict(
            state="good",
            title=title,
            sentence=f"None of the last {len(nights):,} nights holds more that is unlike the known than chance"
            " explains.",
        )
    named = ", ".join(str(night.night) for night in above[-3:])
    return Verdict(
        state="warn",
        title=title,
        sentence=f"{len(above):,} of the last {len(nights):,} nights hold more that is unlike the known than chance"
        f" explains: {named}{' and earlier ones' if len(above) > 3 else ''}.",
        advice="Look at the oddest of them. New kinds of objects: let volunteers answer, then retrain. Faulty files:"
        " mend what feeds the archive. None of it was accepted from the machine.",
    )


def judge_scores(batches: Sequence[BatchScores]) -> Verdict:
    """Whether the newest batch's scores are distributed like the calibration sample's."""
    title = "Scores"
    judged = next((one for one in batches if one.judged), None)
    if judged is None or judged.shift is None:
        return Verdict(
            state="unknown",
            title=title,
            sentence="No batch can be compared yet: those that the model has learned from do not count.",
        )
    name = f"batch {judged.batch.pk}" if judged.batch else "what has no batch"
    index = f"stability index {judged.shift.index:.2f}"
    if judged.shift.verdict == "same":
        return Verdict(
            state="good",
            title=title,
            sentence=f"The scores of {name} are distributed like the calibration sample’s ({index}).",
        )
    how = "are another population than" if judged.shift.verdict == "changed" else "differ from"
    return Verdict(
        state="warn",
        title=title,
        sentence=f"The scores of {name} {how} the calibration sample’s ({index}; up to {PSI_NOTICED} is usual).",
        advice="The promise about the accepted holds for what is like the calibration sample. Watch the audit, and"
        " retrain on what volunteers have settled of these nights.",
    )


def judge_reliability(diagrams: Sequence[Diagram]) -> Verdict:
    """Whether the machine is as often right as it says, by the best labels there are."""
    title = "Reliability"
    trusted = (ReliabilityCount.Source.AUDIT, ReliabilityCount.Source.CALIBRATION)
    best = next((one for one in diagrams if one.source in trusted and one.enough), None)
    if best is None:
        return Verdict(
            state="unknown",
            title=title,
            sentence=f"Fewer than {LABELS_ENOUGH} subjects drawn by chance are labelled: too few to tell.",
            advice="The blind audit and the experts’ queue bring them.",
        )
    against = f"{best.title.lower()}, {best.check.subjects:,} subjects"
    errors = f"calibration error {100 * best.check.expected_calibration_error:.1f} %"
    if not best.check.surprising:
        return Verdict(
            state="good", title=title, sentence=f"The machine is right as often as it says ({against}; {errors})."
        )
    sure = sum(one.confidence * one.subjects for one in best.check.bins)
    right = sum(one.accuracy * one.subjects for one in best.check.bins)
    way = "less" if right < sure else "more"
    return Verdict(
        state="warn",
        title=title,
        sentence=f"The machine is right {way} often than it says, beyond chance ({against}; {errors}).",
        advice="Run manage.py route --again, which fits the temperature anew; if the audit still disagrees, retrain.",
    )
