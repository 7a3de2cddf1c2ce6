"""Which of a workflow's subject sets the next subjects of a volunteer come from: its streams' rules, looked up."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Count

from esocs.crowd.as_panoptes.streams import Streams, draw, mix, read_streams
from esocs.crowd.errors import NothingToSelectError
from esocs.crowd.models import Classification
from esocs.projects.models import ProjectPreference, SetMemberSubject, SubjectSet, Workflow


class Mixture:
    """The sets of a workflow, and how often each is drawn from for one volunteer.

    Raises:
        NothingToSelectError: it has none, or not the one that is asked for.
    """

    def __init__(
        self, workflow: Workflow, *, volunteer_id: int, user_id: int | None, subject_set_id: int | None = None
    ) -> None:
        self._workflow, self._volunteer_id, self._user_id = workflow, volunteer_id, user_id
        self._streams = read_streams(workflow.configuration, _settings(workflow, user_id))
        self.sets, for_training = _linked_sets(workflow, subject_set_id)
        special = self._streams.special_sets
        self.ordinary = [pk for pk in self.sets if pk not in special and pk not in for_training]
        self._unused = for_training - special - set(self._streams.chances)

    def draw(self, limit: int, *, rng: random.Random) -> Counter[int]:
        """How many to take from each set; nothing where no rule prefers any.

        Then one draw from all ordinary sets is the same as their mixture by size, and keeps the order of priorities.
        """
        if self._streams == Streams() or self._workflow.grouped:
            return Counter()
        sized = SetMemberSubject.objects.filter(subject_set__in=set(self.sets) - self._unused)
        sizes = dict(sized.values_list("subject_set_id").annotate(n=Count("id")).order_by())
        signed_in = self._user_id is not None
        shares = mix(self._streams, sizes=sizes, seen=self._count_seen() if signed_in else 0, signed_in=signed_in)
        return draw(shares, limit=limit, rng=rng)

    def _count_seen(self) -> int:
        rows = Classification.objects.filter(volunteer=self._volunteer_id, workflow=self._workflow)
        return rows.values("subject_id").distinct().count()


def _linked_sets(workflow: Workflow, subject_set_id: int | None) -> tuple[list[int], set[int]]:
    """The workflow's sets, or the one of them; and those of them that say that they are for training."""
    linked = SubjectSet.objects.filter(workflows=workflow).order_by("id").values_list("id", "metadata")
    if subject_set_id is not None:
        linked = linked.filter(pk=subject_set_id)
    sets = dict(linked)
    if not sets:
        raise NothingToSelectError(
            "No subject set is associated with this workflow.", hint="Link one to it, or ask for one of its own."
        )
    training = {pk for pk, said in sets.items() if isinstance(said, dict) and said.get("training") in (True, "true")}
    return list(sets), training


def _settings(workflow: Workflow, user_id: int | None) -> Mapping[str, Any]:
    """What the project's people set for a volunteer, where it is about this workflow."""
    if user_id is None:
        return {}
    rows = ProjectPreference.objects.filter(project=workflow.project_id, user=user_id)
    settings = rows.values_list("settings", flat=True).first()
    if not isinstance(settings, dict) or settings.get("workflow_id") not in (None, workflow.pk, str(workflow.pk)):
        return {}
    return settings
