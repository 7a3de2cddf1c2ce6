"""The consensus of a whole set at once: the same sums and read-out as the live path, over arrays.

Offline aggregation and the benchmarks use it. The votes are the source of truth; nothing here is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd import posterior
from esocs.crowd.modes.counting import Doubles, count_votes, majority_of
from esocs.crowd.modes.interface import Gathered, Learned
from esocs.crowd.posterior import Fixed, InvalidPosteriorError, ReadOut
from esocs.crowd.votes import checked_gold, checked_log_prior


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """Of S subjects over K answers.

    Attributes:
        sums: (S, K) int64, fixed point (`posterior.UNITS_PER_NAT`).
        temper: of a tempered read-out; 1 for one that heeds none.
        probabilities: (S, K), rows sum to 1.
        answer: (S,) int64, the likeliest answer; the first of them on a tie.
        counts: (S, K) int64, votes for each answer.
        majority: (S,) int64, the answer with the most votes, -1 on a tie or without votes.
        flagged: (S,) bool, the consensus is not what the majority says.
    """

    sums: Fixed
    temper: float
    probabilities: Doubles
    answer: NDArray[np.int64]
    counts: NDArray[np.int64]
    majority: NDArray[np.int64]
    flagged: NDArray[np.bool_]


def reach_consensus(gathered: Gathered, learned: Learned, *, temper: float | None = None) -> Consensus:
    """Sum what was learned over all votes, and read the sums out. Gold is not added to the sums.

    Args:
        gathered: the votes; they need not be those that were learned from, but of the same volunteers and answers.
        learned: what a mode made of them, or of earlier ones.
        temper: of a tempered read-out; None: the one that was learned.

    Raises:
        InvalidVotesError: gold or priors out of range or not a number; names the row.
        InvalidPosteriorError: a temper that is not a positive number, or votes of another number of answers or of
            more volunteers.
    """
    votes = gathered.votes
    checked_gold(gathered.gold, votes)
    sums, opinion = sum_votes(gathered, learned)
    if learned.read_out != ReadOut.TEMPERED:
        temper = 1.0
    elif temper is None:
        temper = learned.temper
    p = posterior.read_out_all(sums, temper, votes=votes.per_subject, kind=learned.read_out, opinion=opinion)
    counts = count_votes(votes)
    answer, majority = p.argmax(axis=1).astype(np.int64), majority_of(counts)
    return Consensus(
        sums=sums,
        temper=temper,
        probabilities=p,
        answer=answer,
        counts=counts,
        majority=majority,
        flagged=(majority >= 0) & (majority != answer),
    )


def sum_votes(gathered: Gathered, learned: Learned) -> tuple[Fixed, Fixed | None]:
    """(S, K) int64: every subject's sum under what was learned; and (S, K) what of it is the machine's opinion.

    A subject starts at the machine's opinion where the mode hears it and there is one, else where the mode says.

    Raises:
        InvalidVotesError: priors out of range or not a number; names the row.
        InvalidPosteriorError: votes of another number of answers or of more volunteers.
    """
    votes = gathered.votes
    if votes.n_answers != learned.n_answers or votes.n_volunteers > learned.n_volunteers:
        raise InvalidPosteriorError(
            f"Votes of {votes.n_volunteers} volunteers on {votes.n_answers} answers do not fit what was learned of "
            f"{learned.n_volunteers} on {learned.n_answers}."
        )
    log_prior = checked_log_prior(gathered.log_prior, votes)
    start, opinion = learned.start, None
    if learned.hears_the_machine and log_prior is not None:
        opinion = posterior.to_fixed(log_prior - np.log(np.exp(log_prior).sum(axis=1, keepdims=True)))
        start = opinion
        if gathered.heard is not None:
            start = np.where(gathered.heard[:, None], opinion, learned.start)
            opinion = np.where(gathered.heard[:, None], opinion, 0)
    return posterior.batch(votes, pair_terms=learned.pair_terms(votes.pairs), start=start), opinion
