"""How far two drawn shapes are apart: 1 − IoU where they enclose something, pixels where they do not.

Ends that may be swapped and angles that come round again need no cases of their own: the geometry is compared, not its
parameters. Only pairs whose boxes are near enough are looked at, so large sets stay affordable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import sparse

from esocs.crowd.summaries.shapes import AREA_KINDS, Outline, Shape

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

PATH_SAMPLES = 64
"""Places on a path, evenly spaced, whose distance to another path is taken."""

CHUNK_PAIRS = 1 << 18
"""Pairs compared at once."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Shapes of one kind, as arrays.

    Attributes:
        kind: Panoptes' name of the tool.
        shapes: n shapes of that kind.
    """

    kind: str
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, shapes: Sequence[Shape]) -> Batch:
        """Shapes of one kind.

        Raises:
            ValueError: none, or several kinds.
        """
        kinds = {shape.kind for shape in shapes}
        if len(kinds) != 1:
            raise ValueError(f"Shapes of one kind can be compared, not of {sorted(kinds)}.")
        return cls(kinds.pop(), tuple(shapes))

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def parameters(self) -> Floats:
        """(n, p) the shapes' parameters; of no use for polygons and paths."""
        return np.array([shape.parameters() for shape in self.shapes], float)

    @cached_property
    def boxes(self) -> Floats:
        """(n, 4) least x, least y, greatest x, greatest y."""
        return np.array([shape.bounds() for shape in self.shapes], float)

    @cached_property
    def geometries(self) -> NDArray[Any]:
        """(n,) shapely geometries of outlines."""
        array = np.empty(len(self.shapes), object)
        array[:] = [shape.geometry() for shape in self.shapes if isinstance(shape, Outline)]
        return array

    @cached_property
    def areas(self) -> Floats:
        """(n,) px²."""
        return np.asarray(shapely.area(self.geometries))

    @cached_property
    def samples(self) -> NDArray[Any]:
        """(n, PATH_SAMPLES) points along each path."""
        where = np.linspace(0.0, 1.0, PATH_SAMPLES)
        return np.asarray(shapely.line_interpolate_point(self.geometries[:, None], where, normalized=True))


def pair_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    """(m,) distances between the shapes i and j of a batch: 1 − IoU in [0, 1] for areas, px ≥ 0 for the others.

    Points and full lines: Euclidean. Lines: root of the mean squared distance of their ends, the better way round.
    Paths: the modified Hausdorff distance, the larger of the two mean distances from one path to the other (Dubuisson
    & Jain 1994, Proc. 12th ICPR, 566). Areas: 1 − intersection over union (Jaccard 1912, New Phytologist 11, 37).

    Args:
        batch: n shapes.
        i: (m,) indices.
        j: (m,) indices.
    """
    out = np.empty(len(i))
    distance = _DISTANCES[batch.kind]
    for low in range(0, len(i), CHUNK_PAIRS):
        part = slice(low, low + CHUNK_PAIRS)
        out[part] = distance(batch, i[part], j[part])
    return np.clip(out, 0.0, 1.0) if batch.kind in AREA_KINDS else out


def distance(a: Shape, b: Shape) -> float:
    """The distance of two shapes of one kind; see `pair_distances`.

    Raises:
        ValueError: two kinds.
    """
    return float(pair_distances(Batch.of([a, b]), np.array([0]), np.array([1]))[0])


def distances_to(shapes: Sequence[Shape], reference: Shape) -> Floats:
    """(n,) distance of every shape to one of the same kind; see `pair_distances`."""
    batch = Batch.of([reference, *shapes])
    others = np.arange(1, len(batch))
    return pair_distances(batch, np.zeros(len(others), np.int64), others)


def distance_matrix(batch: Batch) -> Floats:
    """(n, n) all distances; symmetric, 0 on the diagonal."""
    n = len(batch)
    matrix = np.full((n, n), 1.0 if batch.kind in AREA_KINDS else 0.0)
    np.fill_diagonal(matrix, 0.0)
    eps = 1.0 if batch.kind in AREA_KINDS else np.inf
    for i, j, d in near_pairs(batch, eps=eps):
        matrix[i, j] = d
        matrix[j, i] = d
    return matrix


def neighbour_graph(batch: Batch, *, eps: float) -> sparse.csr_array:
    """(n, n) sparse distances of the pairs at most eps apart; the diagonal and other zeros are stored."""
    n = len(batch)
    rows, columns, values = [np.arange(n)], [np.arange(n)], [np.zeros(n)]
    for i, j, d in near_pairs(batch, eps=eps):
        near = d <= eps
        rows += [i[near], j[near]]
        columns += [j[near], i[near]]
        values += [d[near], d[near]]
    row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
    # By row, and within a row by distance: what scikit-learn's neighbours expect, and the same for any order of pairs.
    order = np.lexsort((column, value, row))
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))])
    return sparse.csr_array((value[order], column[order], starts), shape=(n, n))


def near_pairs(batch: Batch, *, eps: float) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Pairs i < j with their distances: every pair at most eps apart, and some more, in portions."""
    n = len(batch)
    # Areas that do not overlap at all have the distance 1. Ends at a root mean square of eps may be √2 eps apart;
    # paths at a mean of eps have places within eps.
    margin = 0.0 if batch.kind in AREA_KINDS else float(np.sqrt(2) * eps)
    if not np.isfinite(margin):
        i, j = np.triu_indices(n, 1)
        yield i, j, pair_distances(batch, i, j)
        return
    boxes = batch.boxes
    tree = shapely.STRtree(shapely.box(*boxes.T))
    reach = shapely.box(*(boxes + margin * np.array([-1, -1, 1, 1])).T)
    step = max(1, CHUNK_PAIRS // max(n, 1))
    for low in range(0, n, step):
        row, other = tree.query(reach[low : low + step])
        row = row + low
        upper = row < other
        upper[upper] = _may_be_near(batch, row[upper], other[upper], eps=eps)
        i, j = row[upper], other[upper]
        yield i, j, pair_distances(batch, i, j)


def _may_be_near(batch: Batch, i: Indices, j: Indices, *, eps: float) -> NDArray[np.bool_]:
    """(m,) whether areas can overlap enough, from sizes and boxes alone; True where that is not worth the while."""
    if batch.kind not in ("ellipse", "rotateRectangle", "polygon") or not len(i):
        return np.ones(len(i), bool)
    a, b = batch.boxes[i], batch.boxes[j]
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
    # They have no more in common than the smaller one's area, nor than their boxes have.
    most = np.minimum(sides.prod(axis=1), np.minimum(batch.areas[i], batch.areas[j]))
    return np.asarray(1 - most / (batch.areas[i] + batch.areas[j] - most) <= eps + 1e-9)


def _euclidean(batch: Batch, i: Indices, j: Indices) -> Floats:
    difference = batch.parameters[i] - batch.parameters[j]
    return np.asarray(np.sqrt((difference**2).sum(axis=1)))


def _line_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    a, b = batch.parameters[i], batch.parameters[j]
    straight = ((a - b) ** 2).sum(axis=1)
    swapped = ((a - b[:, [2, 3, 0, 1]]) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(np.minimum(straight, swapped) / 2))


def _path_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    out = np.empty(len(i))
    step = max(1, CHUNK_PAIRS // PATH_SAMPLES)
    for low in range(0, len(i), step):
        a, b = i[low : low + step], j[low : low + step]
        there = shapely.distance(batch.samples[a], batch.geometries[b][:, None]).mean(axis=1)
        back = shapely.distance(batch.samples[b], batch.geometries[a][:, None]).mean(axis=1)
        out[low : low + step] = np.maximum(there, back)
    return out


def _circle_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    """1 − IoU of discs; the lens between them has a closed form (two circular segments)."""
    a, b = batch.parameters[i], batch.parameters[j]
    d = np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])
    small, large = np.minimum(a[:, 2], b[:, 2]), np.maximum(a[:, 2], b[:, 2])
    apart, inside = d >= small + large, d <= large - small
    safe = np.where(apart | inside, large, d)
    cos_small = np.clip((safe**2 + small**2 - large**2) / (2 * safe * small), -1, 1)
    cos_large = np.clip((safe**2 + large**2 - small**2) / (2 * safe * large), -1, 1)
    angle_small, angle_large = np.arccos(cos_small), np.arccos(cos_large)
    lens = small**2 * (angle_small - np.sin(2 * angle_small) / 2) + large**2 * (
        angle_large - np.sin(2 * angle_large) / 2
    )
    common = np.where(apart, 0.0, np.where(inside, np.pi * small**2, lens))
    return np.asarray(1 - common / (np.pi * (small**2 + large**2) - common))


def _rectangle_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    a, b = batch.boxes[i], batch.boxes[j]
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
    common = sides.prod(axis=1)
    total = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(1 - common / (total - common))


def _column_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    a, b = batch.parameters[i], batch.parameters[j]
    # From the left of the pair: a Julian date would swallow a width of seconds.
    offset = b[:, 0] - a[:, 0]
    common = np.maximum(np.minimum(a[:, 1], offset + b[:, 1]) - np.maximum(0.0, offset), 0.0)
    return np.asarray(1 - common / (a[:, 1] + b[:, 1] - common))


def _area_distances(batch: Batch, i: Indices, j: Indices) -> Floats:
    common = shapely.area(shapely.intersection(batch.geometries[i], batch.geometries[j]))
    return np.asarray(1 - common / (batch.areas[i] + batch.areas[j] - common))


_DISTANCES: dict[str, Callable[[Batch, Indices, Indices], Floats]] = {
    "point": _euclidean,
    "fullWidthLine": _euclidean,
    "fullHeightLine": _euclidean,
    "line": _line_distances,
    "freehandLine": _path_distances,
    "circle": _circle_distances,
    "ellipse": _area_distances,
    "rectangle": _rectangle_distances,
    "rotateRectangle": _area_distances,
    "polygon": _area_distances,
    "column": _column_distances,
}
