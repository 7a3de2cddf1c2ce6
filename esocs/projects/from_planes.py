"""Subjects out of planes: made by the database itself, from rows that it already has."""

from __future__ import annotations

import psycopg
from django.db import connection, transaction

from esocs.projects.models import Project, SubjectSet

# What a volunteer may read beside a picture. Keys with # are hidden from volunteers, as in Zooniverse.
_METADATA = """JSON_OBJECT(
    'instrument': nullif(product.instrument, ''),
    'filter': nullif(product.filter_name, ''),
    'object': nullif(product.object_name, ''),
    'right ascension': trim_scale(round(product.ra_deg::numeric, 6)),
    'declination': trim_scale(round(product.dec_deg::numeric, 6)),
    'exposure time (s)': product.exposure_time_s,
    '#dp_id': product.dp_id,
    '#cutout': plane.number
    ABSENT ON NULL RETURNING jsonb)"""

# Kind by kind the ids of the new subjects, and how many planes there are.
_SUBJECTS = f"""
WITH chosen AS MATERIALIZED (
    SELECT plane.id, product.kind, {_METADATA} AS metadata
    FROM archive_product product JOIN archive_plane plane ON plane.product_id = product.id
    WHERE product.id = ANY(%b::bigint[])
), new AS (
    INSERT INTO projects_subject (project_id, plane_id, kind, metadata, updated_at)
    SELECT %s, chosen.id, chosen.kind, chosen.metadata, statement_timestamp() FROM chosen ORDER BY chosen.id
    ON CONFLICT (project_id, plane_id) DO NOTHING
    RETURNING id, kind
)
SELECT kind, array_agg(id ORDER BY id), (SELECT count(*) FROM chosen WHERE chosen.kind = new.kind)
FROM new GROUP BY kind
"""

_OLD_SUBJECTS = """
SELECT array_agg(subject.id) FROM projects_subject subject JOIN archive_plane plane ON plane.id = subject.plane_id
WHERE plane.product_id = ANY(%b::bigint[]) AND subject.project_id = %s AND subject.kind = %s
"""

_MEMBERS = """
INSERT INTO projects_setmembersubject (subject_set_id, subject_id)
SELECT %s, id FROM unnest(%b::bigint[]) AS id ORDER BY id
ON CONFLICT (subject_set_id, subject_id) DO NOTHING
"""


@transaction.atomic
def make_subjects(*, project: Project, product_ids: list[int]) -> int:
    """One subject for each plane of the products, in the subject sets of the workflows of its kind.

    Returns:
        How many subjects are new; a plane that is a subject already stays one subject.
    """
    connection.ensure_connection()
    # Bound by the server: Django's own cursor would write a thousand ids into each statement.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        found = {kind: (ids, planes) for kind, ids, planes in cursor.execute(_SUBJECTS, [product_ids, project.pk])}
        for kind in ("image", "spectrum"):
            sets = SubjectSet.objects.filter(workflows__project=project, workflows__subject_kind=kind).distinct()
            set_ids = list(sets.order_by("id").values_list("id", flat=True))
            ids, planes = found.get(kind, ([], None))
            if set_ids and len(ids) != planes:
                # Some were subjects before, perhaps in fewer sets.
                (ids,) = cursor.execute(_OLD_SUBJECTS, [product_ids, project.pk, kind]).fetchone() or (None,)
            for subject_set_id in set_ids:
                cursor.execute(_MEMBERS, [subject_set_id, ids or []])
    return sum(len(ids) for ids, _ in found.values())
