"""Similar subjects: neighbours found and milliseconds a query with the champion's index, beside the exact scan.

The embeddings are drawn as a network's are: a few classes, each spread along a dozen directions of its own with a
little noise in all the others, on the unit sphere. The anomaly order is read from the same rows; the pages that show
both, and drift, are asked for as a browser would, without the network on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

DIMENSIONS, CLASSES, DIRECTIONS = 128, 6, 12
NEIGHBOURS = 20
CHUNK = 20_000
COPIED = 2_000  # rows that show what an index costs those who write
MAKE_SUBJECTS = """
WITH product AS (
    INSERT INTO archive_product (batch_id, uri, dp_id, state, kind, error_code, error_detail, sha256, object_name,
        instrument, telescope, product_category, proposal_id, filter_name, header, observed_at)
    SELECT %(batch)s, '/bench/' || i, 'bench ' || i, 'ingested', 'image', '', '', lpad(i::text, 64, '0'), '', 'SIMCAM',
        '', '', '', 'r', '{}', timestamptz '2026-03-01 00:00Z' + (i / 1000) * interval '14.6 hours'
    FROM generate_series(%(start)s, %(start)s + %(count)s - 1) i RETURNING id
), plane AS (
    INSERT INTO archive_plane (product_id, number, shard_id, shard_index, scale, background, noise, missing_share,
        saturated_share, coverage, usable)
    SELECT id, 0, %(shard)s, row_number() OVER (ORDER BY id) - 1, 1, 0, 1, 0, 0, 1, true FROM product RETURNING id
), subject AS (
    INSERT INTO projects_subject (project_id, plane_id, kind, metadata, updated_at)
    SELECT %(project)s, id, 'image', '{}', now() FROM plane RETURNING id
)
INSERT INTO projects_setmembersubject (subject_set_id, subject_id) SELECT %(set)s, id FROM subject
"""
RARE = 0.002  # share of the rarest answer, which is asked for as a filter


def draw_embeddings(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, 128) float32 embeddings of length one, and their (size,) classes."""
    shape = np.random.default_rng(7)
    centres = shape.normal(size=(CLASSES, DIMENSIONS))
    axes = shape.normal(size=(CLASSES, DIRECTIONS, DIMENSIONS)) / 2
    shares = np.full(CLASSES, (1 - RARE) / (CLASSES - 1))
    shares[-1] = RARE
    classes = random.choice(CLASSES, size, p=shares)
    spread = np.einsum("nk,nkd->nd", random.normal(size=(size, DIRECTIONS)), axes[classes])
    drawn = centres[classes] + spread + 0.15 * random.normal(size=(size, DIMENSIONS))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float32), classes


def fill(size: int) -> int:
    """A champion with `size` predictions and routes. Returns its id."""
    from django.db import connection

    from esocs.machine.models import ModelVersion, RoutingPolicy
    from tests.support import factories

    workflow = factories.make_workflow(answers=tuple(f"Answer {i}" for i in range(CLASSES)))
    model = ModelVersion.objects.create(
        workflow=workflow, number=1, state="champion", class_names=[f"Answer {i}" for i in range(CLASSES)],
        weights_path="none", weights_sha256="0" * 64, training_prior=[1 / CLASSES] * CLASSES, temperature=1.0,
    )  # fmt: skip
    policy = RoutingPolicy.objects.create(
        model_version=model, number=1, alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01,
        calibrated_on=500,
    )  # fmt: skip
    with connection.cursor() as cursor:
        first = _make_subjects(cursor, workflow.project_id, workflow.subject_sets.get().pk, size)
        copy_predictions(cursor, model.pk, first, size)
        cursor.execute(
            "INSERT INTO machine_route (prediction_id, policy_id, decision, reason, answer, score, probability, ood_p,"
            " ood_distance, information_bits) SELECT p.id, %s,"
            " CASE WHEN random() < 0.8 THEN 'accept' ELSE 'volunteers' END, 'none',"
            " array_position(p.probabilities, 0.9) - 1, 1 - random() ^ 3, 0.9, random(), random(), 0.5"
            " FROM machine_prediction p",
            [policy.pk],
        )
        cursor.execute("VACUUM ANALYZE")
    return model.pk


def _make_subjects(cursor: Any, project_id: int, set_id: int, size: int) -> int:
    """Subjects of one product each, in batches of a shard, over two months of nights. Returns the first one's id."""
    from esocs.archive.models import IngestBatch, Shard

    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        batch = IngestBatch.objects.create(source=f"batch {start}")
        shard = Shard.objects.create(
            batch=batch, kind="image", path=f"{batch.pk}.npy", sha256="0" * 64, shape=[count, 128, 128]
        )
        given = {"batch": batch.pk, "start": start, "count": count, "shard": shard.pk, "project": project_id}
        cursor.execute(MAKE_SUBJECTS, given | {"set": set_id})
    cursor.execute("SELECT min(id) FROM projects_subject")
    return int(cursor.fetchone()[0])


def copy_predictions(cursor: Any, model_id: int, first: int, size: int) -> None:
    """Predictions of the subjects from `first` on, by COPY."""
    random = np.random.default_rng(11)
    for start in range(0, size, CHUNK):
        embeddings, classes = draw_embeddings(random, min(CHUNK, size - start))
        copy = "COPY machine_prediction (subject_id, model_version_id, probabilities, embedding) FROM STDIN"
        with cursor.copy(copy) as rows:
            for i, (vector, answer) in enumerate(zip(embeddings.tolist(), classes.tolist(), strict=True)):
                p = [0.02] * CLASSES
                p[answer] = 0.9
                rows.write_row([first + start + i, model_id, p, "[" + ",".join(f"{x:.5f}" for x in vector) + "]"])


def measure_pages(model_id: int, subject_id: int) -> dict[str, float]:
    """Median milliseconds of each page in the web process, as a signed-in owner sees it."""
    from django.test import Client

    from esocs.machine.models import ModelVersion

    workflow = ModelVersion.objects.get(pk=model_id).workflow
    client = Client()
    client.force_login(workflow.project.owner)
    base = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/"
    pages = {
        "similar_page_ms": f"results/{subject_id}/similar/",
        "oddest_page_ms": "oddest/",
        "oddest_filtered_page_ms": f"oddest/?route=volunteers&answer={CLASSES - 1}",
        "drift_page_ms": "drift/",
    }

    def get(path: str) -> None:
        assert client.get(base + path).status_code == 200

    measured = {}
    for name, path in pages.items():
        measured[name] = milliseconds(lambda _, path=path: get(path), list(range(7)))
        with Timer() as seven:
            for _ in range(7):
                get(path)
        measured[name.replace("_ms", "_cpu_ms")] = 1000 * seven.cpu_s / 7
    return measured


def measure_copy(model_id: int) -> dict[str, float]:
    """Rows a second that go into the table with no index on their version, and with one."""
    from django.db import connection

    from esocs.machine.models import ModelVersion, Prediction

    champion = ModelVersion.objects.get(pk=model_id)
    candidate = ModelVersion.objects.create(
        workflow=champion.workflow, number=2, class_names=champion.class_names, weights_path="none",
        weights_sha256="0" * 64, training_prior=champion.training_prior,
    )  # fmt: skip
    speeds = {}
    copied = min(COPIED, Prediction.objects.filter(model_version=champion).count())
    with connection.cursor() as cursor:
        first = Prediction.objects.order_by("subject_id").values_list("subject_id", flat=True)[0]
        for name, pk in (("copy_rows_per_s", candidate.pk), ("copy_indexed_rows_per_s", model_id)):
            Prediction.objects.filter(model_version_id=pk, subject_id__lt=first + copied).delete()
            started = time.perf_counter()
            copy_predictions(cursor, pk, first, copied)
            speeds[name] = copied / (time.perf_counter() - started)
    return speeds


def milliseconds(work: Callable[[int], object], queries: list[int]) -> float:
    """Median wall time of one query; each is asked once before, so that its pages are in memory."""
    taken = []
    for query in queries:
        work(query)
        started = time.perf_counter()
        work(query)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))


def main() -> None:
    arguments = parse_arguments(description=__doc__ or "", size=20_000, size_help="subjects")
    with own_database():
        from django.db import transaction

        from esocs.machine import monitoring, queries, similar
        from esocs.machine.models import ModelVersion, Prediction

        model = ModelVersion.objects.get(pk=fill(arguments.size))
        policy = queries.policy_in_force(model.workflow)
        assert policy is not None
        chosen = Prediction.objects.filter(model_version=model).order_by("id")
        asked = list(chosen.values_list("subject_id", flat=True)[:: max(1, arguments.size // 100)])

        def find(subject_id: int) -> set[int]:
            return {one.subject_id for one in similar.find_similar(model, subject_id, limit=NEIGHBOURS)}

        rare = similar.RouteFilter(policy_id=policy.pk, answer=CLASSES - 1)
        half = similar.RouteFilter(policy_id=policy.pk, decision="volunteers")
        exact_ms = milliseconds(find, asked[:20])
        truth = {subject_id: find(subject_id) for subject_id in asked}
        with Timer() as build:
            assert similar.build_index(model)
        index_ms = milliseconds(find, asked)
        recall = float(np.mean([len(find(pk) & truth[pk]) / NEIGHBOURS for pk in asked]))
        filtered_ms = milliseconds(lambda pk: similar.find_similar(model, pk, limit=NEIGHBOURS, among=half), asked[:40])
        rare_ms = milliseconds(lambda pk: similar.find_similar(model, pk, limit=NEIGHBOURS, among=rare), asked[:20])
        places = similar.list_oddest(half, limit=arguments.size // 2)
        middle = places[len(places) // 2]
        odd_ms = milliseconds(lambda _: similar.list_oddest(half, after=middle), asked[:20])
        odd_rare_ms = milliseconds(lambda _: similar.list_oddest(rare, after=places[-1]), asked[:20])
        with Timer() as counting, transaction.atomic():
            monitoring.count_drift(policy)()
        pages = measure_pages(model.pk, asked[0])
        copying = measure_copy(model.pk)
        print_table(
            ["query", "ms"],
            [
                ["20 most similar, exact scan", exact_ms],
                ["20 most similar, index", index_ms],
                ["the same, of a fifth (route)", filtered_ms],
                ["the same, of one in 500 (answer)", rare_ms],
                ["a page of the oddest, from the middle", odd_ms],
                ["a page of the oddest, one answer in 500", odd_rare_ms],
                ["drift counted anew", 1000 * counting.wall_s],
                *([name.removesuffix("_ms").replace("_", " "), value] for name, value in pages.items()),
            ],
        )
        print_result(
            name="similar_subjects", ours=index_ms, peer=exact_ms, unit="ms a query", less_is_better=True,
            recall_at_20=recall, index_build_s=build.wall_s, filtered_ms=filtered_ms, rare_ms=rare_ms,
            oddest_ms=odd_ms, oddest_rare_ms=odd_rare_ms, count_drift_s=counting.wall_s, subjects=arguments.size,
            **pages, **copying,
        )  # fmt: skip


if __name__ == "__main__":
    main()
