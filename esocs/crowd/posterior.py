"""The live posterior: a sum of 64-bit integers, so that votes in any order end in the very same bits.

Within an epoch (one frozen snapshot of everyone's skill) L(k) = log prior(k) + Σ log C_v(k, answer). Integer
addition commutes; floating point does not. The votes' rows are the source of truth; L is their cache.
Sums of one subject are plain lists of int: the live path runs in a web request without numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
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
"""Temper of the read-out, at four votes, until gold says otherwise."""

VOTES_AT_TEMPER = 4
"""Number of votes at which the temper is the factor of L itself."""

VOTE_CORRELATION = 0.3
"""How alike volunteers err on the same subject: n votes tell as much as n / (1 + ρ (n − 1)) independent ones."""

TEMPER_SPREAD = 0.3
"""Standard deviation of log temper among workflows: what a little gold has to overcome."""

MACHINE_CLIP = (0.01, 0.99)
"""The machine alone can neither exclude an answer nor settle one."""


class ReadOut(StrEnum):
    """How a sum L becomes probabilities.

    Attributes:
        TEMPERED: softmax(b · L), b fitted on gold and falling with the number of votes: calibrated.
        BAYES: softmax(L), as if volunteers erred independently: what the classical models say.
        SHARES: L / Σ L, the share of the (weighted) votes.
    """

    TEMPERED = "tempered"
    BAYES = "bayes"
    SHARES = "shares"


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


def log_likelihood_terms(
    confusion: NDArray[Any], *, weight: NDArray[Any] | float = 1.0, largest_log_ratio: float = LARGEST_LOG_RATIO
) -> Fixed:
    """What each answer of a volunteer adds to L: int64 (…, K_true, K_answer), the largest per answer 0.

    Computed once per epoch and stored, so that every later sum uses the very same integers. The constant per
    answer is free (a softmax does not see it); the spread over true answers is clamped at log 19.

    Args:
        confusion: (…, K, K) probabilities, rows = true answer.
        weight: (…) in [0, 1]; 0 silences a volunteer whose rows are kept.
        largest_log_ratio: nats by which one submission may move the odds of two answers.

    Raises:
        InvalidPosteriorError: a probability that is negative or not a number.
    """
    confusion = np.asarray(confusion, np.float64)
    if not (confusion >= 0).all() or not np.isfinite(confusion).all():
        raise InvalidPosteriorError("A confusion matrix holds a value that is not a probability.")
    logs = np.log(np.maximum(confusion, 1e-12))
    logs -= logs.max(axis=-2, keepdims=True)
    np.maximum(logs, -largest_log_ratio, out=logs)
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


def temper_at(temper: float, votes: int) -> float:
    """The factor of L after so many votes: temper · (1 + 3 ρ) / (1 + ρ (votes − 1)), the temper itself at 4.

    Votes on one subject err together (it is hard for everybody), so each further one tells less: Kish's (1965)
    design effect with ρ = 0.3. Without it twenty votes are read as far too sure and three as too unsure.

    Raises:
        InvalidPosteriorError: a temper that is not a positive number.
    """
    if not (math.isfinite(temper) and temper > 0):
        raise InvalidPosteriorError(f"A temper of {temper} is not a positive number.")
    return temper * (1 + VOTE_CORRELATION * (VOTES_AT_TEMPER - 1)) / (1 + VOTE_CORRELATION * max(votes - 1, 0))


def read_out(
    log_likelihood: Sequence[int],
    temper: float = UNFITTED_TEMPER,
    *,
    votes: int = VOTES_AT_TEMPER,
    kind: ReadOut | str = ReadOut.TEMPERED,
    opinion: Sequence[int] | None = None,
) -> list[float]:
    """Probabilities of one subject, plain floats that sum to 1.

    Args:
        log_likelihood: K integers.
        temper: of the workflow; only `tempered` heeds it.
        votes: submissions that L holds; b is `temper_at` that many.
        kind: of the workflow's mode.
        opinion: what of L is the machine's opinion: it is calibrated, so the temper is for the rest alone.
    """
    if kind == ReadOut.SHARES:
        whole = sum(log_likelihood)
        if whole <= 0:
            return [1 / len(log_likelihood)] * len(log_likelihood)
        return [units / whole for units in log_likelihood]
    scale = temper_at(temper, votes) if kind == ReadOut.TEMPERED else 1.0
    scores: Sequence[float]
    if opinion is None:
        scores = [units * scale for units in log_likelihood]
    else:
        scores = [own + (units - own) * scale for units, own in zip(log_likelihood, opinion, strict=True)]
    highest = max(scores)
    odds = [math.exp((score - highest) / UNITS_PER_NAT) for score in scores]
    total = sum(odds)
    return [value / total for value in odds]


def read_out_all(
    log_likelihood: Fixed,
    temper: float = UNFITTED_TEMPER,
    *,
    votes: NDArray[Any] | None = None,
    kind: ReadOut | str = ReadOut.TEMPERED,
    opinion: Fixed | None = None,
) -> NDArray[np.float64]:
    """`read_out` of many subjects: (…, K) int64 and (…) numbers of votes to (…, K) probabilities.

    `opinion` is (…, K) int64, zero where the machine is silent.
    """
    if kind == ReadOut.SHARES:
        weights = np.maximum(np.asarray(log_likelihood, np.float64), 0.0)
        weights[weights.sum(axis=-1) == 0] = 1.0
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
    if kind == ReadOut.BAYES:
        scaled = np.asarray(log_likelihood / UNITS_PER_NAT)
    else:
        own = np.zeros(1, np.int64) if opinion is None else opinion
        scaled = own / UNITS_PER_NAT + _tempered(log_likelihood - own, votes) * temper_at(temper, VOTES_AT_TEMPER)
    odds = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def opinion_in(
    machine_prior: Sequence[int] | None, *, first: bool, n_answers: int, kind: ReadOut | str
) -> Sequence[int] | None:
    """What of a subject's sum is the machine's opinion: of the first question alone, where the mode hears it.

    Args:
        machine_prior: K integers, None where the machine is silent.
        first: whether the sum is that of the workflow's first question.
        n_answers: K of the question; an opinion about other answers is none.
        kind: read-out of the mode.
    """
    heard = first and kind != ReadOut.SHARES and machine_prior is not None and len(machine_prior) == n_answers
    return machine_prior if heard else None


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


def batch(votes: Votes, *, pair_terms: Fixed, start: Fixed) -> Fixed:
    """L of all subjects at once; bit-equal to adding the same votes one by one.

    Args:
        votes: the votes, sorted by subject.
        pair_terms: (U, K) int64, what each of `votes.pairs` adds under this epoch (`pair_terms_of`).
        start: (S, K) or (K,) int64, each subject's fixed-point log prior.

    Returns:
        (S, K) int64.
    """
    K = votes.n_answers
    if pair_terms.shape != (len(votes.pairs), K) or start.shape not in {(votes.n_subjects, K), (K,)}:
        raise InvalidPosteriorError(
            f"Terms {pair_terms.shape} and start {start.shape} do not fit {len(votes.pairs)} pairs, "
            f"{votes.n_subjects} subjects and {K} answers."
        )
    total = np.array(np.broadcast_to(start, (votes.n_subjects, K)), np.int64)
    for block in votes.blocks_of(np.int64):
        total[block.subjects] += block.matrix @ pair_terms[block.pairs]
    return total


def pair_terms_of(terms: Fixed, pairs: NDArray[np.int64]) -> Fixed:
    """(U, K): the terms of the pairs volunteer * K + answer, from (V, K_true, K_answer)."""
    K = terms.shape[-1]
    return np.ascontiguousarray(terms.transpose(0, 2, 1)).reshape(-1, K)[pairs]


def expected_information(
    log_likelihood: Fixed | Sequence[int],
    confusion: NDArray[Any],
    temper: float = UNFITTED_TEMPER,
    *,
    votes: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Bits about the answer that one more classification is expected to bring: mutual information, ≥ 0.

    Args:
        log_likelihood: (…, K) int64.
        confusion: (K, K), of the volunteer to come, or the pooled one.
        temper: of the read-out.
        votes: (…) submissions that each L holds.
    """
    p = read_out_all(np.asarray(log_likelihood, np.int64), temper, votes=votes)
    return expected_information_of(p, confusion)


def expected_information_of(p: NDArray[Any], confusion: NDArray[Any]) -> NDArray[np.float64]:
    """`expected_information` from probabilities (…, K) in place of L: H(answer) − H(answer | truth)."""
    confusion = np.asarray(confusion, np.float64)
    information = _entropy_bits(p @ confusion) - p @ _entropy_bits(confusion)
    return np.asarray(np.maximum(information, 0.0))


def worth_asking(p: NDArray[Any], confusion: NDArray[Any], *, error_cost: float, vote_cost: float) -> NDArray[np.bool_]:
    """The cost form of stopping: whether one more classification saves more error than it costs.

    One step ahead: the expected rise of the leading answer's probability times the cost of an error, against
    the cost of a vote. A single vote that cannot change the lead is worth nothing, so open subjects need a
    minimum number of votes beside it.

    Args:
        p: (…, K) probabilities.
        confusion: (K, K) of the volunteer to come, rows = true answer.
        error_cost: of a wrong consensus.
        vote_cost: of one classification, in the same unit.
    """
    joint = p[..., :, None] * np.asarray(confusion, np.float64)
    rise = joint.max(axis=-2).sum(axis=-1) - p.max(axis=-1)
    return np.asarray(rise * error_cost > vote_cost)


def fit_temper(
    log_likelihood: Fixed,
    gold: NDArray[Any],
    *,
    votes: NDArray[Any] | None = None,
    opinion: Fixed | None = None,
) -> float:
    """The temper with the least log-loss on gold; 0.5 without gold, and near it until gold outweighs it.

    Log-normal prior around 0.5 (standard deviation 0.3), so that a few gold subjects move it a little and a
    hundred decide it.

    Args:
        log_likelihood: (S, K) int64, the gold not added to it.
        gold: (S,) true answers, -1 where there is none.
        votes: (S,) submissions that each L holds.
        opinion: (S, K) int64, what of L is the machine's opinion; zero where it is silent.

    Returns:
        The temper, in [0.05, 5].
    """
    gold = np.asarray(gold)
    known = np.flatnonzero(gold >= 0)
    if not len(known):
        return UNFITTED_TEMPER
    own = np.zeros((len(known), log_likelihood.shape[1]), np.int64) if opinion is None else opinion[known]
    heard = own / UNITS_PER_NAT
    L = _tempered(log_likelihood[known] - own, None if votes is None else np.asarray(votes)[known])
    L -= L.max(axis=1, keepdims=True)
    row = np.arange(len(known))

    def loss(log_temper: float) -> float:
        b = math.exp(log_temper)
        scores = heard + b * L
        surprise = float((np.log(np.exp(scores).sum(axis=1)) - scores[row, gold[known]]).sum())
        return surprise + 0.5 * ((log_temper - math.log(UNFITTED_TEMPER)) / TEMPER_SPREAD) ** 2

    return round(math.exp(_lowest(loss, low=math.log(0.05), high=math.log(5.0))), 4)


def _lowest(loss: Callable[[float], float], *, low: float, high: float) -> float:
    """Where a function with one valley is lowest, by golden section, to 1e-4."""
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _tempered(log_likelihood: Fixed, votes: NDArray[Any] | None) -> NDArray[np.float64]:
    """L in nats, times what the number of votes does to the temper."""
    nats = log_likelihood / UNITS_PER_NAT
    if votes is None:
        return np.asarray(nats)
    excess = np.maximum(np.asarray(votes) - 1, 0)
    factor = (1 + VOTE_CORRELATION * (VOTES_AT_TEMPER - 1)) / (1 + VOTE_CORRELATION * excess)
    return np.asarray(nats * factor[..., None])


def _entropy_bits(p: NDArray[Any]) -> NDArray[np.float64]:
    logs = np.log2(p, out=np.zeros(p.shape), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=-1))


def _column(log_likelihood: Sequence[int], terms: Sequence[int], answer: int) -> Sequence[int]:
    K = len(log_likelihood)
    if not 0 <= answer < K or len(terms) != K * K:
        raise InvalidPosteriorError(f"Answer {answer} with {len(terms)} terms does not fit {K} sums.")
    return terms[answer::K]
