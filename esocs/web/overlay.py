"""A drawing task's consensus shapes as SVG paths over the picture that was drawn on. Pure.

Coordinates are the picture's pixels with y pointing down, as in the marks (crowd.summaries.shapes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ELLIPSE_VERTICES = 72
SIGMAS = 2.0
"""How far the drawn spread reaches: two standard deviations hold most of the volunteers' marks."""


def shape_path(shape: str, mark: Mapping[str, Any], *, size_px: tuple[float, float]) -> str:
    """The `d` of a path along a consensus shape; "" where the mark lacks something or is of an unknown kind.

    Args:
        shape: Panoptes' name of the tool.
        mark: in the keys of a Panoptes mark (v1).
        size_px: width and height of the picture: full lines and columns reach across it.
    """
    try:
        path = _outline(shape, mark, size_px)
    except (KeyError, TypeError, ValueError):
        return ""
    return path if "nan" not in path and "inf" not in path else ""


def spread_path(shape: str, mark: Mapping[str, Any], spread: Mapping[str, Any], *, size_px: tuple[float, float]) -> str:
    """The `d` of the region within two standard deviations of a point or of a full line; "" where there is none."""
    try:
        if shape == "point":
            return _covariance_ellipse(mark, spread)
        if shape == "fullWidthLine" and spread.get("sigma_y"):
            y, reach = float(mark["y"]), SIGMAS * float(spread["sigma_y"])
            return _polygon([(0, y - reach), (size_px[0], y - reach), (size_px[0], y + reach), (0, y + reach)])
        if shape == "fullHeightLine" and spread.get("sigma_x"):
            x, reach = float(mark["x"]), SIGMAS * float(spread["sigma_x"])
            return _polygon([(x - reach, 0), (x + reach, 0), (x + reach, size_px[1]), (x - reach, size_px[1])])
    except (KeyError, TypeError, ValueError):
        pass
    return ""


def spread_width(shape: str, spread: Mapping[str, Any]) -> float:
    """Width in px of the band about a line or a path within which the volunteers' marks lie; 0 where there is none."""
    wide = spread.get("rms") if shape == "line" else spread.get("mean_distance") if shape == "freehandLine" else None
    return 2 * float(wide) if isinstance(wide, int | float) and math.isfinite(wide) else 0.0


def describe_spread(spread: Mapping[str, Any]) -> str:
    """The spread in words, with its unit."""
    if spread.get("iou") is not None:
        return f"mean overlap with the consensus (IoU) {spread['iou']:.2f}"
    if spread.get("rms") is not None:
        return f"ends scatter by {spread['rms']:.1f} px (rms)"
    if spread.get("mean_distance") is not None:
        return f"paths are {spread['mean_distance']:.1f} px apart on average"
    sigmas = [f"{name[-1]} ± {spread[name]:.1f} px" for name in ("sigma_x", "sigma_y") if spread.get(name) is not None]
    return ", ".join(sigmas) or "one mark alone"


def anchor(shape: str, mark: Mapping[str, Any], *, size_px: tuple[float, float]) -> tuple[float, float]:
    """Where a shape's number stands, inside the picture."""
    points = mark.get("points")
    first = points[0] if isinstance(points, Sequence) and points else mark
    x, y = first.get("x", first.get("x1", size_px[0] / 2)), first.get("y", first.get("y1", size_px[1] / 2))
    if shape in {"circle", "ellipse"}:
        y = float(y) - float(mark.get("r", mark.get("ry", 0)))
    margin = 0.05 * min(size_px)
    return (
        min(max(float(x) + margin / 2, margin / 2), size_px[0] - margin),
        min(max(float(y) - margin / 4, margin), size_px[1] - margin / 2),
    )


def _outline(shape: str, mark: Mapping[str, Any], size_px: tuple[float, float]) -> str:
    if shape in _OUTLINES:
        return _OUTLINES[shape](mark)
    if shape in _ACROSS:
        return _ACROSS[shape](mark, size_px)
    return ""


def _point(mark: Mapping[str, Any], size_px: tuple[float, float]) -> str:
    x, y, arm = float(mark["x"]), float(mark["y"]), 0.02 * max(size_px)
    return f"M{_n(x - arm)} {_n(y)}H{_n(x + arm)}M{_n(x)} {_n(y - arm)}V{_n(y + arm)}"


def _column(mark: Mapping[str, Any], size_px: tuple[float, float]) -> str:
    left, right = float(mark["x"]), float(mark["x"]) + float(mark["width"])
    return _polygon([(left, 0), (right, 0), (right, size_px[1]), (left, size_px[1])])


def _polygons(mark: Mapping[str, Any]) -> str:
    rings = [mark["points"], *mark.get("more_parts", [])]
    return "".join(_polygon([(point["x"], point["y"]) for point in ring]) for ring in rings)


def _rectangle(mark: Mapping[str, Any]) -> str:
    width, height = float(mark["width"]), float(mark["height"])
    x, y = float(mark["x"]) + width / 2, float(mark["y"]) + height / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, height / 2)
    return _polygon(_turned(corners, float(mark.get("angle", 0)), (x, y)).tolist())


def _ellipse(x: Any, y: Any, rx: Any, ry: Any, angle_deg: float) -> str:
    t = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)
    points = np.column_stack([float(rx) * np.cos(t), float(ry) * np.sin(t)])
    return _polygon(_turned(points, angle_deg, (float(x), float(y))).tolist())


def _covariance_ellipse(mark: Mapping[str, Any], spread: Mapping[str, Any]) -> str:
    values = [spread.get(name) for name in ("sigma_x", "sigma_y", "cov_xy")]
    if any(value is None for value in values):
        return ""
    sigma_x, sigma_y, cov = (float(value) for value in values if value is not None)
    lengths2, axes = np.linalg.eigh(np.array([[sigma_x**2, cov], [cov, sigma_y**2]]))
    small, large = SIGMAS * np.sqrt(np.maximum(lengths2, 0.0))
    if not large > 0:
        return ""
    angle_deg = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
    return _ellipse(mark["x"], mark["y"], large, small, angle_deg)


def _turned(points: NDArray[np.float64], angle_deg: float, centre: tuple[float, float]) -> NDArray[np.float64]:
    """(n, 2) points given from the centre, turned about it: clockwise where y points down."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + centre)


def _open(points: Sequence[Sequence[Any]]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _polygon(points: Sequence[Sequence[Any]]) -> str:
    return _open(points) + "Z"


def _n(value: Any) -> str:
    return f"{float(value):.2f}"


_OUTLINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "line": lambda mark: _open([(mark["x1"], mark["y1"]), (mark["x2"], mark["y2"])]),
    "circle": lambda mark: _ellipse(mark["x"], mark["y"], mark["r"], mark["r"], 0.0),
    # Panoptes turns an ellipse anticlockwise on the screen, a rectangle clockwise.
    "ellipse": lambda mark: _ellipse(mark["x"], mark["y"], mark["rx"], mark["ry"], -float(mark.get("angle", 0))),
    "rectangle": _rectangle,
    "rotateRectangle": _rectangle,
    "polygon": _polygons,
    "freehandLine": lambda mark: _open([(point["x"], point["y"]) for point in mark["points"]]),
}
_ACROSS: dict[str, Callable[[Mapping[str, Any], tuple[float, float]], str]] = {
    "point": _point,
    "column": _column,
    "fullWidthLine": lambda mark, size_px: _open([(0, mark["y"]), (size_px[0], mark["y"])]),
    "fullHeightLine": lambda mark, size_px: _open([(mark["x"], 0), (mark["x"], size_px[1])]),
}
"""Kinds of which the size of the picture is a part."""
