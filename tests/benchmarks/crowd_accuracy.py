"""Accuracy, log-loss and calibration of the consensus, beside crowd-kit's methods and cleanlab's, on the same sets.

With gold, a tenth of the known truth is given to the fit and left out of the score.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.modes import DEFAULT_MODE, MODES, Gathered, get_mode
from esocs.crowd.modes.consensus import reach_consensus
from tests.benchmarks.crowd_sets import CrowdSet, accuracy, calibration_error, log_loss, sets_for
from tests.benchmarks.report import parse_arguments, print_result, print_table

GOLD_SHARE = 0.1
GOLD_DRAWS = 5
FLAG_POINTS = 3.0
NEEDS_GOLD = "swap"

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Of one method on one set."""

    accuracy: float
    log_loss: float
    ece: float

    @classmethod
    def of(cls, p: Probabilities, truth: NDArray[np.int64]) -> Scores:
        return cls(accuracy(p, truth), log_loss(p, truth), calibration_error(p, truth))


def ours(crowd: CrowdSet, gold: NDArray[np.int64] | None = None, *, mode: str = DEFAULT_MODE) -> Probabilities:
    """The product's read-out under one of its modes."""
    gathered = Gathered(votes=crowd.votes(), gold=gold)
    return reach_consensus(gathered, get_mode(mode).learn(gathered)).probabilities


def peers(crowd: CrowdSet, *, slow_votes: int) -> dict[str, Probabilities]:
    """(S, K) of each peer; GLAD and CROWDLAB only on sets of at most `slow_votes` votes."""
    import pandas as pd
    from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote, OneCoinDawidSkene, Wawa

    table = pd.DataFrame({"task": crowd.subject, "worker": crowd.volunteer, "label": crowd.answer})
    methods = {
        "majority": MajorityVote(),
        "Wawa": Wawa(),
        "Dawid-Skene": DawidSkene(100),
        "one-coin": OneCoinDawidSkene(100),
        "MACE": MACE(n_restarts=2, n_iter=30),
    }
    if len(crowd.subject) <= slow_votes:
        methods["GLAD"] = GLAD()
    found = {name: _filled(crowd, method.fit_predict_proba(table)) for name, method in methods.items()}
    if len(crowd.subject) <= slow_votes:
        found["CROWDLAB"] = _crowdlab(crowd)
    return found


def _filled(crowd: CrowdSet, table: object) -> Probabilities:
    """A peer's table, tasks by labels, as (S, K)."""
    p = np.zeros((crowd.n_subjects, crowd.n_answers))
    p[np.ix_(np.asarray(table.index), np.asarray(table.columns))] = np.nan_to_num(table.to_numpy())  # type: ignore[attr-defined]
    return p


def _crowdlab(crowd: CrowdSet) -> Probabilities:
    from cleanlab.multiannotator import get_label_quality_multiannotator

    labels = np.full((crowd.n_subjects, crowd.n_volunteers), np.nan)
    labels[crowd.subject, crowd.volunteer] = crowd.answer
    found = get_label_quality_multiannotator(
        labels, crowd.shares(), return_detailed_quality=False, return_annotator_stats=False, verbose=False
    )["label_quality"]
    best = found["consensus_label"].to_numpy(int)
    sure = found["consensus_quality_score"].to_numpy(float)
    p = np.repeat(((1 - sure) / max(crowd.n_answers - 1, 1))[:, None], crowd.n_answers, axis=1)
    p[np.arange(len(p)), best] = sure
    return p


def scores_of(crowd: CrowdSet, slow_votes: int) -> dict[str, Scores]:
    """Every method's scores on one set; the default mode is `ours`, the other modes `ours: name`."""
    p = ours(crowd)
    found = {"ours": Scores.of(p, crowd.truth), "ours with gold": _with_gold(crowd)}
    for mode in MODES:
        if mode == NEEDS_GOLD:
            found[f"ours: {mode} with gold"] = _with_gold(crowd, mode=mode)
        elif mode != DEFAULT_MODE:
            found[f"ours: {mode}"] = Scores.of(ours(crowd, mode=mode), crowd.truth)
    found |= {name: Scores.of(q, crowd.truth) for name, q in peers(crowd, slow_votes=slow_votes).items()}
    flagged = p.argmax(axis=1) != crowd.shares().argmax(axis=1)
    found["flagged"] = Scores(100 * float(flagged.mean()), 0.0, 0.0)
    return found


def _with_gold(crowd: CrowdSet, *, mode: str = DEFAULT_MODE) -> Scores:
    """The mean of a few draws of the gold, which is left out of the score."""
    known, rng = np.flatnonzero(crowd.known), np.random.default_rng(0)
    draws = []
    for _ in range(GOLD_DRAWS):
        chosen = rng.choice(known, max(1, int(GOLD_SHARE * len(known))), replace=False)
        gold, rest = np.full(crowd.n_subjects, -1), crowd.truth.copy()
        gold[chosen], rest[chosen] = crowd.truth[chosen], -1
        scores = Scores.of(ours(crowd, gold, mode=mode), rest)
        draws.append([scores.accuracy, scores.log_loss, scores.ece])
    return Scores(*np.mean(draws, axis=0).tolist())


def main() -> None:
    arguments = parse_arguments(
        description=__doc__ or "", size=5000, size_help="most votes of a set for the slow peers"
    )
    sets = sorted(sets_for(arguments.data), key=lambda crowd: -len(crowd.subject))
    with ProcessPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(scores_of, sets, [arguments.size] * len(sets)))
    names = list(dict.fromkeys(name for result in results for name in result if name != "flagged"))
    rows = [
        [crowd.name, name, result[name].accuracy, result[name].log_loss, result[name].ece]
        for crowd, result in zip(sets, results, strict=True)
        for name in names
        if name in result
    ]
    everywhere = [name for name in names if all(name in result for result in results)]
    mean = {
        name: np.mean([[r[name].accuracy, r[name].log_loss, r[name].ece] for r in results], axis=0).tolist()
        for name in everywhere
    }
    rows += [["mean", name, *mean[name]] for name in everywhere]
    print_table(["set", "method", "accuracy %", "log-loss", "ECE"], rows)
    rivals = [name for name in everywhere if not name.startswith("ours")]
    best = max(rivals, key=lambda name: mean[name][0])
    below = [result["majority"].accuracy - result["ours"].accuracy for result in results]
    print_result(
        name="crowd_accuracy",
        ours=mean["ours"][0],
        peer=mean[best][0],
        unit="% right, mean over the sets",
        accuracy=mean["ours"][0],
        best_peer=best,
        best_peer_accuracy=mean[best][0],
        log_loss=mean["ours"][1],
        best_peer_log_loss=min(mean[name][1] for name in rivals),
        ece=mean["ours"][2],
        best_peer_ece=min(mean[name][2] for name in rivals),
        accuracy_gold=mean["ours with gold"][0],
        log_loss_gold=mean["ours with gold"][1],
        ece_gold=mean["ours with gold"][2],
        worst_below_majority=max(0.0, *below),
        least_flagged_where_far_below=min(
            (result["flagged"].accuracy for result, gap in zip(results, below, strict=True) if gap > FLAG_POINTS),
            default=None,
        ),
    )


if __name__ == "__main__":
    main()
