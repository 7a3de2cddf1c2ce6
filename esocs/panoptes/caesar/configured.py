"""/caesar/workflows and what a workflow is aggregated by: extractors, reducers, rules and their effects."""

from __future__ import annotations

from collections.abc import Callable
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


class KeyedView(CaesarView):
    """Extractors or reducers of a workflow: rows with a key, saved whole."""

    model: ClassVar[type[Extractor | Reducer]]
    noun: ClassVar[str]
    document: ClassVar[Callable[..., dict[str, Any]]]
    save: ClassVar[Callable[..., Extractor | Reducer]]
    # What a change leaves as it was where it is not sent.
    fields: ClassVar[frozenset[str]]

    def rows(self, pk: str) -> Any:
        rows: Any = self.model.objects.filter(workflow=self.find_setting(pk).workflow)
        return rows.select_related("workflow").order_by("id")

    def find_keyed(self, pk: str, name: str) -> Any:
        """The row by its number, or by its key."""
        rows = self.rows(pk)
        by_number = rows.filter(pk=int(name)).first() if name.isdecimal() and len(name) < 19 else None
        return by_number or find_row(rows, self.model.__name__, key=name)


class OfExtractors(KeyedView):
    model, noun = Extractor, "extractor"
    document, save = staticmethod(documents.extractor_document), staticmethod(objects.save_extractor)
    fields = frozenset({"key", "type", "task_key", "if_missing", "minimum_workflow_version", "config"})


class OfReducers(KeyedView):
    model, noun = Reducer, "reducer"
    document, save = staticmethod(documents.reducer_document), staticmethod(objects.save_reducer)
    fields = frozenset({"key", "type", "topic", "reduction_mode", "filters", "grouping", "config"})


class KeyedList(KeyedView):
    """A workflow's, in the order in which they were made; and the place to make one."""

    def get(self, request: Request, pk: str) -> Response:
        return Response([self.document(row) for row in self.rows(pk)])

    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        return created(self.document(self.save(workflow, read_member(request.data, self.noun))))


class KeyedDetail(KeyedView):
    """One, by its number or its key."""

    def get(self, request: Request, pk: str, name: str) -> Response:
        return Response(self.document(self.find_keyed(pk, name)))

    def put(self, request: Request, pk: str, name: str) -> Response:
        row = self.find_keyed(pk, name)
        before = {member: value for member, value in self.document(row).items() if member in self.fields}
        sent = {**before, **read_member(request.data, self.noun)}
        return Response(self.document(self.save(row.workflow, sent, row)))

    def delete(self, request: Request, pk: str, name: str) -> Response:
        objects.delete_keyed(self.find_keyed(pk, name))
        return Response(status=204)


@describe("extractor", "CaesarExtractor", get="list", post="one")
class Extractors(OfExtractors, KeyedList):
    """A workflow's extractors."""


@describe("extractor", "CaesarExtractor", get="one", put="one", delete="none")
class ExtractorDetail(OfExtractors, KeyedDetail):
    """One extractor, by its number or its key."""


@describe("reducer", "CaesarReducer", get="list", post="one")
class Reducers(OfReducers, KeyedList):
    """A workflow's reducers."""


@describe("reducer", "CaesarReducer", get="one", put="one", delete="none")
class ReducerDetail(OfReducers, KeyedDetail):
    """One reducer, by its number or its key."""


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


class OfSubjects(RuleView):
    model, noun = SubjectRule, "subject_rule"


class OfVolunteers(RuleView):
    model, noun = UserRule, "user_rule"


@describe("subject_rule", "CaesarRule", get="list", post="one")
class SubjectRules(OfSubjects, RuleList):
    """Rules on subjects' reductions."""


@describe("subject_rule", "CaesarRule", get="one", put="one", delete="none")
class SubjectRuleDetail(OfSubjects, RuleDetail):
    """One rule on subjects' reductions."""


@describe("subject_rule_effect", "CaesarEffect", get="list", post="one")
class SubjectRuleEffects(OfSubjects, EffectList):
    """What happens to subjects of whom a rule holds."""


@describe("subject_rule_effect", "CaesarEffect", get="one", put="one", delete="none")
class SubjectRuleEffectDetail(OfSubjects, EffectDetail):
    """One effect."""


@describe("user_rule", "CaesarRule", get="list", post="one")
class UserRules(OfVolunteers, RuleList):
    """Rules on volunteers' reductions."""


@describe("user_rule", "CaesarRule", get="one", put="one", delete="none")
class UserRuleDetail(OfVolunteers, RuleDetail):
    """One rule on volunteers' reductions."""


@describe("user_rule_effect", "CaesarEffect", get="list", post="one")
class UserRuleEffects(OfVolunteers, EffectList):
    """What happens to volunteers of whom a rule holds."""


@describe("user_rule_effect", "CaesarEffect", get="one", put="one", delete="none")
class UserRuleEffectDetail(OfVolunteers, EffectDetail):
    """One effect."""
