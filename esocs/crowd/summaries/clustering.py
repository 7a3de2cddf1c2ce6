"""Volunteers' marks into clusters, each one thing on the subject: per tool, frame and kind of shape.

Marks are sorted before they are clustered, so a cluster depends on what was drawn and not on who was first.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, OPTICS

from classifier.errors import EsocsError
from esocs.crowd.summaries.distances import Batch, distance_matrix, neighbour_graph, pair_distances
from esocs.crowd.summaries.reading import Mark
from esocs.crowd.summaries.responses import median, volunteer_key
from esocs.crowd.summaries.shapes import AREA_KINDS

Labels: TypeAlias = NDArray[np.int64]

METHODS = ("dbscan", "optics")

AREA_EPS = 0.5
"""1 − IoU: two areas are neighbours that share half of what they cover together."""

FRAME_FRACTION = 0.02
"""Of the frame's longer side: how exactly a hand points."""

LENGTH_FRACTION = 0.1
"""Of a typical line's length: a long line's ends are placed less exactly."""

LEAST_EPS_PX = 5.0
"""A mouse is no more exact than this."""

MANY = 5_000
"""Beyond so many marks of one tool and frame, points are counted in cells, and OPTICS (with its matrix) gives way."""

MANY_FOR_OPTICS = 2_000

CELLS_PER_EPS = 32
"""Side of such a cell is eps over this: no point moves by more than a forty-fifth of eps."""

MOST_MARKS = 5_000
MOST_WORK = 120_000
"""Beyond so many marks, or so much work (see `Shape.work`; some 2,000 polygons or 1,250 ellipses), whole volunteers are
left out by a hash of their names. Points are never left out."""

MOST_COMPARED = 64
"""Marks of others against which a volunteer's several marks in one cluster are weighed."""


class InvalidClusteringError(EsocsError):
    """A setting with which marks cannot be clustered."""

    code = "invalid_clustering"
    status = 422


@dataclass(frozen=True)
class Cluster:
    """Marks of one thing.

    Attributes:
        tool: index of the tool.
        frame: index of the frame.
        kind: Panoptes' name of the shape.
        marks: all of them.
        supporters: one mark of each volunteer among them, the one that is nearest to the others'.
        weight: how many volunteers each one stands for; above 1 where some were left out.
    """

    tool: int
    frame: int
    kind: str
    marks: tuple[Mark, ...]
    supporters: tuple[Mark, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Clustering:
    """All clusters of a subject's marks.

    Attributes:
        clusters: by tool and frame, then most supporters first.
        unclustered: marks that nobody else confirms.
        left_out: marks not looked at, where there were too many; see `MOST_MARKS`.
    """

    clusters: tuple[Cluster, ...]
    unclustered: tuple[Mark, ...]
    left_out: int = 0


def cluster_marks(
    marks: Sequence[Mark],
    *,
    method: str = "dbscan",
    eps: float | None = None,
    min_samples: int | None = None,
    frame_size_px: tuple[float, float] | None = None,
) -> Clustering:
    """Cluster marks per tool, frame and kind of shape.

    DBSCAN: Ester et al. 1996, Proc. KDD, 226. OPTICS: Ankerst et al. 1999, Proc. SIGMOD, 49. A cluster that fewer than
    `min_samples` volunteers support is none: one volunteer's ten clicks do not make an object.

    Args:
        marks: of all volunteers, in any order.
        method: "dbscan", or "optics" where crowded and lonely things share a frame (DBSCAN above 2,000 marks).
        eps: how far neighbours are apart at most: 1 − IoU for areas, pixels for the others. None: 0.5 for areas; for
            the others 2 % of the frame's longer side, at least 5 px, and for lines and paths at least a tenth of
            their median length. Where the frame is not known, it reaches as far as the median volunteer's outermost
            mark. Areas heed a given eps below 1 only.
        min_samples: marks within eps of a mark that make it a core (itself included), and volunteers that make a
            cluster; None: a sixth of those who marked something, at least 2.
        frame_size_px: width and height of the subject.

    Raises:
        InvalidClusteringError: no such method, or eps or min_samples out of range.
    """
    if method not in METHODS:
        raise InvalidClusteringError(f"There is no method {method!r}.", hint=f"Use one of {', '.join(METHODS)}.")
    if eps is not None and not 0 < eps < float("inf"):
        raise InvalidClusteringError(f"eps is {eps}.", hint="Use a distance above 0: pixels, or 1 − IoU for areas.")
    if min_samples is not None and min_samples < 1:
        raise InvalidClusteringError(f"min_samples is {min_samples}.", hint="Use at least 1.")
    if min_samples is None:
        min_samples = max(2, ceil(_volunteers(marks) / 6))
    groups: dict[tuple[int, int, str], list[Mark]] = defaultdict(list)
    for mark in sorted(marks, key=_mark_key):
        groups[mark.tool, mark.frame, mark.shape.kind].append(mark)
    clusters: list[Cluster] = []
    unclustered: list[Mark] = []
    left_out = 0
    for (tool, frame, kind), group in sorted(groups.items()):
        kept = _thinned(group) if kind not in _PLACES else group
        left_out += len(group) - len(kept)
        # A distance in pixels, meant for the points and lines of the same task, says nothing about overlaps.
        given = eps if eps is not None and (eps < 1 or kind not in AREA_KINDS) else None
        reach = given if given is not None else default_eps(kept, frame_size_px=frame_size_px)
        labels = _labels(Batch.of([m.shape for m in kept]), method=method, eps=reach, min_samples=min_samples)
        weight = _volunteers(group) / _volunteers(kept)
        found, alone = _clusters(kept, labels, min_samples=min_samples, place=(tool, frame, kind), weight=weight)
        clusters += found
        unclustered += alone
    return Clustering(tuple(clusters), tuple(unclustered), left_out)


def default_eps(marks: Sequence[Mark], *, frame_size_px: tuple[float, float] | None = None) -> float:
    """How far neighbours among marks of one kind may be apart; see `cluster_marks`."""
    kind = marks[0].shape.kind
    if kind in AREA_KINDS:
        return AREA_EPS
    boxes = np.array([mark.shape.bounds() for mark in marks])
    if frame_size_px is None:
        outermost: dict[tuple[str, str], float] = defaultdict(float)
        for mark, box in zip(marks, boxes, strict=True):
            key = volunteer_key(mark.volunteer)
            outermost[key] = max(outermost[key], float(np.abs(box).max()))
        # The median: one volunteer's mark a million pixels away must not make neighbours of everything.
        side = median(list(outermost.values()))
    else:
        side = max(frame_size_px)
    eps = max(LEAST_EPS_PX, FRAME_FRACTION * side)
    if kind in ("line", "freehandLine"):
        diagonals = np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
        eps = max(eps, LENGTH_FRACTION * float(np.median(diagonals)))
    return eps


_PLACES = frozenset({"point", "fullWidthLine", "fullHeightLine"})
"""Kinds whose distance is Euclidean in their parameters: a tree finds their neighbours without any matrix."""


def _labels(batch: Batch, *, method: str, eps: float, min_samples: int) -> Labels:
    """(n,) cluster of each shape, −1 for none."""
    n = len(batch)
    if n < min_samples:
        return np.full(n, -1)
    if method == "optics" and 2 <= n <= MANY_FOR_OPTICS:
        return _optics(batch, eps=eps, min_samples=min_samples)
    if batch.kind in _PLACES and n > MANY:
        cells, cell, weight = np.unique(
            np.round(batch.parameters * (CELLS_PER_EPS / eps)), axis=0, return_inverse=True, return_counts=True
        )
        model = DBSCAN(eps=float(CELLS_PER_EPS), min_samples=min_samples, algorithm="ball_tree")
        return np.asarray(model.fit(cells, sample_weight=weight).labels_[cell.ravel()])
    graph = neighbour_graph(batch, eps=eps)
    return np.asarray(DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit(graph).labels_)


def _optics(batch: Batch, *, eps: float, min_samples: int) -> Labels:
    # OPTICS may look further for a looser cluster; areas that do not overlap at all (1) are never neighbours.
    reach = min(2 * eps, (1 + eps) / 2) if batch.kind in AREA_KINDS else 2 * eps
    model = OPTICS(max_eps=reach, min_samples=max(2, min_samples), metric="precomputed")
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # It divides by reachabilities of zero and of infinity, where marks coincide or nobody is near, and says so.
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(distance_matrix(batch)).labels_)


def _clusters(
    marks: Sequence[Mark], labels: Labels, *, min_samples: int, place: tuple[int, int, str], weight: float
) -> tuple[list[Cluster], list[Mark]]:
    """The clusters that enough volunteers support, most supported first, and the marks of none."""
    members: dict[int, list[Mark]] = defaultdict(list)
    for mark, label in zip(marks, labels.tolist(), strict=True):
        members[label].append(mark)
    alone = members.pop(-1, [])
    found: list[Cluster] = []
    for group in members.values():
        supporters = _one_each(group)
        if len(supporters) < min_samples:
            alone += group
        else:
            found.append(Cluster(*place, tuple(group), tuple(supporters), weight))
    found.sort(key=lambda cluster: (-len(cluster.supporters), _mark_key(cluster.marks[0])))
    return found, alone


def _one_each(marks: Sequence[Mark]) -> list[Mark]:
    """One mark a volunteer, in the marks' order: of several, the one with the least mean distance to the others'."""
    by_volunteer: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, mark in enumerate(marks):
        by_volunteer[volunteer_key(mark.volunteer)].append(index)
    if len(by_volunteer) == len(marks):
        return list(marks)
    batch = Batch.of([mark.shape for mark in marks])
    kept: list[int] = []
    for own in by_volunteer.values():
        best = 0
        if len(own) > 1:
            others = np.setdiff1d(np.arange(len(marks)), own)
            others = others[:: max(1, ceil(len(others) / MOST_COMPARED))]
            if len(others):
                distances = pair_distances(batch, np.repeat(own, len(others)), np.tile(others, len(own)))
                best = int(distances.reshape(len(own), -1).mean(axis=1).argmin())
        kept.append(own[best])
    return [marks[index] for index in sorted(kept)]


def _thinned(marks: list[Mark]) -> list[Mark]:
    """All marks of as many volunteers as fit, in the order of a hash of their names: a sample that nobody chooses."""
    if len(marks) <= MOST_MARKS and sum(mark.shape.work() for mark in marks) <= MOST_WORK:
        return marks
    by_volunteer: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        by_volunteer[volunteer_key(mark.volunteer)].append(mark)
    kept: set[tuple[str, str]] = set()
    n = work = 0
    for key in sorted(by_volunteer, key=_hash):
        n += len(by_volunteer[key])
        work += sum(mark.shape.work() for mark in by_volunteer[key])
        if kept and (n > MOST_MARKS or work > MOST_WORK):
            break
        kept.add(key)
    return [mark for mark in marks if volunteer_key(mark.volunteer) in kept]


def _volunteers(marks: Sequence[Mark]) -> int:
    return len({volunteer_key(mark.volunteer) for mark in marks})


def _hash(key: tuple[str, str]) -> bytes:
    return hashlib.sha256("\0".join(key).encode("utf-8", "replace")).digest()


def _mark_key(mark: Mark) -> tuple[Any, ...]:
    return mark.tool, mark.frame, mark.shape.kind, mark.shape.parameters(), volunteer_key(mark.volunteer), _repr(mark)


def _repr(mark: Mark) -> str:
    return repr(mark.details) if mark.details else ""
