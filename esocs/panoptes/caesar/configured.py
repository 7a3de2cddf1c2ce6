"""/caesar/workflows and what a workflow is aggregated by: extractors, reducers, rules and their effects."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd.caesar import documents, objects
from esocs.crowd.caesar.errors import CaesarConfigurationError
from esocs.crowd.models import CaesarWorkflow, Extractor, Reducer, RuleEffect, SubjectRule, UserRule
from esocs.panoptes.access import list_collaborated_projects
from esocs.panoptes.caesar.base import LARGEST_LIST, CaesarView, created, describe, find_row, read_member
from esocs.panoptes.errors import InvalidRequestError
from esocs.panoptes.parameters import parse_id

WORKFLOW_FIELDS = {"id", "project_id", "name", "public_extracts", "public_reductions", "rules_applied", "status"}


def _read_workflow(request: Request) -> dict[str, Any]:
    sent = dict(read_member(request.data, "workflow"))
    if set(sent) - WORKFLOW_FIELDS:
        raise CaesarConfigurationError(f"A workflow has no {min(set(sent) - WORKFLOW_FIELDS)[:40]!r} here.")
    return sent


@describe("workflow", "CaesarWorkflow", get="list", post="one")
class Workflows(CaesarView):
    """The workflows of one's projects that Caesar knows; and the place to make one known."""

    def get(self, request: Request) -> Response:
        projects = list_collaborated_projects(self.identity)
        rows = CaesarWorkflow.objects.filter(workflow__project__in=projects).select_related("workflow")
        return Response([documents.workflow_document(row) for row in rows.order_by("pk")[:LARGEST_LIST]])

    def post(self, request: Request) -> Response:
        sent = _read_workflow(request)
        if "id" not in sent:
            raise InvalidRequestError("`id` is missing: the workflow's.")
        workflow = self.find_workflow(str(sent["id"]))
        return created(documents.workflow_document(objects.save_workflow(workflow, sent)))


@describe("workflow", "CaesarWorkflow", get="one", put="one")
class Workflow(CaesarView):
    """One workflow, and how it is aggregated."""

    def get(self, request: Request, pk: str) -> Response:
        return Response(documents.workflow_document(self.find_setting(pk)))

    def put(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        return Response(documents.workflow_document(objects.save_workflow(workflow, _read_workflow(request))))


@describe("extractor", "CaesarExtractor", get="list", post="one")
class Extractors(CaesarView):
    """A workflow's extractors."""

    def get(self, request: Request, pk: str) -> Response:
        rows = Extractor.objects.filter(workflow=self.find_setting(pk).workflow).order_by("id")
        return Response([documents.extractor_document(row) for row in rows])

    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        row = objects.save_extractor(workflow, read_member(request.data, "extractor"))
        return created(documents.extractor_document(row))


def _find_keyed(rows: Any, noun: str, name: str) -> Any:
    """By its number, or by its key."""
    by_number = rows.filter(pk=int(name)).first() if name.isdecimal() and len(name) < 19 else None
    return by_number or find_row(rows, noun, key=name)


@describe("extractor", "CaesarExtractor", get="one", put="one", delete="none")
class ExtractorDetail(CaesarView):
    """One extractor, by its number or its key."""

    def _find(self, pk: str, name: str) -> Extractor:
        rows = Extractor.objects.filter(workflow=self.find_setting(pk).workflow).select_related("workflow")
        found: Extractor = _find_keyed(rows, "Extractor", name)
        return found

    def get(self, request: Request, pk: str, name: str) -> Response:
        return Response(documents.extractor_document(self._find(pk, name)))

    def put(self, request: Request, pk: str, name: str) -> Response:
        row = self._find(pk, name)
        before = {name: value for name, value in documents.extractor_document(row).items() if name in EXTRACTOR_FIELDS}
        sent = {**before, **read_member(request.data, "extractor")}
        return Response(documents.extractor_document(objects.save_extractor(row.workflow, sent, row)))

    def delete(self, request: Request, pk: str, name: str) -> Response:
        objects.delete_keyed(self._find(pk, name))
        return Response(status=204)


EXTRACTOR_FIELDS = {"key", "type", "task_key", "if_missing", "minimum_workflow_version", "config"}
REDUCER_FIELDS = {"key", "type", "topic", "reduction_mode", "filters", "grouping", "config"}


@describe("reducer", "CaesarReducer", get="list", post="one")
class Reducers(CaesarView):
    """A workflow's reducers."""

    def get(self, request: Request, pk: str) -> Response:
        rows = Reducer.objects.filter(workflow=self.find_setting(pk).workflow).order_by("id")
        return Response([documents.reducer_document(row) for row in rows])

    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        return created(documents.reducer_document(objects.save_reducer(workflow, read_member(request.data, "reducer"))))


@describe("reducer", "CaesarReducer", get="one", put="one", delete="none")
class ReducerDetail(CaesarView):
    """One reducer, by its number or its key."""

    def _find(self, pk: str, name: str) -> Reducer:
        rows = Reducer.objects.filter(workflow=self.find_setting(pk).workflow).select_related("workflow")
        found: Reducer = _find_keyed(rows, "Reducer", name)
        return found

    def get(self, request: Request, pk: str, name: str) -> Response:
        return Response(documents.reducer_document(self._find(pk, name)))

    def put(self, request: Request, pk: str, name: str) -> Response:
        row = self._find(pk, name)
        before = {name: value for name, value in documents.reducer_document(row).items() if name in REDUCER_FIELDS}
        sent = {**before, **read_member(request.data, "reducer")}
        return Response(documents.reducer_document(objects.save_reducer(row.workflow, sent, row)))

    def delete(self, request: Request, pk: str, name: str) -> Response:
        objects.delete_keyed(self._find(pk, name))
        return Response(status=204)


class RuleView(CaesarView):
    """Rules of one kind. Those that templates made belong to the retirement page, and are not shown here."""

    model: ClassVar[type[SubjectRule | UserRule]]
    noun: ClassVar[str]

    def rules(self, pk: str) -> Any:
        rows: Any = self.model.objects.filter(workflow=self.find_setting(pk).workflow, active=True)
        if self.model is SubjectRule:
            rows = rows.filter(template="")
        return rows.select_related("workflow__project").order_by("position", "id")

    def find_rule(self, pk: str, rule_id: str) -> Any:
        return find_row(self.rules(pk), self.noun, id=parse_id(rule_id, "id"))

    def save(self, workflow: Any, row: Any = None) -> Any:
        sent = read_member(self.request.data, self.noun)
        if self.model is SubjectRule:
            return objects.save_subject_rule(workflow, sent, row, author=self.asker())
        return objects.save_user_rule(workflow, sent, row)


class RuleList(RuleView):
    """A workflow's rules of one kind."""

    def get(self, request: Request, pk: str) -> Response:
        return Response([documents.rule_document(row) for row in self.rules(pk)])

    def post(self, request: Request, pk: str) -> Response:
        return created(documents.rule_document(self.save(self.find_setting(pk).workflow)))


class RuleDetail(RuleView):
    """One rule."""

    def get(self, request: Request, pk: str, rule_id: str) -> Response:
        return Response(documents.rule_document(self.find_rule(pk, rule_id)))

    def put(self, request: Request, pk: str, rule_id: str) -> Response:
        row = self.find_rule(pk, rule_id)
        return Response(documents.rule_document(self.save(row.workflow, row)))

    def delete(self, request: Request, pk: str, rule_id: str) -> Response:
        objects.delete_rule(self.find_rule(pk, rule_id), author=self.asker())
        return Response(status=204)


class EffectList(RuleView):
    """A rule's effects."""

    def get(self, request: Request, pk: str, rule_id: str) -> Response:
        rows = self.find_rule(pk, rule_id).effects.order_by("id")
        return Response([documents.effect_document(row) for row in rows])

    def post(self, request: Request, pk: str, rule_id: str) -> Response:
        rule = self.find_rule(pk, rule_id)
        sent = read_member(request.data, f"{self.noun}_effect")
        return created(documents.effect_document(objects.save_effect(rule, sent, author=self.asker())))


class EffectDetail(RuleView):
    """One effect of a rule."""

    def _find(self, pk: str, rule_id: str, effect_id: str) -> tuple[Any, RuleEffect]:
        rule = self.find_rule(pk, rule_id)
        return rule, find_row(rule.effects, f"{self.noun}_effect", id=parse_id(effect_id, "id"))

    def get(self, request: Request, pk: str, rule_id: str, effect_id: str) -> Response:
        return Response(documents.effect_document(self._find(pk, rule_id, effect_id)[1]))

    def put(self, request: Request, pk: str, rule_id: str, effect_id: str) -> Response:
        rule, row = self._find(pk, rule_id, effect_id)
        sent = {"action": row.action, **read_member(request.data, f"{self.noun}_effect")}
        return Response(documents.effect_document(objects.save_effect(rule, sent, row, author=self.asker())))

    def delete(self, request: Request, pk: str, rule_id: str, effect_id: str) -> Response:
        objects.delete_effect(self._find(pk, rule_id, effect_id)[1], author=self.asker())
        return Response(status=204)


@describe("subject_rule", "CaesarRule", get="list", post="one")
class SubjectRules(RuleList):
    """Rules on subjects' reductions."""

    model, noun = SubjectRule, "subject_rule"


@describe("subject_rule", "CaesarRule", get="one", put="one", delete="none")
class SubjectRuleDetail(RuleDetail):
    """One rule on subjects' reductions."""

    model, noun = SubjectRule, "subject_rule"


@describe("subject_rule_effect", "CaesarEffect", get="list", post="one")
class SubjectRuleEffects(EffectList):
    """What happens to subjects of whom a rule holds."""

    model, noun = SubjectRule, "subject_rule"


@describe("subject_rule_effect", "CaesarEffect", get="one", put="one", delete="none")
class SubjectRuleEffectDetail(EffectDetail):
    """One effect."""

    model, noun = SubjectRule, "subject_rule"


@describe("user_rule", "CaesarRule", get="list", post="one")
class UserRules(RuleList):
    """Rules on volunteers' reductions."""

    model, noun = UserRule, "user_rule"


@describe("user_rule", "CaesarRule", get="one", put="one", delete="none")
class UserRuleDetail(RuleDetail):
    """One rule on volunteers' reductions."""

    model, noun = UserRule, "user_rule"


@describe("user_rule_effect", "CaesarEffect", get="list", post="one")
class UserRuleEffects(EffectList):
    """What happens to volunteers of whom a rule holds."""

    model, noun = UserRule, "user_rule"


@describe("user_rule_effect", "CaesarEffect", get="one", put="one", delete="none")
class UserRuleEffectDetail(EffectDetail):
    """One effect."""

    model, noun = UserRule, "user_rule"
