"""Small untrained networks, registered as model versions, and shards of noise for them."""

from __future__ import annotations

import numpy as np
from django.conf import settings

from classifier.shards import write_shard
from esocs.archive.models import Plane, Shard
from esocs.machine import services as machine
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion
from esocs.projects.models import Workflow
from tests.support.predictions import make_pool

ANSWERS = ("Yes", "No", "Unclear")


def make_tiny_model(workflow: Workflow) -> ModelVersion:
    """A candidate whose weights are there; it knows nothing."""
    import torch

    from classifier.data import Question
    from classifier.networks import ImageNetwork
    from classifier.weights import save_weights

    torch.manual_seed(0)
    network = ImageNetwork(
        answers={workflow.first_task: len(ANSWERS)},
        stem_widths=[4, 8],
        widths=[8, 16],
        depths=[1, 1],
        kernel_size=3,
        embedding_size=EMBEDDING_DIMENSIONS,
    )
    path = settings.WEIGHTS_ROOT / "tiny.safetensors"
    card = save_weights([network], path, questions=(Question(workflow.first_task, ANSWERS),))
    return machine.register_model(
        workflow=workflow,
        weights_path=path,
        weights_sha256=card.sha256,
        class_names=list(ANSWERS),
        training_prior=[1 / len(ANSWERS)] * len(ANSWERS),
        card={},
    )


def make_shard(workflow: Workflow, count: int) -> tuple[Shard, list[int]]:
    """A shard of noise, with a subject for each plane. Returns the shard and the ids in its order."""
    subjects = make_pool(workflow, count)
    shard = Plane.objects.select_related("shard").get(subjects=subjects[0]).shard
    planes = np.random.default_rng(shard.pk).normal(size=(count, 128, 128)).astype(np.float16)
    shard.sha256 = write_shard(settings.SHARD_ROOT / shard.path, planes)
    shard.save()
    return shard, subjects
