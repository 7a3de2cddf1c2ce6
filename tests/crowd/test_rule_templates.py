"""Each rule in words fires exactly when its sentence says."""

from __future__ import annotations

from typing import Any

import pytest

from esocs.crowd.models import SubjectRule, SubjectStatus
from esocs.crowd.retirement import Answered, Effect, Rule, decide
from esocs.crowd.retirement_settings import RuleRequest, build_rules
from esocs.crowd.rule_language import InvalidRuleError, check
from esocs.crowd.rule_templates import RETIREMENT_REASONS, TEMPLATES, get_template
from esocs.crowd.services import change_retirement
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import SetMemberSubject, Workflow
from tests.support.factories import ask, classify, make_project, make_tree_workflow, make_workflow, publish

NEVER = {"criteria": "never_retire"}


def holds(template: str, options: dict[str, Any], votes: tuple[int, ...], *, p: float = 0.9, experts: int = 0) -> bool:
    """Whether the rule's condition holds after these votes."""
    condition, _ = TEMPLATES[template].fill("T0", options, n_answers=3)
    check(condition)
    best = max(range(len(votes)), key=votes.__getitem__)
    answered = [Answered("T0", votes, p, best)] if sum(votes) else []
    effect = Effect(1, TEMPLATES[template].effect, TEMPLATES[template].reason)
    rule = Rule(1, condition, (effect,))
    decision = decide(criterion=NEVER, n=sum(votes), answered=answered, experts=experts, rules=[rule])
    return decision.state == "retired" or decision.fired == (1,)


@pytest.mark.parametrize(
    ("votes", "fires"),
    [((0, 0, 0), False), ((0, 2, 0), False), ((0, 3, 0), True), ((1, 3, 0), False), ((3, 0, 0), False)],
)
def test_so_many_blanks_and_nothing_else(votes: tuple[int, ...], fires: bool) -> None:
    assert holds("blanks", {"answer": 1, "count": 3}, votes) is fires


@pytest.mark.parametrize(
    ("votes", "fires"), [((4, 4, 4), False), ((4, 5, 0), True), ((0, 0, 6), True), ((0, 0, 0), False)]
)
def test_so_many_agree_whatever_they_say(votes: tuple[int, ...], fires: bool) -> None:
    assert holds("agree", {}, votes) is fires


@pytest.mark.parametrize(("votes", "fires"), [((1, 1, 1), False), ((2, 1, 1), True)])
def test_so_many_in_total(votes: tuple[int, ...], fires: bool) -> None:
    assert holds("total", {"count": 4}, votes) is fires


@pytest.mark.parametrize(
    ("votes", "p", "fires"),
    [((0, 3, 0), 0.8, True), ((0, 3, 0), 0.79, False), ((0, 2, 0), 0.9, False), ((3, 0, 0), 0.9, False)],
)
def test_it_moves_on_when_an_answer_is_probable(votes: tuple[int, ...], p: float, fires: bool) -> None:
    assert holds("move", {"answer": 1, "count": 3, "probability": 0.8, "subject_set": 1}, votes, p=p) is fires


def test_so_many_experts() -> None:
    assert not holds("expert", {}, (9, 0, 0))
    assert holds("expert", {}, (0, 0, 0), experts=1)
    assert not holds("expert", {"count": 2}, (0, 0, 0), experts=1)


def test_every_template_has_a_reason_of_panoptes_or_an_effect_of_its_own() -> None:
    for template in TEMPLATES.values():
        assert template.reason in RETIREMENT_REASONS or template.effect == "add_subject_to_set"
    with pytest.raises(InvalidRuleError):
        get_template("nonsense")


@pytest.mark.parametrize(
    ("template", "options"),
    [
        ("blanks", {"answer": 3}),
        ("blanks", {"answer": -1}),
        ("blanks", {"count": 0}),
        ("blanks", {"count": "many"}),
        ("blanks", {"count": [3]}),
        ("blanks", {"count": {"a": 1}}),
        ("blanks", {"count": 2.5}),
        ("blanks", {"count": True}),
        ("blanks", {"count": float("inf")}),
        ("blanks", {"count": float("nan")}),
        ("agree", {"count": 10_001}),
        ("move", {"subject_set": None}),
        ("move", {"subject_set": 1, "probability": float("nan")}),
        ("move", {"subject_set": 1, "probability": 1.1}),
    ],
)
def test_a_blank_out_of_range_is_refused_by_name(template: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRuleError):
        TEMPLATES[template].fill("T0", options, n_answers=3)


def test_blanks_arrive_as_text_and_have_defaults() -> None:
    _, options = TEMPLATES["blanks"].fill("T0", {"count": "4", "answer": ""}, n_answers=3)
    assert options == {"count": 4, "answer": 0}


@pytest.mark.django_db
def test_the_first_retiring_rule_gives_the_reason() -> None:
    workflow = make_workflow(retirement=NEVER)
    for first, reason in (("total", "classification_count"), ("agree", "consensus")):
        names = [first, "agree" if first == "total" else "total"]
        requests = [RuleRequest(template=name, options={"count": 2}) for name in names]
        change_retirement(workflow=workflow, criterion=NEVER, requests=requests)
        (subject,) = publish(workflow)
        classify(workflow, subject, T0=1)
        assert classify(workflow, subject, T0=1).retired
        assert SubjectStatus.objects.get(subject=subject).retirement_reason == reason


@pytest.mark.django_db
def test_rules_about_answers_need_a_first_task_with_one_choice() -> None:
    tree = make_tree_workflow()
    workflow = ask(tree, {"T2": tree.tasks["T2"]}, first="T2")
    for name in ("blanks", "agree", "move"):
        with pytest.raises(InvalidRuleError):
            build_rules(workflow, [RuleRequest(template=name, options={"subject_set": 1})])
    assert len(build_rules(workflow, [RuleRequest(template=name, options={}) for name in ("total", "expert")])) == 2


def move_to(workflow: Workflow, other: Workflow, **options: Any) -> None:
    subject_set = other.subject_sets.get()
    blanks = {"answer": 1, "count": 2, "probability": 0.5, "subject_set": subject_set.pk, **options}
    change_retirement(workflow=workflow, criterion=NEVER, requests=[RuleRequest(template="move", options=blanks)])


@pytest.mark.django_db
def test_a_subject_is_moved_on_once_and_opened_there(django_assert_max_num_queries: Any) -> None:
    project = make_project()
    workflow, other = make_workflow(project, retirement=NEVER), make_workflow(project)
    moved, kept = publish(workflow, 2)
    move_to(workflow, other)
    for _ in range(4):
        classify(workflow, moved, T0=1)
        classify(workflow, kept, T0=0)
    (job,) = Job.objects.filter(kind="crowd.apply_rule")
    jobs.drain([job.pk])
    assert list(
        SetMemberSubject.objects.filter(subject_set=other.subject_sets.get()).values_list("subject", flat=True)
    ) == [moved.pk]
    status = SubjectStatus.objects.get(workflow=other)
    assert (status.subject, status.state, status.audience) == (moved, "open", "volunteers")
    assert SubjectStatus.objects.get(workflow=workflow, subject=moved).state == "open"
    classify(other, moved, T0=1)
    # Saved again, the rule is another one; what it does was done before.
    move_to(workflow, other)
    jobs.drain(list(Job.objects.filter(state="queued").values_list("pk", flat=True)))
    assert SubjectStatus.objects.get(workflow=other).classifications_count == 1


@pytest.mark.django_db
def test_a_set_of_another_project_or_of_this_workflow_is_refused() -> None:
    workflow = make_workflow(retirement=NEVER)
    for other in (workflow, make_workflow()):
        with pytest.raises(InvalidRuleError):
            move_to(workflow, other)
    assert not SubjectRule.objects.exists()
    assert Workflow.objects.get(pk=workflow.pk).retirement == NEVER
