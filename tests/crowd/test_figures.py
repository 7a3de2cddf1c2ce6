"""Numbers of whole workflows: small ones are counted at once, large ones are kept and counted by a job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client

from esocs.crowd import figures
from esocs.crowd.figures import COUNTED, Figures, read_figures
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Workflow
from tests.support.factories import classify, make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Iterator[Workflow]:
    made = make_workflow()
    subject = make_subject(made.project, published_in=made)
    classify(made, subject, make_volunteer(), T0=0)
    yield made
    cache.delete_many([f"figures/{made.pk}/{name}" for name in COUNTED])


def vote_again(workflow: Workflow) -> None:
    classify(workflow, workflow.project.subjects.get(), make_volunteer(), T0=0)


def test_a_small_workflow_is_counted_when_somebody_looks(workflow: Workflow) -> None:
    assert read_figures(workflow, "summary").value.classifications == 1
    vote_again(workflow)
    figures_now = read_figures(workflow, "summary")
    assert (figures_now.value.classifications, figures_now.counted_at) == (2, None)
    assert not Job.objects.filter(kind="crowd.count").exists()


def test_a_large_one_shows_the_last_count_and_orders_the_next(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SMALL", 0)
    first = read_figures(workflow, "summary")
    assert first.value.classifications == 1
    assert first.counted_at is not None
    vote_again(workflow)
    assert read_figures(workflow, "summary") == first, "fresh enough"
    assert not Job.objects.filter(kind="crowd.count").exists()
    old = Figures(value=first.value, counted_at=datetime.now(UTC) - timedelta(minutes=1), seconds=2.9)
    cache.set(f"figures/{workflow.pk}/summary", old, 60)
    assert read_figures(workflow, "summary") == old
    assert read_figures(workflow, "summary") == old
    [job] = Job.objects.filter(kind="crowd.count")
    jobs.drain([job.pk])
    counted = read_figures(workflow, "summary")
    assert counted.value.classifications == 2
    # What takes long is counted seldom.
    slow = Figures(value=first.value, counted_at=old.counted_at, seconds=3.1)
    cache.set(f"figures/{workflow.pk}/summary", slow, 60)
    assert read_figures(workflow, "summary") == slow
    assert Job.objects.filter(kind="crowd.count").count() == 1


def test_every_number_can_be_kept(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {name: read_figures(workflow, name).value for name in COUNTED}
    monkeypatch.setattr(figures, "SMALL", 0)
    for name, value in small.items():
        assert read_figures(workflow, name).value == value
        assert read_figures(workflow, name).value == value


def test_the_page_says_when_it_was_counted(client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(workflow.project.owner)
    path = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/results/"
    assert "Counted at" not in client.get(path).content.decode()
    monkeypatch.setattr(figures, "SMALL", 0)
    assert "Counted at" in client.get(path).content.decode()
