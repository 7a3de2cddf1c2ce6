"""Tiles of subjects beside a distance: those most like another one, and the oddest of a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from esocs.machine.models import ModelVersion, Prediction, Route, RoutingPolicy
from esocs.machine.queries import policy_in_force
from esocs.machine.similar import Place, RouteFilter, find_similar, list_oddest
from esocs.projects.models import Workflow
from esocs.web.results import ResultRow, read_machine_rows

SHOWN_BESIDE_A_SUBJECT = 8
SHOWN_SIMILAR = 24
SHOWN_ODDEST = 24


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One subject in a grid.

    Attributes:
        row: what the table of results would say of it.
        distance: to the subject asked about, or to all that the model knows.
        ood_p: its p-value of being in distribution; None where it was not routed.
    """

    row: ResultRow
    distance: float
    ood_p: float | None


@dataclass(frozen=True, kw_only=True)
class SimilarPage:
    """The subjects most like one: nearest first."""

    model: ModelVersion
    tiles: list[Tile]


@dataclass(frozen=True, kw_only=True)
class OddestPage:
    """Some of the oddest, and where the next page starts (None: there is none)."""

    policy: RoutingPolicy
    tiles: list[Tile]
    next_after: Place | None


def get_champion(workflow: Workflow) -> ModelVersion | None:
    """The workflow's champion, without its card; None before there is one."""
    champions = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION)
    return champions.defer("card").first()


def read_similar(
    workflow: Workflow, subject_id: int, *, limit: int, decision: str = "", answer: int | None = None
) -> SimilarPage | None:
    """The subjects most like one in the eyes of the machine in force, or of the first one before it has a policy.

    Returns:
        None where there is no champion, or the machine has not looked at the subject.
    """
    policy = policy_in_force(workflow)
    model = policy.model_version if policy else get_champion(workflow)
    if model is None or not Prediction.objects.filter(model_version=model, subject_id=subject_id).exists():
        return None
    among = RouteFilter(policy_id=policy.pk, decision=decision or None, answer=answer) if policy else None
    found = find_similar(model, subject_id, limit=limit, among=among)
    predictions = _predictions([one.prediction_id for one in found]).in_bulk()
    routes = {}
    if policy is not None:
        rows = Route.objects.filter(policy=policy, prediction__in=predictions)
        routes = {route.prediction_id: route for route in rows}
    kept = [one for one in found if one.prediction_id in predictions]
    pairs = [(predictions[one.prediction_id], routes.get(one.prediction_id)) for one in kept]
    return SimilarPage(model=model, tiles=_tiles(workflow, pairs, [one.distance for one in kept]))


def read_oddest(
    workflow: Workflow, *, decision: str = "", answer: int | None = None, after: Place | None = None
) -> OddestPage | None:
    """A page of the workflow's subjects, those farthest from all that the champion knows first.

    Returns:
        None where nothing was routed yet.
    """
    policy = policy_in_force(workflow)
    if policy is None:
        return None
    among = RouteFilter(policy_id=policy.pk, decision=decision or None, answer=answer)
    places = list_oddest(among, after=after, limit=SHOWN_ODDEST + 1)
    shown = places[:SHOWN_ODDEST]
    routes = Route.objects.select_related("prediction__subject", "prediction__model_version")
    routes = routes.defer("prediction__embedding", "prediction__model_version__card")
    found = routes.in_bulk([place.route_id for place in shown])
    pairs = [(found[place.route_id].prediction, found[place.route_id]) for place in shown]
    return OddestPage(
        policy=policy,
        tiles=_tiles(workflow, pairs, [place.distance for place in shown]),
        next_after=shown[-1] if len(places) > SHOWN_ODDEST else None,
    )


def _predictions(ids: list[int]) -> QuerySet[Prediction]:
    rows = Prediction.objects.filter(pk__in=ids).select_related("subject", "model_version")
    return rows.defer("embedding", "model_version__card")


def _tiles(
    workflow: Workflow, pairs: Sequence[tuple[Prediction, Route | None]], distances: Sequence[float]
) -> list[Tile]:
    rows = read_machine_rows(workflow, pairs)
    return [
        Tile(row=row, distance=distance, ood_p=row.route.ood_p if row.route else None)
        for row, distance in zip(rows, distances, strict=True)
    ]
