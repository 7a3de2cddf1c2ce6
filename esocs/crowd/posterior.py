"""The live posterior: a sum of 64-bit integers, so that votes in any order end in the very same bits.

Within an epoch (one frozen snapshot of everyone's skill) L(k) = log prior(k) + Σ log C_v(k, answer). Integer
addition commutes; floating point does not. The votes' rows are the source of truth; L is their cache.
Sums of one subject are plain lists of int: the live path runs in a web request without numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifier.errors import EsocsError
from esocs.crowd.votes import Votes

Fixed: TypeAlias = NDArray[np.int64]

UNITS_PER_NAT = 1 << 32
"""Fixed point: one nat is 2^32 units; 64 bits hold 7 · 10^8 votes on one subject."""

LARGEST_LOG_RATIO = math.log(19.0)
"""No single submission moves the odds of two answers by more than 19 : 1 (0.95 against 0.05)."""

LARGEST_LOG = 1024.0
"""Bound of one logarithm, in nats; keeps a prior of 0 finite."""

UNFITTED_TEMPER = 0.5
"""Temper of the read-out until there is enough gold to fit it."""

GOLD_TO_FIT_TEMPER = 100

MACHINE_CLIP = (0.01, 0.99)
"""The machine alone can neither exclude an answer nor settle one."""


class InvalidPosteriorError(EsocsError):
    """A prior, a matrix or a temper that would make a posterior meaningless."""

    code = "invalid_posterior"
    status = 422


def to_fixed(log_probability: NDArray[Any] | Sequence[float]) -> Fixed:
    """Nats to fixed point, element-wise; clipped to ±1024 nats (so log 0 stays finite).

    Raises:
        InvalidPosteriorError: a NaN.
    """
    nats = np.asarray(log_probability, np.float64)
    if np.isnan(nats).any():
        raise InvalidPosteriorError("A log probability is not a number.")
    return np.rint(np.clip(nats, -LARGEST_LOG, LARGEST_LOG) * UNITS_PER_NAT).astype(np.int64)


def log_likelihood_terms(confusion: NDArray[Any], *, weight: NDArray[Any] | float = 1.0) -> Fixed:
    """What each answer of a volunteer adds to L: int64 (…, K_true, K_answer), the largest per answer 0.

    Computed once per epoch and stored, so that every later sum uses the very same integers. The constant per
    answer is free (a softmax does not see it); the spread over true answers is clamped at log 19.

    Args:
        confusion: (…, K, K) probabilities, rows = true answer.
        weight: (…) in [0, 1]; 0 silences a volunteer whose rows are kept.

    Raises:
        InvalidPosteriorError: a probability that is negative or not a number.
    """
    confusion = np.asarray(confusion, np.float64)
    if not (confusion >= 0).all() or not np.isfinite(confusion).all():
        raise InvalidPosteriorError("A confusion matrix holds a value that is not a probability.")
    logs = np.log(np.maximum(confusion, 1e-12))
    logs -= logs.max(axis=-2, keepdims=True)
    np.maximum(logs, -LARGEST_LOG_RATIO, out=logs)
    return to_fixed(logs * np.asarray(weight, np.float64)[..., None, None])


def start(log_prior: NDArray[Any] | Sequence[float]) -> list[int]:
    """L of a subject without votes."""
    return [int(units) for units in to_fixed(log_prior)]


def add(log_likelihood: Sequence[int], terms: Sequence[int], answer: int) -> list[int]:
    """L after one more submission, exactly, in O(K).

    Args:
        log_likelihood: K integers.
        terms: K·K integers, the volunteer's `log_likelihood_terms` of this epoch, row by row (true answer).
        answer: in [0, K).

    Raises:
        InvalidPosteriorError: an answer or terms that do not fit K.
    """
    return [units + term for units, term in zip(log_likelihood, _column(log_likelihood, terms, answer), strict=True)]


def subtract(log_likelihood: Sequence[int], terms: Sequence[int], answer: int) -> list[int]:
    """Undo `add` exactly, as when a submission is withdrawn."""
    return [units - term for units, term in zip(log_likelihood, _column(log_likelihood, terms, answer), strict=True)]


def read_out(log_likelihood: Sequence[int], temper: float = UNFITTED_TEMPER) -> list[float]:
    """Probabilities softmax(temper · L) of one subject, plain floats that sum to 1."""
    scale = _checked_temper(temper) / UNITS_PER_NAT
    highest = max(log_likelihood)
    odds = [math.exp((units - highest) * scale) for units in log_likelihood]
    total = sum(odds)
    return [value / total for value in odds]


def read_out_all(log_likelihood: Fixed, temper: float = UNFITTED_TEMPER) -> NDArray[np.float64]:
    """`read_out` of many subjects: (S, K) int64 to (S, K) probabilities."""
    scale = _checked_temper(temper) / UNITS_PER_NAT
    odds = np.exp((log_likelihood - log_likelihood.max(axis=-1, keepdims=True)) * scale)
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def machine_log_prior(
    probabilities: NDArray[Any] | Sequence[float],
    *,
    class_prior: NDArray[Any] | Sequence[float] | None = None,
    training_prior: NDArray[Any] | Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """The machine's calibrated opinion as a log prior, corrected for what it was trained on.

    p(k) · class prior(k) / training prior(k), normalised (Saerens et al. 2002, Neural Comput. 14, 21),
    clipped to [.01, .99]. That it is never a subject the model was trained on, and never one of the blind
    audit, is the caller's duty.

    Args:
        probabilities: (…, K) calibrated probabilities.
        class_prior: (K,) how frequent the answers are among the subjects; None: no correction.
        training_prior: (K,) how frequent they were in training; None: evenly.

    Returns:
        (…, K) log probabilities.

    Raises:
        InvalidPosteriorError: a probability outside [0, 1] or not a number, or all zero.
    """
    corrected = np.array(probabilities, np.float64)
    if not ((corrected >= 0) & (corrected <= 1)).all():
        raise InvalidPosteriorError("A machine's probability is not in [0, 1].")
    if class_prior is not None:
        K = corrected.shape[-1]
        trained = np.full(K, 1 / K) if training_prior is None else np.asarray(training_prior, np.float64)
        wanted = np.asarray(class_prior, np.float64)
        if not (trained > 0).all() or not (wanted >= 0).all():
            raise InvalidPosteriorError("A prior is not positive.")
        corrected *= wanted / trained
    total = corrected.sum(axis=-1, keepdims=True)
    if not (total > 0).all():
        raise InvalidPosteriorError("A machine's probabilities are all zero.")
    return np.asarray(np.log(np.clip(corrected / total, *MACHINE_CLIP)))


def batch(votes: Votes, *, terms: Fixed, start: Fixed) -> Fixed:
    """L of all subjects at once; bit-equal to adding the same votes one by one.

    Args:
        votes: the votes, sorted by subject.
        terms: (V, K_true, K_answer) int64 of this epoch.
        start: (S, K) int64, each subject's fixed-point log prior.

    Returns:
        (S, K) int64.
    """
    K = votes.n_answers
    if terms.shape != (votes.n_volunteers, K, K) or start.shape != (votes.n_subjects, K):
        raise InvalidPosteriorError(
            f"Terms {terms.shape} and start {start.shape} do not fit {votes.n_volunteers} volunteers, "
            f"{votes.n_subjects} subjects and {K} answers."
        )
    by_pair = np.ascontiguousarray(terms.transpose(0, 2, 1)).reshape(-1, K)[votes.pairs]
    total = np.array(start, np.int64)
    for block in votes.blocks(np.int64):
        total[block.subjects] += block.matrix @ by_pair
    return total


def expected_information(
    log_likelihood: Fixed | Sequence[int],
    confusion: NDArray[Any],
    temper: float = UNFITTED_TEMPER,
) -> NDArray[np.float64]:
    """Bits about the answer that one more classification is expected to bring: mutual information, ≥ 0.

    Args:
        log_likelihood: (…, K) int64.
        confusion: (K, K), of the volunteer to come, or the pooled one.
        temper: of the read-out.
    """
    p = read_out_all(np.asarray(log_likelihood, np.int64), temper)
    return expected_information_of(p, confusion)


def expected_information_of(p: NDArray[Any], confusion: NDArray[Any]) -> NDArray[np.float64]:
    """`expected_information` from probabilities (…, K) in place of L: H(answer) − H(answer | truth)."""
    confusion = np.asarray(confusion, np.float64)
    information = _entropy_bits(p @ confusion) - p @ _entropy_bits(confusion)
    return np.asarray(np.maximum(information, 0.0))


def fit_temper(log_likelihood: Fixed, gold: NDArray[Any]) -> float:
    """The temper b with the least log-loss of softmax(b · L) on gold; 0.5 until there are 100 gold subjects.

    Args:
        log_likelihood: (S, K) int64, the gold not clamped.
        gold: (S,) true answers, -1 where there is none.

    Returns:
        b in [0.05, 2].
    """
    gold = np.asarray(gold)
    known = np.flatnonzero(gold >= 0)
    if len(known) < GOLD_TO_FIT_TEMPER:
        return UNFITTED_TEMPER
    L = log_likelihood[known] / UNITS_PER_NAT
    L -= L.max(axis=1, keepdims=True)
    right = gold[known]

    def loss(b: float) -> float:
        scaled = b * L
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(right)), right]))

    low, high = 0.05, 2.0  # log-loss is convex in b: golden section finds its one minimum
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right_b = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right_b):
            high = right_b
        else:
            low = left
    return round((low + high) / 2, 4)


def _entropy_bits(p: NDArray[Any]) -> NDArray[np.float64]:
    logs = np.log2(p, out=np.zeros(p.shape), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=-1))


def _column(log_likelihood: Sequence[int], terms: Sequence[int], answer: int) -> Sequence[int]:
    K = len(log_likelihood)
    if not 0 <= answer < K or len(terms) != K * K:
        raise InvalidPosteriorError(f"Answer {answer} with {len(terms)} terms does not fit {K} sums.")
    return terms[answer::K]


def _checked_temper(temper: float) -> float:
    if not (math.isfinite(temper) and temper > 0):
        raise InvalidPosteriorError(f"A temper of {temper} is not a positive number.")
    return temper
