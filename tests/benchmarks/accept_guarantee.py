"""Whole simulated campaigns: is the error among the accepted what was promised, and how much is accepted for it?

A campaign draws a blind calibration sample from an archive of 200,000 subjects, certifies thresholds on it as the
product does (`classifier.selection`, `classifier.strata`, grids from other subjects of the archive), and accepts. The
truth is known here, so the true error among the accepted is too: it may exceed alpha in at most delta of the campaigns.
The peer is an oracle that knows every label and takes the loosest threshold at which the error is at most alpha.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from classifier.audit import watch_audit
from classifier.selection import (
    CalibrationSample,
    Certificate,
    ContaminatedCalibrationError,
    UnreservedCalibrationError,
    certify_threshold,
    enough_for_calibration,
    grid_from_pool,
)
from classifier.strata import Scored, assign, certify_groups, divide
from tests.benchmarks.report import parse_arguments, print_result, print_table

ALPHAS = (0.01, 0.05)
DELTA = 0.05
SUBJECTS, POOL, SAMPLE = 200_000, 20_000, 4_000
SIZES = (500, 1_000, 2_000, 4_000, 8_000)
ANSWERS = np.array([0.4, 0.3, 0.15, 0.12, 0.03])
RARE, RARE_ALPHA = 4, 0.1
STRATA = ("sharp", "usual", "blurred", "faint")
STRATA_SHARES = np.array([0.4, 0.3, 0.2, 0.1])
STRATA_SIGNAL = np.array([1.3, 1.0, 0.85, 0.75])
# Signal over noise of the right answer's logit, its scatter among subjects, and how overconfident the softmax is.
ARCHIVES = ((4.5, 0.4, 1.0), (4.0, 0.5, 1.5), (3.5, 0.6, 1.5), (3.0, 0.8, 2.0))
ALARM_DELTA, AUDITED, QUIET = 0.01, 5_000, 1_000


@dataclass(frozen=True)
class Archive:
    """Subjects as a network scores them. `earlier` are the scores of the version before."""

    score: np.ndarray
    answer: np.ndarray
    right: np.ndarray
    stratum: np.ndarray
    earlier: np.ndarray

    def draw(self, rng: np.random.Generator, size: int, among: np.ndarray | None = None) -> np.ndarray:
        return rng.choice(len(self.score) if among is None else among, size, replace=False)

    def sample(self, drawn: np.ndarray, *, reserved: bool = True) -> CalibrationSample:
        return CalibrationSample(
            subject_ids=drawn,
            scores=self.score[drawn],
            correct=self.right[drawn],
            model_version="2",
            reserved_for="2" if reserved else None,
        )

    def accept(self, threshold: float | None, *, without: np.ndarray) -> tuple[int, float]:
        """How many subjects outside the sample are accepted, and the true error among them."""
        if threshold is None:
            return 0, 0.0
        accepted = self.score >= threshold
        accepted[without] = False
        n = int(accepted.sum())
        return n, float((~self.right[accepted]).mean()) if n else 0.0

    def oracle(self, alpha: float) -> float:
        """The largest share that could be accepted at an error of alpha, by any threshold on the score."""
        order = np.argsort(-self.score)
        errors = np.cumsum(~self.right[order]) / np.arange(1, len(order) + 1)
        within = np.flatnonzero(errors <= alpha)
        return float((within.max() + 1) / len(order)) if len(within) else 0.0


def simulate(seed: int, *, signal: float, scatter: float, overconfidence: float, subjects: int = SUBJECTS) -> Archive:
    """An archive in four strata, five answers of which one is rare, and a network's softmax on them."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(ANSWERS), subjects, p=ANSWERS)
    stratum = rng.choice(len(STRATA), subjects, p=STRATA_SHARES)
    strength = signal * STRATA_SIGNAL[stratum] * np.exp(scatter * rng.normal(size=subjects))

    def read(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        noise[np.arange(subjects), truth] += strength
        logits = overconfidence * noise
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return p.max(axis=1) / p.sum(axis=1), p.argmax(axis=1)

    score, answer = read(rng.normal(size=(subjects, len(ANSWERS))))
    earlier, _ = read(1.5 * rng.normal(size=(subjects, len(ANSWERS))))
    return Archive(score=score, answer=answer, right=answer == truth, stratum=stratum, earlier=earlier)


@cache
def archive(number: int) -> Archive:
    signal, scatter, overconfidence = ARCHIVES[number]
    return simulate(number, signal=signal, scatter=scatter, overconfidence=overconfidence)


def campaigns(count: int, *, size: int, seed: int) -> Iterator[tuple[int, Archive, np.ndarray, np.ndarray]]:
    """(number of its archive, archive, calibration sample, pool) of each campaign; the archives in turn."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        number = i % len(ARCHIVES)
        drawn = archive(number).draw(rng, size + POOL)
        yield number, archive(number), drawn[:size], drawn[size:]


def certify(one: Archive, drawn: np.ndarray, pool: np.ndarray, *, alpha: float) -> Certificate:
    grid = grid_from_pool(one.score[pool], sample_size=len(drawn), alpha=alpha, delta=DELTA)
    return certify_threshold(one.sample(drawn), alpha=alpha, delta=DELTA, trained_ids=[], grid=grid)


@dataclass
class Outcome:
    """What became of some campaigns at one alpha."""

    campaigns: int
    violations: int
    coverage: float
    oracle: float
    of_oracle: float

    @property
    def rate(self) -> float:
        return self.violations / self.campaigns


def run_campaigns(count: int, *, alpha: float, size: int, seed: int) -> tuple[Outcome, list[list[object]]]:
    """All archives together, and a line for each."""
    per: dict[int, list[tuple[bool, float]]] = {number: [] for number in range(len(ARCHIVES))}
    for number, one, drawn, pool in campaigns(count, size=size, seed=seed):
        accepted, error = one.accept(certify(one, drawn, pool, alpha=alpha).threshold, without=drawn)
        per[number].append((error > alpha, accepted / (SUBJECTS - size)))
    oracles = [archive(number).oracle(alpha) for number in per]
    lines: list[list[object]] = []
    for number, rows in per.items():
        coverage = float(np.mean([covered for _, covered in rows])) if rows else 0.0
        lines.append(
            [
                alpha,
                f"{1 - archive(number).right.mean():.1%} wrong in all",
                len(rows),
                sum(broken for broken, _ in rows),
                coverage,
                oracles[number],
                coverage / oracles[number],
            ]
        )
    made = [(broken, covered, oracles[number]) for number, rows in per.items() for broken, covered in rows]
    return Outcome(
        campaigns=len(made),
        violations=sum(broken for broken, _, _ in made),
        coverage=float(np.mean([covered for _, covered, _ in made])),
        oracle=float(np.mean([best for _, _, best in made])),
        of_oracle=float(np.mean([covered / best for _, covered, best in made])),
    ), lines


def run_groups(count: int, *, alpha: float, size: int) -> tuple[int, int, float]:
    """Campaigns with a threshold for each stratum and a rare answer of its own alpha.

    Returns:
        In how many any group's error exceeds its alpha; in how many a single threshold for all lets a stratum's error
        exceed alpha; the mean share accepted.
    """
    joint = single = 0
    covered = []
    names = np.array(STRATA, dtype=object)
    for _, one, drawn, pool in campaigns(count, size=size, seed=3):

        def scored(chosen: np.ndarray, one: Archive = one) -> Scored:
            return Scored(
                scores=one.score[chosen], answers=one.answer[chosen], strata=names[one.stratum[chosen]].tolist()
            )

        groups = divide(scored(drawn), alpha=alpha, delta=DELTA, alpha_by_answer={RARE: RARE_ALPHA})
        certificates = certify_groups(
            one.sample(drawn), scored(drawn), groups=groups, delta=DELTA, trained_ids=[], pool=scored(pool)
        )
        cells = [(s, a) for s in range(len(STRATA)) for a in (0, RARE)]
        of_cell = assign(groups, answers=[a for _, a in cells], strata=[STRATA[s] for s, _ in cells]).reshape(-1, 2)
        member = of_cell[one.stratum, (one.answer == RARE).astype(int)]
        limits = np.array([np.inf if c.threshold is None else c.threshold for c in certificates] + [np.inf])
        accepted = one.score >= limits[member]
        accepted[drawn] = False
        counts = np.bincount(member[accepted], minlength=len(groups))
        wrong = np.bincount(member[accepted & ~one.right], minlength=len(groups))
        joint += any(k > g.alpha * n for g, n, k in zip(groups, counts, wrong, strict=True))
        covered.append(float(accepted.mean()))
        threshold = certify(one, drawn, pool, alpha=alpha).threshold
        accepted = one.score >= (np.inf if threshold is None else threshold)
        counts, wrong = (np.bincount(one.stratum[m], minlength=len(STRATA)) for m in (accepted, accepted & ~one.right))
        single += bool((wrong > alpha * counts).any())
    return joint, single, float(np.mean(covered))


def run_leftover(count: int, *, alpha: float, size: int) -> tuple[int, int]:
    """Campaigns that calibrate on what active learning left over: the surer half by the version before.

    Returns:
        In how many the promise is broken if that were let pass; how many the code refuses.
    """
    broken = refused = 0
    rng = np.random.default_rng(4)
    for i in range(count):
        one = archive(i % len(ARCHIVES))
        leftover = np.flatnonzero(one.earlier > np.median(one.earlier))
        drawn = one.draw(rng, size, leftover)
        grid = grid_from_pool(one.score, sample_size=size, alpha=alpha, delta=DELTA)
        # Passed off as reserved: this is what the refusal keeps from happening.
        threshold = certify_threshold(one.sample(drawn), alpha=alpha, delta=DELTA, trained_ids=[], grid=grid).threshold
        broken += one.accept(threshold, without=drawn)[1] > alpha
        refused += refuses(one.sample(drawn, reserved=False), alpha=alpha, trained_ids=[])
    return broken, refused


def refuses(sample: CalibrationSample, *, alpha: float, trained_ids: list[int]) -> bool:
    try:
        certify_threshold(sample, alpha=alpha, delta=DELTA, trained_ids=trained_ids)
    except (UnreservedCalibrationError, ContaminatedCalibrationError):
        return True
    return False


def false_alarms(count: int, *, alpha: float, rate: float) -> int:
    """How many of so many audits, each of 5,000 subjects at this constant error, end in an alarm."""
    rng = np.random.default_rng(5)
    return sum(watch_audit(rng.random(AUDITED) < rate, alpha=alpha, delta=ALARM_DELTA).withdrawn for _ in range(count))


def delays(count: int, *, alpha: float, quiet: float, after: float) -> list[float]:
    """Audited subjects from a rise of the error, after 1,000 at the quiet rate, to the alarm; inf: none in 5,000."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(count):
        rates = np.where(np.arange(QUIET + AUDITED) < QUIET, quiet, after)
        fired = watch_audit(rng.random(QUIET + AUDITED) < rates, alpha=alpha, delta=ALARM_DELTA).fired_at
        found.append(float(max(0, fired - QUIET)) if fired is not None else np.inf)
    return found


def drifted_error(alpha: float, *, loss: float) -> tuple[float, float]:
    """True error among the accepted before and after the signal falls by `loss`, for the third archive."""
    number = 2
    one = archive(number)
    rng = np.random.default_rng(7)
    drawn = one.draw(rng, SAMPLE + POOL)
    threshold = certify(one, drawn[:SAMPLE], drawn[SAMPLE:], alpha=alpha).threshold
    signal, scatter, overconfidence = ARCHIVES[number]
    later = simulate(99, signal=signal * (1 - loss), scatter=scatter, overconfidence=overconfidence, subjects=100_000)
    nothing = np.empty(0, dtype=np.int64)
    return one.accept(threshold, without=nothing)[1], later.accept(threshold, without=nothing)[1]


def show_alarms(count: int) -> tuple[float, float]:
    """Tables of false alarms and delays. Returns the false alarm rate at alpha 1 % and the median delay at 5 alpha."""
    rows: list[list[object]] = []
    for alpha in ALPHAS:
        rows += [
            [alpha, f"{share:g} alpha", false_alarms(count, alpha=alpha, rate=share * alpha) / count]
            for share in (0.5, 1)
        ]
    print(f"\nFalse alarms in {AUDITED:,} audited subjects (promised: at most {ALARM_DELTA:.0%}), {count} audits each")
    print_table(["alpha", "true error", "false alarms"], rows)
    rates = [float(row[2]) for row in rows if row[1] == "1 alpha"]  # type: ignore[arg-type]
    table: list[list[object]] = []
    median = np.inf
    for alpha in ALPHAS:
        for factor in (2, 3, 5, 10):
            found = delays(max(100, count // 5), alpha=alpha, quiet=alpha / 2, after=factor * alpha)
            table.append(
                [
                    alpha,
                    f"to {factor} alpha",
                    *np.quantile(found, [0.5, 0.9], method="higher").tolist(),
                    float(np.isfinite(found).mean()),
                ]
            )
            if (alpha, factor) == (0.01, 5):
                median = float(np.median(found))
        for loss in (0.15, 0.3):
            before, after = drifted_error(alpha, loss=loss)
            found = delays(max(100, count // 5), alpha=alpha, quiet=before, after=after)
            table.append(
                [
                    alpha,
                    f"signal −{loss:.0%}: to {after / alpha:.1f} alpha",
                    *np.quantile(found, [0.5, 0.9], method="higher").tolist(),
                    float(np.isfinite(found).mean()),
                ]
            )
    print(f"\nAudited subjects from the rise of the error to the alarm, after {QUIET:,} quiet ones")
    print_table(["alpha", "the error rises", "median", "90 %", "found"], table)
    return max(rates), median


def main() -> None:
    arguments = parse_arguments(description=__doc__ or "", size=500, size_help="campaigns of each kind")
    count: int = arguments.size
    most = int(stats.binom.ppf(0.999, count, DELTA))
    outcomes, lines = {}, []
    for alpha in ALPHAS:
        outcomes[alpha], rows = run_campaigns(count, alpha=alpha, size=SAMPLE, seed=1)
        lines += rows
    print(
        f"{count} campaigns at each alpha, delta {DELTA:.0%}, calibration samples of {SAMPLE:,}, {SUBJECTS:,} subjects"
    )
    print_table(["alpha", "archive", "campaigns", "broken", "accepted", "oracle's", "of oracle's"], lines)
    for alpha, outcome in outcomes.items():
        interval = stats.binomtest(outcome.violations, count).proportion_ci(0.95)
        print(
            f"alpha {alpha:.0%}: broken in {outcome.violations} of {count} ({outcome.rate:.1%}, 95 % interval "
            f"{interval.low:.1%} to {interval.high:.1%}; {most} would still agree with {DELTA:.0%})"
        )
    few = max(40, count // 5)
    by_default = {alpha: enough_for_calibration(alpha=alpha, delta=DELTA) for alpha in ALPHAS}
    curve: list[list[object]] = []
    of_oracle_by_default = []
    for alpha in ALPHAS:
        for size in sorted({*SIZES, by_default[alpha]}):
            made, rows = run_campaigns(few, alpha=alpha, size=size, seed=2)
            curve.append([alpha, size, made.rate, made.coverage, made.of_oracle, min(float(row[-1]) for row in rows)])  # type: ignore[arg-type]
            if size == by_default[alpha]:
                of_oracle_by_default.append(made.of_oracle)
    print(f"\nBy the size of the calibration sample, {few} campaigns each; reserved by default: {by_default}")
    print_table(["alpha", "sample", "broken", "accepted", "of oracle's", "in the worst archive"], curve)
    groups = {alpha: run_groups(count, alpha=alpha, size=SAMPLE) for alpha in ALPHAS}
    print(
        f"\nA threshold for each of four strata, and {RARE_ALPHA:.0%} of its own for an answer of {ANSWERS[RARE]:.0%}"
    )
    print_table(
        ["alpha", "any group broken", "single threshold: a stratum above alpha", "accepted"],
        [[alpha, joint / count, single / count, covered] for alpha, (joint, single, covered) in groups.items()],
    )
    leftovers = {alpha: run_leftover(few, alpha=alpha, size=SAMPLE) for alpha in ALPHAS}
    print("\nCalibrated on what active learning left over, if it were let pass")
    print_table(
        ["alpha", "campaigns", "broken", "refused by the code"],
        [[alpha, few, broken / few, refused / few] for alpha, (broken, refused) in leftovers.items()],
    )
    false_alarm_rate, delay = show_alarms(count)
    worst = max(outcomes.values(), key=lambda outcome: outcome.violations)
    print_result(
        name="accept_guarantee",
        ours=outcomes[0.01].coverage,
        peer=outcomes[0.01].oracle,
        unit="share accepted at 1 %",
        violation_rate=worst.rate,
        violation_rate_still_consistent=most / count,
        coverage_of_oracle=min(outcome.of_oracle for outcome in outcomes.values()),
        coverage_of_oracle_by_default=min(of_oracle_by_default),
        groups_violation_rate=max(joint for joint, _, _ in groups.values()) / count,
        leftover_violation_rate=min(broken for broken, _ in leftovers.values()) / few,
        leftover_refused=min(refused for _, refused in leftovers.values()) / few,
        false_alarm_rate=false_alarm_rate,
        alarm_delay=delay,
    )


if __name__ == "__main__":
    main()
