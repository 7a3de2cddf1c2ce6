"""Favourites and collections: subjects that a person put together."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from classifier.errors import EsocsError
from esocs.accounts.identity import identity_from_session
from esocs.accounts.models import User
from esocs.projects import community
from esocs.projects.access import list_visible_collections, visible_to
from esocs.projects.models import Collection, Media
from esocs.web.access import get_visible_project
from esocs.web.forms import CollectionForm
from esocs.web.subject_thread import get_subject

LOG_IN = reverse_lazy("web:log-in")
PAGE_SIZE = 48


@never_cache
@login_required(login_url=LOG_IN)
@require_http_methods(["GET", "HEAD", "POST"])
def collections(request: HttpRequest) -> HttpResponse:
    """The asker's own collections, and a form for another."""
    user = request.user
    assert isinstance(user, User)
    form = CollectionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = community.create_collection(owner=user, **form.cleaned_data)
        except EsocsError as error:
            form.add_error("display_name", f"{error.message} {error.hint}".strip())
        else:
            return HttpResponseRedirect(reverse("web:collection", args=[made.slug]))
    form.describe()
    own = Collection.objects.filter(owner=user).annotate(n=Count("subjects")).order_by("-favorite", "display_name")
    context = {"collections": own, "form": form}
    return render(request, "web/collections.html", context, status=422 if form.errors else 200)


def _get(request: HttpRequest, slug: str) -> Collection:
    found = list_visible_collections(identity_from_session(request)).filter(slug__iexact=slug)
    collection = found.select_related("owner").first()
    if collection is None:
        raise Http404("There is no such collection.")
    return collection


def _own(request: HttpRequest, slug: str) -> Collection:
    collection = _get(request, slug)
    if collection.owner_id != identity_from_session(request).user_id:
        raise PermissionDenied("This collection is somebody else's.")
    return collection


@never_cache
@require_safe
def collection(request: HttpRequest, slug: str) -> HttpResponse:
    """What is in one collection."""
    identity = identity_from_session(request)
    found = _get(request, slug)
    pictures = Media.objects.filter(role=Media.Role.LOCATION, pending=False, media_type__startswith="image/")
    # A collection may hold what somebody saw while its project was open.
    subjects = found.subjects.filter(visible_to(identity, "project__")).select_related("project").order_by("id")
    subjects = subjects.prefetch_related(Prefetch("media", queryset=pictures.order_by("position"), to_attr="pictures"))
    context = {
        "collection": found,
        "page": Paginator(subjects, PAGE_SIZE).get_page(request.GET.get("page")),
        "own": found.owner_id == identity.user_id,
    }
    return render(request, "web/collection.html", context)


@require_POST
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Rename a collection, open or close it, delete it, or take a subject out."""
    found = _own(request, slug)
    act = request.POST.get("act")
    if act == "delete":
        found.delete()
        messages.success(request, _("The collection was deleted; its subjects stay where they are."))
        return HttpResponseRedirect(reverse("web:collections"))
    if act == "drop":
        asked = request.POST.get("subject", "")
        community.drop_subjects(found, [int(asked)] if asked.isdecimal() and len(asked) <= 18 else [])
    else:
        form = CollectionForm(request.POST)
        if form.is_valid():
            found = _change(found, form.cleaned_data)
            messages.success(request, _("The collection was changed."))
        else:
            messages.error(request, _("A collection needs a name of at most 200 characters."))
    return HttpResponseRedirect(reverse("web:collection", args=[found.slug]))


def _change(collection: Collection, changes: dict[str, Any]) -> Collection:
    community.change_columns(Collection.objects.all(), collection, changes=changes, seen_at=collection.updated_at)
    return Collection.objects.get(pk=collection.pk)


@require_POST
def collect(request: HttpRequest, slug: str, subject_id: int) -> HttpResponse:
    """Mark a subject as a favourite, or put it into a collection of the asker's, or undo either.

    The classify page asks for no page back (`Accept: application/json`), a form is led to where it was sent from.
    """
    identity = identity_from_session(request)
    subject = get_subject(get_visible_project(identity, slug=slug), subject_id)
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied("Favourites and collections need an account.")
    on = request.POST.get("on") == "1"
    asked = request.POST.get("collection", "")
    if not asked:
        community.mark_favourite(owner=user, subject=subject, favourite=on)
    else:
        found = Collection.objects.filter(owner=user, pk=int(asked) if asked.isdecimal() else 0).first()
        if found is None:
            raise Http404("You have no such collection.")
        (community.collect_subjects if on else community.drop_subjects)(found, [subject.pk])
    if "application/json" in request.headers.get("Accept", ""):
        return HttpResponse(status=204)
    return HttpResponseRedirect(reverse("web:subject", args=[slug, subject.pk]))
