"""Subjects like another one, and the oddest ones first: reads of the stored embeddings, and the indexes behind them.

Each champion's embeddings get an HNSW index of their own (Malkov & Yashunin 2020, IEEE TPAMI 42, 824; pgvector), built
by a job once its predictions are written and dropped once it is no champion any more. Without one every answer is the
same, by an exact scan (docs/decisions/0016-an-index-for-each-champion.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from esocs.jobs.models import Job
from esocs.jobs.services import enqueue
from esocs.machine.models import ModelVersion, Prediction, Route
from esocs.projects.services import subjects_of

# Below this an exact scan takes a few milliseconds, and an index is not worth its upkeep.
INDEXED_FROM = 20_000
# How many candidates the index keeps while it searches (hnsw.ef_search): decides how many neighbours it misses.
SEARCH_WIDTH = 100
# As few as these are looked at one by one, faster than the index would find enough of them among the others.
RARE = 5_000
# What an embedding costs that is inserted into an index, in those that are indexed together.
INSERTION_COST = 4
# A graph in memory is built many times faster than one on disk; a 128-d half vector takes some 0.7 kB in it.
BYTES_PER_EMBEDDING = 1_000
LEAST_BUILD_MEMORY_MB = 64

_STATE = """
SELECT i.indisvalid, EXISTS (SELECT 1 FROM pg_stat_progress_create_index b WHERE b.index_relid = c.oid)
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relname = %s AND c.relnamespace = current_schema()::regnamespace
"""
_OWN = """
SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relkind = 'i' AND i.indrelid = 'machine_prediction'::regclass AND c.relname LIKE 'prediction\\_embedding\\_v%%'
"""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A prediction near another one.

    Attributes:
        prediction_id: its row.
        subject_id: whose it is.
        distance: Euclidean, between embeddings of length one, in [0, 2].
    """

    prediction_id: int
    subject_id: int
    distance: float


@dataclass(frozen=True, kw_only=True)
class RouteFilter:
    """Which subjects are meant; None leaves everything in.

    Attributes:
        policy_id: under whose routes.
        decision: where they were sent.
        answer: the machine's most probable answer.
    """

    policy_id: int
    decision: str | None = None
    answer: int | None = None

    @property
    def empty(self) -> bool:
        return self.decision is None and self.answer is None


def find_similar(
    model: ModelVersion, subject_id: int, *, limit: int = 20, among: RouteFilter | None = None
) -> list[Neighbour]:
    """The subjects whose embeddings lie nearest to a subject's, nearest first, without itself.

    Args:
        model: whose embeddings; any version with predictions.
        subject_id: of the subject compared with. Without a prediction of this model nothing is found.
        limit: how many at most.
        among: only subjects routed like this.
    """
    anchor = Prediction.objects.filter(model_version=model, subject_id=subject_id).values_list("embedding", flat=True)
    embedding = anchor.first()
    if embedding is None:
        return []
    vector = str(list(embedding))
    if among is None or among.empty:
        return _nearest(model.pk, vector, besides=subject_id, limit=limit)
    rare = _list_if_rare(among)
    if rare is not None:
        return _nearest_of(rare, vector, besides=subject_id, limit=limit)
    found = _nearest(model.pk, vector, besides=subject_id, limit=limit, among=among)
    if len(found) < limit:
        # The index gives up after the nearest twenty thousand: there are many such subjects, but none is near.
        found = _nearest(model.pk, vector, besides=subject_id, limit=limit, among=among, exact=True)
    return found


def _list_if_rare(among: RouteFilter) -> list[int] | None:
    """The routes that are meant, where they are few enough to look at each; None where they are not."""
    routes = list(_routes(among).values_list("id", flat=True)[: RARE + 1])
    return routes if len(routes) <= RARE else None


def _nearest_of(routes: list[int], vector: str, *, besides: int, limit: int) -> list[Neighbour]:
    query = (
        "SELECT p.id, p.subject_id, sqrt(greatest(2 * (p.embedding <=> %(vector)s::halfvec), 0)) AS distance"
        " FROM machine_route r JOIN machine_prediction p ON p.id = r.prediction_id"
        " WHERE r.id = ANY(%(routes)s::bigint[]) AND p.subject_id <> %(besides)s ORDER BY distance LIMIT %(limit)s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, {"vector": vector, "routes": routes, "besides": besides, "limit": limit})
        return [Neighbour(prediction_id=row[0], subject_id=row[1], distance=row[2]) for row in cursor.fetchall()]


def _nearest(
    model_id: int, vector: str, *, besides: int, limit: int, among: RouteFilter | None = None, exact: bool = False
) -> list[Neighbour]:
    conditions, parameters = _conditions(among)
    # The version stands in the text, so that the planner sees that its partial index applies; a sum hides the order
    # from every index.
    order = "(p.embedding <=> %(vector)s::halfvec)" + (" + 0" if exact else "")
    query = (
        f"SELECT p.id, p.subject_id, sqrt(greatest(2 * {order}, 0)) FROM machine_prediction p"
        f" WHERE p.model_version_id = {int(model_id)} AND p.subject_id <> %(besides)s{conditions}"
        f" ORDER BY {order} LIMIT %(limit)s"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL hnsw.ef_search = {max(SEARCH_WIDTH, 2 * int(limit))}")
        # Filters throw candidates away: the search goes on until there are enough.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(query, {"vector": vector, "besides": besides, "limit": limit, **parameters})
        return [Neighbour(prediction_id=row[0], subject_id=row[1], distance=row[2]) for row in cursor.fetchall()]


def _conditions(among: RouteFilter | None) -> tuple[str, dict[str, Any]]:
    if among is None or among.empty:
        return "", {}
    conditions, parameters = ["r.prediction_id = p.id", "r.policy_id = %(policy)s"], {"policy": among.policy_id}
    if among.decision is not None:
        conditions.append("r.decision = %(decision)s")
        parameters["decision"] = among.decision  # type: ignore[assignment]
    if among.answer is not None:
        conditions.append("r.answer = %(answer)s")
        parameters["answer"] = among.answer
    return f" AND EXISTS (SELECT 1 FROM machine_route r WHERE {' AND '.join(conditions)})", parameters


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where a page of the anomaly order ends: the next one starts behind it."""

    distance: float
    route_id: int

    @property
    def text(self) -> str:
        """As it stands in an address; exact, so that no page repeats or leaves out a subject."""
        return f"{self.distance!r},{self.route_id}"


def list_oddest(among: RouteFilter, *, after: Place | None = None, limit: int = 24) -> list[Place]:
    """The routes of a policy whose subjects lie farthest from all that the model knows, farthest first.

    Read from the index `route_policy_oddest` alone, filters included, from the place where the last page ended.

    Args:
        among: the policy, and what is asked for.
        after: the last place of the page before.
        limit: how many at most.
    """
    rows = _routes(among).filter(ood_distance__isnull=False)
    if after is not None:
        rows = rows.extra(  # a row comparison: the index answers it, and the ORM has no public word for it
            where=["(machine_route.ood_distance, machine_route.id) < (%s, %s)"],
            params=[after.distance, after.route_id],
        )
    values = rows.order_by("-ood_distance", "-id").values_list("ood_distance", "id")[:limit]
    return [Place(distance=distance or 0.0, route_id=pk) for distance, pk in values]


def _routes(among: RouteFilter) -> QuerySet[Route]:
    """The routes that are meant; ids and distances alone are read from the index `route_policy_oddest`."""
    rows = Route.objects.filter(policy_id=among.policy_id)
    if among.decision is not None:
        rows = rows.filter(decision=among.decision)
    return rows if among.answer is None else rows.filter(answer=among.answer)


def index_name(model_id: int) -> str:
    """The name of a model version's index."""
    return f"prediction_embedding_v{int(model_id)}"


def has_index(model_id: int) -> bool:
    """Whether a model version's embeddings are indexed, wholly."""
    return _index_state(model_id) == (True, False)


def _index_state(model_id: int) -> tuple[bool, bool] | None:
    """(valid, under construction) of a version's index; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [index_name(model_id)])
        row = cursor.fetchone()
    return (bool(row[0]), bool(row[1])) if row else None


def build_index(model: ModelVersion) -> bool:
    """Index a champion's embeddings without blocking anybody. Done once; what an interrupted one left is built anew.

    Outside a transaction, as `CREATE INDEX CONCURRENTLY` demands.

    Returns:
        Whether the index was built now: not if there is one, another session is at it, or the model has changed state.
    """
    if not ModelVersion.objects.filter(pk=model.pk, state=ModelVersion.State.CHAMPION).exists():
        return False
    state = _index_state(model.pk)
    if state is not None:
        valid, building = state
        if valid or building:
            return False
        drop_index(model.pk)
    count = Prediction.objects.filter(model_version=model).count()
    wanted_mb = count * BYTES_PER_EMBEDDING // 1_000_000
    memory_mb = max(LEAST_BUILD_MEMORY_MB, min(wanted_mb, settings.INDEX_MEMORY_MB))
    with connection.cursor() as cursor:
        cursor.execute(f"SET maintenance_work_mem = '{memory_mb}MB'")
        try:
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {index_name(model.pk)} ON machine_prediction"
                f" USING hnsw (embedding halfvec_cosine_ops) WHERE model_version_id = {int(model.pk)}"
            )
        finally:
            cursor.execute("RESET maintenance_work_mem")
    return True


def drop_index(model_id: int) -> None:
    """Drop a version's index, if there is one, without blocking anybody. Outside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index_name(model_id)}")


def tend_indexes(*, slot: str) -> None:
    """Order an index for each champion that has many predictions and none, and drop those of versions that are none.

    While much is being predicted there is none either: it is built once, afterwards.

    Args:
        slot: of the job that asks: one order each.
    """
    champions = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION).select_related("workflow")
    kept = {index_name(pk) for pk in champions.values_list("pk", flat=True)}
    with connection.cursor() as cursor:
        cursor.execute(_OWN)
        present = {str(name) for (name,) in cursor.fetchall()}
        for name in sorted(present - kept):
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for model in champions:
        if _predicting(model):
            if index_name(model.pk) in present and _much_is_new(model):
                drop_index(model.pk)
        elif not has_index(model.pk) and _worth_an_index(model) and not _indexing(model):
            payload = {"model_version_id": model.pk}
            enqueue("machine.index_embeddings", key=f"model/{model.pk}/{slot}", payload=payload)


def _worth_an_index(model: ModelVersion) -> bool:
    # Found by counting no further than needed.
    few = Prediction.objects.filter(model_version=model).values("id")[:INDEXED_FROM]
    return few.count() >= INDEXED_FROM


def _much_is_new(model: ModelVersion) -> bool:
    """Whether inserting what is still to be predicted costs more than dropping the index and building it anew."""
    known = Prediction.objects.filter(model_version=model).count()
    return (subjects_of(model.workflow).count() - known) * INSERTION_COST > known


def _predicting(model: ModelVersion) -> bool:
    waiting = Job.objects.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING])
    return waiting.filter(kind="machine.predict", group=f"classify/{model.pk}").exists()


def _indexing(model: ModelVersion) -> bool:
    waiting = Job.objects.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING])
    return waiting.filter(kind="machine.index_embeddings", payload__model_version_id=model.pk).exists()
