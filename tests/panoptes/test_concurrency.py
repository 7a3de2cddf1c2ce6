"""Many volunteers at once, with retries: every classification is stored once and counted once."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from esocs.crowd.models import Answer, Assignment, Classification, Consensus, SubjectStatus
from tests.panoptes.bodies import bearer, classification, send
from tests.support.factories import make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 16
SUBJECTS = 12
VOLUNTEERS = 8
LIMIT = 5


def test_sixteen_threads_with_replays_lose_nothing_and_count_nothing_twice() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": LIMIT}})
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(SUBJECTS)]
    headers = [bearer(make_user()) for _ in range(VOLUNTEERS)]
    dice = random.Random(3)
    pairs = list(itertools.product(range(VOLUNTEERS), subjects))
    requests = [(v, classification(workflow, s, dice.randrange(3)), uuid.uuid4().hex) for v, s in pairs]
    # Every third is sent again, anywhere among the others.
    requests += dice.sample(requests, len(requests) // 3)
    dice.shuffle(requests)

    def submit(request: tuple[int, dict[str, Any], str]) -> tuple[str, int, Any]:
        volunteer, body, key = request
        try:
            answer = send(Client(), body, **headers[volunteer], **{"Idempotency-Key": key})
            return key, answer.status_code, answer.json()
        finally:
            connections.close_all()

    connection.close()
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(submit, requests))

    assert {status for _, status, _ in answers} <= {201, 422}, Counter(status for _, status, _ in answers)
    refusals = {body["errors"][0]["code"] for _, status, body in answers if status == 422}
    assert refusals <= {"subject_retired"}
    by_key: dict[str, list[Any]] = {}
    for key, status, body in answers:
        if status == 201:
            by_key.setdefault(key, []).append(body)
    # A key answers the same however often it is sent, and is one row.
    assert all(body == bodies[0] for bodies in by_key.values() for body in bodies)
    assert Classification.objects.count() == len(by_key)
    assert Answer.objects.filter(counted=True).count() == Classification.objects.filter(counted=True).count()
    for status in SubjectStatus.objects.all():
        counted = Classification.objects.filter(subject_id=status.subject_id, counted=True).count()
        assert status.classifications_count == counted == LIMIT
        assert (status.state, status.retirement_reason) == ("retired", "classification_count")
        assert sum(Consensus.objects.get(status=status).answer_counts) == counted


def test_a_scarce_subject_is_handed_to_no_more_people_than_it_needs() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 2}})
    for _ in range(3):
        make_subject(workflow.project, published_in=workflow)
    path = f"/api/subjects/queued?workflow_id={workflow.pk}&page_size=1"
    answers = [Client().get(path, headers=bearer(make_user())).json()["subjects"] for _ in range(10)]
    handed = Counter(document["id"] for documents in answers for document in documents)
    assert list(handed.values()) == [2, 2, 2]
    assert Assignment.objects.count() == 6
