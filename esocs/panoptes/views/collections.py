"""/api/collections: subjects that people put together, their favourites among them."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.bodies import read_link_ids
from esocs.panoptes.documents import Document, owner_link
from esocs.panoptes.errors import ForbiddenError, InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import parse_id, read_boolean, read_id, read_ids, read_text
from esocs.panoptes.resource_documents import collection_document
from esocs.panoptes.resource_schemas import describe, describe_links
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Owned, Shown
from esocs.projects.access import list_visible_collections, list_visible_projects, list_visible_subjects
from esocs.projects.community import change_columns, choose_picture, collect_subjects, create_collection, drop_subjects
from esocs.projects.models import Collection, Subject


class Collections(Owned):
    """Public collections, and the asker's own."""

    plural = "collections"
    noun = "collection"

    def visible(self) -> QuerySet[Any]:
        rows = list_visible_collections(self.identity).select_related("owner")
        subjects = Prefetch("subjects", Subject.objects.only("id").order_by("id"))
        return rows.prefetch_related("projects", subjects)

    def documents(self, rows: list[Any]) -> list[Document]:
        return [collection_document(row) for row in rows]

    def visible_subject_ids(self, ids: list[int]) -> list[int]:
        """The same ids.

        Raises:
            NotFoundError: the asker may not know of one of them.
        """
        found = set(list_visible_subjects(self.identity).filter(pk__in=ids).values_list("id", flat=True))
        if missing := set(ids) - found:
            raise NotFoundError(f"Could not find subject with id='{min(missing)}'")
        return ids


@describe(
    "collection",
    "Collection",
    schema.query("owner", "The owner's login."),
    schema.query("slug", "The collection's address."),
    schema.query("favorite", "`true`: only favourites."),
    schema.query("project_ids", "Only of these projects, separated by commas."),
    schema.query("subject_id", "Only those with this subject."),
)
class CollectionList(Collections, Listed, Created):
    """Collections; and the place to make one."""

    new_body = "COLLECTION_NEW"

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if owner := read_text(query, "owner"):
            rows = rows.filter(owner__login__iexact=owner)
        if slug := read_text(query, "slug"):
            rows = rows.filter(slug__iexact=slug)
        if (favorite := read_boolean(query, "favorite")) is not None:
            rows = rows.filter(favorite=favorite)
        if project_ids := read_ids(query, "project_id") + read_ids(query, "project_ids"):
            rows = rows.filter(projects__in=project_ids).distinct()
        if (subject_id := read_id(query, "subject_id")) is not None:
            rows = rows.filter(subjects=subject_id)
        return rows

    def create(self, sent: dict[str, Any]) -> Model:
        owner, links = self.asker(), sent.pop("links", {})
        if "owner" in links and int(links["owner"]["id"]) != owner.pk:
            raise ForbiddenError("You can make collections of your own only.")
        sent = _columns(sent)
        if "display_name" not in sent:
            raise InvalidRequestError("collections: 'display_name' is a required property")
        ids = [int(each) for each in [*links.get("projects", []), *([links["project"]] if "project" in links else [])]]
        projects = list_visible_projects(self.identity).filter(pk__in=ids).values_list("id", flat=True)
        if missing := set(ids) - set(projects):
            raise NotFoundError(f"Could not find project with id='{min(missing)}'")
        subject_ids = self.visible_subject_ids([int(each) for each in links.get("subjects", [])])
        return create_collection(owner=owner, project_ids=ids, subject_ids=subject_ids, **sent)


def _columns(sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent; `name` is the older client's word for `display_name`."""
    columns = {key: value for key, value in sent.items() if key != "name"}
    return {**({"display_name": sent["name"]} if "name" in sent else {}), **columns}


@describe("collection", "Collection")
class CollectionDetail(Collections, Shown, Changed, Deleted):
    """One collection."""

    change_body = "COLLECTION_CHANGE"

    def change(self, row: Collection, sent: dict[str, Any]) -> Model:
        return change_columns(Collection.objects.all(), row, changes=_columns(sent), seen_at=row.updated_at)


@describe_links("collection", "Collection", "collections")
class CollectionSubjects(Collections):
    """`/api/collections/:id/links/subjects`, and `…/default_subject`: what is in it, and its picture."""

    def post(self, request: Request, pk: str, link: str) -> Response:
        collection = self.find(pk)
        self.require_editor(collection)
        subject_ids = self.visible_subject_ids(read_link_ids(request.data, link))
        if link == "default_subject":
            choose_picture(collection, subject_ids[0] if subject_ids else None)
        else:
            collect_subjects(collection, subject_ids)
        return self.answer_row(collection)


@describe_links("collection_subject", "Collection", "collections")
class CollectionSubjectsTaken(Collections):
    """`/api/collections/:id/links/subjects/:ids`: what is no longer in it."""

    def delete(self, request: Request, pk: str, ids: str) -> Response:
        collection = self.find(pk)
        self.require_editor(collection)
        drop_subjects(collection, [parse_id(each, "id") for each in ids.split(",")])
        return Response(status=204)


class CollectionRoles(Collections):
    """Who has which part in a collection: its owner, and nobody else. The id is the collection's."""

    plural = "collection_roles"
    noun = "collection role"

    def documents(self, rows: list[Any]) -> list[Document]:
        return [
            {
                "id": str(row.pk),
                "href": f"/collection_roles/{row.pk}",
                "roles": ["owner"],
                "links": {"collection": str(row.pk), "owner": owner_link(row.owner)},
            }
            for row in rows
        ]


@describe("collection_role", "CollectionRole", schema.query("collection_id", "Only this collection's."))
class CollectionRoleList(CollectionRoles, Listed):
    """People's parts in collections."""

    selected_by = {"collection_id": "pk"}


@describe("collection_role", "CollectionRole")
class CollectionRoleDetail(CollectionRoles, Shown):
    """One person's part in one collection."""
