"""Aggregations, as Panoptes calls them: a workflow's consensus, made once by a job and kept for whoever has its name.

The file is the consensus export; an aggregation is the order of one, under a UUID that nobody can guess.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.projects.models import Workflow
from esocs.releases.models import Aggregation, Export
from esocs.releases.queries import find_failure
from esocs.releases.services import request_export


class AggregationExistsError(EsocsError):
    """A workflow has one aggregation at a time."""

    code = "aggregation_exists"
    status = 422


def order_aggregation(*, workflow: Workflow, user: User) -> Aggregation:
    """Begin to aggregate a workflow's classifications.

    Raises:
        AggregationExistsError: it has one already.
    """
    try:
        with transaction.atomic():
            export = request_export(project=workflow.project, workflow=workflow, kind=Export.Kind.CONSENSUS, user=user)
            return Aggregation.objects.create(workflow=workflow, user=user, export=export)
    except IntegrityError as error:
        raise AggregationExistsError(
            f"Workflow {workflow.pk} has an aggregation.", hint="Delete it first, or take it as it is."
        ) from error


def status_of(aggregation: Aggregation) -> str:
    """`pending`, `completed` or `failed`."""
    if aggregation.export.state == Export.State.READY:
        return "completed"
    return "failed" if find_failure(aggregation.export) else "pending"
