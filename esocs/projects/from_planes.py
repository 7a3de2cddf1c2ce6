"""Subjects out of planes: made by the database itself, from rows that it already has."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from esocs.projects.models import Project, SubjectSet

# What a volunteer may read beside a picture. Keys with # are hidden from volunteers, as in Zooniverse.
_METADATA = """jsonb_strip_nulls(jsonb_build_object(
    'instrument', nullif(product.instrument, ''),
    'filter', nullif(product.filter_name, ''),
    'object', nullif(product.object_name, ''),
    'right ascension', trim_scale(round(product.ra_deg::numeric, 6)),
    'declination', trim_scale(round(product.dec_deg::numeric, 6)),
    'exposure time (s)', product.exposure_time_s,
    '#dp_id', product.dp_id,
    '#cutout', plane.number))"""

_SUBJECTS = f"""
INSERT INTO projects_subject (project_id, plane_id, kind, metadata, updated_at)
SELECT %(project)s, plane.id, product.kind, {_METADATA}, statement_timestamp()
FROM archive_plane plane JOIN archive_product product ON product.id = plane.product_id
WHERE product.id = ANY(%(products)s)
ORDER BY plane.id
ON CONFLICT (project_id, plane_id) DO NOTHING
"""

_MEMBERS = """
INSERT INTO projects_setmembersubject (subject_set_id, subject_id)
SELECT %(subject_set)s, subject.id
FROM projects_subject subject JOIN archive_plane plane ON plane.id = subject.plane_id
WHERE plane.product_id = ANY(%(products)s) AND subject.project_id = %(project)s AND subject.kind = %(kind)s
ORDER BY subject.id
ON CONFLICT (subject_set_id, subject_id) DO NOTHING
"""


@transaction.atomic
def make_subjects(*, project: Project, product_ids: list[int]) -> int:
    """One subject for each plane of the products, in the subject sets of the workflows of its kind.

    Returns:
        How many subjects are new; a plane that is a subject already stays one subject.
    """
    chosen: dict[str, Any] = {"project": project.pk, "products": product_ids}
    with connection.cursor() as cursor:
        cursor.execute(_SUBJECTS, chosen)
        new: int = cursor.rowcount
        for kind in ("image", "spectrum"):
            sets = SubjectSet.objects.filter(workflows__project=project, workflows__subject_kind=kind).distinct()
            for subject_set_id in sets.order_by("id").values_list("id", flat=True):
                cursor.execute(_MEMBERS, {**chosen, "kind": kind, "subject_set": subject_set_id})
    return new
