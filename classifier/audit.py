"""Whether the answers of the blind audit contradict the error that was promised, watched after every answer.

Pure numpy. The crowd room feeds it, and withdraws the thresholds when it fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifier.selection import Floats, SelectionInputError

ODDS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""The error rates betted on have so many times the odds of the promised one; so each lies between it and one."""

OVERALL_STAKE = 0.5
"""Of the wealth, this bets on all accepted subjects together; the rest is divided among the groups."""


@dataclass(frozen=True, kw_only=True)
class GroupAudit:
    """What the audit says of one group.

    Attributes:
        group: its number, as given.
        count: audited subjects of the group.
        errors: how many of them the machine had wrong.
        log_wealth: natural log of the largest wealth so far of the bets on this group alone; they began with one.
    """

    group: int
    count: int
    errors: int
    log_wealth: float


@dataclass(frozen=True, kw_only=True)
class AuditAlarm:
    """Whether the audit stream, watched after every answer, contradicts "no group errs more than its alpha".

    Attributes:
        delta: Largest probability of an alarm, ever, while the promise holds.
        count: Audited subjects that the machine would have been believed on.
        errors: How many of them the machine had wrong.
        log_wealth: (count,) log of the wealth after each, nat.
        fired_at: Number of answers after which the wealth first reached 1 / delta; None if it has not.
        groups: Each group where there are several, in the order of their numbers.
    """

    delta: float
    count: int
    errors: int
    log_wealth: Floats
    fired_at: int | None
    groups: tuple[GroupAudit, ...]

    @property
    def withdrawn(self) -> bool:
        """Once fired, it stays so: the thresholds are withdrawn until new ones are certified."""
        return self.fired_at is not None

    @property
    def p_value(self) -> float:
        """An anytime-valid p-value: one over the largest wealth so far."""
        return float(np.exp(-max(0.0, self.log_wealth.max(initial=0.0))))


def watch_audit(
    wrong: ArrayLike,
    *,
    alpha: ArrayLike,
    delta: float = 0.01,
    groups: ArrayLike | None = None,
    n_groups: int | None = None,
    restart_every: int = 50,
) -> AuditAlarm:
    """Bets against every group's error rate being at most its alpha, on the audited in an order fixed beforehand.

    A bet on rate q > alpha multiplies its stake by q/alpha at an error and by (1 - q)/(1 - alpha) otherwise,
    that is by 1 + l (x - alpha) with l = (q - alpha) / (alpha (1 - alpha)) >= 0: a supermartingale under any
    error rate <= alpha, also where alpha differs from subject to subject. Wealth is a mixture of such bets over
    q, over starting times (weights 1/(j(j+1)), so that an error rate that rises late finds fresh stakes), and,
    where there are several groups, half on all subjects together and half divided among bets on each group's
    own subjects; a mixture is again a supermartingale. By Ville's inequality (1939) it ever reaches 1/delta
    with probability <= delta. Source: Waudby-Smith & Ramdas (2024, JRSS B 86, 1, "Estimating means of bounded
    random variables by betting").

    An error that is not known yet may stand as none: each factor rises with x, so no alarm is false by it.

    Args:
        wrong: (n,) whether the machine was wrong on each audited subject that it would have been believed on, in
            an order that does not depend on the answers.
        alpha: The error rate promised: one, or (n,) that of each subject's group.
        delta: Largest probability of a false alarm over the whole stream.
        groups: (n,) number of each subject's group, from 0; one group for all when omitted.
        n_groups: How many groups there are; those without a subject keep their stakes.
        restart_every: A new set of bets starts after so many answers.

    Raises:
        SelectionInputError: levels out of range, or lengths that differ.
    """
    x = np.asarray(wrong, dtype=bool)
    given = np.asarray(alpha, dtype=np.float64)
    if not (0 < delta < 1 and (given > 0).all() and (given < 1).all()):
        raise SelectionInputError(f"alpha {given} and delta {delta} must lie between 0 and 1.")
    levels = np.broadcast_to(given, x.shape)
    members = np.zeros(len(x), dtype=np.int64) if groups is None else np.asarray(groups, dtype=np.int64)
    if members.shape != x.shape:
        raise SelectionInputError("Each audited subject must have a group.")
    total = max(n_groups or 1, int(members.max(initial=0)) + 1)
    log_wealth = _log_wealth(x, levels, restart_every=restart_every)
    alone: list[Floats] = []
    seen: list[GroupAudit] = []
    for group in range(total) if total > 1 else []:
        inside = members == group
        own = np.concatenate([[0.0], _log_wealth(x[inside], levels[inside], restart_every=restart_every)])
        # Between two subjects of the group its wealth stands still.
        alone.append(own[np.cumsum(inside)])
        seen.append(
            GroupAudit(
                group=group,
                count=int(inside.sum()),
                errors=int(x[inside].sum()),
                log_wealth=float(own.max()),
            )
        )
    if alone:
        each = np.logaddexp.reduce(alone, axis=0) + np.log((1 - OVERALL_STAKE) / total)
        log_wealth = np.logaddexp(log_wealth + np.log(OVERALL_STAKE), each)
    reached = np.flatnonzero(log_wealth >= -np.log(delta))
    return AuditAlarm(
        delta=delta,
        count=len(x),
        errors=int(x.sum()),
        log_wealth=log_wealth,
        fired_at=int(reached[0]) + 1 if len(reached) else None,
        groups=tuple(seen),
    )


def _log_wealth(x: NDArray[np.bool_], alpha: Floats, *, restart_every: int) -> Floats:
    """(n,) log wealth after each answer of one stream, from a wealth of one."""
    if not len(x):
        return np.empty(0)
    odds = (alpha / (1 - alpha))[:, None] * np.array(ODDS)
    rates = odds / (1 + odds)
    gains = np.where(x[:, None], np.log(rates / alpha[:, None]), np.log((1 - rates) / (1 - alpha[:, None])))
    path = np.concatenate([np.zeros((1, len(ODDS))), np.cumsum(gains, axis=0)])
    starts = np.arange(0, len(x), restart_every)
    j = np.arange(1, len(starts) + 1)
    log_stakes = -np.log(j * (j + 1.0)) - np.log(len(ODDS))
    # A bet begun at s has its stake times exp(path[i + 1] - path[s]): the begun ones are summed once, in order.
    begun = np.logaddexp.accumulate(log_stakes[:, None] - path[starts], axis=0)
    running = np.arange(len(x)) // restart_every
    bets = np.logaddexp.reduce(path[1:] + begun[running], axis=1)
    # The stakes sum to one: what is not yet bet is kept.
    return np.asarray(np.logaddexp(bets, -np.log(running + 2.0)), dtype=np.float64)
