"""From a submission to extracts, reductions, rules and effects: made of the rows, whatever the order, and once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from esocs.accounts.models import Volunteer
from esocs.crowd.by_hand import reopen_subjects
from esocs.crowd.caesar import deriving, objects
from esocs.crowd.caesar.erasing import forget_person
from esocs.crowd.caesar.queries import list_troubles
from esocs.crowd.models import (
    CaesarWorkflow,
    Consensus,
    Extract,
    RetirementSetting,
    StatusChange,
    SubjectReduction,
    SubjectRule,
    SubjectRuleMatch,
    SubjectStatus,
    Underived,
    UserReduction,
    UserRuleMatch,
)
from esocs.crowd.services import RuleRequest, change_retirement
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.community import create_collection
from esocs.projects.models import ProjectPreference, SetMemberSubject, Subject, Workflow
from tests.support.factories import classify, make_project, make_user, make_workflow, publish

pytestmark = pytest.mark.django_db

NEVER = {"criteria": "never_retire", "options": {}}


@pytest.fixture
def workflow() -> Workflow:
    made = make_workflow(retirement=NEVER)
    objects.save_workflow(made, {})
    return made


def configure(workflow: Workflow) -> None:
    """A question, its consensus, its counts and a sum."""
    objects.save_extractor(workflow, {"type": "question", "key": "complete", "if_missing": "ignore"})
    objects.save_reducer(workflow, {"type": "consensus", "key": "c"})
    objects.save_reducer(workflow, {"type": "count", "key": "count"})
    objects.save_reducer(workflow, {"type": "stats", "key": "complete"})


def add_rule(workflow: Workflow, condition: Any, *effects: dict[str, Any]) -> SubjectRule:
    rule = objects.save_subject_rule(workflow, {"condition": condition})
    for effect in effects:
        objects.save_effect(rule, effect, author=workflow.project.owner)
    return rule


def derive(workflow: Workflow) -> None:
    """Run every job that derives, and those that this orders."""
    while Underived.objects.filter(workflow=workflow).exists():
        with transaction.atomic():
            deriving.derive_workflow(workflow.pk)()


def run_effects() -> None:
    jobs.drain(list(Job.objects.filter(kind="crowd.apply_rule", state="queued").values_list("id", flat=True)))


def reductions_of(subject: Subject) -> dict[str, Any]:
    rows = SubjectReduction.objects.filter(subject=subject)
    return {row.reducer.key: row.data for row in rows.select_related("reducer")}


RETIRE = {"action": "retire_subject", "config": {"reason": "consensus"}}
AGREED = ["gte", ["lookup", "complete.0", 0], ["const", 3]]


def test_a_subject_retires_when_a_rule_on_its_reductions_holds(workflow: Workflow) -> None:
    configure(workflow)
    add_rule(workflow, AGREED, RETIRE)
    subject, other = publish(workflow, 2)
    for answer in (0, 1, 0):
        classify(workflow, subject, T0=answer)
    derive(workflow)
    assert reductions_of(subject) == {
        "c": {"most_likely": "0", "num_votes": 2, "agreement": 2 / 3},
        "count": {"classifications": 3, "extracts": 3},
        "complete": {"0": 2, "1": 1},
    }
    assert SubjectStatus.objects.get(subject=subject).state == "open"
    classify(workflow, subject, T0=0)
    derive(workflow)
    status = SubjectStatus.objects.get(subject=subject)
    assert (status.state, status.retirement_reason, status.retirement_cause) == ("retired", "consensus", "rule")
    assert (status.retired_count, status.retired_answer) == (4, 0)
    (change,) = StatusChange.objects.filter(status=status)
    assert (change.before, change.after, change.cause, change.reason) == ("open", "retired", "reduction", "consensus")
    assert SubjectStatus.objects.get(subject=other).state == "open"
    assert reductions_of(other) == {}


def test_what_a_reducer_counts_is_what_our_own_consensus_counts(workflow: Workflow) -> None:
    configure(workflow)
    chance = random.Random(2)
    subjects = publish(workflow, 4)
    volunteers = [make_user().volunteer for _ in range(5)]
    for subject in subjects:
        for volunteer in volunteers:
            for _ in range(chance.choice([0, 1, 1, 2])):  # the second by the same person counts nowhere
                classify(workflow, subject, volunteer, T0=chance.choice([0, 0, 1, 2]))
        classify(workflow, subject, gold=workflow.project.owner, T0=2)
    derive(workflow)
    for subject in subjects:
        found, counts = reductions_of(subject), Consensus.objects.get(status__subject=subject).answer_counts
        assert [found["complete"].get(str(answer), 0) for answer in range(3)] == counts
        assert found["count"]["classifications"] == sum(counts)
        assert found["c"]["num_votes"] == max(counts)


def test_derived_piece_by_piece_or_at_once_in_any_order_it_is_the_same(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(workflow)
    objects.save_reducer(workflow, {"type": "count", "key": "of_user", "topic": "reduce_by_user"})
    monkeypatch.setattr(deriving, "SUBJECTS_AT_ONCE", 2)
    chance = random.Random(5)
    subjects = publish(workflow, 5)
    volunteers = [make_user().volunteer for _ in range(3)]
    answers = [(s, v, chance.randrange(3)) for s in subjects for v in volunteers]
    chance.shuffle(answers)
    for number, (subject, volunteer, answer) in enumerate(answers):
        classify(workflow, subject, volunteer, T0=answer)
        if number % 4 == 0:
            derive(workflow)
    derive(workflow)

    def everything() -> list[Any]:
        of_subjects = SubjectReduction.objects.order_by("subject_id", "reducer_id").values_list(
            "subject", "reducer", "data"
        )
        of_users = UserReduction.objects.order_by("user_id", "reducer_id").values_list("user", "reducer", "data")
        read = Extract.objects.order_by("classification_id").values_list("classification", "extractor", "data")
        return [*of_subjects, *of_users, *read]

    once = everything()
    assert len(once) == 5 * 3 + 3 + 15
    written = list(SubjectReduction.objects.order_by("id").values_list("id", "updated_at"))
    deriving.order_all(workflow.pk)
    derive(workflow)
    assert everything() == once
    assert list(SubjectReduction.objects.order_by("id").values_list("id", "updated_at")) == written, (
        "nothing is rewritten"
    )
    Extract.objects.all().delete()
    SubjectReduction.objects.all().delete()
    UserReduction.objects.all().delete()
    deriving.order_all(workflow.pk)
    derive(workflow)
    assert everything() == once, "all of it is made of the classifications"


def test_an_effect_happens_once_for_each_time_that_its_rule_begins_to_hold(workflow: Workflow) -> None:
    configure(workflow)
    target = make_workflow(workflow.project)
    favourites = create_collection(owner=workflow.project.owner, display_name="Odd")
    add_rule(
        workflow,
        ["lt", ["lookup", "c.agreement", 1], ["const", 0.6]],
        {"action": "add_subject_to_set", "config": {"subject_set_id": target.subject_sets.get().pk}},
        {"action": "add_to_collection", "config": {"collection_id": favourites.pk}},
    )
    (subject,) = publish(workflow)
    orders = Job.objects.filter(kind="crowd.apply_rule")
    for answer, expected in ((0, 0), (1, 2), (1, 2), (0, 4), (0, 4)):  # shares: 1, .5, .67, .5, .6
        classify(workflow, subject, T0=answer)
        derive(workflow)
        deriving.order_all(workflow.pk)
        derive(workflow)
        assert orders.count() == expected
        run_effects()
    match = SubjectRuleMatch.objects.get()
    assert (match.holds, match.times) == (False, 2)
    assert SetMemberSubject.objects.filter(subject_set__workflows=target, subject=subject).count() == 1
    assert SubjectStatus.objects.filter(workflow=target, subject=subject).count() == 1
    assert list(favourites.subjects.all()) == [subject]
    assert not orders.exclude(state="done").exists()


def test_a_rule_that_fails_is_shown_and_holds_up_no_other(workflow: Workflow) -> None:
    configure(workflow)
    add_rule(workflow, ["gt", ["lookup", "c.most_likely", ""], ["const", 1]], RETIRE)
    add_rule(workflow, ["gte", ["lookup", "count.classifications", 0], ["const", 2]], RETIRE)
    objects.save_extractor(workflow, {"type": "question", "key": "strict", "task_key": "T9"})
    objects.save_reducer(
        workflow, {"type": "summary_stats", "key": "n", "summarize_field": "n", "operations": ["mean"]}
    )
    objects.save_extractor(workflow, {"type": "pluck_field", "key": "plucked", "field_map": {"n": "$.created_at"}})
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=1)
    classify(workflow, subject, T0=1)
    derive(workflow)
    assert SubjectStatus.objects.get(subject=subject).state == "retired"
    troubles = {trouble.where: (trouble.times, trouble.message) for trouble in list_troubles(workflow)}
    rule = SubjectRule.objects.order_by("position").first()
    assert troubles["Extractor strict"] == (2, "There is no annotation of task T9.")
    assert rule is not None
    assert troubles[f"Rule {rule.pk}"][0] == 1
    assert "'gt'" in troubles[f"Rule {rule.pk}"][1]
    assert "no number" in troubles["Reducer n"][1]


def test_only_the_first_rule_that_holds_counts_where_that_is_asked(workflow: Workflow) -> None:
    configure(workflow)
    target = make_workflow(workflow.project).subject_sets.get()
    add_rule(workflow, ["const", False], RETIRE)
    add_rule(workflow, ["const", True], {"action": "add_subject_to_set", "config": {"subject_set_id": target.pk}})
    add_rule(workflow, ["const", True], RETIRE)
    objects.save_workflow(workflow, {"rules_applied": "first_matching_rule"})
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0)
    derive(workflow)
    assert SubjectStatus.objects.get(subject=subject, workflow=workflow).state == "open"
    assert Job.objects.filter(kind="crowd.apply_rule").count() == 1
    objects.save_workflow(workflow, {"rules_applied": "all_matching_rules"})
    derive(workflow)
    assert SubjectStatus.objects.get(subject=subject, workflow=workflow).state == "retired"


def test_a_changed_or_ended_rule_takes_back_what_it_retired_and_a_person_has_the_last_word(workflow: Workflow) -> None:
    configure(workflow)
    rule = add_rule(workflow, ["gte", ["lookup", "count.classifications", 0], ["const", 1]], RETIRE)
    first, second = publish(workflow, 2)
    for subject in (first, second):
        classify(workflow, subject, T0=0)

    def follow() -> list[str]:
        derive(workflow)
        jobs.drain(list(Job.objects.filter(kind="crowd.reconsider", state="queued").values_list("id", flat=True)))
        return list(SubjectStatus.objects.filter(workflow=workflow).order_by("subject").values_list("state", flat=True))

    assert follow() == ["retired", "retired"]
    reopen_subjects(workflow=workflow, subject_ids=[second.pk])
    deriving.order_all(workflow.pk)
    assert follow() == ["retired", "open"], "without a new answer nobody retires what a person opened"
    classify(workflow, second, T0=0)
    assert follow() == ["retired", "retired"]
    objects.save_subject_rule(
        workflow, {"condition_string": '["gte", ["lookup", "count.classifications", 0], ["const", 2]]'}, rule
    )
    assert follow() == ["open", "retired"]
    objects.delete_rule(rule)
    assert follow() == ["open", "open"]
    assert RetirementSetting.objects.filter(workflow=workflow).count() >= 3, "each change is in the history"


def test_the_templates_rules_and_those_written_by_hand_leave_one_another_alone(workflow: Workflow) -> None:
    configure(workflow)
    rule = add_rule(workflow, AGREED, RETIRE)
    total = RuleRequest(template="total", options={"count": 5})
    change_retirement(workflow=workflow, criterion=NEVER, requests=[total])
    active = SubjectRule.objects.filter(workflow=workflow, active=True)
    assert set(active.values_list("template", flat=True)) == {"", "total"}
    (subject,) = publish(workflow)
    for _ in range(3):
        classify(workflow, subject, T0=0)
    derive(workflow)
    status = SubjectStatus.objects.get(subject=subject)
    assert (status.state, status.retirement_reason) == ("retired", "consensus")
    objects.delete_rule(rule)
    jobs.drain(list(Job.objects.filter(kind="crowd.reconsider", state="queued").values_list("id", flat=True)))
    assert SubjectStatus.objects.get(subject=subject).state == "open"
    for _ in range(2):
        classify(workflow, subject, T0=1)
    assert SubjectStatus.objects.get(subject=subject).retirement_reason == "classification_count", "in the submission"


def test_a_volunteer_is_promoted_once_they_have_answered_enough(workflow: Workflow) -> None:
    configure(workflow)
    objects.save_reducer(workflow, {"type": "count", "key": "seen", "topic": "reduce_by_user"})
    harder = make_workflow(workflow.project)
    rule = objects.save_user_rule(workflow, {"condition": ["gte", ["lookup", "seen.classifications", 0], ["const", 2]]})
    effect = {"action": "promote_user", "config": {"workflow_id": str(harder.pk)}}
    objects.save_effect(rule, effect, author=workflow.project.owner)
    keen, shy = make_user(), make_user()
    subjects = publish(workflow, 3)
    for subject in subjects:
        classify(workflow, subject, keen.volunteer, T0=0)
    classify(workflow, subjects[0], shy.volunteer, T0=0)
    classify(workflow, subjects[0], T0=0)
    derive(workflow)
    run_effects()
    assert UserReduction.objects.get(user=keen).data == {"classifications": 3, "extracts": 3}
    assert UserReduction.objects.get(user=shy).data == {"classifications": 1, "extracts": 1}
    (preference,) = ProjectPreference.objects.filter(project=workflow.project)
    assert (preference.user, preference.settings) == (keen, {"workflow_id": str(harder.pk)})


def test_a_paused_workflow_is_read_later_and_a_halted_one_when_it_is_active_again(workflow: Workflow) -> None:
    configure(workflow)
    (subject,) = publish(workflow)
    derive(workflow)
    for status in ("paused", "halted"):
        objects.save_workflow(workflow, {"status": status})
        Underived.objects.all().delete()
        classify(workflow, subject, T0=0)
        assert Underived.objects.count() == (1 if status == "paused" else 0)
        assert deriving.list_workflows_to_derive() == []
        with transaction.atomic():
            deriving.derive_workflow(workflow.pk)()
        assert not Extract.objects.exists()
    objects.save_workflow(workflow, {"status": "active"})
    assert deriving.list_workflows_to_derive() == [workflow.pk]
    derive(workflow)
    assert reductions_of(subject)["count"] == {"classifications": 2, "extracts": 2}


def test_a_changed_extractor_reads_everything_again(workflow: Workflow) -> None:
    row = objects.save_extractor(workflow, {"type": "question", "key": "e"})
    objects.save_reducer(workflow, {"type": "stats", "key": "s"})
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0)
    derive(workflow)
    assert reductions_of(subject) == {"s": {"0": 1}}
    objects.save_extractor(workflow, {"type": "blank", "key": "e"}, row)
    derive(workflow)
    assert reductions_of(subject) == {"s": {"blank": 0}}
    objects.delete_keyed(row)
    derive(workflow)
    assert reductions_of(subject) == {}


def test_our_own_network_can_be_an_extractor(workflow: Workflow) -> None:
    objects.save_extractor(workflow, {"type": "machine", "key": "network"})
    objects.save_reducer(workflow, {"type": "stats", "key": "network"})
    sure, silent = publish(workflow, 2)
    SubjectStatus.objects.filter(subject=sure).update(machine_prior=[0, -3 << 32, -6 << 32])
    for subject in (sure, silent):
        classify(workflow, subject, T0=0)
    derive(workflow)
    (row,) = Extract.objects.all()
    assert (row.subject, row.machine_data, row.classification) == (sure, True, None)
    assert sum(reductions_of(sure)["network"].values()) == pytest.approx(1, abs=1e-4)
    assert reductions_of(sure)["network"]["0"] > 0.9


def test_what_caesar_derives_costs_a_submission_no_statement(workflow: Workflow) -> None:
    plain = make_workflow(retirement=NEVER)
    statements = []
    for one in (plain, workflow):
        (subject,) = publish(one)
        volunteer = make_user().volunteer
        classify(one, subject, T0=0)
        with CaptureQueriesContext(connection) as captured:
            classify(one, subject, volunteer, T0=0)
        statements.append(len(captured))
    assert statements[0] == statements[1]
    assert not Underived.objects.filter(workflow=plain).exists()
    assert Underived.objects.filter(workflow=workflow, classification__isnull=False).count() == 2


def test_of_an_erased_person_nothing_derived_is_left(workflow: Workflow) -> None:
    objects.save_extractor(workflow, {"type": "who", "key": "who"})
    objects.save_reducer(workflow, {"type": "count", "key": "seen", "topic": "reduce_by_user"})
    objects.save_user_rule(workflow, {"condition": ["const", True]})
    objects.save_reducer(workflow, {"type": "first_extract", "key": "author"})
    person, other = make_user(), make_user()
    first, second = publish(workflow, 2)
    classify(workflow, first, person.volunteer, T0=0)
    classify(workflow, second, other.volunteer, T0=0)
    derive(workflow)
    assert UserReduction.objects.count() == UserRuleMatch.objects.count() == 2
    volunteer_id = person.volunteer.pk
    Volunteer.objects.filter(pk=volunteer_id).update(user=None, anonymous_key="erased-1")  # as erasing an account does
    forget_person(user_id=person.pk, volunteer_id=volunteer_id)
    derive(workflow)
    assert list(UserReduction.objects.values_list("user", flat=True)) == [other.pk]
    assert list(UserRuleMatch.objects.values_list("user", flat=True)) == [other.pk]
    said = dict(Extract.objects.values_list("subject", "data"))
    assert said == {first.pk: {"user_id": None}, second.pk: {"user_id": other.pk}}
    assert reductions_of(first) == {"author": {"user_id": None}}


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ({"action": "add_subject_to_set", "config": {"subject_set_id": 0}}, "has no subject set"),
        ({"action": "add_to_collection", "config": {"collection_id": 0}}, "no collection"),
    ],
)
def test_an_effect_names_nothing_of_other_peoples(workflow: Workflow, effect: dict[str, Any], message: str) -> None:
    stranger = make_user()
    theirs = make_workflow(make_project(owner=stranger)).subject_sets.get()
    collection = create_collection(owner=stranger, display_name="Theirs")
    (name,) = effect["config"]
    sent = {**effect, "config": {name: theirs.pk if name == "subject_set_id" else collection.pk}}
    rule = add_rule(workflow, ["const", True])
    with pytest.raises(objects.CaesarConfigurationError, match=message):
        objects.save_effect(rule, sent, author=workflow.project.owner)


def test_a_rule_may_not_fill_its_own_workflow(workflow: Workflow) -> None:
    rule = add_rule(workflow, ["const", True])
    own = {"action": "add_subject_to_set", "config": {"subject_set_id": workflow.subject_sets.get().pk}}
    with pytest.raises(objects.CaesarConfigurationError, match="itself asks"):
        objects.save_effect(rule, own, author=workflow.project.owner)
    user_rule = objects.save_user_rule(workflow, {"condition": ["const", True]})
    itself = {"action": "promote_user", "config": {"workflow_id": workflow.pk}}
    with pytest.raises(objects.CaesarConfigurationError, match="no other workflow"):
        objects.save_effect(user_rule, itself, author=workflow.project.owner)


def test_two_workflows_that_fill_each_other_come_to_rest(workflow: Workflow) -> None:
    other = make_workflow(workflow.project, retirement=NEVER)
    objects.save_workflow(other, {})
    for one, target in ((workflow, other), (other, workflow)):
        configure(one)
        into = {"action": "add_subject_to_set", "config": {"subject_set_id": target.subject_sets.get().pk}}
        add_rule(one, ["gte", ["lookup", "count.classifications", 0], ["const", 1]], into)
    (subject,) = publish(workflow)
    for one in (workflow, other):
        classify(one, subject, T0=0)
        derive(one)
        run_effects()
    assert SubjectStatus.objects.filter(subject=subject).count() == 2
    assert Job.objects.filter(kind="crowd.apply_rule").count() == 2
    assert CaesarWorkflow.objects.count() == 2
