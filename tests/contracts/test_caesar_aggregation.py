"""Caesar's `shape` and `rectangle`: the same numbers as the program that Zooniverse has do them."""

from __future__ import annotations

import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from esocs.crowd.caesar.configuration import read_reducer, reducer_of
from esocs.crowd.caesar.extraction import SHAPES, Classified, Extractor, extract
from esocs.crowd.caesar.filters import Extract
from esocs.crowd.caesar.reduction import reduce
from tests.support.aggregation import aggregation_program

THEIRS = """
import json, sys
from panoptes_aggregation.extractors.shape_extractor import shape_extractor
from panoptes_aggregation.reducers.rectangle_reducer import rectangle_reducer
asked = json.load(sys.stdin)
extracts = {
    shape: [shape_extractor({"annotations": {"T0": given}}, shape=shape) for given in classifications]
    for shape, classifications in asked.items()
}
kept = [{k: v for k, v in e.items() if k.startswith("frame")} for e in extracts["rectangle"]]
reduced = rectangle_reducer(kept, user_id=list(range(len(kept))), eps=5.0, min_samples=3)
json.dump({"extracts": extracts, "reduced": reduced}, sys.stdout)
"""


def draw(chance: random.Random, shape: str) -> list[dict[str, Any]]:
    """One classification's annotations: a few marks of a shape, around two places."""
    marks = []
    for _ in range(chance.randint(1, 3)):
        place = chance.choice([50, 200])
        numbers = {name: place + chance.randint(-1, 1) for name in SHAPES[shape]}
        numbers |= {
            name: 20 + chance.randint(-1, 1) for name in ("width", "height", "r", "rx", "ry") if name in numbers
        }
        numbers |= {name: 10 for name in ("angle", "rotation") if name in numbers}
        marks.append({"tool": chance.randint(0, 1), "frame": chance.randint(0, 1), "details": [], **numbers})
    return [{"task": "T0", "value": marks}]


def ours(shape: str, annotations: list[dict[str, Any]], number: int) -> dict[str, Any]:
    classified = Classified(
        id=number,
        project_id=1,
        workflow_id=1,
        subject_id=1,
        user_id=number,
        version=(1, 1),
        created_at="",
        annotations=annotations,
        metadata={},
        subject_metadata={},
    )
    data = extract(Extractor(key="e", type="shape", config={"shape": shape}), classified)
    assert data is not None
    return data


def test_shapes_and_clusters_are_those_of_zooniverses_program() -> None:
    chance = random.Random(7)
    drawn = {shape: [draw(chance, shape) for _ in range(6)] for shape in SHAPES}
    program = aggregation_program().parent / "python"
    done = subprocess.run(
        [program, "-c", THEIRS], input=json.dumps(drawn), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout)
    read: dict[str, list[dict[str, Any]]] = {}
    for shape, classifications in drawn.items():
        read[shape] = [ours(shape, given, number) for number, given in enumerate(classifications, 1)]
        for mine, other in zip(read[shape], theirs["extracts"][shape], strict=True):
            assert mine == {name: frame for name, frame in other.items() if name.startswith("frame")}, shape
    start = datetime(2026, 1, 1, tzinfo=UTC)
    extracts = [
        Extract(
            extractor_key="e",
            classification_id=number,
            subject_id=1,
            user_id=number,
            at=start + timedelta(seconds=number),
            data=data,
        )
        for number, data in enumerate(read["rectangle"], 1)
    ]
    reducer = reducer_of(read_reducer({"type": "rectangle", "key": "r"}))
    mine = reduce(reducer, extracts)["_default"]
    assert isinstance(mine, dict)
    for frame, found in theirs["reduced"].items():
        if frame.startswith("frame"):
            assert set(mine[frame]) == set(found)
            for name, numbers in found.items():
                assert mine[frame][name] == pytest.approx(numbers), name
