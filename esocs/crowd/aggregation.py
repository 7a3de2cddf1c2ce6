"""Our own rows as the tables that the aggregation of files takes (`esocs.crowd.files`)."""

from __future__ import annotations

from collections.abc import Iterator

from esocs.crowd.files.tables import QuestionTable
from esocs.projects.models import Workflow


def rows_of_workflow(workflow: Workflow) -> Iterator[QuestionTable]:
    """One table a question of the workflow: counted answers, gold, and the machine's opinion.

    Volunteers' and subjects' names are the ones that the exports show; a session without an account begins with
    `tables.ANONYMOUS_PREFIX`.
    """
    # TODO(lead): read Answer, GoldStandard and SubjectStatus.machine_prior, once the refit's own reading has settled.
    raise NotImplementedError(f"The rows of {workflow} are not read yet.")
