"""Charts of the drift page as plain numbers: positions in percent of the plot, from its upper left corner.

The plots stretch with the page, so their letters stand beside them in HTML, where they keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifier.drift import BINS_PER_DECADE, SCORE_BINS, ReliabilityCheck
from esocs.web.drift import Night


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A word beside an axis, and where it stands."""

    place: float
    text: str


@dataclass(frozen=True, kw_only=True)
class NightChart:
    """Dots for nights, a band of limits about the expected level."""

    dots: str
    dots_above: str
    band: str
    level: float | None
    ticks: list[Tick]
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class ScoreChart:
    """Filled bars of a batch, an outline of the calibration sample, and where scores are accepted from."""

    bars: str
    outline: str
    thresholds: list[float]
    top: str


@dataclass(frozen=True, kw_only=True)
class ReliabilityChart:
    """A dot and an interval for each bin."""

    dots: str
    surprises: str
    intervals: str


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) if points else ""


def _dots(points: Sequence[tuple[float, float]]) -> str:
    """Strokes without length: with round ends they are dots of the stroke's width, however the plot is stretched."""
    return "".join(f"M{x:.2f} {y:.2f}h0" for x, y in points)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def draw_nights(nights: Sequence[Night], *, level: float | None) -> NightChart:
    """The control chart of the nights' shares; the limits of quiet nights with few subjects may leave the plot."""
    highest = max([night.share for night in nights] + [2 * (level or 0), 0.01])
    typical = float(np.median([night.limits.high for night in nights]))
    top = min(_round_up(max(highest, min(typical * 1.2, 1.0))), 1.0)

    def y(share: float) -> float:
        return 100 - 100 * min(share / top, 1.0)

    width = 100 / len(nights)
    places = [(i + 0.5) * width for i in range(len(nights))]
    upper = [(x + side * width / 2, y(n.limits.high)) for x, n in zip(places, nights, strict=True) for side in (-1, 1)]
    lower = [(x + side * width / 2, y(n.limits.low)) for x, n in zip(places, nights, strict=True) for side in (-1, 1)]
    points = [(x, y(night.share)) for x, night in zip(places, nights, strict=True)]
    above = [night.above for night in nights]
    return NightChart(
        dots=_dots([point for point, odd in zip(points, above, strict=True) if not odd]),
        dots_above=_dots([point for point, odd in zip(points, above, strict=True) if odd]),
        band=_path(upper + lower[::-1]) + "Z" if level is not None else "",
        level=None if level is None else y(level),
        ticks=[Tick(place=100 - 50 * i, text=f"{100 * top * i / 2:g} %") for i in range(3)],
        first=str(nights[0].night),
        last=str(nights[-1].night),
    )


def draw_scores(counts: Sequence[int], reference: Sequence[int], *, thresholds: Sequence[float]) -> ScoreChart:
    """Both as shares of their subjects over the bins of the score."""
    new, old = np.asarray(counts, float), np.asarray(reference, float)
    shares, expected = new / max(new.sum(), 1), old / max(old.sum(), 1)
    top = _round_up(max(float(shares.max(initial=0)), float(expected.max(initial=0)), 0.01))
    width = 100 / SCORE_BINS

    def y(share: float) -> float:
        return float(100 - 100 * share / top)

    bars = "".join(
        f"M{i * width:.2f} 100V{y(share):.2f}H{(i + 1) * width:.2f}V100Z" for i, share in enumerate(shares) if share
    )
    steps = [(x, y(float(share))) for i, share in enumerate(expected) for x in (i * width, (i + 1) * width)]
    return ScoreChart(
        bars=bars,
        outline=_path(steps) if old.sum() else "",
        thresholds=[_score_place(value) for value in thresholds],
        top=f"{100 * top:g} %",
    )


def _score_place(score: float) -> float:
    """Where a score stands on the axis of the bins, whose last one has no end."""
    doubt = max(1 - score, 1e-12)
    return min(-math.log10(doubt) * BINS_PER_DECADE, SCORE_BINS - 0.5) * 100 / SCORE_BINS


def score_ticks() -> list[Tick]:
    """The scores 0, 0.9, 0.99, … at the beginnings of their bins."""
    decades = range((SCORE_BINS - 1) // BINS_PER_DECADE)
    texts = ["0", "0.9", "0.99", "0.999", "0.9999"]
    return [Tick(place=d * BINS_PER_DECADE * 100 / SCORE_BINS, text=texts[d]) for d in decades]


def draw_reliability(check: ReliabilityCheck) -> ReliabilityChart:
    """Accuracy over confidence, both from 0 to 1, with the bins' 95 % intervals."""
    calm = [(100 * one.confidence, 100 - 100 * one.accuracy) for one in check.bins if not one.surprising]
    odd = [(100 * one.confidence, 100 - 100 * one.accuracy) for one in check.bins if one.surprising]
    bars = [f"M{100 * b.confidence:.2f} {100 - 100 * b.high:.2f}V{100 - 100 * b.low:.2f}" for b in check.bins]
    return ReliabilityChart(dots=_dots(calm), surprises=_dots(odd), intervals="".join(bars))
