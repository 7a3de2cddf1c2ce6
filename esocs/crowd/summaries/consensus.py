"""One shape for a cluster of shapes, and how far the volunteers' shapes scatter about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from esocs.crowd.summaries.distances import Batch, distance_matrix, distances_to, pair_distances
from esocs.crowd.summaries.shapes import (
    AREA_KINDS,
    Circle,
    Column,
    Ellipse,
    FullHeightLine,
    FullWidthLine,
    Line,
    Point,
    Polygon,
    Rectangle,
    RotatedRectangle,
    Shape,
)

Floats: TypeAlias = NDArray[np.float64]

MOST_OVERLAID = 101
"""Outlines that are laid over each other, and paths compared each with each; of more, evenly many are taken."""


def consensus_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape that stands for all.

    Points, lines (ends aligned), full lines, columns and upright rectangles (edges): the median of each coordinate.
    Circles: mean centre, and the radius of the mean area. Ellipses: mean centre, root mean square of the longer and of
    the shorter semi-axes, and the mean direction on the doubled circle (Mardia & Jupp 2000, "Directional Statistics",
    §1.4), weighted by rx² − ry²: a circle has no direction. Turned rectangles: likewise on the circle times four, for
    their sides may change places. Polygons: the area that at least half of them cover, or the most central polygon
    where there is none. Paths: the most central one, its mean distance to the others being least.

    Args:
        shapes: at least one, all of one kind, sorted; the result is the same for any order of equal shapes.

    Raises:
        ValueError: none, or several kinds.
    """
    batch = Batch.of(shapes)
    return _CONSENSUS[batch.kind](batch)


def spread(shapes: Sequence[Shape], consensus: Shape) -> dict[str, Any]:
    """How the shapes scatter about their consensus.

    Returns:
        Areas: `iou`, the mean IoU with the consensus, in [0, 1]. Points and full lines: `sigma_x` and `sigma_y` (px,
        those there are; the sample's standard deviation, null for a single one), and for points their covariance
        `cov_xy` (px²). Lines: `rms`, the root mean squared distance of the ends (px). Paths: `mean_distance` (px).
    """
    if consensus.kind in AREA_KINDS:
        return {"iou": float(1 - distances_to(shapes, consensus).mean())}
    if consensus.kind == "line":
        return {"rms": float(np.sqrt((distances_to(shapes, consensus) ** 2).mean()))}
    if consensus.kind == "freehandLine":
        return {"mean_distance": float(distances_to(shapes, consensus).mean())}
    parameters = Batch.of(shapes).parameters
    if len(parameters) < 2:
        return dict.fromkeys(_SPREAD_KEYS[consensus.kind])
    covariance = np.atleast_2d(np.cov(parameters, rowvar=False))
    sigma = np.sqrt(np.diag(covariance))
    values = [*sigma.tolist(), float(covariance[0, -1])]
    return dict(zip(_SPREAD_KEYS[consensus.kind], values, strict=False))


_SPREAD_KEYS = {
    "point": ("sigma_x", "sigma_y", "cov_xy"),
    "fullWidthLine": ("sigma_y",),
    "fullHeightLine": ("sigma_x",),
}


def _medians(kind: Callable[..., Shape]) -> Callable[[Batch], Shape]:
    return lambda batch: kind(*np.median(batch.parameters, axis=0).tolist())


def _line(batch: Batch) -> Line:
    ends = batch.parameters.copy()
    # Every line is turned the way of the reference; the second time the reference is the median of the first.
    reference = ends[0]
    for _ in range(2):
        swapped = ends[:, [2, 3, 0, 1]]
        nearer = ((swapped - reference) ** 2).sum(axis=1) < ((ends - reference) ** 2).sum(axis=1)
        ends = np.where(nearer[:, None], swapped, ends)
        reference = np.median(ends, axis=0)
    first, second = sorted([tuple(reference[:2].tolist()), tuple(reference[2:].tolist())])
    return Line(*first, *second)


def _circle(batch: Batch) -> Circle:
    x, y, r = batch.parameters.T
    return Circle(float(x.mean()), float(y.mean()), float(np.sqrt((r**2).mean())))


def _ellipse(batch: Batch) -> Ellipse:
    x, y, rx, ry, angle_deg = batch.parameters.T
    longer, shorter = np.maximum(rx, ry), np.minimum(rx, ry)
    direction = np.radians(np.where(rx >= ry, angle_deg, angle_deg + 90.0))
    doubled = ((longer**2 - shorter**2) * np.exp(2j * direction)).sum()
    return Ellipse(
        float(x.mean()),
        float(y.mean()),
        float(np.sqrt((longer**2).mean())),
        float(np.sqrt((shorter**2).mean())),
        float(np.degrees(np.angle(doubled)) / 2 % 180.0),
    )


def _rectangle(batch: Batch) -> Rectangle:
    left, top, right, bottom = np.median(batch.boxes, axis=0).tolist()
    return Rectangle(left, top, right - left, bottom - top)


def _rotated_rectangle(batch: Batch) -> RotatedRectangle:
    x, y, width, height, angle_deg = batch.parameters.T
    angle = np.radians(angle_deg)
    mean = np.angle(np.exp(4j * angle).sum()) / 4
    # Which of the two sides lies along the mean direction.
    turned = np.abs(np.sin(angle - mean)) > np.sqrt(0.5)
    along, across = np.where(turned, height, width), np.where(turned, width, height)
    along_px, across_px = float(np.sqrt((along**2).mean())), float(np.sqrt((across**2).mean()))
    mean_deg = float(np.degrees(mean))
    if across_px > along_px:
        along_px, across_px, mean_deg = across_px, along_px, mean_deg + 90.0
    return RotatedRectangle(float(x.mean()), float(y.mean()), along_px, across_px, mean_deg % 180.0)


def _column(batch: Batch) -> Column:
    # From the first: medians of Julian dates keep the digits of seconds.
    x, width = batch.parameters.T
    offset = x - x[0]
    left, right = float(np.median(offset)), float(np.median(offset + width))
    return Column(float(x[0]) + left, right - left)


def _medoid(batch: Batch) -> Shape:
    some = _some(batch)
    return some.shapes[int(distance_matrix(some).mean(axis=1).argmin())]


def _polygon(batch: Batch) -> Shape:
    some = _some(batch)
    covered = _covered_by(some.geometries, least=len(some) / 2)
    polygon = Polygon.of_geometry(covered)
    if (
        polygon is None
        or float(pair_distances(Batch.of([polygon, *some.shapes]), *_first_with_all(len(some))).min()) >= 1
    ):
        return _medoid(batch)
    return polygon


def _covered_by(areas: NDArray[Any], *, least: float) -> Any:
    """The region that at least `least` of the areas cover: the faces between all outlines, counted one by one."""
    outlines = shapely.unary_union(shapely.boundary(areas))
    faces = shapely.get_parts(shapely.polygonize([outlines]))
    tree = shapely.STRtree(shapely.point_on_surface(faces))
    _, face = tree.query(areas, predicate="contains")
    covers = np.bincount(face, minlength=len(faces))
    return shapely.unary_union(faces[covers >= least])


def _some(batch: Batch) -> Batch:
    """At most so many of the shapes, evenly from their order."""
    n = len(batch)
    if n <= MOST_OVERLAID:
        return batch
    return Batch(batch.kind, tuple(batch.shapes[k * n // MOST_OVERLAID] for k in range(MOST_OVERLAID)))


def _first_with_all(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.zeros(n, np.int64), np.arange(1, n + 1)


_CONSENSUS: dict[str, Callable[[Batch], Shape]] = {
    "point": _medians(Point),
    "line": _line,
    "circle": _circle,
    "ellipse": _ellipse,
    "rectangle": _rectangle,
    "rotateRectangle": _rotated_rectangle,
    "polygon": _polygon,
    "freehandLine": _medoid,
    "column": _column,
    "fullWidthLine": _medians(FullWidthLine),
    "fullHeightLine": _medians(FullHeightLine),
}
