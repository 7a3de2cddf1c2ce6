"""Why a submission or a request for subjects is refused: each with its stable code and HTTP status."""

from __future__ import annotations

from classifier.errors import EsocsError


class SubjectNotInWorkflowError(EsocsError):
    """The subject is not asked about in this workflow."""

    code = "subject_not_in_workflow"
    status = 422


class SubjectRetiredError(EsocsError):
    """The subject needs no more classifications, and this volunteer was not holding it."""

    code = "subject_retired"
    status = 422


class WorkflowNotFoundError(EsocsError):
    """There is no such workflow."""

    code = "workflow_not_found"
    status = 404


class WorkflowInactiveError(EsocsError):
    """The workflow takes no classifications at present.

    A conflict with what the workflow is now, and no fault of the sender: Zooniverse's classifier throws an answer away
    that is refused with 422, and sends it again after any other refusal.
    """

    code = "workflow_inactive"
    status = 409


class WorkflowNotInProjectError(EsocsError):
    """The workflow belongs to another project than the one named."""

    code = "workflow_not_in_project"
    status = 422


class WorkflowVersionUnknownError(EsocsError):
    """The workflow never had this version."""

    code = "workflow_version_unknown"
    status = 422


class IdempotencyKeyReusedError(EsocsError):
    """The key of an earlier submission came with other words."""

    code = "idempotency_key_reused"
    status = 409


class GoldStandardForbiddenError(EsocsError):
    """Only the project's experts may set a gold standard."""

    code = "gold_standard_forbidden"
    status = 403


class ExpertsOnlyError(EsocsError):
    """This subject waits for an expert."""

    code = "experts_only"
    status = 403


class RetirementReasonError(EsocsError):
    """Panoptes knows no such reason to retire a subject."""

    code = "retirement_reason_unknown"
    status = 422


class UnknownSelectionError(EsocsError):
    """A workflow's configuration asks for a way of selection that there is not."""

    code = "selection_unknown"
    status = 422


class NothingToSelectError(EsocsError):
    """A workflow without subjects has nothing to select from, in Panoptes' way."""

    code = "nothing_to_select"
    status = 404
