"""Clusters of marks and their consensus."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.summaries import (
    InvalidClusteringError,
    Mark,
    Response,
    cluster_marks,
    consensus_shape,
    spread,
    summarise_drawing,
    summarise_task,
)
from esocs.crowd.summaries.distances import distance
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
)

coordinate = st.floats(0, 1000, allow_nan=False)
point_mark = st.fixed_dictionaries({"x": coordinate, "y": coordinate, "tool": st.just(0), "frame": st.integers(0, 1)})
circle_mark = st.fixed_dictionaries({"x": coordinate, "y": coordinate, "r": st.floats(1, 200), "tool": st.just(1)})
rectangle_mark = st.fixed_dictionaries(
    {"x": coordinate, "y": coordinate, "width": st.floats(1, 300), "height": st.floats(1, 300), "tool": st.just(2)}
)
drawings = st.lists(st.lists(point_mark | circle_mark | rectangle_mark, max_size=4), max_size=8)


def responses_of(values: Sequence[Any]) -> list[Response]:
    return [Response(f"volunteer {i}", value) for i, value in enumerate(values)]


def around(x: float, y: float, *, n: int = 5, sigma: float = 2.0, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [{"x": float(a), "y": float(b), "tool": 0, "frame": 0} for a, b in rng.normal((x, y), sigma, (n, 2))]


def test_two_stars_marked_by_five_volunteers_become_two_clusters() -> None:
    first, second = around(100, 100), around(600, 300, seed=2)
    summary = summarise_drawing({}, responses_of([[a, b] for a, b in zip(first, second, strict=True)]))
    clusters = summary.value["clusters"]
    assert [cluster["count"] for cluster in clusters] == [5, 5]
    assert clusters[0]["mark"]["x"] == pytest.approx(100, abs=5)
    assert clusters[1]["mark"]["y"] == pytest.approx(300, abs=5)
    assert clusters[0]["share"] == 1.0
    assert 0 < clusters[0]["spread"]["sigma_x"] < 6
    json.dumps(summary.to_dict(), allow_nan=False)


def test_a_volunteer_who_drew_nothing_has_seen_the_subject() -> None:
    values: list[Any] = [[mark] for mark in around(50, 50, n=3)]
    summary = summarise_drawing({}, responses_of([*values, [], None]))
    assert summary.seen_by == 5
    assert summary.value["drew_nothing"] == 2
    assert summary.value["clusters"][0]["share"] == pytest.approx(0.6)


def test_one_volunteers_ten_clicks_support_nothing_alone_and_count_once_with_others() -> None:
    clicks = around(100, 100, n=10, sigma=1)
    alone = summarise_drawing({}, [Response("a", clicks)])
    assert alone.value["clusters"] == []
    assert alone.value["unclustered"] == 10
    together = summarise_drawing({}, [Response("a", clicks), Response("b", clicks[:1])])
    (cluster,) = together.value["clusters"]
    assert (cluster["count"], cluster["marks"], cluster["share"]) == (2, 11, 1.0)


def test_tools_and_frames_are_clustered_apart() -> None:
    mark = {"x": 10, "y": 10}
    values = [[mark | {"tool": t, "frame": f} for t in (0, 1) for f in (0, 1)] for _ in range(2)]
    clusters = summarise_drawing({}, responses_of(values)).value["clusters"]
    assert [(c["tool"], c["frame"], c["count"]) for c in clusters] == [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]


def test_one_mark_a_million_pixels_away_does_not_make_neighbours_of_everything() -> None:
    values = [[{"x": 100, "y": 100}, {"x": 800, "y": 800}] for _ in range(4)]
    values.append([{"x": 1e6, "y": 1e6}])
    assert len(summarise_drawing({}, responses_of(values)).value["clusters"]) == 2


def test_hostile_marks_are_counted_and_the_others_stand() -> None:
    bad = [{"x": math.nan, "y": 1}, "x", {"x": 1}, {"r": -1e308, "x": 0, "y": 0}, {"points": [{"x": 1}], "closed": 1}]
    task = {"type": "drawing", "tools": [{"type": "point", "details": []}]}
    summary = summarise_task(task, responses_of([[*bad, {"x": 5, "y": 5}], [{"x": 6, "y": 5}], "drop table", {"x": 1}]))
    assert summary.seen_by == 2
    assert summary.value["clusters"][0]["count"] == 2
    assert summary.rejected["not_a_drawing"] == 2
    assert sum(summary.rejected.values()) == 6


def test_the_share_stays_a_share_when_a_volunteer_comes_twice() -> None:
    twice = [Response("a", [{"x": 1, "y": 1}]), Response("a", [{"x": 1, "y": 1}]), Response("b", [{"x": 1, "y": 1}])]
    summary = summarise_drawing({}, twice)
    assert summary.seen_by == 2
    assert summary.value["clusters"][0]["share"] == 1.0


def test_details_are_summarised_for_each_cluster() -> None:
    task = {"type": "drawing", "tools": [{"type": "point", "details": [{"type": "single"}, {"type": "text"}]}]}
    details = [(1, "NGC 1"), (1, "ngc 1"), (0, "NGC 2")]
    values = [[{"x": 5, "y": 5, "tool": 0, "details": [{"value": a}, {"value": b}]}] for a, b in details]
    for known in (task, {}):
        (cluster,) = summarise_drawing(known, responses_of(values)).value["clusters"]
        answers, texts = cluster["details"]
        assert answers["answers"]["1"]["count"] == 2
        assert texts["most_common"]["count"] == 2


def test_a_tool_with_details_that_nobody_answered_still_lists_them() -> None:
    task = {"type": "drawing", "tools": [{"type": "point", "details": [{"type": "single"}]}]}
    (cluster,) = summarise_drawing(task, responses_of([[{"x": 1, "y": 1}]] * 2)).value["clusters"]
    assert cluster["details"][0]["unanswered"] == 2


@pytest.mark.parametrize("method", ["dbscan", "optics"])
@settings(max_examples=40, deadline=None)
@given(drawings, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(method: str, values: list[Any], rng: random.Random) -> None:
    responses = responses_of(values)
    expected = json.dumps(summarise_task({"type": "drawing"}, responses, method=method).to_dict(), allow_nan=False)
    rng.shuffle(responses)
    shuffled = [Response(r.volunteer, rng.sample(r.value, len(r.value))) for r in responses]
    assert json.dumps(summarise_task({"type": "drawing"}, shuffled, method=method).to_dict()) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(point_mark | circle_mark, max_size=4), max_size=8),
    st.integers(-512, 512),
    st.sampled_from([0.5, 2.0, 4.0]),
)
def test_moved_and_enlarged_drawings_have_moved_and_enlarged_clusters(
    values: list[Any], shift: int, scale: float
) -> None:
    # Multiples of 1/8, so that moving does not round.
    exact = [[{k: round(v * 8) / 8 if k in "xyr" else v for k, v in m.items()} for m in value] for value in values]
    exact = [[m for m in value if m.get("r", 1) > 0] for value in exact]
    moved = [
        [
            m | {"x": m["x"] * scale + shift, "y": m["y"] * scale} | ({"r": m["r"] * scale} if "r" in m else {})
            for m in v
        ]
        for v in exact
    ]
    before = summarise_drawing({}, responses_of(exact), eps=20.0, min_samples=2).value["clusters"]
    after = summarise_drawing({}, responses_of(moved), eps=20.0 * scale, min_samples=2).value["clusters"]
    assert [c["count"] for c in before] == [c["count"] for c in after]
    for one, two in zip(before, after, strict=True):
        assert two["mark"]["x"] == pytest.approx(one["mark"]["x"] * scale + shift, abs=1e-6)
        assert two["mark"]["y"] == pytest.approx(one["mark"]["y"] * scale, abs=1e-6)


def test_many_points_counted_in_cells_cluster_as_few_do() -> None:
    rng = np.random.default_rng(7)
    stars = rng.uniform(0, 4000, (20, 2))
    marks = [Mark(v, Point(*(star + rng.normal(0, 3, 2)).tolist())) for v in range(300) for star in stars]
    few = cluster_marks(marks[:4000], eps=20, min_samples=5)
    many = cluster_marks(marks, eps=20, min_samples=5)
    assert len(many.clusters) == len(few.clusters)
    assert {len(cluster.supporters) for cluster in many.clusters} == {300}


def test_too_many_marks_leave_whole_volunteers_out_and_keep_the_share() -> None:
    marks = [Mark(v, Circle(v // 10 * 100.0, 0.0, 40.0)) for v in range(5200)]
    clustering = cluster_marks(marks, min_samples=3)
    assert clustering.left_out == 200
    assert {cluster.weight for cluster in clustering.clusters} == {5200 / 5000}


def test_optics_finds_what_dbscan_finds_among_well_separated_marks() -> None:
    values = [[*around(100, 100, n=1, seed=i), *around(700, 200, n=1, seed=i + 50)] for i in range(8)]
    for method in ("dbscan", "optics"):
        assert len(summarise_drawing({}, responses_of(values), method=method, min_samples=4).value["clusters"]) == 2


@pytest.mark.parametrize(
    "setting", [{"method": "guess"}, {"eps": 0}, {"eps": math.nan}, {"eps": math.inf}, {"min_samples": 0}]
)
def test_a_setting_that_cannot_be_followed_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidClusteringError):
        cluster_marks([], **setting)


def test_lines_drawn_from_either_end_have_one_consensus() -> None:
    lines = [Line(0, 0, 100, 10), Line(101, 11, 1, 1), Line(-1, 0, 99, 9)]
    consensus = consensus_shape(lines)
    assert consensus == Line(0, 0, 100, 10)
    assert spread(lines, consensus)["rms"] < 2


def test_ellipses_on_both_sides_of_the_half_turn_have_one_direction() -> None:
    consensus = consensus_shape([Ellipse(0, 0, 20, 10, 178), Ellipse(0, 0, 20, 10, 2), Ellipse(0, 0, 10, 20, 90)])
    assert isinstance(consensus, Ellipse)
    assert min(consensus.angle_deg, 180 - consensus.angle_deg) == pytest.approx(0, abs=1e-6)
    assert (consensus.rx, consensus.ry) == (pytest.approx(20), pytest.approx(10))


def test_near_squares_whose_sides_change_places_stay_near_squares() -> None:
    squares = [
        RotatedRectangle(0, 0, 10.1, 10, 3),
        RotatedRectangle(0, 0, 10, 10.1, 1),
        RotatedRectangle(0, 0, 10, 10, 92),
    ]
    consensus = consensus_shape(squares)
    assert distance(consensus, RotatedRectangle(0, 0, 10.03, 10.03, 2)) < 0.02
    assert spread(squares, consensus)["iou"] > 0.95


def test_circles_have_the_radius_of_the_mean_area() -> None:
    assert consensus_shape([Circle(0, 0, 1), Circle(2, 4, 7)]) == Circle(1, 2, 5)


def test_rectangles_and_columns_have_median_edges() -> None:
    assert consensus_shape([Rectangle(0, 0, 10, 10), Rectangle(1, 1, 10, 10), Rectangle(9, 0, 90, 11)]) == Rectangle(
        1, 0, 10, 11
    )
    assert consensus_shape([Column(0, 10), Column(1, 10), Column(5, 90)]) == Column(1, 10)


def square(x: float, y: float, side: float) -> Polygon:
    return Polygon((((x, y), (x, y + side), (x + side, y + side), (x + side, y)),))


def test_polygons_have_the_area_that_at_least_half_of_them_cover() -> None:
    consensus = consensus_shape([square(0, 0, 10), square(2, 0, 10), square(4, 0, 10)])
    assert isinstance(consensus, Polygon)
    assert consensus.geometry().bounds == (2, 0, 12, 10)
    assert consensus.geometry().area == pytest.approx(100)


def test_polygons_without_an_area_of_the_majority_are_represented_by_the_most_central() -> None:
    polygons = [square(0, 0, 10), square(30, 0, 10), square(60, 0, 10)]
    assert consensus_shape(polygons) in polygons


def test_paths_are_represented_by_the_most_central() -> None:
    paths = [FreehandLine(((0.0, y), (50.0, y + 1), (100.0, y))) for y in (0.0, 2.0, 9.0)]
    assert consensus_shape(paths) == paths[1]
    assert spread(paths, paths[1])["mean_distance"] == pytest.approx(3, abs=0.2)


def test_ranges_on_a_light_curve_are_clustered_by_their_overlap() -> None:
    mark = {"tool": 0, "toolType": "graph2dRangeX", "zoomLevelOnCreation": 1}
    values = [[mark | {"x": 15.0 + d, "width": 0.9}, mark | {"x": 20.0 + d, "width": 1.0}] for d in (0, 0.02, 0.05)]
    task = {"type": "dataVisAnnotation", "tools": [{"type": "graph2dRangeX"}]}
    clusters = summarise_task(task, responses_of(values)).value["clusters"]
    assert [c["mark"]["x"] for c in clusters] == [pytest.approx(14.57), pytest.approx(19.52)]
    assert all(c["spread"]["iou"] > 0.9 for c in clusters)


def test_an_event_of_the_real_stream_is_read(real_data: Path) -> None:
    event = json.loads((real_data / "panoptes" / "panoptes_event_stream_classification.json").read_text())
    (annotation,) = event["data"]["annotations"]
    summary = summarise_task({}, responses_of([annotation["value"]] * 3))
    assert [c["shape"] for c in summary.value["clusters"]] == ["circle", "circle"]
    assert summary.value["clusters"][0]["spread"]["iou"] == pytest.approx(1)
