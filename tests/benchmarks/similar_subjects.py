"""Similar subjects: neighbours found and milliseconds a query with the champion's index, beside the exact scan.

The embeddings are drawn as a network's are: a few classes, each spread along a dozen directions of its own with a
little noise in all the others, on the unit sphere. The anomaly order is read from the same rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

DIMENSIONS, CLASSES, DIRECTIONS = 128, 6, 12
NEIGHBOURS = 20
CHUNK = 20_000
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
    random = np.random.default_rng(11)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO projects_subject (project_id, kind, metadata, updated_at)"
            " SELECT %s, 'image', '{}', now() FROM generate_series(1, %s)",
            [workflow.project_id, size],
        )
        first = cursor.execute("SELECT min(id) FROM projects_subject").fetchone()[0]
        for start in range(0, size, CHUNK):
            embeddings, classes = draw_embeddings(random, min(CHUNK, size - start))
            copy = "COPY machine_prediction (subject_id, model_version_id, probabilities, embedding) FROM STDIN"
            with cursor.copy(copy) as rows:
                for i, (vector, answer) in enumerate(zip(embeddings.tolist(), classes.tolist(), strict=True)):
                    p = [0.02] * CLASSES
                    p[answer] = 0.9
                    text = "[" + ",".join(f"{x:.5f}" for x in vector) + "]"
                    rows.write_row([first + start + i, model.pk, p, text])
        cursor.execute(
            "INSERT INTO machine_route (prediction_id, policy_id, decision, reason, answer, score, probability, ood_p,"
            " ood_distance, information_bits) SELECT p.id, %s,"
            " CASE WHEN random() < 0.8 THEN 'accept' ELSE 'volunteers' END, 'none',"
            " array_position(p.probabilities, 0.9) - 1, 0.9, 0.9, random(), random(), 0.5 FROM machine_prediction p",
            [policy.pk],
        )
        cursor.execute("VACUUM ANALYZE")
    return model.pk


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
    arguments = parse_arguments(description=__doc__ or "", size=100_000, size_help="subjects")
    with own_database():
        from esocs.machine import similar
        from esocs.machine.models import ModelVersion, Prediction

        model = ModelVersion.objects.get(pk=fill(arguments.size))
        policy = similar.current_policy(model)
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
        print_table(
            ["query", "ms"],
            [
                ["20 most similar, exact scan", exact_ms],
                ["20 most similar, index", index_ms],
                ["the same, of a fifth (route)", filtered_ms],
                ["the same, of one in 500 (answer)", rare_ms],
                ["a page of the oddest, from the middle", odd_ms],
                ["a page of the oddest, one answer in 500", odd_rare_ms],
            ],
        )
        print_result(
            name="similar_subjects", ours=index_ms, peer=exact_ms, unit="ms a query", less_is_better=True,
            recall_at_20=recall, index_build_s=build.wall_s, filtered_ms=filtered_ms, rare_ms=rare_ms,
            oddest_ms=odd_ms, oddest_rare_ms=odd_rare_ms, subjects=arguments.size,
        )  # fmt: skip


if __name__ == "__main__":
    main()
