"""Votes saved: sets replayed in random order through the live path, beside the majority of all votes.

A common setting for every set; a vote that arrives for a subject already retired would not have been asked.
The peer is our own fit stopped at a fixed number of votes, the smallest that is as right as the majority of all.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esocs.crowd import posterior, rules
from esocs.crowd.dawid_skene import Votes, fit
from esocs.crowd.modes import Gathered, get_mode
from esocs.crowd.modes.consensus import reach_consensus
from tests.benchmarks.crowd_sets import CrowdSet, accuracy, sets_for
from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table

CRITERION = {"criteria": "consensus", "options": {"threshold": 0.9, "minimum": 3, "maximum": 15}}
# With gold the probabilities are calibrated, and the aim is accuracy: the product's own threshold, and no limit that
# would send a subject to the experts, whose answers are not counted here.
GOLD_CRITERION = {"criteria": "consensus", "options": {"threshold": 0.95, "minimum": 3, "maximum": 1000}}
REFIT_SHARE = 0.02
MACHINE_ACCURACY = 0.8
GOLD_SHARE = 0.1


@dataclass
class Replay:
    """One pass over a set's votes in a random order, subjects retiring on the way."""

    crowd: CrowdSet
    seed: int
    machine: NDArray[np.float64] | None = None  # (S, K) calibrated probabilities
    gold: NDArray[np.int64] | None = None  # (S,)
    criterion: dict[str, Any] = field(default_factory=lambda: CRITERION)

    def run(self) -> None:
        crowd, K = self.crowd, self.crowd.n_answers
        order = np.random.default_rng(self.seed).permutation(len(crowd.subject))
        self.rows = [column[order].tolist() for column in (crowd.subject, crowd.volunteer, crowd.answer)]
        self.used: list[int] = []
        self.closed = np.zeros(crowd.n_subjects, bool)
        self.contested = np.zeros(crowd.n_subjects, bool)
        self.counts = [[0] * K for _ in range(crowd.n_subjects)]
        self.temper = posterior.UNFITTED_TEMPER
        self.prior = None if self.machine is None else posterior.machine_log_prior(self.machine)
        self.opinions = None if self.prior is None else posterior.to_fixed(self.prior).tolist()
        self.guess = [None] * crowd.n_subjects if self.machine is None else self.machine.argmax(1).tolist()
        self.is_gold = np.zeros(crowd.n_subjects, bool) if self.gold is None else self.gold >= 0
        self.refit()
        pause = max(50, int(REFIT_SHARE * len(order)))
        for at in range(len(order)):
            self.submit(at)
            if (at + 1) % pause == 0:
                self.refit()
        self.refit()

    def submit(self, at: int) -> None:
        subject, volunteer, answer = (column[at] for column in self.rows)
        if self.closed[subject]:
            return
        self.used.append(at)
        self.counts[subject][answer] += 1
        self.sums[subject] = posterior.add(self.sums[subject], self.terms[volunteer], answer)
        self.decide(subject)

    def decide(self, subject: int) -> None:
        if self.is_gold[subject]:
            return
        n = sum(self.counts[subject])
        known = rules.Answered.of(
            posterior.read_out(
                self.sums[subject],
                self.temper,
                votes=n,
                opinion=None if self.prior is None else self.opinions[subject],
            ),
            self.counts[subject],
            task_key="T0",
        )
        decision = rules.decide(criterion=self.criterion, n=n, answered=[known], machine_answer=self.guess[subject])
        self.closed[subject] = decision.state != "open"
        self.contested[subject] = decision.state == "contested"

    def refit(self) -> None:
        crowd = self.crowd
        subject, volunteer, answer = (np.array(column)[self.used] for column in self.rows)
        shape = {
            "n_subjects": crowd.n_subjects,
            "n_volunteers": crowd.n_volunteers,
            "n_answers": crowd.n_answers,
        }
        votes = Votes.build(subject=subject, volunteer=volunteer, answer=answer, **shape)
        gathered = Gathered(votes=votes, gold=self.gold, log_prior=self.prior)
        learned = get_mode("hierarchical").learn(gathered)
        terms = learned.terms(np.arange(crowd.n_volunteers))
        reached = reach_consensus(gathered, learned)
        sums, self.temper = reached.sums, reached.temper
        self.terms = terms.reshape(crowd.n_volunteers, -1).tolist()
        self.sums = sums.tolist()
        surest = reached.probabilities.max(axis=1)
        sure = surest >= self.criterion["options"]["threshold"] - 1e-6
        for subject_now_sure in np.flatnonzero(~self.closed & sure & (votes.per_subject > 0)).tolist():
            self.decide(subject_now_sure)

    @property
    def saved(self) -> float:
        asked = ~self.is_gold[self.crowd.subject]
        used = np.zeros(len(self.crowd.subject), bool)
        used[self.used] = True
        used_by = np.array(self.rows[0])[used]
        return 1 - float((~self.is_gold[used_by]).sum() / asked.sum())

    def gap(self) -> float:
        """Points above the majority of all votes, on subjects whose truth is known and not gold."""
        truth = np.where(self.is_gold, -1, self.crowd.truth)
        opinion = None if self.opinions is None else np.array(self.opinions)
        votes = np.array(self.counts).sum(axis=1)
        p = posterior.read_out_all(np.array(self.sums), self.temper, votes=votes, opinion=opinion)
        return accuracy(p, truth) - majority_accuracy(self.crowd, truth)


def majority_accuracy(crowd: CrowdSet, truth: NDArray[np.int64]) -> float:
    """Of the majority of all votes; ties are broken at random, on average over five draws."""
    shares, rng = crowd.shares(), np.random.default_rng(0)
    return float(np.mean([accuracy(shares + 1e-6 * rng.random(shares.shape), truth) for _ in range(5)]))


def saved_by_fixed_number(crowd: CrowdSet, seed: int) -> float:
    """The share of votes that the smallest fixed number per subject saves, at the accuracy of the majority."""
    order = np.random.default_rng(seed).permutation(len(crowd.subject))
    by_subject = order[np.argsort(crowd.subject[order], kind="stable")]
    subject = crowd.subject[by_subject]
    place = np.arange(len(subject)) - np.searchsorted(subject, subject)
    needed = majority_accuracy(crowd, crowd.truth)
    for n in range(1, int(place.max()) + 2):
        chosen = by_subject[place < n]
        fitted = fit(
            subject=crowd.subject[chosen],
            volunteer=crowd.volunteer[chosen],
            answer=crowd.answer[chosen],
            n_subjects=crowd.n_subjects,
            n_volunteers=crowd.n_volunteers,
            n_answers=crowd.n_answers,
        )
        if accuracy(fitted.posterior, crowd.truth) >= needed:
            return 1 - len(chosen) / len(subject)
    return 0.0


def simulated_machine(crowd: CrowdSet, seed: int) -> NDArray[np.float64]:
    """(S, K) calibrated probabilities of a machine that is right four times in five.

    Where the truth is unknown, the fit of all votes stands in for it: such subjects only cost votes.
    """
    rng, K = np.random.default_rng(seed), crowd.n_answers
    fitted = fit(
        subject=crowd.subject,
        volunteer=crowd.volunteer,
        answer=crowd.answer,
        n_subjects=crowd.n_subjects,
        n_volunteers=crowd.n_volunteers,
        n_answers=K,
    )
    truth = np.where(crowd.known, crowd.truth, fitted.posterior.argmax(axis=1))
    confidence = np.maximum(rng.beta(4, 1, crowd.n_subjects), 1 / K)
    confidence += (MACHINE_ACCURACY - confidence.mean()) * (1 - confidence)
    right = rng.random(crowd.n_subjects) < confidence
    guess = np.where(right, truth, (truth + rng.integers(1, K, crowd.n_subjects)) % K)
    p = np.repeat(((1 - confidence) / (K - 1))[:, None], K, axis=1)
    p[np.arange(len(p)), guess] = confidence
    return p


def some_gold(crowd: CrowdSet, seed: int) -> NDArray[np.int64]:
    """A tenth of the known truth."""
    known = np.flatnonzero(crowd.known)
    chosen = np.random.default_rng(seed).choice(known, max(1, int(GOLD_SHARE * len(known))), replace=False)
    gold = np.full(crowd.n_subjects, -1)
    gold[chosen] = crowd.truth[chosen]
    return gold


def figures_of(crowd: CrowdSet, seed: int) -> list[float]:
    """What one random order of a set gives: fixed number; saved and gap, plain, with machine, with gold."""
    plain = Replay(crowd, seed)
    machine = Replay(crowd, seed, machine=simulated_machine(crowd, seed))
    gold = Replay(crowd, seed, gold=some_gold(crowd, seed), criterion=GOLD_CRITERION)
    line = [saved_by_fixed_number(crowd, seed)]
    for replay in (plain, machine, gold):
        replay.run()
        line += [replay.saved, replay.gap()]
    return [*line, float(plain.contested.mean())]


def update_us(n_answers: int = 5, *, updates: int = 20_000) -> float:
    """CPU microseconds of the Python that one live submission costs: add its terms, read out, decide."""
    terms = posterior.log_likelihood_terms(np.full((n_answers, n_answers), 0.1) + np.eye(n_answers) * 0.5).ravel()
    own, sums = terms.tolist(), [0] * n_answers
    with Timer() as timer:
        for at in range(updates):
            sums = posterior.add(sums, own, at % n_answers)
            p = posterior.read_out(sums, votes=9)
            known = rules.Answered.of(p, [2] * n_answers, task_key="T0")
            rules.decide(criterion=CRITERION, n=9, answered=[known], machine_answer=1)
    return 1e6 * timer.cpu_s / updates


def main() -> None:
    arguments = parse_arguments(description=__doc__ or "", size=1, size_help="random orders of each set")
    sets = sorted(sets_for(arguments.data), key=lambda crowd: -len(crowd.subject))
    tasks = [(crowd, seed) for crowd in sets for seed in range(arguments.size)]
    with ProcessPoolExecutor(max_workers=2) as pool:
        figures = np.array(list(pool.map(figures_of, *zip(*tasks, strict=True))))
    means = figures.reshape(len(sets), arguments.size, -1).mean(axis=1).tolist()
    rows = [[crowd.name, len(crowd.subject), *line] for crowd, line in zip(sets, means, strict=True)]
    print_table(
        [
            "set",
            "votes",
            "fixed number",
            "saved",
            "gap",
            "saved with machine",
            "gap",
            "saved with gold",
            "gap",
            "contested",
        ],
        rows,
    )
    mean = np.mean([row[2:] for row in rows], axis=0).tolist()
    print_result(
        name="crowd_replay",
        ours=mean[1],
        peer=mean[0],
        unit="share of votes saved at the accuracy of all votes' majority",
        votes_saved=mean[1],
        accuracy_gap=mean[2],
        votes_saved_machine=mean[3],
        accuracy_gap_machine=mean[4],
        votes_saved_gold=mean[5],
        accuracy_gap_gold=mean[6],
        worst_gap=min(row[4] for row in rows),
        worst_gap_gold=min(row[8] for row in rows),
        contested_share=mean[7],
        update_us=update_us(),
    )


if __name__ == "__main__":
    main()
