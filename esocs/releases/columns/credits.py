"""Who is to be thanked: volunteers who chose a name for it. `accounts.User.credited_name` is the opt-in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import Count, Max, Min

from esocs.accounts.models import User
from esocs.releases.scope import Scope, time_text

HEADER = ("credited_name", "classifications", "first_at", "last_at")

CLASSIFICATIONS = "volunteer__classifications"


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def _people(scope: Scope) -> Any:
    counted = {
        f"{CLASSIFICATIONS}__workflow_id__in": scope.workflow_ids,
        f"{CLASSIFICATIONS}__created_at__lte": scope.as_of,
        f"{CLASSIFICATIONS}__counted": True,
    }
    return User.objects.exclude(credited_name="").filter(is_active=True, **counted)


def count(scope: Scope) -> int:
    return int(_people(scope).distinct().count())


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """One row a person, by name; neither login nor number, which nobody has agreed to see published."""
    people = _people(scope).annotate(
        n=Count(CLASSIFICATIONS),
        first=Min(f"{CLASSIFICATIONS}__created_at"),
        last=Max(f"{CLASSIFICATIONS}__created_at"),
    )
    for person in people.order_by("credited_name", "id").iterator(chunk_size=2_000):
        yield person.credited_name, person.n, time_text(person.first), time_text(person.last)
