from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.stats import kruskal

from esocs.demo.survey import (
    IMAGE_CLASSES,
    SPECTRUM_CLASSES,
    InvalidSurveyError,
    SurveySummary,
    TruthRow,
    simulate,
)
from esocs.demo.survey.simulation import make_object

MEASURED = {"SNR", "CHECKSUM", "DATASUM"}
"""Cards that state what the data themselves show."""


def headers(survey: SurveySummary, row: TruthRow) -> dict[str, object]:
    with fits.open(survey.directory / row.file_name) as units:
        return {
            f"{number} {card.keyword}": card.value
            for number, unit in enumerate(units)
            for card in unit.header.cards
            if card.keyword not in MEASURED
        }


def test_it_writes_one_file_for_each_row_of_the_truth(survey: SurveySummary, truth: list[TruthRow]) -> None:
    files = list(survey.directory.iterdir())
    assert {path.name for path in files} == {row.file_name for row in truth}
    assert len(files) == survey.images + survey.spectra == 200
    assert sum(path.stat().st_size for path in files) == survey.size_bytes


def test_the_survey_has_its_shares_of_classes_and_of_hard_ones(survey: SurveySummary, truth: list[TruthRow]) -> None:
    assert Counter(row.class_name for row in truth if row.kind == "image") == {
        name: 2 * count for name, count in IMAGE_CLASSES.items()
    }
    assert Counter(row.class_name for row in truth if row.kind == "spectrum") == {
        name: 2 * count for name, count in SPECTRUM_CLASSES.items()
    }
    assert survey.hard == sum(row.difficulty > 0.5 for row in truth) == pytest.approx(20, abs=4)


def test_the_truth_stays_out_of_the_survey(survey: SurveySummary) -> None:
    assert not survey.truth_path.is_relative_to(survey.directory)


def test_it_refuses_to_put_the_truth_into_the_survey(tmp_path: Path) -> None:
    with pytest.raises(InvalidSurveyError, match="truth"):
        simulate(directory=tmp_path, truth_path=tmp_path / "truth.csv", images=1, spectra=0, seed=1)


@pytest.mark.parametrize("wrong", [{"images": -1}, {"seed": -1}, {"difficulty": 1.5}])
def test_it_refuses_numbers_out_of_range(tmp_path: Path, wrong: dict[str, float]) -> None:
    arguments = {"images": 1, "spectra": 0, "seed": 1, **wrong}
    with pytest.raises(InvalidSurveyError):
        simulate(directory=tmp_path / "a", truth_path=tmp_path / "b.csv", **arguments)


def test_an_empty_survey_is_a_survey(tmp_path: Path) -> None:
    summary = simulate(directory=tmp_path / "a", truth_path=tmp_path / "b.csv", images=0, spectra=0, seed=1)
    assert summary.classes == {}
    assert (tmp_path / "b.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("kind", ["image", "spectrum"])
def test_an_object_is_the_same_bytes_each_time_and_other_bytes_for_another_seed(kind: str) -> None:
    first, row = make_object(kind=kind, index=7, seed=3, difficulty=0.1)
    again, same_row = make_object(kind=kind, index=7, seed=3, difficulty=0.1)
    other, other_row = make_object(kind=kind, index=7, seed=4, difficulty=0.1)
    assert first == again
    assert row == same_row
    assert first != other
    assert row.dp_id != other_row.dp_id


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    for processes in (1, 2):
        simulate(
            directory=tmp_path / f"survey{processes}",
            truth_path=tmp_path / f"truth{processes}.csv",
            images=21,
            spectra=21,
            seed=8,
            processes=processes,
        )
    assert (tmp_path / "truth1.csv").read_bytes() == (tmp_path / "truth2.csv").read_bytes()
    for path in (tmp_path / "survey1").iterdir():
        assert path.read_bytes() == (tmp_path / "survey2" / path.name).read_bytes()


def test_a_larger_survey_begins_with_the_smaller_one(survey: SurveySummary, truth: list[TruthRow]) -> None:
    content, row = make_object(kind="image", index=5, seed=11, difficulty=0.1)
    assert (survey.directory / row.file_name).read_bytes() == content
    assert row.dp_id == truth[5].dp_id


def test_progress_ends_with_all_files_written(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    simulate(
        directory=tmp_path / "a",
        truth_path=tmp_path / "b.csv",
        images=2,
        spectra=21,
        seed=1,
        processes=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (23, 23)
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(seen))


def test_dp_ids_look_like_the_archives_and_are_unique(truth: list[TruthRow]) -> None:
    pattern = re.compile(r"ADP\.20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
    assert len({row.dp_id for row in truth}) == len(truth)
    for row in truth:
        assert pattern.fullmatch(row.dp_id)
        assert row.file_name == row.dp_id.replace(":", "_") + ".fits"


def test_no_header_names_a_class_or_a_defect(survey: SurveySummary, truth: list[TruthRow]) -> None:
    words = re.compile(
        r"ellip(?!tic)tical|spiral|edge.?on|merg|\bstar\b|stellar|artifact|cosmic|trail|bleed|ghost|galax|emission|"
        r"quasar|qso|\bagn\b|\bbad\b|fring|residual|dead|jump|saturated|difficult|redshift",
        re.IGNORECASE,
    )
    for row in truth:
        with fits.open(survey.directory / row.file_name) as units:
            for unit in units:
                found = [str(card) for card in unit.header.cards if words.search(f"{card.keyword} {card.value}")]
                assert found == []
        assert re.fullmatch(r"FIELD-\d{3}-\d{4}", str(headers(survey, row)["0 OBJECT"]))


@pytest.mark.parametrize("kind", ["image", "spectrum"])
def test_no_card_tells_the_class_or_the_difficulty(survey: SurveySummary, truth: list[TruthRow], kind: str) -> None:
    rows = [row for row in truth if row.kind == kind]
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    hardness: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for keyword, value in headers(survey, row).items():
            if isinstance(value, int | float):
                values[keyword][row.class_name].append(float(value))
                hardness[keyword][str(row.difficulty > 0.5)].append(float(value))
    p_values = [
        float(kruskal(*groups.values()).pvalue)
        for groups in (*values.values(), *hardness.values())
        if len({value for group in groups.values() for value in group}) > 1
    ]
    assert len(p_values) > 60
    # Bonferroni: a card that depended on the class would be far below
    assert min(p_values) > 0.001 / len(p_values)


def test_difficulty_is_the_share_of_hard_ones_that_was_asked_for(tmp_path: Path) -> None:
    summary = simulate(
        directory=tmp_path / "a",
        truth_path=tmp_path / "b.csv",
        images=0,
        spectra=50,
        seed=1,
        difficulty=0.4,
        processes=1,
    )
    assert summary.hard == pytest.approx(20, abs=1)


def test_pixels_differ_from_object_to_object(survey: SurveySummary, truth: list[TruthRow]) -> None:
    sums = {float(np.sum(fits.getdata(survey.directory / row.file_name))) for row in truth if row.kind == "image"}
    assert len(sums) == 100
