"""One small survey, made once, that the tests of this folder look at."""

from __future__ import annotations

import pytest

from esocs.demo.survey import SurveySummary, TruthRow, read_truth, simulate


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> SurveySummary:
    return simulate(
        directory=tmp_path_factory.mktemp("survey"),
        truth_path=tmp_path_factory.mktemp("truth") / "truth.csv",
        images=100,
        spectra=100,
        seed=11,
        processes=1,
    )


@pytest.fixture(scope="session")
def truth(survey: SurveySummary) -> list[TruthRow]:
    return read_truth(survey.truth_path)
