"""/api/translations: the texts of projects, workflows, tutorials and field guides, one language a resource.

The classifier reads every text of a task from here, so a resource's own language is always served, from the resource.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.documents import Document
from esocs.panoptes.errors import InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import parse_id, read_id, read_text
from esocs.panoptes.resource_documents import own_translation_document, translation_document
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects import access
from esocs.projects.community import change_columns, create_translation, own_language, own_strings
from esocs.projects.models import Project, Translation

VISIBLE = {
    Translation.Kind.PROJECT: access.list_visible_projects,
    Translation.Kind.WORKFLOW: access.list_visible_workflows,
    Translation.Kind.TUTORIAL: access.list_visible_tutorials,
    Translation.Kind.FIELD_GUIDE: access.list_visible_field_guides,
}


class Translations(Resource):
    """Translations of the projects that the asker may see."""

    plural = "translations"
    noun = "translation"

    def visible(self) -> QuerySet[Any]:
        return access.list_visible_translations(self.identity).select_related("project")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [translation_document(row) for row in rows]

    def resource(self, kind: str, pk: int) -> Any:
        """What is translated.

        Raises:
            InvalidRequestError: nothing of this kind is.
            NotFoundError: there is none for the asker.
        """
        try:
            rows = VISIBLE[Translation.Kind(kind.lower())](self.identity)
        except ValueError:
            raise InvalidRequestError(f"translated_type must be one of {', '.join(Translation.Kind)}.") from None
        row = rows.filter(pk=pk).first()
        if row is None:
            raise NotFoundError(f"Could not find {kind} with id='{pk}'")
        return row


@describe(
    "translation",
    "Translation",
    schema.query("translated_type", "`project`, `workflow`, `tutorial` or `field_guide`.", required=True),
    schema.query("translated_id", "Its id.", required=True),
    schema.query("language", "Languages, separated by commas; all there are by default."),
)
class TranslationList(Translations, Listed, Created):
    """One resource's texts in each language there is; its own language first."""

    new_body = "TRANSLATION_NEW"

    def get(self, request: Request, **_: str) -> Response:
        query = request.query_params
        kind, pk = read_text(query, "translated_type").lower(), read_id(query, "translated_id")
        if not kind or pk is None:
            raise InvalidRequestError("translated_type and translated_id are needed.")
        resource = self.resource(kind, pk)
        wanted = {code.strip().lower() for code in read_text(query, "language").split(",") if code.strip()}
        own = own_language(resource)
        documents = []
        if not wanted or own in wanted:
            documents.append(own_translation_document(kind, resource, own, own_strings(resource)))
        rows = Translation.objects.filter(kind=kind, resource_id=pk).exclude(language=own).order_by("language")
        documents += self.documents(list(rows.filter(language__in=wanted) if wanted else rows))
        n = len(documents)
        meta = {"page": 1, "page_size": n, "count": n, "include": [], "page_count": 1}
        hrefs = {"previous_page": None, "next_page": None, "previous_href": None, "next_href": None}
        return self.answer(self.plural, documents, meta={self.plural: {**meta, **hrefs}})

    def create(self, sent: dict[str, Any]) -> Model:
        resource = self.resource(sent["translated_type"], int(sent["translated_id"]))
        self.edited_project(resource.pk if isinstance(resource, Project) else resource.project_id)
        return create_translation(
            kind=sent["translated_type"], resource=resource, language=sent["language"], strings=sent["strings"]
        )


@describe("translation", "Translation")
class TranslationDetail(Translations, Shown, Changed, Deleted):
    """One translation, or (`workflow-2-en`) the texts of a resource in its own language."""

    change_body = "TRANSLATION_CHANGE"

    def get(self, request: Request, pk: str) -> Response:
        kind, _, rest = pk.partition("-")
        if not rest:
            return super().get(request, pk)
        number, _, language = rest.partition("-")
        resource = self.resource(kind, parse_id(number, "id"))
        if language != own_language(resource):
            raise NotFoundError(f"Could not find translation with id='{pk}'")
        return self.answer(self.plural, [own_translation_document(kind, resource, language, own_strings(resource))])

    def change(self, row: Translation, sent: dict[str, Any]) -> Model:
        return change_columns(Translation.objects.all(), row, changes=sent, seen_at=row.updated_at)
