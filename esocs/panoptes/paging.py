"""Pages as Panoptes gives them: by number with a count, or by the last id seen."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import QueryDict

from esocs.panoptes.parameters import read_count, read_id

PAGE_SIZE = 20
LARGEST_PAGE = 100
# An offset beyond this costs more than it is worth; `last_id` goes further.
LAST_PAGE = 100_000

Row = TypeVar("Row", bound=Model)


def paginate(rows: QuerySet[Row], *, query: QueryDict, plural: str, path: str) -> tuple[list[Row], dict[str, Any]]:
    """The asked-for page of `rows` and its `meta`. An empty page ends an iteration; it is no error.

    Args:
        rows: in a stable order.
        query: the request's parameters; every one of them is repeated in the page's addresses.
        plural: the resource's name, the key in `meta`.
        path: the listing's path without `/api`.
    """
    size = read_count(query, "page_size", default=PAGE_SIZE, most=LARGEST_PAGE)
    page = read_count(query, "page", default=1, most=LAST_PAGE)
    count = rows.count()
    pages = max(1, -(-count // size))
    previous = page - 1 if page > 1 else None
    following = page + 1 if page < pages else None
    meta = {
        "page": page,
        "page_size": size,
        "count": count,
        "include": [],
        "page_count": pages,
        "previous_page": previous,
        "next_page": following,
        "first_href": _href(path, query),
        "previous_href": _href(path, query, page=previous) if previous else None,
        "next_href": _href(path, query, page=following) if following else None,
        "last_href": _href(path, query, page=pages if pages > 1 else None),
    }
    return list(rows[(page - 1) * size : page * size]), {plural: meta}


def paginate_by_id(
    rows: QuerySet[Row], *, query: QueryDict, plural: str, path: str
) -> tuple[list[Row], dict[str, Any]]:
    """The rows after `last_id`, in the order of their ids, and a `meta` whose `next_href` goes on from the last one.

    Nothing is counted and nothing skipped, so the millionth page costs what the first does.
    """
    size = read_count(query, "page_size", default=PAGE_SIZE, most=LARGEST_PAGE)
    last_id = read_id(query, "last_id")
    if last_id is not None:
        rows = rows.filter(pk__gt=last_id)
    found = list(rows.order_by("pk")[: size + 1])
    more, found = len(found) > size, found[:size]
    meta = {
        "page_size": size,
        "include": [],
        "previous_page": None,
        "next_page": None,
        "first_href": _href(path, query, last_id=None),
        "previous_href": None,
        "next_href": _href(path, query, last_id=found[-1].pk) if more else None,
    }
    return found, {plural: meta}


def _href(path: str, query: QueryDict, **changes: int | None) -> str:
    """The listing's address with the request's own parameters, some of them changed (None: left out)."""
    kept = [(name, value) for name, values in query.lists() if name not in {"page", "last_id"} for value in values]
    kept += [(name, str(value)) for name, value in changes.items() if value is not None]
    return f"{path}?{urlencode(kept)}" if kept else path
