"""Drift as a year of nights leaves it: counts of a policy, for pages that need no routing."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from classifier import drift
from classifier.calibration import RELIABILITY_BINS
from esocs.archive.models import IngestBatch
from esocs.machine.models import DriftCount, DriftReference, ReliabilityCount, RoutingPolicy

FIRST_NIGHT = date(2026, 3, 1)


def make_drift(
    policy: RoutingPolicy, *, nights: int = 24, odd: int = 2, surer: bool = False, overconfident: bool = False
) -> list[IngestBatch]:
    """Three batches of nights; the newest `odd` nights are strange, the newest batch surer or less so than before."""
    random = np.random.default_rng(8)
    batches = [IngestBatch.objects.create(source=f"/archive/run-{i}") for i in range(3)]
    DriftReference.objects.create(
        policy=policy,
        routes_counted=nights * 300 + 500,
        subjects=500,
        out_of_distribution=6,
        score_counts=_scores(random, 500, doubt=0.6),
    )
    for i in range(nights):
        batch = batches[3 * i // nights]
        n = int(random.integers(120, 420))
        share = 0.12 if i >= nights - odd else 0.012
        doubt = 0.35 if surer and batch == batches[-1] else 0.6
        DriftCount.objects.create(
            policy=policy,
            batch=batch,
            night=FIRST_NIGHT + timedelta(days=i),
            subjects=n,
            learned_from=40 if batch == batches[0] else 0,
            out_of_distribution=int(random.binomial(n, share)),
            score_counts=_scores(random, n, doubt=doubt),
        )
    for source, size in (("audit", 30), ("calibration", 50), ("gold", 1)):
        _reliability(random, policy, source, size=size, factor=0.75 if overconfident else 1.0)
    return batches


def _scores(random: np.random.Generator, size: int, *, doubt: float) -> list[int]:
    return drift.count_scores(1 - 10 ** -random.gamma(3, doubt, size)).tolist()


def _reliability(random: np.random.Generator, policy: RoutingPolicy, source: str, *, size: int, factor: float) -> None:
    p = (np.arange(RELIABILITY_BINS) + 0.5) / RELIABILITY_BINS
    n = random.poisson(size * p**2)
    n[:3] = 0
    ReliabilityCount.objects.create(
        policy=policy,
        batch=None,
        source=source,
        subjects=n.tolist(),
        right=random.binomial(n, p * factor).tolist(),
        probability_sums=(n * p).tolist(),
    )
