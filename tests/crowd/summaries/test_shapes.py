"""Marks into shapes, and how far shapes are apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.summaries import Rejected, embed_details, read_mark, read_marks
from esocs.crowd.summaries.distances import Batch, distance, distance_matrix, neighbour_graph
from esocs.crowd.summaries.shapes import (
    Circle,
    Column,
    Ellipse,
    FreehandLine,
    Line,
    Point,
    Polygon,
    Rectangle,
    RotatedRectangle,
    Shape,
)

place = st.floats(-1000, 1000, allow_nan=False)
size = st.floats(1, 500, allow_nan=False)
angle = st.floats(-720, 720, allow_nan=False)

shapes: dict[str, st.SearchStrategy[Shape]] = {
    "point": st.builds(Point, place, place),
    "line": st.builds(Line, place, place, place, place),
    "circle": st.builds(Circle, place, place, size),
    "ellipse": st.builds(Ellipse, place, place, size, size, angle),
    "rectangle": st.builds(Rectangle, place, place, size, size),
    "rotateRectangle": st.builds(RotatedRectangle, place, place, size, size, angle),
    "column": st.builds(Column, place, size),
    "polygon": st.builds(
        lambda x, y, r, n: Polygon.of_geometry(shapely.Point(x, y).buffer(r, quad_segs=n)),
        place,
        place,
        size,
        st.integers(1, 5),
    ),
    "freehandLine": st.builds(
        lambda points: FreehandLine(tuple(points)),
        st.lists(st.tuples(place, place), min_size=2, max_size=6, unique=True),
    ),
}
two_of_a_kind = st.sampled_from(sorted(shapes)).flatmap(lambda kind: st.tuples(shapes[kind], shapes[kind]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["x", "y", "r", "rx", "ry", "width", "height", "points", "closed", "tool", "frame", "pathX"]
            ),
            inner,
        )
    ),
    max_leaves=10,
)

TWO_GENERATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("point", {"x": 3, "y": 4}, {"x": 3, "y": 4}),
    ("line", {"x1": 1, "y1": 2, "x2": 3, "y2": 4}, {"x1": 3, "y1": 4, "x2": 1, "y2": 2}),
    ("circle", {"x": 5, "y": 6, "r": 7, "angle": 12}, {"x_center": 5, "y_center": 6, "r": 7}),
    (
        "ellipse",
        {"x": 5, "y": 6, "rx": 7, "ry": 3, "angle": 20},
        {"x_center": 5, "y_center": 6, "rx": 7, "ry": 3, "angle": 20},
    ),
    (
        "rectangle",
        {"x": 10, "y": 20, "width": 8, "height": 4},
        {"x_center": 14, "y_center": 22, "width": 8, "height": 4},
    ),
    (
        "rotateRectangle",
        {"x": 10, "y": 20, "width": 8, "height": 4, "angle": 30},
        {"x_center": 14, "y_center": 22, "width": 8, "height": 4, "angle": 30},
    ),
    (
        "freehandLine",
        {"points": [{"x": 0, "y": 0}, {"x": 4, "y": 1}, {"x": 9, "y": 5}]},
        {"pathX": [0, 4, 9], "pathY": [0, 1, 5]},
    ),
    (
        "polygon",
        {"points": [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 5}], "closed": True},
        {"points": [{"x": 4, "y": 0}, {"x": 4, "y": 5}, {"x": 0, "y": 0}]},
    ),
]


@pytest.mark.parametrize(("tool", "older", "newer"), TWO_GENERATIONS)
def test_both_generations_of_the_classifier_draw_the_same_shape(tool: str, older: dict, newer: dict) -> None:
    first = read_mark({**older, "tool": 0, "frame": 0, "details": []}, tool_type=tool)
    assert isinstance(first, Shape)
    assert read_mark({**newer, "toolIndex": 0, "toolType": tool}) == first


@pytest.mark.parametrize(("tool", "older", "newer"), TWO_GENERATIONS)
def test_the_keys_tell_the_tool_where_the_task_is_not_known(tool: str, older: dict, newer: dict) -> None:
    shape = read_mark(older)
    assert isinstance(shape, Shape)
    assert shape.kind == tool


def test_a_range_on_a_graph_has_its_x_in_the_middle_and_a_column_at_its_left() -> None:
    assert read_mark({"x": 100, "width": 10, "toolType": "graph2dRangeX", "zoomLevelOnCreation": 1}) == Column(95, 10)
    assert read_mark({"x": 100, "width": 10}, tool_type="column") == Column(100, 10)


def test_a_box_dragged_to_the_upper_left_is_the_same_box() -> None:
    assert read_mark({"x": 18, "y": 24, "width": -8, "height": -4}) == Rectangle(10, 20, 8, 4)


def test_panoptes_turns_rectangles_clockwise_and_ellipses_anticlockwise_on_the_screen() -> None:
    flat = RotatedRectangle(0, 0, 10, 1, 45).geometry()
    assert flat.contains(shapely.Point(3, 3))
    assert Ellipse(0, 0, 10, 1, 45).geometry().contains(shapely.Point(3, -3))


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (None, "not_a_mark"),
        ([1, 2], "not_a_mark"),
        ({}, "unknown_tool"),
        ({"x": 1, "y": 2, "toolType": "teapot"}, "unknown_tool"),
        ({"x": 1, "y": math.nan}, "not_a_number"),
        ({"x": 1, "y": math.inf}, "out_of_range"),
        ({"x": 1, "y": 10**400}, "out_of_range"),
        ({"x": 1, "y": "2"}, "not_a_number"),
        ({"x": True, "y": 2}, "not_a_number"),
        ({"x": 1, "y": None}, "missing_coordinates"),
        ({"x": 1, "y": 2, "r": 0}, "no_extent"),
        ({"x": 1, "y": 2, "width": 5, "height": 1e-300}, "no_extent"),
        ({"points": [], "closed": True}, "too_few_vertices"),
        ({"points": [{"x": 0, "y": 0}, {"x": 5, "y": 5}, {"x": 9, "y": 9}], "closed": True}, "no_extent"),
        ({"points": [{"x": 0, "y": 0}] * 10_001, "closed": True}, "too_many_vertices"),
        ({"points": [1, 2, 3], "closed": True}, "not_a_mark"),
        ({"points": "abc"}, "missing_coordinates"),
        ({"pathX": [1, 2], "pathY": [1]}, "missing_coordinates"),
        ({"points": [{"x": i % 2 * 1000, "y": i} for i in range(100)], "closed": True}, "tangled"),
    ],
)
def test_a_mark_that_cannot_be_read_is_rejected_with_its_reason(mark: object, reason: str) -> None:
    assert read_mark(mark) == Rejected(reason)


@given(json_values)
def test_nothing_that_json_can_hold_stops_the_reading(value: Any) -> None:
    shape = read_mark(value)
    if isinstance(shape, Shape):
        assert np.isfinite(shape.parameters()).all()
    if isinstance(value, list):
        read_marks(value, volunteer="v")


def test_a_tool_that_the_task_does_not_have_is_rejected() -> None:
    marks, rejected = read_marks(
        [{"x": 1, "y": 1, "tool": 3}, {"x": 1, "y": 1, "tool": -1}, {"x": 1, "y": 1}],
        volunteer=1,
        tools=[{"type": "point"}],
    )
    assert len(marks) == 1
    assert [refusal.reason for refusal in rejected] == ["unknown_tool", "bad_index"]


def test_a_bow_tie_becomes_its_two_halves() -> None:
    bow = read_mark({"points": [{"x": x, "y": y} for x, y in [(0, 0), (10, 10), (10, 0), (0, 10)]], "closed": True})
    assert isinstance(bow, Polygon)
    assert len(bow.parts) == 2
    assert bow.geometry().area == pytest.approx(50)
    assert len(bow.to_mark()["more_parts"]) == 1


def test_one_volunteers_flood_of_marks_is_cut_off() -> None:
    marks, rejected = read_marks([{"x": i, "y": 0} for i in range(1200)], volunteer=1)
    assert (len(marks), len(rejected)) == (1000, 200)


def test_flat_sub_tasks_of_the_newer_classifier_go_back_into_their_marks() -> None:
    annotations = [
        {
            "task": "T0",
            "taskType": "drawing",
            "value": [{"x": 1, "y": 1, "details": [{"task": "T0.0.0"}]}, {"x": 2, "y": 2}],
        },
        {"task": "T0.0.0", "taskType": "single", "markIndex": 0, "value": 2},
        {"task": "T0.0.1", "taskType": "text", "markIndex": 1, "value": "blue"},
        {"task": "T0.0.0", "markIndex": 99, "value": 1},
    ]
    (whole,) = embed_details(annotations)
    assert whole["value"][0]["details"] == [{"value": 2}]
    assert whole["value"][1]["details"] == [None, {"value": "blue"}]
    assert annotations[0]["value"][0]["details"] == [{"task": "T0.0.0"}]


@given(two_of_a_kind)
def test_a_distance_is_symmetric_and_zero_to_itself(pair: tuple[Shape, Shape]) -> None:
    a, b = pair
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-9)
    assert distance(a, b) >= 0
    assert distance(a, a) == pytest.approx(0, abs=1e-9)


@given(shapes["circle"], shapes["circle"])
def test_the_overlap_of_circles_is_shapelys(a: Circle, b: Circle) -> None:
    one, two = (shapely.Point(c.x, c.y).buffer(c.r, quad_segs=256) for c in (a, b))
    iou = one.intersection(two).area / one.union(two).area
    assert distance(a, b) == pytest.approx(1 - iou, abs=2e-3)


@given(shapes["rectangle"], shapes["rectangle"])
def test_the_overlap_of_rectangles_is_shapelys(a: Rectangle, b: Rectangle) -> None:
    one, two = (shapely.box(*r.bounds()) for r in (a, b))
    assert distance(a, b) == pytest.approx(1 - one.intersection(two).area / one.union(two).area, abs=1e-9)


@given(shapes["ellipse"], shapes["rotateRectangle"])
def test_a_shape_turned_by_its_symmetry_is_the_same(a: Ellipse, b: RotatedRectangle) -> None:
    half = Ellipse(a.x, a.y, a.rx, a.ry, a.angle_deg + 180)
    swapped = Ellipse(a.x, a.y, a.ry, a.rx, a.angle_deg + 90)
    assert distance(a, half) == pytest.approx(0, abs=1e-6)
    assert distance(a, swapped) == pytest.approx(0, abs=1e-6)
    quarter = RotatedRectangle(b.x_centre, b.y_centre, b.height, b.width, b.angle_deg - 90)
    assert distance(b, quarter) == pytest.approx(0, abs=1e-6)


@given(shapes["line"], shapes["freehandLine"])
def test_a_line_drawn_from_its_other_end_is_the_same(a: Line, b: FreehandLine) -> None:
    assert distance(a, Line(a.x2, a.y2, a.x1, a.y1)) == 0
    assert distance(b, FreehandLine(b.points[::-1])) == pytest.approx(0, abs=1e-6)


def test_a_column_of_seconds_on_a_julian_date_keeps_its_digits() -> None:
    day = 1 / 86400
    assert distance(Column(2_460_000.5, day), Column(2_460_000.5 + day / 2, day)) == pytest.approx(2 / 3, abs=1e-4)


@settings(max_examples=40)
@given(st.data())
def test_the_neighbours_are_those_of_the_whole_matrix(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(shapes)))
    batch = Batch.of(data.draw(st.lists(shapes[kind], min_size=1, max_size=12)))
    area = kind in {"circle", "ellipse", "rectangle", "rotateRectangle", "column", "polygon"}
    eps = data.draw(st.floats(0.1, 0.9) if area else st.floats(1, 800))
    matrix = distance_matrix(batch)
    graph = neighbour_graph(batch, eps=eps).toarray()
    near = (matrix <= eps) & (np.abs(matrix - eps) > 1e-9)
    assert graph[near] == pytest.approx(matrix[near], abs=1e-9)
    assert (graph[matrix > eps + 1e-9] == 0).all()


def test_shapes_of_two_kinds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="one kind"):
        distance(Point(0, 0), Circle(0, 0, 1))
