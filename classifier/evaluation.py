"""How good a network is, whether it is better than another, the rule of promotion. Pure; no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from classifier.calibration import SMALLEST_PROBABILITY
from classifier.errors import EsocsError
from classifier.selection import CalibrationSample, Certificate, certify_threshold


class EvaluationInputError(EsocsError):
    """The things compared are not comparable."""

    code = "evaluation_input"
    status = 422


def accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Share of the N subjects whose top answer is the label."""
    p, truth = _pair(probabilities, labels)
    return float((p.argmax(axis=1) == truth).mean())


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean -log of the probability of the label, nat; probabilities are clipped at 1e-7."""
    p, truth = _pair(probabilities, labels)
    return float(-np.log(np.maximum(p[np.arange(len(p)), truth], SMALLEST_PROBABILITY)).mean())


def confusion_matrix(predicted: ArrayLike, labels: ArrayLike, *, answers: int) -> NDArray[np.int64]:
    """(K, K) counts: row the label, column the predicted answer."""
    matrix = np.zeros((answers, answers), dtype=np.int64)
    np.add.at(matrix, (np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    return matrix


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """The subjects on which exactly one of two networks is wrong, and what chance says of them.

    Attributes:
        only_champion_wrong: b.
        only_challenger_wrong: c.
        p_more_errors: P(X >= c) for X ~ Binomial(b + c, 1/2): small when the challenger errs more often.
        p_two_sided: min(1, 2 min(P(X <= c), P(X >= c))): small when they differ.
    """

    only_champion_wrong: int
    only_challenger_wrong: int
    p_more_errors: float
    p_two_sided: float


def mcnemar(champion_correct: ArrayLike, challenger_correct: ArrayLike) -> McNemar:
    """The exact test on the same subjects (McNemar 1947, Psychometrika 12, 153; exact by the binomial)."""
    champion, challenger = (
        np.asarray(champion_correct, dtype=bool),
        np.asarray(challenger_correct, dtype=bool),
    )
    if champion.shape != challenger.shape:
        raise EvaluationInputError("McNemar's test compares two networks on the same subjects.")
    b = int((~champion & challenger).sum())
    c = int((champion & ~challenger).sum())
    more = float(stats.binom.sf(c - 1, b + c, 0.5))
    fewer = float(stats.binom.cdf(c, b + c, 0.5))
    return McNemar(
        only_champion_wrong=b,
        only_challenger_wrong=c,
        p_more_errors=more,
        p_two_sided=min(1.0, 2 * min(more, fewer)),
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a challenger is promoted, and everything that was weighed.

    Attributes:
        promoted: The decision.
        reasons: Why not, a sentence each; empty when promoted.
        subjects: Size of the blind set.
        champion_errors: Wrong top answers of the champion.
        challenger_errors: Wrong top answers of the challenger.
        test: McNemar's test of the two.
        champion_certificate: What the champion may accept at (alpha, delta).
        challenger_certificate: What the challenger may.
    """

    promoted: bool
    reasons: tuple[str, ...]
    subjects: int
    champion_errors: int
    challenger_errors: int
    test: McNemar
    champion_certificate: Certificate
    challenger_certificate: Certificate

    def as_json(self) -> dict[str, Any]:
        """The verdict with its evidence as JSON."""
        return {
            "promoted": self.promoted,
            "reasons": list(self.reasons),
            "subjects": self.subjects,
            "champion_errors": self.champion_errors,
            "challenger_errors": self.challenger_errors,
            "only_champion_wrong": self.test.only_champion_wrong,
            "only_challenger_wrong": self.test.only_challenger_wrong,
            "p_more_errors": self.test.p_more_errors,
            "p_two_sided": self.test.p_two_sided,
            "champion_certificate": self.champion_certificate.as_json(),
            "challenger_certificate": self.challenger_certificate.as_json(),
        }


def verdict(
    *,
    champion: CalibrationSample,
    challenger: CalibrationSample,
    champion_trained_ids: ArrayLike,
    challenger_trained_ids: ArrayLike,
    alpha: float,
    delta: float,
) -> Verdict:
    """The rule of promotion: no more errors, and at least as much accepted, on the same blind set.

    "No more errors" compares the counts; the exact McNemar test beside it says how much they mean. A rule
    that only refused significantly more errors would let a network decay by a little every week.

    Args:
        champion: The blind set as the champion scores it, reserved for it.
        challenger: The same subjects as the challenger scores them, reserved for it.
        champion_trained_ids: What the champion was trained on.
        challenger_trained_ids: What the challenger was trained on.
        alpha: Largest error rate among the accepted.
        delta: Probability with which it may be exceeded.

    Raises:
        EvaluationInputError: The two samples hold different subjects, or none.
        UnreservedCalibrationError: A sample was not reserved for its version.
        ContaminatedCalibrationError: One of the two was trained on some of the set.
    """
    old, new = _aligned(champion, challenger)
    certificates = [
        certify_threshold(sample, alpha=alpha, delta=delta, trained_ids=trained_ids)
        for sample, trained_ids in ((old, champion_trained_ids), (new, challenger_trained_ids))
    ]
    old_errors, new_errors = int((~old.correct).sum()), int((~new.correct).sum())
    reasons = []
    if new_errors > old_errors:
        reasons.append(f"It makes {new_errors} errors on {len(new.correct)} blind subjects, not {old_errors}.")
    if certificates[1].accepted < certificates[0].accepted:
        reasons.append(
            f"It may accept {certificates[1].accepted} of them at an error of {alpha:.2%}, "
            f"not {certificates[0].accepted}."
        )
    return Verdict(
        promoted=not reasons,
        reasons=tuple(reasons),
        subjects=len(new.correct),
        champion_errors=old_errors,
        challenger_errors=new_errors,
        test=mcnemar(old.correct, new.correct),
        champion_certificate=certificates[0],
        challenger_certificate=certificates[1],
    )


def _aligned(champion: CalibrationSample, challenger: CalibrationSample) -> tuple[CalibrationSample, CalibrationSample]:
    samples = []
    for sample in (champion, challenger):
        order = np.argsort(sample.subject_ids)
        samples.append(
            CalibrationSample(
                subject_ids=sample.subject_ids[order],
                scores=sample.scores[order],
                correct=sample.correct[order],
                model_version=sample.model_version,
                reserved_for=sample.reserved_for,
            )
        )
    if len(samples[0].subject_ids) == 0 or not np.array_equal(samples[0].subject_ids, samples[1].subject_ids):
        raise EvaluationInputError("Champion and challenger must be compared on the same blind subjects.")
    return samples[0], samples[1]


def _pair(probabilities: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if p.ndim != 2 or truth.shape != (len(p),) or len(p) == 0:
        raise EvaluationInputError("There must be subjects, with one label and one row of probabilities each.")
    if truth.min() < 0 or truth.max() >= p.shape[1]:
        raise EvaluationInputError(f"A label is not one of the {p.shape[1]} answers.")
    return p, truth
