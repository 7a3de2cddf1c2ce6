"""The machine's background work: predict a shard, route a range of predictions."""

from __future__ import annotations

from esocs.archive.models import Shard
from esocs.jobs.registry import Effect, JobContext, handler
from esocs.machine import prediction, routing
from esocs.machine.models import ModelVersion, RoutingPolicy


@handler("machine.predict")
def predict(job: JobContext) -> Effect | None:
    model = ModelVersion.objects.select_related("workflow").get(pk=job.payload["model_version_id"])
    shard = Shard.objects.get(pk=job.payload["shard_id"])
    return prediction.predict_shard(model=model, shard=shard, report_progress=job.report_progress)


@handler("machine.route")
def route(job: JobContext) -> Effect | None:
    policy = RoutingPolicy.objects.select_related("model_version__workflow").get(pk=job.payload["policy_id"])
    return routing.route_predictions(policy=policy, first=job.payload["first"], last=job.payload["last"])
