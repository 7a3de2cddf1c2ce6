"""Drift: whether what comes in is like what the machine was calibrated on, and whether it is right as often as it says.

The same numbers as CSV and JSON by `?format=`.
"""

from __future__ import annotations

import csv
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from classifier.drift import score_edges
from esocs.accounts.identity import identity_from_session
from esocs.machine.models import DriftCount, ReliabilityCount, RoutingPolicy
from esocs.projects.models import Workflow
from esocs.web.access import get_visible_project, get_workflow, require_review
from esocs.web.drift import DriftPage, list_policies, read_drift
from esocs.web.drift_charts import draw_nights, draw_reliability, draw_scores, score_ticks

COUNT_COLUMNS = ["batch", "night", "subjects", "learned_from", "out_of_distribution"]


@never_cache
@require_safe
def drift(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """One policy's drift: the champion's newest one, or another that the address names."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    policies = list_policies(workflow)
    policy = next((one for one in policies if str(one.pk) == request.GET.get("policy")), next(iter(policies), None))
    wanted = request.GET.get("format")
    if policy is not None and wanted == "csv":
        return _as_csv(workflow, policy, table=request.GET.get("table", ""))
    page = read_drift(policy) if policy else None
    if page is not None and wanted == "json":
        return _as_json(workflow, page)
    context: dict[str, Any] = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "policies": policies,
        "page": page,
    }
    return render(request, "web/drift.html", context | (_charts(page) if page else {}))


def _charts(page: DriftPage) -> dict[str, Any]:
    certified = page.policy.thresholds.filter(answer=None).values_list("value", flat=True)
    thresholds = [value for value in certified if value is not None]
    reference = page.reference.score_counts if page.reference else []
    shown = [batch for batch in page.batches if page.reference is not None]
    return {
        "night_chart": draw_nights(page.nights, level=page.level) if page.nights else None,
        "score_charts": [
            (batch, draw_scores(batch.counts.tolist(), reference, thresholds=thresholds)) for batch in shown
        ],
        "score_ticks": score_ticks(),
        "reliability_charts": [(diagram, draw_reliability(diagram.check)) for diagram in page.diagrams],
    }


def _as_csv(workflow: Workflow, policy: RoutingPolicy, *, table: str) -> HttpResponse:
    """The stored counts, a line for each batch and night, or for each bin of each batch's reliability."""
    name = "reliability" if table == "reliability" else "drift"
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="workflow-{workflow.pk}-{name}.csv"'
    write = csv.writer(response).writerow
    if name == "reliability":
        write(["batch", "source", "bin", "subjects", "right", "probability_sum"])
        for count in ReliabilityCount.objects.filter(policy=policy).order_by("batch_id", "source"):
            bins = zip(count.subjects, count.right, count.probability_sums, strict=True)
            for place, (subjects, right, probability) in enumerate(bins):
                if subjects:
                    write([count.batch_id, count.source, place, subjects, right, f"{probability:.6f}"])
        return response
    write([*COUNT_COLUMNS, "scores_below", *(f"scores_from_{edge:.6g}" for edge in score_edges())])
    for row in DriftCount.objects.filter(policy=policy).order_by("night", "batch_id"):
        write([row.batch_id, row.night, row.subjects, row.learned_from, row.out_of_distribution, *row.score_counts])
    return response


def _as_json(workflow: Workflow, page: DriftPage) -> JsonResponse:
    """What the page shows, as numbers."""
    reference = page.reference
    return JsonResponse(
        {
            "workflow": workflow.pk,
            "model_version": page.policy.model_version.number,
            "policy": page.policy.number,
            "verdicts": [
                {"about": one.title, "state": one.state, "sentence": one.sentence, "advice": one.advice}
                for one in page.verdicts
            ],
            "score_edges": score_edges().tolist(),
            "reference": reference
            and {
                "subjects": reference.subjects,
                "out_of_distribution": reference.out_of_distribution,
                "score_counts": reference.score_counts,
                "counted_at": reference.counted_at,
            },
            "nights": [
                {
                    "night": one.night,
                    "subjects": one.subjects,
                    "out_of_distribution": one.out,
                    "limits": [one.limits.low, one.limits.high],
                    "above": one.above,
                }
                for one in page.nights
            ],
            "batches": [
                {
                    "batch": one.batch.pk if one.batch else None,
                    "subjects": one.subjects,
                    "learned_from": one.learned_from,
                    "score_counts": one.counts.tolist(),
                    "stability_index": one.shift and one.shift.index,
                    "stability_index_p": one.shift and one.shift.index_p,
                    "ks_distance": one.shift and one.shift.distance,
                    "ks_distance_p": one.shift and one.shift.distance_p,
                    "judged": one.judged,
                }
                for one in page.batches
            ],
            "reliability": [
                {
                    "source": one.source,
                    "subjects": one.check.subjects,
                    "expected_calibration_error": one.check.expected_calibration_error,
                    "error_by_chance": one.check.error_by_chance,
                    "bins": [
                        {
                            "subjects": b.subjects,
                            "confidence": b.confidence,
                            "accuracy": b.accuracy,
                            "interval": [b.low, b.high],
                            "surprising": b.surprising,
                        }
                        for b in one.check.bins
                    ],
                }
                for one in page.diagrams
            ],
        }
    )
