"""What was derived about a person whose account is erased."""

from __future__ import annotations

from django.db import transaction

from esocs.crowd.caesar.deriving import order_subjects
from esocs.crowd.models import CaesarWorkflow, Extract, UserReduction, UserRuleMatch

NAMING = ("who", "pluck_field")
"""Extractors that may have written the person's number down; they read again, and find nobody."""


@transaction.atomic
def forget_person(*, user_id: int, volunteer_id: int | None) -> None:
    """Delete a person's reductions, and have read anew what may name them: their answers are nobody's by now."""
    UserReduction.objects.filter(user=user_id).delete()
    UserRuleMatch.objects.filter(user=user_id).delete()
    named = Extract.objects.filter(classification__volunteer=volunteer_id or 0, extractor__type__in=NAMING)
    settings = CaesarWorkflow.objects.filter(pk__in=named.values("extractor__workflow"))
    for setting in settings.select_for_update().order_by("pk"):
        own = named.filter(extractor__workflow=setting.pk)
        order_subjects(setting.pk, list(own.values_list("subject_id", flat=True).distinct()))
        own.delete()
