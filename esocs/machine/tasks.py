"""The machine's background work: predict a shard, route predictions, count drift, index embeddings, take back."""

from __future__ import annotations

from esocs.archive.models import Shard
from esocs.jobs import registry
from esocs.jobs.registry import Effect, JobContext, handler
from esocs.machine import monitoring, prediction, routing, similar, withdrawal
from esocs.machine.models import ModelVersion, RoutingPolicy

registry.periodic("machine.count_drift", every_s=300)
registry.periodic("machine.tend_indexes", every_s=600)


@handler("machine.predict")
def predict(job: JobContext) -> Effect | None:
    model = ModelVersion.objects.select_related("workflow").get(pk=job.payload["model_version_id"])
    shard = Shard.objects.get(pk=job.payload["shard_id"])
    return prediction.predict_shard(model=model, shard=shard, report_progress=job.report_progress)


@handler("machine.route")
def route(job: JobContext) -> Effect | None:
    policy = RoutingPolicy.objects.select_related("model_version__workflow").get(pk=job.payload["policy_id"])
    write_routes = routing.route_predictions(policy=policy, first=job.payload["first"], last=job.payload["last"])

    def write() -> None:
        write_routes()
        monitoring.order_count(policy.pk, besides=job.id)

    return write


@handler("machine.count_drift")
def count_drift(job: JobContext) -> Effect | None:
    """With a policy: count its routes. Without: order a count of each whose routes are more than were counted."""
    if "policy_id" in job.payload:
        policy = RoutingPolicy.objects.select_related("model_version").get(pk=job.payload["policy_id"])
        return monitoring.count_drift(policy)
    return lambda: monitoring.order_missing_counts(slot=job.key)


@handler("machine.tend_indexes")
def tend_indexes(job: JobContext) -> Effect | None:
    # Indexes are built and dropped beside the running work, which no transaction may do: there is no effect.
    similar.tend_indexes(slot=job.key)
    return None


@handler("machine.index_embeddings")
def index_embeddings(job: JobContext) -> Effect | None:
    similar.build_index(ModelVersion.objects.get(pk=job.payload["model_version_id"]))
    return None


@handler("machine.withdraw")
def withdraw(job: JobContext) -> Effect | None:
    """Without a range: order the ranges. With one: send what was accepted of it to volunteers."""
    policy = RoutingPolicy.objects.select_related("model_version").get(pk=job.payload["policy_id"])
    if "first" not in job.payload:
        return withdrawal.order_reroutes(policy)
    return withdrawal.reroute_accepted(policy, first=job.payload["first"], last=job.payload["last"])
