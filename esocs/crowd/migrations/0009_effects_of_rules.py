"""A rule's effect becomes a row of its own, since one of Caesar's may have several."""

from django.db import migrations

FORWARDS = """
INSERT INTO crowd_ruleeffect (subject_rule_id, action, reason, subject_set_id, config, created_at, updated_at)
SELECT id, CASE effect WHEN 'retire' THEN 'retire_subject' ELSE 'add_subject_to_set' END, reason, subject_set_id, '{}',
    created_at, created_at
FROM crowd_subjectrule WHERE template <> '' ORDER BY id;
-- What was ordered keeps its place in the ledger, so that nothing is done a second time.
UPDATE jobs_job j SET key = 'effect/' || e.id || '/subject/' || (j.payload->>'subject_id'),
    payload = jsonb_build_object('effect_id', e.id, 'subject_id', j.payload->'subject_id')
FROM crowd_ruleeffect e
WHERE j.kind = 'crowd.apply_rule' AND j.payload ? 'rule_id'
    AND e.subject_rule_id = (j.payload->>'rule_id')::bigint;
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("crowd", "0008_caesar"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(FORWARDS, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="subjectrule", name="subject_rule_has_its_set"),
        migrations.RemoveField(model_name="subjectrule", name="effect"),
        migrations.RemoveField(model_name="subjectrule", name="reason"),
        migrations.RemoveField(model_name="subjectrule", name="subject_set"),
    ]
