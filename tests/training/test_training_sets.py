"""What may be trained on is frozen by content; calibration, audit and other gold never are in it."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from esocs.crowd.models import Consensus, SubjectStatus
from esocs.crowd.services import ensure_epoch
from esocs.machine.models import ReservedSubject
from esocs.projects.models import Workflow
from esocs.training import services
from esocs.training.models import TrainingSet, TrainingSetItem
from esocs.training.rules import NothingToTrainOnError
from tests.support.factories import make_workflow
from tests.support.predictions import label, make_pool

pytestmark = pytest.mark.django_db


def reserve(workflow: Workflow, ids: list[int], purpose: str) -> None:
    ReservedSubject.objects.bulk_create(
        ReservedSubject(workflow=workflow, subject_id=pk, purpose=purpose) for pk in ids
    )


def settle(workflow: Workflow, ids: list[int], *, answer: int = 1, votes: int = 4, **fields: object) -> None:
    """Subjects that the volunteers' consensus retired."""
    epoch = ensure_epoch(workflow).epoch_id
    given = {"state": "retired", "retirement_reason": "consensus", **fields}
    for pk in ids:
        status = SubjectStatus.objects.create(
            workflow=workflow, subject_id=pk, epoch_id=epoch, retired_at=Now(), **given
        )
        sums = [0, 0, 0]
        sums[answer] = 6 << 40
        counts = [0, 0, 0]
        counts[answer] = votes
        Consensus.objects.create(
            status=status,
            task_key="T0",
            log_posterior=sums,
            answer_counts=counts,
            answer=answer,
            probability=0.97,
        )


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow()


@pytest.fixture
def pool(workflow: Workflow) -> list[int]:
    return make_pool(workflow, 24)


def trained_on(training_set: TrainingSet) -> dict[int, str]:
    return dict(TrainingSetItem.objects.filter(training_set=training_set).values_list("subject_id", "source"))


def test_without_labels_there_is_nothing_to_train_on(workflow: Workflow, pool: list[int]) -> None:
    reserve(workflow, pool[:3], "seed")
    with pytest.raises(NothingToTrainOnError) as refused:
        services.freeze_training_set(workflow)
    assert refused.value.code == "nothing_to_train_on"


def test_it_holds_the_experts_seed_and_the_volunteers_consensus(workflow: Workflow, pool: list[int]) -> None:
    reserve(workflow, pool[:3], "seed")
    label(workflow, dict.fromkeys(pool[:3], 0))
    settle(workflow, pool[3:5])
    frozen = services.freeze_training_set(workflow)
    assert trained_on(frozen) == {
        **dict.fromkeys(pool[:3], "seed"),
        **dict.fromkeys(pool[3:5], "consensus"),
    }
    assert frozen.class_names == ["Yes", "No", "Unclear"]
    labels = dict(frozen.items.values_list("subject_id", "counts"))
    assert labels[pool[0]] == [3.0, 0.0, 0.0]
    assert sum(labels[pool[3]]) == pytest.approx(4, abs=0.01)
    assert labels[pool[3]][1] == max(labels[pool[3]])


def test_calibration_audit_and_other_gold_are_never_in_it(workflow: Workflow, pool: list[int]) -> None:
    seed, calibration, unlabelled, audit, gold, settled = (pool[i : i + 4] for i in range(0, 24, 4))
    reserve(workflow, seed, "seed")
    reserve(workflow, calibration + unlabelled, "calibration")
    label(workflow, dict.fromkeys(seed + calibration + gold, 0))
    # Even those that volunteers settled before anybody reserved, drew or labelled them.
    settle(workflow, calibration + unlabelled + gold + settled)
    settle(workflow, audit, blind=True)
    assert set(trained_on(services.freeze_training_set(workflow))) == set(seed + settled)


def test_only_what_volunteers_settled_counts_as_consensus(workflow: Workflow, pool: list[int]) -> None:
    settle(workflow, pool[:1])
    settle(workflow, pool[1:2], retirement_reason="human")
    settle(workflow, pool[2:3], retirement_reason="classification_count")
    settle(workflow, pool[3:4], votes=0)
    assert set(trained_on(services.freeze_training_set(workflow))) == {pool[0]}


def test_the_same_content_is_the_same_row(workflow: Workflow, pool: list[int]) -> None:
    settle(workflow, pool[:3])
    first = services.freeze_training_set(workflow)
    assert services.freeze_training_set(workflow) == first
    assert TrainingSet.objects.count() == 1
    assert TrainingSetItem.objects.count() == 3


def test_new_labels_are_a_new_set_and_the_old_one_stays(workflow: Workflow, pool: list[int]) -> None:
    settle(workflow, pool[:3])
    first = services.freeze_training_set(workflow)
    before = list(first.items.order_by("id").values())
    settle(workflow, pool[3:4])
    second = services.freeze_training_set(workflow)
    assert second.manifest_sha256 != first.manifest_sha256
    assert list(first.items.order_by("id").values()) == before
