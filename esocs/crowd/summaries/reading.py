"""Volunteers' marks, as either generation of the Zooniverse classifier writes them, into shapes; or why not.

A mark is what a browser sent: nothing about it is certain. Whatever cannot be read is rejected with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import shapely
from numpy.typing import NDArray

from esocs.crowd.summaries.responses import Volunteer, finite_number
from esocs.crowd.summaries.shapes import (
    Circle,
    Column,
    Ellipse,
    FreehandLine,
    FullHeightLine,
    FullWidthLine,
    Line,
    Point,
    Polygon,
    Rectangle,
    RotatedRectangle,
    Shape,
)

MAX_PX = 1e6
"""No subject is larger, and beyond it the geometry of small marks loses its digits."""

MIN_EXTENT_PX = 1e-3
"""What is smaller in either direction was clicked, not drawn."""

MAX_VERTICES = 10_000
MAX_MARKS = 1_000
"""Marks of one volunteer on one subject."""

MAX_WORK = 20_000
"""Of one volunteer's polygons and paths on one subject, see `Shape.work`: some 300 outlines, or forty scribbles."""

KEPT_VERTICES = 200
"""Outlines with more are simplified to a thousandth of their size: less than a hand can draw."""

MAX_WINDING = 12.0
"""Length of an outline over the diagonal of its box. A scribble beyond it encloses no meaningful area, and the
intersections of two such outlines would take minutes."""


@dataclass(frozen=True)
class Rejected:
    """A mark that cannot be read; `reason` is one word for the count of its like."""

    reason: str


@dataclass(frozen=True)
class Mark:
    """One volunteer's readable mark.

    Attributes:
        volunteer: who drew it.
        shape: the geometry.
        tool: index of the task's tool.
        frame: index of the subject's frame.
        details: values of the tool's sub-tasks, in their order; None where one was not answered.
    """

    volunteer: Volunteer
    shape: Shape
    tool: int = 0
    frame: int = 0
    details: tuple[Any, ...] = ()


class _UnreadableError(Exception):
    """Inside this module only: leaves a reader with a reason."""


def read_mark(mark: Any, *, tool_type: str | None = None) -> Shape | Rejected:
    """The geometry of a mark of the older (v1) or the newer (v2) classifier.

    Args:
        mark: the mark. v1 has the upper left corner of a rectangle, v2 its centre (`x_center`, `y_center`).
        tool_type: type of the tool, from the task; None: the mark's own `toolType`, or what its keys suggest.
    """
    if not isinstance(mark, Mapping):
        return Rejected("not_a_mark")
    named = tool_type if tool_type is not None else mark.get("toolType")
    kind = named if isinstance(named, str) else _inferred_type(mark)
    reader = _READERS.get(kind)
    if reader is None:
        return Rejected("unknown_tool")
    try:
        return reader(mark)
    except _UnreadableError as unreadable:
        return Rejected(str(unreadable))


def read_marks(
    value: Any, *, volunteer: Volunteer, tools: Sequence[Any] | None = None
) -> tuple[list[Mark], list[Rejected]]:
    """All marks of one volunteer's annotation.

    Args:
        value: the annotation's value: a list of marks; None is an empty one.
        volunteer: who drew them.
        tools: the task's tools, each with a `type`; None or none of them: the types are inferred.
    """
    marks: list[Mark] = []
    rejected: list[Rejected] = []
    work = 0
    for raw in value or []:
        if len(marks) >= MAX_MARKS or work > MAX_WORK:
            rejected.append(Rejected("too_many_marks"))
            continue
        read = _read_one(raw, volunteer=volunteer, tools=tools or ())
        if isinstance(read, Rejected):
            rejected.append(read)
            continue
        work += read.shape.work()
        if work > MAX_WORK:
            rejected.append(Rejected("too_many_marks"))
        else:
            marks.append(read)
    return marks, rejected


def embed_details(annotations: Sequence[Any]) -> list[Any]:
    """Annotations of the newer classifier with the flat sub-task annotations put back into their marks.

    The newer classifier writes a mark's sub-task as an annotation of its own, with `task` "T0.tool.detail" and the
    mark's index in `markIndex`; the older one as `{"value": …}` in the mark's `details`. What does not fit is left as
    it is.
    """
    whole: dict[Any, dict[str, Any]] = {}
    flat: list[Mapping[str, Any]] = []
    others: list[Any] = []
    for annotation in annotations:
        if not isinstance(annotation, Mapping):
            others.append(annotation)
        elif "markIndex" in annotation:
            flat.append(annotation)
        elif isinstance(annotation.get("value"), list) and isinstance(annotation.get("task"), str):
            copy = {**annotation, "value": [dict(m) if isinstance(m, Mapping) else m for m in annotation["value"]]}
            whole.setdefault(annotation["task"], copy)
            others.append(copy)
        else:
            others.append(annotation)
    for sub in flat:
        task, _, place = str(sub.get("task")).partition(".")
        index, detail = sub["markIndex"], place.rpartition(".")[2]
        marks = whole.get(task, {}).get("value", [])
        fits = isinstance(index, int) and 0 <= index < len(marks) and detail.isdecimal() and len(detail) < 3
        if fits and isinstance(marks[index], dict):
            old = marks[index].get("details")
            details = list(old) if isinstance(old, list) else []
            details += [None] * (int(detail) + 1 - len(details))
            details[int(detail)] = {"value": sub.get("value")}
            marks[index]["details"] = details
    return others


def _read_one(raw: Any, *, volunteer: Volunteer, tools: Sequence[Any]) -> Mark | Rejected:
    if not isinstance(raw, Mapping):
        return Rejected("not_a_mark")
    tool = _index(raw.get("tool", raw.get("toolIndex", 0)))
    frame = _index(raw.get("frame", 0))
    if tool is None or frame is None:
        return Rejected("bad_index")
    tool_type = None
    if tools:
        if tool >= len(tools):
            return Rejected("unknown_tool")
        named = tools[tool].get("type") if isinstance(tools[tool], Mapping) else None
        tool_type = named if isinstance(named, str) else None
    shape = read_mark(raw, tool_type=tool_type)
    if isinstance(shape, Rejected):
        return shape
    details = raw.get("details")
    values = [d.get("value") if isinstance(d, Mapping) else None for d in details[:20]] if _is_list(details) else []
    return Mark(volunteer, shape, tool, frame, tuple(values))


def _inferred_type(mark: Mapping[Any, Any]) -> str:
    """The tool that writes such keys."""
    for keys, kind in _KEYS:
        if all(key in mark for key in keys):
            return kind
    return ""


def _number(mark: Mapping[Any, Any], key: str, *, most: float = MAX_PX) -> float:
    value = mark.get(key)
    if value is None:
        raise _UnreadableError("missing_coordinates")
    number = finite_number(value, most=most)
    if number is None:
        # A bool is no number, whatever Python says, and NaN does not equal itself.
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124
        raise _UnreadableError("out_of_range" if is_number else "not_a_number")
    return number


def _extent(mark: Mapping[Any, Any], key: str) -> float:
    """A radius or a side, whichever way it was dragged."""
    extent = abs(_number(mark, key))
    if extent < MIN_EXTENT_PX:
        raise _UnreadableError("no_extent")
    return extent


def _angle_deg(mark: Mapping[Any, Any]) -> float:
    return _number(mark, "angle") if mark.get("angle") is not None else 0.0


def _centre(mark: Mapping[Any, Any]) -> tuple[float, float]:
    """Centre of what has its `x` and `y` there in v1."""
    if "x_center" in mark or "y_center" in mark:
        return _number(mark, "x_center"), _number(mark, "y_center")
    return _number(mark, "x"), _number(mark, "y")


def _box(mark: Mapping[Any, Any]) -> tuple[float, float, float, float]:
    """Centre and sides of what has its `x` and `y` in the upper left corner in v1."""
    width, height = _number(mark, "width"), _number(mark, "height")
    if "x_center" in mark or "y_center" in mark:
        x, y = _number(mark, "x_center"), _number(mark, "y_center")
    else:
        x, y = _number(mark, "x") + width / 2, _number(mark, "y") + height / 2
    return x, y, _extent(mark, "width"), _extent(mark, "height")


def _vertices(mark: Mapping[Any, Any], *, least: int) -> NDArray[np.float64]:
    """(n, 2) vertices without repeats, of `points` (v1 and polygons of v2) or `pathX` and `pathY` (v2)."""
    points = mark.get("points")
    if "pathX" in mark or "pathY" in mark:
        xs, ys = mark.get("pathX"), mark.get("pathY")
        if not _is_list(xs) or not _is_list(ys) or len(xs) != len(ys):
            raise _UnreadableError("missing_coordinates")
        points = [{"x": x, "y": y} for x, y in zip(xs[: MAX_VERTICES + 1], ys, strict=False)]
    if not _is_list(points):
        raise _UnreadableError("missing_coordinates")
    if len(points) > MAX_VERTICES:
        raise _UnreadableError("too_many_vertices")
    if not all(isinstance(point, Mapping) for point in points):
        raise _UnreadableError("not_a_mark")
    array = np.array([(_number(point, "x"), _number(point, "y")) for point in points]).reshape(-1, 2)
    array = array[np.append(True, (array[1:] != array[:-1]).any(axis=1))] if len(array) else array
    if len(np.unique(array, axis=0)) < least:
        raise _UnreadableError("too_few_vertices")
    return array


def _simplified(line: Any) -> tuple[Any, float]:
    """The line, with fewer vertices where it has many, and the diagonal of its box (px)."""
    left, top, right, bottom = line.bounds
    diagonal = float(np.hypot(right - left, bottom - top))
    if diagonal < MIN_EXTENT_PX:
        raise _UnreadableError("no_extent")
    if shapely.get_num_coordinates(line) > KEPT_VERTICES:
        # Douglas & Peucker (1973), Cartographica 10, 112.
        line = shapely.simplify(line, diagonal / 1000, preserve_topology=False)
    return line, diagonal


def _polygon(mark: Mapping[Any, Any]) -> Polygon:
    ring, diagonal = _simplified(shapely.linestrings(_closed(_vertices(mark, least=3))))
    if ring.length > MAX_WINDING * diagonal:
        raise _UnreadableError("tangled")
    if shapely.get_num_coordinates(ring) < 4:
        raise _UnreadableError("no_extent")
    area = shapely.polygons(shapely.get_coordinates(ring))
    if not shapely.is_valid(area):
        area = shapely.make_valid(area, method="structure", keep_collapsed=False)
    polygon = Polygon.of_geometry(area)
    if polygon is None or polygon.geometry().area < MIN_EXTENT_PX * diagonal:
        raise _UnreadableError("no_extent")
    return polygon


def _freehand(mark: Mapping[Any, Any]) -> FreehandLine:
    line, _ = _simplified(shapely.linestrings(_vertices(mark, least=2)))
    coordinates = [(float(x), float(y)) for x, y in shapely.get_coordinates(line)]
    # Drawn from either end it is the same path.
    return FreehandLine(tuple(min(coordinates, coordinates[::-1])))


def _column(mark: Mapping[Any, Any], *, centred: bool) -> Column:
    # A light curve's x may be a Julian date or a wavelength in ångström: no pixels.
    x, width = _number(mark, "x", most=1e12), _number(mark, "width", most=1e12)
    left = x - abs(width) / 2 if centred else min(x, x + width)
    if not left + abs(width) > left:
        raise _UnreadableError("no_extent")
    return Column(left, abs(width))


def _line(mark: Mapping[Any, Any]) -> Line:
    ends = sorted([(_number(mark, "x1"), _number(mark, "y1")), (_number(mark, "x2"), _number(mark, "y2"))])
    return Line(*ends[0], *ends[1])


def _rectangle(mark: Mapping[Any, Any]) -> Rectangle:
    x, y, width, height = _box(mark)
    return Rectangle(x - width / 2, y - height / 2, width, height)


def _closed(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    return vertices if (vertices[0] == vertices[-1]).all() else np.vstack([vertices, vertices[:1]])


def _index(value: Any) -> int | None:
    number = finite_number(value, most=10_000)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


_Reader: TypeAlias = Callable[[Mapping[Any, Any]], Shape]
_READERS: dict[str, _Reader] = {
    "point": lambda mark: Point(_number(mark, "x"), _number(mark, "y")),
    "line": _line,
    "arrow": _line,
    "transcriptionLine": _line,
    "circle": lambda mark: Circle(*_centre(mark), _extent(mark, "r")),
    "ellipse": lambda mark: Ellipse(*_centre(mark), _extent(mark, "rx"), _extent(mark, "ry"), _angle_deg(mark)),
    "rectangle": _rectangle,
    "rotateRectangle": lambda mark: RotatedRectangle(*_box(mark), _angle_deg(mark)),
    "polygon": _polygon,
    "freehandShape": _polygon,
    "freehandSegmentShape": _polygon,
    "freehandLine": _freehand,
    "freehandSegmentLine": _freehand,
    "column": lambda mark: _column(mark, centred=False),
    # The range of a graph has its x in the middle, the column of an image at its left edge.
    "graph2dRangeX": lambda mark: _column(mark, centred=True),
    "fullWidthLine": lambda mark: FullWidthLine(_number(mark, "y")),
    "fullHeightLine": lambda mark: FullHeightLine(_number(mark, "x")),
}

_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("pathX", "pathY"), "freehandLine"),
    (("points", "closed"), "polygon"),
    (("points",), "freehandLine"),
    (("x1", "y1", "x2", "y2"), "line"),
    (("rx", "ry"), "ellipse"),
    (("r",), "circle"),
    (("width", "height", "angle"), "rotateRectangle"),
    (("width", "height"), "rectangle"),
    (("width", "zoomLevelOnCreation"), "graph2dRangeX"),
    (("x", "width"), "column"),
    (("x", "y"), "point"),
    (("x",), "fullHeightLine"),
    (("y",), "fullWidthLine"),
)
