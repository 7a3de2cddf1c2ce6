"""The demonstration's stage and survey are made once, whatever was interrupted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from django.conf import settings

from esocs.accounts.models import User
from esocs.demo import walk
from esocs.demo.management.commands.demo import _read_finished
from esocs.demo.survey import IMAGE_CLASSES, SPECTRUM_CLASSES, read_truth
from esocs.projects.models import Project, Workflow
from esocs.projects.rules import answer_labels

PLAN = walk.Plan(images=2, spectra=1)


@pytest.fixture(autouse=True)
def _own_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VAR", tmp_path)


@pytest.mark.django_db
def test_the_stage_is_set_once_with_a_new_password_each_time() -> None:
    first = walk.set_stage(PLAN, url="http://127.0.0.1:1")
    again = walk.set_stage(PLAN, url="http://127.0.0.1:2")
    assert (again.project, again.workflows) == (first.project, first.workflows)
    assert (Project.objects.count(), Workflow.objects.count(), User.objects.count()) == (1, 2, 1)
    owner = User.objects.get()
    assert owner.check_password(again.password)
    assert not owner.check_password(first.password)
    classes = [answer_labels(w.tasks, w.strings, w.first_task) for w in again.workflows]
    assert classes == [list(IMAGE_CLASSES), list(SPECTRUM_CLASSES)]


def test_the_survey_is_simulated_once_and_its_truth_lies_apart() -> None:
    walk.make_survey(PLAN)
    files = {path: path.stat().st_mtime_ns for path in walk.survey_folder().iterdir()}
    assert len(files) == 3
    assert all(path.suffix == ".fits" for path in files)
    assert len(read_truth(walk.truth_path())) == 3
    assert not walk.truth_path().is_relative_to(walk.survey_folder())
    walk.make_survey(PLAN)
    assert {path: path.stat().st_mtime_ns for path in walk.survey_folder().iterdir()} == files


@pytest.mark.django_db
def test_experts_label_a_share_for_the_seed_and_enough_for_calibration() -> None:
    plan = walk.Plan()
    for workflow in walk.set_stage(plan, url="").workflows:
        total = plan.images if workflow.subject_kind == "image" else plan.spectra
        seed, calibration = plan.reserved(workflow)
        # Without an error among them, this many accepted certify the demanded level.
        assert calibration >= math.log(plan.delta) / math.log(1 - plan.alpha)
        assert seed + calibration < 0.75 * total
        small = walk.Plan(images=40, spectra=40).reserved(workflow)
        assert 0 < sum(small) < 40


def test_a_finished_demonstration_is_recognised_by_its_plan(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    assert _read_finished(PLAN) is None
    file.write_text("{")
    assert _read_finished(PLAN) is None
    file.write_text('{"plan": [2, 1, 40, 2026, 0.1], "summary": "s", "exports": {}, "url": "old"}')
    assert _read_finished(PLAN) == {"plan": [2, 1, 40, 2026, 0.1], "summary": "s", "exports": {}}
    assert _read_finished(walk.Plan(images=3, spectra=1)) is None
