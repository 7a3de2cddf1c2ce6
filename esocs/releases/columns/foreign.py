"""How the rows of an imported project are printed: under the numbers, names and facts of where they came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from esocs.projects.models import Project
from esocs.releases.models import ImportedProject
from esocs.releases.scope import parse_jsonb

Named = tuple[str | None, int | None, str]
"""Name, number and address of whoever classified, as they are printed."""

# Read only where a project was imported: other exports need not look.
FOREIGN_COLUMNS = """,
       ic.foreign_id, ic.cells::text, iv.user_name, iv.foreign_id, iw.foreign_id, iw.display_name, isu.foreign_id,
       ist.foreign_id, ist.counted, ist.classifications_count, ist.created_at AT TIME ZONE 'UTC',
       ist.updated_at AT TIME ZONE 'UTC', ist.retired_at AT TIME ZONE 'UTC', ist.retirement_reason"""
FOREIGN_JOINS = """
LEFT JOIN releases_importedclassification ic ON ic.classification_id = c.id
LEFT JOIN releases_importedvolunteer iv ON iv.volunteer_id = c.volunteer_id
LEFT JOIN releases_importedworkflow iw ON iw.workflow_id = c.workflow_id
LEFT JOIN releases_importedsubject isu ON isu.subject_id = c.subject_id
LEFT JOIN releases_importedstatus ist ON ist.status_id = st.id"""


def is_imported(project: Project) -> bool:
    """Whether some of the project's rows came from another server's exports."""
    return ImportedProject.objects.filter(project=project).exists()


@dataclass(frozen=True)
class Foreign:
    """What the import knew of one classification and of what it is about; None where it knew nothing."""

    classification_id: int | None
    cells: str | None
    user_name: str | None
    user_id: int | None
    workflow_id: int | None
    workflow_name: str | None
    subject_id: int | None
    status_id: int | None
    counted: int | None
    classifications_count: int | None
    status_created_at: datetime | None
    status_updated_at: datetime | None
    retired_at: datetime | None
    retirement_reason: str | None

    def person(self, ip_key: str) -> Named | None:
        """Who classified there; None for somebody of this site."""
        return None if self.user_name is None else (self.user_name, self.user_id, ip_key)

    def status(self, here: Sequence[Any]) -> Sequence[Any]:
        """The status's id (None while open), count, times and reason: the import's until somebody here adds to it."""
        status_id, count, created_at, updated_at, retired_at, reason = here
        if self.counted is None or self.classifications_count is None:
            return here
        created_at = self.status_created_at or created_at
        if count == self.counted:
            known = self.status_id if self.retired_at is not None else None
            there = self.status_updated_at, self.retired_at, self.retirement_reason
            return known, self.classifications_count, created_at, *there
        known = None if status_id is None else self.status_id or status_id
        return known, count + self.classifications_count - self.counted, created_at, updated_at, retired_at, reason

    def in_its_words(self, row: Sequence[Any], header: Sequence[str], *, withheld: Collection[str]) -> Sequence[Any]:
        """The row, with the texts of the file that was imported where ours differ."""
        if self.cells is None:
            return row
        cells = parse_jsonb(self.cells)
        return [
            cells[name] if name in cells and name not in withheld else value
            for name, value in zip(header, row, strict=True)
        ]
