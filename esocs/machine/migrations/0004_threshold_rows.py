"""Policies had one threshold in a column; it becomes a row. What was withdrawn was so since its policy was made."""

from django.db import migrations, models

MOVE = """
UPDATE machine_routingpolicy SET withdrawn_at = created_at, withdrawn_because = 'not recorded'
WHERE state = 'withdrawn';

INSERT INTO machine_threshold
    (policy_id, number, strata, answer, alpha, delta, value, sample_size, accepted, errors, steps)
SELECT p.id, 0, ARRAY[''], NULL, p.alpha, p.delta, p.threshold, p.calibrated_on, passed.accepted, passed.errors,
    coalesce(p.evidence->'steps', '[]')
FROM machine_routingpolicy p CROSS JOIN LATERAL (
    SELECT coalesce(max((step->>1)::int), 0) AS accepted, coalesce(max((step->>2)::int), 0) AS errors
    FROM jsonb_array_elements(coalesce(p.evidence->'steps', '[]')) step
    WHERE (step->>3)::float8 <= p.delta
) passed;

UPDATE machine_route r
SET threshold_id = t.id,
    acceptable = r.decision = 'accept'
        OR (coalesce(pl.usable, true) AND r.ood_p >= p.ood_p_min AND coalesce(r.score >= t.value, false))
FROM machine_threshold t
JOIN machine_routingpolicy p ON p.id = t.policy_id, machine_prediction pr
JOIN projects_subject s ON s.id = pr.subject_id LEFT JOIN archive_plane pl ON pl.id = s.plane_id
WHERE r.policy_id = t.policy_id AND pr.id = r.prediction_id;

-- The columns are removed in the same transaction.
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("machine", "0003_thresholds"),
    ]

    operations = [
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="routingpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "active"), ("withdrawn_at__isnull", True)),
                    models.Q(("state", "withdrawn"), ("withdrawn_at__isnull", False)),
                    _connector="OR",
                ),
                name="routing_policy_withdrawn_when",
            ),
        ),
        migrations.RemoveField(
            model_name="routingpolicy",
            name="evidence",
        ),
        migrations.RemoveField(
            model_name="routingpolicy",
            name="threshold",
        ),
    ]
