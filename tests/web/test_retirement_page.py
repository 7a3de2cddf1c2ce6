"""The retirement page: the form, its errors, the preview, what is saved, the history in words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from esocs.crowd.caesar import objects
from esocs.crowd.models import RetirementSetting, StatusChange, SubjectRule, SubjectRuleMatch, SubjectStatus
from esocs.projects.models import ProjectRole, SubjectSet, Workflow
from esocs.projects.services import add_role
from esocs.web.retirement_words import describe_criterion
from tests.support import factories
from tests.web.crowd import CONSENSUS, vote

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    workflow = factories.make_workflow(answers=("Spiral", "Elliptical", "Nothing"), retirement=CONSENSUS)
    for _ in range(3):
        factories.make_subject(workflow.project, published_in=workflow)
    return workflow


def page_of(workflow: Workflow) -> str:
    return f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/retirement/"


def fields(body: str) -> dict[str, str]:
    """What a browser would send of the form as it stands."""
    form = body.split('<form id="setting"')[1].split("</form>", maxsplit=1)[0]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="radio"' not in tag or " checked" in tag):
            sent[name.group(1)] = value.group(1) if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        sent[name] = chosen.group(1) if chosen else ""
    sent.pop("csrfmiddlewaretoken", None)
    return sent


def send(client: Client, workflow: Workflow, **changed: str) -> Any:
    """Open the page, change some fields, press a button."""
    sent = fields(client.get(page_of(workflow)).content.decode()) | changed
    return client.post(page_of(workflow), {name.replace("__", "-"): value for name, value in sent.items()})


def test_the_form_shows_what_is_set(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = client.get(page_of(workflow)).content.decode()
    shown = fields(body)
    assert shown["criteria"] == "consensus"
    assert (shown["threshold"], shown["minimum"], shown["maximum"]) == ("0.9", "3", "6")
    assert "Now: <strong>Once an answer’s probability reaches 0.9" in body.replace("&#x27;", "’").replace("'", "’")


def test_saving_sets_the_criterion_and_writes_who(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    answer = send(client, workflow, do="save", threshold="0.97", threshold__1="0.99", maximum="20")
    assert answer.status_code == 302
    workflow.refresh_from_db()
    assert workflow.retirement == {
        "criteria": "consensus",
        "options": {"minimum": 3, "maximum": 20, "threshold": 0.97, "thresholds": {"1": 0.99}},
    }
    setting = RetirementSetting.objects.get(workflow=workflow)
    assert setting.author == workflow.project.owner
    body = client.get(page_of(workflow)).content.decode()
    assert "reaches 0.97 (“Elliptical” 0.99); after 3 votes at least. After 20 it goes to the experts." in body
    assert str(workflow.project.owner) in body


def test_saving_what_is_set_already_changes_nothing(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    send(client, workflow, do="save", threshold="0.97")
    for _ in range(2):
        assert send(client, workflow, do="save").status_code == 302
    assert RetirementSetting.objects.filter(workflow=workflow).count() == 1


@pytest.mark.parametrize(
    ("changed", "criterion"),
    [
        (
            {"criteria": "classification_count", "count": "7"},
            {"criteria": "classification_count", "options": {"count": 7}},
        ),
        ({"criteria": "never_retire"}, {"criteria": "never_retire", "options": {}}),
        (
            {"decided_by": "costs", "error_cost": "50", "vote_cost": "0.5"},
            {"criteria": "consensus", "options": {"minimum": 3, "maximum": 6, "error_cost": 50.0, "vote_cost": 0.5}},
        ),
    ],
)
def test_every_criterion_can_be_chosen(
    client: Client, workflow: Workflow, changed: dict[str, str], criterion: dict[str, Any]
) -> None:
    client.force_login(workflow.project.owner)
    assert send(client, workflow, do="save", **changed).status_code == 302
    workflow.refresh_from_db()
    assert workflow.retirement == criterion
    assert fields(client.get(page_of(workflow)).content.decode())["criteria"] == criterion["criteria"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"threshold": "1.5"}, "is not a probability above 0"),
        ({"threshold": "nan"}, "is not a probability above 0"),
        ({"threshold": "<script>"}, "&lt;script&gt;"),
        ({"minimum": "9"}, "below the minimum"),
        ({"minimum": ""}, "is not a whole number from 1"),
        ({"criteria": "classification_count", "count": "0"}, "is not a whole number from 1"),
        ({"threshold-1": "2"}, "is not a probability above 0"),
        ({"decided_by": "costs"}, "What do an error and a vote cost?"),
        ({"decided_by": "costs", "error_cost": "3"}, "Give both error_cost and vote_cost"),
        ({"decided_by": "costs", "error_cost": "0", "vote_cost": "0"}, "Give two numbers above 0"),
        ({"mode": "by_tea_leaves"}, "There is no mode"),
    ],
)
@pytest.mark.parametrize("button", ["save", "preview"])
def test_what_cannot_be_followed_is_named_beside_the_form(
    client: Client, workflow: Workflow, changed: dict[str, str], sentence: str, button: str
) -> None:
    client.force_login(workflow.project.owner)
    answer = send(client, workflow, do=button, **changed)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert "<script>" not in answer.content.decode().split("</head>")[1]
    workflow.refresh_from_db()
    assert workflow.retirement == CONSENSUS


def test_rules_are_added_filled_saved_and_removed_without_a_script(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = send(client, workflow, do="add:blanks").content.decode()
    sent = fields(body)
    assert sent["rules"] == "1"
    assert sent["rule-0-template"] == "blanks"
    body = client.post(page_of(workflow), sent | {"do": "add:agree"}).content.decode()
    sent = fields(body) | {"rule-0-answer": "2", "rule-0-count": "4", "rule-1-count": "6"}
    assert client.post(page_of(workflow), sent | {"do": "save"}).status_code == 302
    rules = SubjectRule.objects.filter(workflow=workflow, active=True).order_by("position")
    assert [(rule.template, rule.options) for rule in rules] == [
        ("blanks", {"answer": 2, "count": 4}),
        ("agree", {"count": 6}),
    ]
    body = client.get(page_of(workflow)).content.decode()
    assert "once 4 volunteers have said “Nothing” and nobody anything else" in body
    body = client.post(page_of(workflow), fields(body) | {"do": "remove:0"}).content.decode()
    sent = fields(body)
    assert (sent["rules"], sent["rule-0-template"], sent["rule-0-count"]) == ("1", "agree", "6")
    client.post(page_of(workflow), sent | {"do": "save"})
    assert [rule.template for rule in rules.all()] == ["agree"]


def test_a_rule_that_cannot_be_followed_has_its_reason_beside_it(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    sent = fields(send(client, workflow, do="add:total").content.decode())
    answer = client.post(page_of(workflow), sent | {"rule-0-count": "none", "do": "save"})
    assert answer.status_code == 422
    body = answer.content.decode()
    assert "is not a number" in body.split('id="rule-0-errors"')[1].split("</ul>")[0]
    assert 'value="none"' in body, "what was typed stays"
    assert not SubjectRule.objects.exists()


def test_a_rule_moves_subjects_only_to_the_projects_own_other_sets(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    own = SubjectSet.objects.create(project=workflow.project, display_name="Spirals <to> measure")
    foreign = SubjectSet.objects.create(project=factories.make_project(), display_name="Not yours")
    body = send(client, workflow, do="add:move").content.decode()
    assert "Spirals &lt;to&gt; measure" in body
    assert "Not yours" not in body
    sent = fields(body)
    assert "Which set is it to be added to?" in client.post(page_of(workflow), sent | {"do": "save"}).content.decode()
    wrong = client.post(page_of(workflow), sent | {"rule-0-subject_set": str(foreign.pk), "do": "save"})
    assert wrong.status_code == 422
    right = client.post(page_of(workflow), sent | {"rule-0-subject_set": str(own.pk), "do": "save"})
    assert right.status_code == 302
    assert "Add the subject to the set “Spirals &lt;to&gt; measure”" in client.get(page_of(workflow)).content.decode()


def test_the_preview_says_what_would_happen_and_changes_nothing(client: Client, workflow: Workflow) -> None:
    for status in SubjectStatus.objects.filter(workflow=workflow).select_related("subject")[:2]:
        for answer in (0, 1):
            vote(workflow, status.subject, factories.make_volunteer().pk, answer)
    client.force_login(workflow.project.owner)
    answer = send(client, workflow, do="preview", criteria="classification_count", count="2")
    body = answer.content.decode()
    assert "This would retire 2, reopen 0 and send 0 to the experts, of 3 subjects" in body
    assert "2: as many classifications as were asked for" in body
    assert fields(body)["count"] == "2", "the form keeps what was typed"
    workflow.refresh_from_db()
    assert workflow.retirement == CONSENSUS
    assert not SubjectStatus.objects.filter(state="retired").exists()


def test_an_htmx_request_gets_the_form_alone(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    sent = fields(client.get(page_of(workflow)).content.decode())
    answer = client.post(page_of(workflow), sent | {"do": "add:total"}, headers={"HX-Request": "true"})
    assert answer.content.decode().lstrip().startswith('<form id="setting"')


def test_a_form_that_is_older_than_the_setting_is_not_saved_unseen(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    mine = fields(client.get(page_of(workflow)).content.decode()) | {"threshold": "0.8", "do": "save"}
    assert send(client, workflow, do="save", threshold="0.99").status_code == 302
    answer = client.post(page_of(workflow), mine)
    assert answer.status_code == 422
    assert "Somebody has changed the setting" in answer.content.decode()
    workflow.refresh_from_db()
    assert workflow.retirement["options"]["threshold"] == 0.99
    again = fields(answer.content.decode()) | {"do": "save"}
    assert client.post(page_of(workflow), again).status_code == 302
    workflow.refresh_from_db()
    assert workflow.retirement["options"]["threshold"] == 0.8


def test_another_way_of_weighing_votes_is_chosen(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    answer = client.post(
        page_of(workflow),
        fields(client.get(page_of(workflow)).content.decode()) | {"mode": "majority", "do": "save"},
        follow=True,
    )
    assert "The next fit weighs votes by “Majority vote”" in answer.content.decode()
    workflow.refresh_from_db()
    assert workflow.consensus_mode == "majority"
    assert workflow.retirement == CONSENSUS
    assert not RetirementSetting.objects.exists(), "when subjects retire has not changed"


def test_rules_set_by_programs_are_shown_in_words_and_saving_the_form_leaves_them(
    client: Client, workflow: Workflow
) -> None:
    client.force_login(workflow.project.owner)
    assert "Rules set by programs" not in client.get(page_of(workflow)).content.decode()
    objects.save_workflow(workflow, {"rules_applied": "first_matching_rule", "status": "paused"})
    agreed = ["and", ["gte", ["lookup", "c.agreement", 0], ["const", 0.8]], ["not", ["lookup", "subject.known", False]]]
    rule = objects.save_subject_rule(workflow, {"condition": agreed})
    into = SubjectSet.objects.create(project=workflow.project, display_name="For <experts>")
    for effect in (
        {"action": "retire_subject", "config": {"reason": "consensus"}},
        {"action": "add_subject_to_set", "config": {"subject_set_id": into.pk}},
        {"action": "external", "config": {"url": "https://science.example.org/x?key=1", "reducer_key": "c"}},
    ):
        objects.save_effect(rule, effect, author=workflow.project.owner)
    subject = SubjectStatus.objects.filter(workflow=workflow).values_list("subject", flat=True)[0]
    SubjectRuleMatch.objects.create(rule=rule, subject_id=subject, holds=True, times=1)
    SubjectRuleMatch.objects.create(
        rule=rule, subject_id=factories.make_subject(workflow.project).pk, holds=False, error="a text is no number"
    )
    page = client.get(page_of(workflow)).content.decode()
    shown = page.split("Rules set by programs")[1].split("</section>")[0]
    for words in (
        "c.agreement ≥ 0.8 and not subject.known",
        "Retire: the consensus is sure enough",
        "Add to the set “For &lt;experts&gt;”",
        "Send “c” to science.example.org",
        "<td>1</td>",
        "a text is no number",
        "only the first that holds counts",
        "<strong>paused</strong>",
    ):
        assert words in shown, words
    assert "key=1" not in page
    assert "When c.agreement ≥ 0.8" in page.split("Settings so far")[1]
    based_on = re.search(r'name="based_on" value="(\w+)"', page)
    assert based_on is not None
    sent = {"criteria": "never_retire", "mode": workflow.consensus_mode, "based_on": based_on[1], "do": "save"}
    assert client.post(page_of(workflow), sent).status_code == 302
    rule.refresh_from_db()
    assert rule.active


def test_changes_of_subjects_stand_with_what_was_known(client: Client, workflow: Workflow) -> None:
    status = SubjectStatus.objects.filter(workflow=workflow).first()
    StatusChange.objects.create(
        status=status, before="open", after="retired", cause="submission", reason="consensus", epoch_number=4,
        classifications_count=5, answer=1, probability=0.971,
    )  # fmt: skip
    client.force_login(workflow.project.owner)
    table = client.get(page_of(workflow)).content.decode().split('aria-label="Table of changes"')[1]
    for words in (
        "open → <strong>retired</strong>",
        "the consensus is sure enough",
        "5 votes, Elliptical 0.971",
        "epoch 4",
    ):
        assert words in table


def test_owners_and_collaborators_alone_may_open_or_change_it(client: Client, workflow: Workflow) -> None:
    sent = {"criteria": "never_retire", "do": "save"}
    assert client.get(page_of(workflow)).status_code == 403
    assert client.post(page_of(workflow), sent).status_code == 403
    expert, helper = factories.make_user(), factories.make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    add_role(project=workflow.project, user=helper, role=ProjectRole.Role.COLLABORATOR)
    client.force_login(expert)
    assert client.get(page_of(workflow)).status_code == 403
    assert client.post(page_of(workflow), sent).status_code == 403
    review = client.get(page_of(workflow).replace("retirement", "review")).content.decode()
    assert "Retirement" not in review, "a link would lead to a closed door"
    client.force_login(helper)
    assert client.get(page_of(workflow)).status_code == 200


def test_a_first_question_of_several_choices_is_offered_only_rules_that_can_hold(client: Client) -> None:
    workflow = factories.make_workflow()
    workflow.tasks["T0"]["type"] = "multiple"
    workflow.save()
    client.force_login(workflow.project.owner)
    body = client.get(page_of(workflow)).content.decode()
    assert re.findall(r'value="add:(\w+)"', body) == ["expert", "total"]


def test_the_history_takes_a_fixed_number_of_statements(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    client.get(page_of(workflow))
    with CaptureQueriesContext(connection) as few:
        client.get(page_of(workflow))
    for threshold in ("0.91", "0.92", "0.93", "0.94"):
        send(client, workflow, do="save", threshold=threshold)
    for status in SubjectStatus.objects.filter(workflow=workflow):
        StatusChange.objects.create(
            status=status, before="open", after="retired", cause="setting", classifications_count=1,
            author=workflow.project.owner,
        )  # fmt: skip
    with CaptureQueriesContext(connection) as many:
        client.get(page_of(workflow))
    # The first settings ask for the names of the sets in them.
    assert len(many) <= len(few) + 1 <= 16


@pytest.mark.parametrize(
    "criterion",
    [
        {"criteria": "by_tea_leaves"},
        {"criteria": "consensus", "options": {"threshold": "x"}},
        {"criteria": "consensus", "options": []},
        {"criteria": "classification_count", "options": {"count": -1}},
    ],
)
def test_a_setting_made_elsewhere_that_cannot_be_followed_says_so(
    client: Client, workflow: Workflow, criterion: dict[str, Any]
) -> None:
    if criterion.get("options") != []:
        assert "cannot be followed" in describe_criterion(criterion, ["a", "b"])
    workflow.retirement = criterion
    workflow.save()
    client.force_login(workflow.project.owner)
    assert client.get(page_of(workflow)).status_code == 200
