"""Simulated people vote through the real HTTP API until nothing is left to ask; every answer is a row, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esocs.crowd.models import Answer, Classification, GoldStandard, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.demo import volunteers
from esocs.demo.client import ApiClient, ApiError
from esocs.demo.people import Person
from esocs.demo.survey.truth import TruthRow, write_truth
from esocs.demo.volunteers import Crowd, TruthBook, label_as_expert, prepare_accounts
from esocs.projects.models import Subject, Workflow
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_workflow

ANSWERS = ("star", "galaxy", "artifact")


def truth_row(number: int, class_name: str) -> TruthRow:
    return TruthRow(
        dp_id=f"SIM.{number}",
        file_name=f"{number}.fits",
        kind="image",
        class_name=class_name,
        difficulty=0.0,
        signal_to_noise=50.0,
        seeing_arcsec=0.8,
        redshift=None,
        second_class="galaxy",
        detail="",
    )


@pytest.fixture
def truth(tmp_path: Path) -> TruthBook:
    path = tmp_path / "truth.csv"
    write_truth(path, [truth_row(number, ANSWERS[number % 3]) for number in range(6)])
    return TruthBook(path)


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(make_project(owner=make_user("owner")), answers=ANSWERS)


def publish(workflow: Workflow, *, audience: str = "volunteers", first: int = 0, count: int = 6) -> list[Subject]:
    return [
        make_subject(
            workflow.project, published_in=workflow, metadata={"#dp_id": f"SIM.{first + i}"}, audience=audience
        )
        for i in range(count)
    ]


def test_the_truth_book_reads_only_what_was_simulated(truth: TruthBook) -> None:
    assert truth.look_up({"metadata": {"#dp_id": "SIM.4"}}, list(ANSWERS)) == (1, 1, 0.0)
    assert truth.look_up({"metadata": {"#dp_id": "ADP.1"}}, list(ANSWERS)) is None
    assert truth.look_up({"metadata": {}}, list(ANSWERS)) is None
    assert truth.look_up({"metadata": {"#dp_id": "SIM.0"}}, ["quasar", "galaxy"]) is None


def test_the_answers_texts_are_read_from_keys_or_as_they_stand() -> None:
    task = {"answers": [{"label": "T0.answers.0.label"}, {"label": "Plain"}]}
    workflow = {"first_task": "T0", "tasks": {"T0": task}, "strings": {"T0.answers.0.label": "Translated"}}
    assert volunteers.read_labels(workflow) == ["Translated", "Plain"]


@pytest.mark.django_db(transaction=True)
def test_they_vote_until_nothing_is_left_and_every_answer_counts_once(
    workflow: Workflow, truth: TruthBook, live_server: Any
) -> None:
    subjects = publish(workflow)
    people = [Person(number=n, habit="careful", accuracy=1.0, activity=1.0, signed_in=n == 1) for n in range(1, 5)]
    prepare_accounts(people, password=PASSWORD)
    crowd = Crowd(people, url=live_server.url, password=PASSWORD, workflow_ids=[workflow.pk], truth=truth, seed=1)
    tally = crowd.work()
    counted = Classification.objects.filter(counted=True)
    assert tally.answers == Classification.objects.count() == counted.count() == Answer.objects.count()
    assert sum(tally.by_person.values()) == tally.answers
    assert tally.unknown == 0
    for status in SubjectStatus.objects.all():
        votes = counted.filter(subject=status.subject_id)
        assert status.classifications_count == votes.count()
        asked_all = votes.values("volunteer").distinct().count() == len(people)
        assert status.state == "retired" or asked_all
    assert SubjectStatus.objects.count() == len(subjects)
    assert audit_consensus(workflow) == []
    assert Classification.objects.filter(volunteer__user__login="simulated-001").exists()


@pytest.mark.django_db(transaction=True)
def test_an_expert_settles_what_waits_for_experts_and_nothing_else(
    workflow: Workflow, truth: TruthBook, live_server: Any
) -> None:
    waiting = publish(workflow, audience="experts", count=3)
    publish(workflow, first=3, count=1)
    seen: list[int] = []
    answered = label_as_expert(
        url=live_server.url,
        login="owner",
        password=PASSWORD,
        workflow_id=workflow.pk,
        truth=truth,
        seed=1,
        on_progress=seen.append,
    )
    assert (answered, seen[-1]) == (3, 3)
    gold = dict(GoldStandard.objects.values_list("subject_id", "answer"))
    assert gold == {subject.pk: number % 3 for number, subject in enumerate(waiting)}
    assert SubjectStatus.objects.filter(state="open").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_client_says_what_the_site_refused(workflow: Workflow, live_server: Any) -> None:
    (subject,) = publish(workflow, count=1)
    client = ApiClient(live_server.url)
    document = client.get_workflow(workflow.pk)
    with pytest.raises(ApiError) as refused:
        client.classify(document, str(subject.pk), 17)
    assert refused.value.answered == 422
    with pytest.raises(ApiError) as unknown:
        client.get_workflow(999_999)
    assert unknown.value.answered == 404
    with pytest.raises(ApiError):
        client.sign_in("owner", "a wrong password")
    assert not Classification.objects.exists()
