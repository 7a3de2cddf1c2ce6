"""The geometries that volunteers draw, in pixels of the subject: x to the right, y down, angles in degrees.

A shape holds the geometry itself, not one of the two ways in which the classifiers write it; `reading` knows those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

Ring: TypeAlias = tuple[tuple[float, float], ...]
"""Vertices (x, y); the last is not the first again."""

ELLIPSE_VERTICES = 96


class Shape(ABC):
    """One drawn geometry. `kind` is Panoptes' name of the tool."""

    kind: ClassVar[str]

    @abstractmethod
    def parameters(self) -> tuple[float, ...]:
        """Numbers that describe it: the same number of them for every shape of a kind, but for polygons and paths."""

    @abstractmethod
    def to_mark(self) -> dict[str, Any]:
        """The geometry in the keys of a Panoptes mark (v1), so that a client can draw it."""

    @abstractmethod
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x, least y, greatest x, greatest y; 0 where a kind has no such coordinate."""

    def work(self) -> int:
        """What it costs to compare it, in no unit: an upright rectangle's is 1."""
        return 1


class Outline(Shape):
    """A geometry that shapely compares: an area or a path."""

    @abstractmethod
    def geometry(self) -> Any:
        """As shapely sees it."""

    def bounds(self) -> tuple[float, float, float, float]:
        left, top, right, bottom = self.geometry().bounds
        return left, top, right, bottom


@dataclass(frozen=True)
class Point(Shape):
    """A place."""

    kind: ClassVar[str] = "point"
    x: float
    y: float

    def parameters(self) -> tuple[float, ...]:
        return self.x, self.y

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y}

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.x, self.y


@dataclass(frozen=True)
class Line(Shape):
    """A straight line between two ends; which of them is first means nothing."""

    kind: ClassVar[str] = "line"
    x1: float
    y1: float
    x2: float
    y2: float

    def parameters(self) -> tuple[float, ...]:
        return self.x1, self.y1, self.x2, self.y2

    def to_mark(self) -> dict[str, Any]:
        return {"x1": self.x1, "y1": self.y1, "x2": self.x2, "y2": self.y2}

    def bounds(self) -> tuple[float, float, float, float]:
        return min(self.x1, self.x2), min(self.y1, self.y2), max(self.x1, self.x2), max(self.y1, self.y2)


@dataclass(frozen=True)
class Circle(Shape):
    """A disc: centre and radius > 0."""

    kind: ClassVar[str] = "circle"
    x: float
    y: float
    r: float

    def parameters(self) -> tuple[float, ...]:
        return self.x, self.y, self.r

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y, "r": self.r}

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x - self.r, self.y - self.r, self.x + self.r, self.y + self.r


@dataclass(frozen=True)
class Ellipse(Outline):
    """An ellipse: centre, semi-axes > 0, and the angle of the first, anticlockwise on the screen as Panoptes has it."""

    kind: ClassVar[str] = "ellipse"
    x: float
    y: float
    rx: float
    ry: float
    angle_deg: float

    def parameters(self) -> tuple[float, ...]:
        return self.x, self.y, self.rx, self.ry, self.angle_deg

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y, "rx": self.rx, "ry": self.ry, "angle": self.angle_deg}

    def work(self) -> int:
        return ELLIPSE_VERTICES

    def geometry(self) -> Any:
        """A polygon of 96 vertices whose area is the ellipse's."""
        n = ELLIPSE_VERTICES
        # The inscribed polygon's area falls short by this factor, squared.
        outward = np.sqrt(2 * np.pi / (n * np.sin(2 * np.pi / n)))
        t = np.arange(n) * (2 * np.pi / n)
        u, v = outward * self.rx * np.cos(t), outward * self.ry * np.sin(t)
        return shapely.polygons(_turned(u, v, -self.angle_deg, centre=(self.x, self.y)))


@dataclass(frozen=True)
class Rectangle(Shape):
    """An upright rectangle: least x and y, and sides > 0."""

    kind: ClassVar[str] = "rectangle"
    x: float
    y: float
    width: float
    height: float

    def parameters(self) -> tuple[float, ...]:
        return self.x, self.y, self.width, self.height

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True)
class RotatedRectangle(Outline):
    """A turned rectangle: centre, sides > 0, and the angle of the first, clockwise on the screen as Panoptes has it."""

    kind: ClassVar[str] = "rotateRectangle"
    x_centre: float
    y_centre: float
    width: float
    height: float
    angle_deg: float

    def parameters(self) -> tuple[float, ...]:
        return self.x_centre, self.y_centre, self.width, self.height, self.angle_deg

    def to_mark(self) -> dict[str, Any]:
        return {
            "x": self.x_centre - self.width / 2,
            "y": self.y_centre - self.height / 2,
            "width": self.width,
            "height": self.height,
            "angle": self.angle_deg,
        }

    def work(self) -> int:
        return 48

    def geometry(self) -> Any:
        u = np.array([-1, 1, 1, -1]) * (self.width / 2)
        v = np.array([-1, -1, 1, 1]) * (self.height / 2)
        return shapely.polygons(_turned(u, v, self.angle_deg, centre=(self.x_centre, self.y_centre)))


@dataclass(frozen=True)
class Polygon(Outline):
    """An outlined area without holes; more than one part where the outline crossed itself, the largest first."""

    kind: ClassVar[str] = "polygon"
    parts: tuple[Ring, ...]

    def parameters(self) -> tuple[float, ...]:
        return tuple(c for ring in self.parts for vertex in ring for c in vertex)

    def to_mark(self) -> dict[str, Any]:
        """The largest part in `points`; the others, if any, in `more_parts`."""
        first, *others = [[{"x": x, "y": y} for x, y in ring] for ring in self.parts]
        return {"points": first, "closed": True} | ({"more_parts": others} if others else {})

    def geometry(self) -> Any:
        parts = [shapely.polygons(ring) for ring in self.parts]
        return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)

    def work(self) -> int:
        """An outline in many parts was drawn to and fro, and crosses every other one as often."""
        return len(self.parts) * sum(len(ring) for ring in self.parts)

    @classmethod
    def of_geometry(cls, geometry: Any) -> Polygon | None:
        """The polygons of a valid geometry with their holes filled; None where it has no area."""
        parts = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and part.area > 0]
        if not parts:
            return None
        if len(parts) > 1 or parts[0].interiors:
            # A filled hole may swallow another part.
            filled = shapely.unary_union([shapely.polygons(part.exterior) for part in parts])
            parts = list(shapely.get_parts(filled))
        parts = sorted((shapely.normalize(part) for part in parts), key=lambda part: (-part.area, part.bounds))
        return cls(tuple(tuple((float(x), float(y)) for x, y in part.exterior.coords[:-1]) for part in parts))


@dataclass(frozen=True)
class FreehandLine(Outline):
    """A path; which end is first means nothing."""

    kind: ClassVar[str] = "freehandLine"
    points: Ring

    def parameters(self) -> tuple[float, ...]:
        return tuple(c for vertex in self.points for c in vertex)

    def to_mark(self) -> dict[str, Any]:
        return {"points": [{"x": x, "y": y} for x, y in self.points]}

    def geometry(self) -> Any:
        return shapely.linestrings(self.points)

    def work(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Column(Shape):
    """A range of x, in pixels or in the data's own unit: least x, and width > 0."""

    kind: ClassVar[str] = "column"
    x: float
    width: float

    def parameters(self) -> tuple[float, ...]:
        return self.x, self.width

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x, "width": self.width}

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x, 0.0, self.x + self.width, 0.0


@dataclass(frozen=True)
class FullWidthLine(Shape):
    """A horizontal line across the whole frame."""

    kind: ClassVar[str] = "fullWidthLine"
    y: float

    def parameters(self) -> tuple[float, ...]:
        return (self.y,)

    def to_mark(self) -> dict[str, Any]:
        return {"y": self.y}

    def bounds(self) -> tuple[float, float, float, float]:
        return 0.0, self.y, 0.0, self.y


@dataclass(frozen=True)
class FullHeightLine(Shape):
    """A vertical line across the whole frame."""

    kind: ClassVar[str] = "fullHeightLine"
    x: float

    def parameters(self) -> tuple[float, ...]:
        return (self.x,)

    def to_mark(self) -> dict[str, Any]:
        return {"x": self.x}

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x, 0.0, self.x, 0.0


AREA_KINDS = frozenset({"circle", "ellipse", "rectangle", "rotateRectangle", "polygon", "column"})
"""Kinds compared by how much they overlap; the others by a distance in pixels."""


def _turned(
    u: NDArray[np.float64], v: NDArray[np.float64], angle_deg: float, *, centre: tuple[float, float]
) -> NDArray[np.float64]:
    """(n, 2) points, given from the centre, turned about it: clockwise on a screen whose y points down."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.column_stack([centre[0] + u * c - v * s, centre[1] + u * s + v * c])
