"""A workflow with subjects, and clients for different people."""

from __future__ import annotations

import pytest
from django.test import Client

from esocs.panoptes.access import forget_workflows
from esocs.projects.models import Subject, Workflow
from tests.support.factories import make_subject, make_workflow


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """What one test looked up is not known to the next."""
    forget_workflows()


@pytest.fixture
def workflow(db: None) -> Workflow:
    # A count, not a consensus: how many answers a subject takes is then the test's to say.
    return make_workflow(retirement={"criteria": "classification_count", "options": {"count": 3}})


@pytest.fixture
def subject(workflow: Workflow) -> Subject:
    return make_subject(workflow.project, published_in=workflow, metadata={"object": "M 51", "#hidden": 1})


@pytest.fixture
def other_client() -> Client:
    """A second browser."""
    return Client()
