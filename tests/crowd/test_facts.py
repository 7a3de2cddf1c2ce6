"""What a process knows of a workflow holds no longer than its rows do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from esocs.accounts.models import Volunteer
from esocs.crowd import facts
from esocs.crowd.caesar.models import CaesarWorkflow, RuleEffect, Underived
from esocs.crowd.errors import WorkflowInactiveError
from esocs.crowd.models import Consensus, FactsVersion, Skill, SkillEpoch, SubjectRule
from esocs.crowd.prepared import call_function
from esocs.crowd.services import Recorded, Submission, ensure_epoch, record_classification
from esocs.projects.models import Workflow
from tests.support.factories import make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow()


def answer(workflow: Workflow, volunteer: Volunteer, *, value: int = 0) -> tuple[Recorded, int]:
    """A volunteer's answer to a subject that nobody has seen, and the subject."""
    subject = make_subject(workflow.project, published_in=workflow)
    workflow.refresh_from_db()
    recorded = record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=volunteer.pk,
            annotations=[{"task": workflow.first_task, "value": value}],
            metadata={},
            workflow_version=workflow.version,
            idempotency_key=f"{subject.pk}/{volunteer.pk}",
        )
    )
    return recorded, subject.pk


def version(workflow: Workflow) -> int:
    return FactsVersion.objects.get(workflow_id=workflow.pk).version


def change_settings(workflow: Workflow) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(retirement={"criteria": "never_retire"})


def add_rule(workflow: Workflow) -> SubjectRule:
    return SubjectRule.objects.create(
        workflow=workflow, template="after", condition=["gte", ["const", 1], ["const", 2]]
    )


def add_effect(workflow: Workflow) -> None:
    RuleEffect.objects.create(subject_rule=add_rule(workflow), action=RuleEffect.Action.RETIRE)


def remove_rule(workflow: Workflow) -> None:
    rule = add_rule(workflow)
    facts.forget()
    rule.delete()


def add_caesar(workflow: Workflow) -> None:
    CaesarWorkflow.objects.create(workflow=workflow)


def halt_caesar(workflow: Workflow) -> None:
    add_caesar(workflow)
    CaesarWorkflow.objects.filter(pk=workflow.pk).update(status="halted")


def change_epoch(workflow: Workflow) -> None:
    SkillEpoch.objects.filter(workflow=workflow).update(read_out="shares")


def change_skill(workflow: Workflow) -> None:
    Skill.objects.filter(epoch__workflow=workflow).update(temper=0.25)


def remove_skill(workflow: Workflow) -> None:
    Skill.objects.filter(epoch__workflow=workflow).delete()


CHANGES = [
    change_settings,
    add_rule,
    add_effect,
    remove_rule,
    add_caesar,
    halt_caesar,
    change_epoch,
    change_skill,
    remove_skill,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_that_submissions_rest_on_has_a_new_number(
    workflow: Workflow, change: Callable[[Workflow], Any]
) -> None:
    ensure_epoch(workflow)
    before = version(workflow)
    change(workflow)
    assert version(workflow) > before


def test_answers_follow_a_change_at_once_and_cost_two_statements_without_one(workflow: Workflow) -> None:
    epoch = ensure_epoch(workflow).epoch_id
    volunteer = make_volunteer()
    answer(workflow, volunteer)
    with CaptureQueriesContext(connection) as queries:
        _, subject_id = answer(workflow, volunteer)
    assert [query["sql"] for query in queries if query["sql"].startswith("crowd_")] == [
        "crowd_read_status",
        "crowd_store",
    ]
    newcomer = Consensus.objects.get(status__subject_id=subject_id).log_posterior

    Skill.objects.create(
        epoch_id=epoch, task_key=workflow.first_task, volunteer=volunteer, terms=[7] * len(newcomer) ** 2
    )
    _, subject_id = answer(workflow, volunteer)
    assert Consensus.objects.get(status__subject_id=subject_id).log_posterior != newcomer

    CaesarWorkflow.objects.create(workflow=workflow)
    _, subject_id = answer(workflow, volunteer)
    assert list(Underived.objects.values_list("subject_id", flat=True)) == [subject_id]

    Workflow.objects.filter(pk=workflow.pk).update(
        retirement={"criteria": "classification_count", "options": {"count": 1}}
    )
    recorded, _ = answer(workflow, volunteer)
    assert recorded.retired

    Workflow.objects.filter(pk=workflow.pk).update(active=False)
    with pytest.raises(WorkflowInactiveError):
        answer(workflow, volunteer)


def test_what_was_rolled_back_is_forgotten(workflow: Workflow) -> None:
    volunteer = make_volunteer()
    with transaction.atomic():
        change_settings(workflow)
        answer(workflow, volunteer)
        transaction.set_rollback(True)
    Workflow.objects.filter(pk=workflow.pk).update(
        retirement={"criteria": "classification_count", "options": {"count": 1}}
    )
    recorded, _ = answer(workflow, volunteer)
    assert recorded.retired


def test_a_call_sends_every_kind_of_value_as_it_is() -> None:
    strange = ['a "quoted" \\ word', "{brace},comma", "", "NULL", "ünï\n"]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION crowd_echo(p_a text[], p_b float8[], p_c boolean, p_d bigint, p_e int[], OUT a json,"
            " OUT b text) LANGUAGE plpgsql AS $$"
            " BEGIN a := to_json(p_a); b := concat_ws(' ', p_b, p_c, p_d, p_e); END $$"
        )
    texts, others = call_function("crowd_echo", (strange, [0.1, None, 1e-300], True, -(2**62), [1, None]))
    assert texts is not None
    assert facts.as_json(texts.decode()) == strange
    assert others == b"{0.1,NULL,1e-300} t -4611686018427387904 {1,NULL}"


@pytest.mark.django_db(transaction=True)
def test_a_call_that_begins_a_transaction_belongs_to_it(workflow: Workflow) -> None:
    before = version(workflow)
    with transaction.atomic():
        call_function("crowd_note_facts", (workflow.pk,))
        transaction.set_rollback(True)
    assert version(workflow) == before
    with pytest.raises(ProgrammingError):
        call_function("crowd_no_such_function", (workflow.pk,))
    call_function("crowd_note_facts", (workflow.pk,))
    assert version(workflow) > before
