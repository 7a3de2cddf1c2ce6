"""A large project by SQL: subjects with planes and pictures, predictions, routes, votes, consensus and skill."""

from __future__ import annotations

import uuid
from typing import Any

VOTES = 10
ANSWERS = ["elliptical", "spiral", "edge-on", "merger", "star", "artifact"]
BATCH = 20_000

SUBJECTS = """
WITH product AS (
    INSERT INTO archive_product (batch_id, uri, dp_id, state, kind, error_code, error_detail, sha256, object_name,
        instrument, telescope, product_category, proposal_id, filter_name, header, observed_at)
    SELECT %(batch)s, '/bench/' || %(name)s || i, %(name)s || i, CASE WHEN i %% 100 = 0 THEN 'rejected' ELSE 'ingested'
        END, 'image', CASE WHEN i %% 100 = 0 THEN 'fits_truncated' ELSE '' END, '',
        md5(%(name)s || i) || md5(i || %(name)s), '', 'SIMCAM', '', '', '', 'r', '{}',
        timestamptz '2026-03-01 00:00Z' + (i / 1000) * interval '14.6 hours'
    FROM generate_series(%(start)s, %(start)s + %(count)s - 1) i RETURNING id
), plane AS (
    INSERT INTO archive_plane (product_id, number, shard_id, shard_index, scale, background, noise, missing_share,
        saturated_share, coverage, usable)
    SELECT id, 0, %(shard)s, row_number() OVER (ORDER BY id) - 1, 1, 0, 1, 0, 0, 1, true FROM product RETURNING id
), subject AS (
    INSERT INTO projects_subject (project_id, plane_id, kind, metadata, updated_at)
    SELECT %(project)s, id, 'image', jsonb_build_object('object', 'ESO ' || id, 'filter', 'r'), now() FROM plane
    RETURNING id
), media AS (
    INSERT INTO projects_media (subject_id, role, position, media_type, name, path, size_bytes)
    SELECT id, 'location', 0, 'image/jpeg', gen_random_uuid(), id || '.jpg', 1 FROM subject
), prediction AS (
    INSERT INTO machine_prediction (subject_id, model_version_id, probabilities, embedding, strangeness)
    SELECT id, %(model)s, array_fill(0.02::float8, ARRAY[6]) || ARRAY[]::float8[],
        (SELECT array_agg(CASE WHEN d %% 6 = s.id %% 6 THEN 1.0 ELSE 0.0 END + 0.4 * random())::halfvec(128)
         FROM generate_series(1, 128) d WHERE s.id IS NOT NULL), -3 + random()
    FROM subject s RETURNING id
), route AS (
    INSERT INTO machine_route (prediction_id, policy_id, threshold_id, decision, reason, acceptable, answer, score,
        probability, ood_p, ood_distance, information_bits)
    SELECT id, %(policy)s, %(threshold)s, CASE WHEN id %% 10 < 2 THEN 'accept' WHEN id %% 10 = 2 THEN 'audit'
        WHEN id %% 100 = 3 THEN 'experts' ELSE 'volunteers' END, 'none', true, id %% 6, 1 - random() ^ 3, 0.9, random(),
        random(), random() FROM prediction
)
INSERT INTO projects_setmembersubject (subject_set_id, subject_id) SELECT %(set)s, id FROM subject
"""

# Everything below is about the workflow's subjects `s`; numbered, so that shares are exact.
STATUSES = """
INSERT INTO crowd_subjectstatus (workflow_id, subject_id, route_id, audience, state, blind, machine_answer, priority,
    epoch_id, classifications_count, retired_at, retirement_reason, retirement_cause, retired_epoch_number,
    retired_count, retired_answer, retired_probability, review)
SELECT %(workflow)s, p.subject_id, r.id, CASE WHEN r.decision = 'experts' THEN 'experts' ELSE 'volunteers' END,
    CASE WHEN r.id %% 2 = 0 AND r.decision <> 'experts' THEN 'retired' WHEN r.id %% 50 = 7 THEN 'contested'
        ELSE 'open' END,
    r.decision = 'audit', r.answer, -r.information_bits, %(epoch)s, %(votes)s,
    CASE WHEN r.id %% 2 = 0 AND r.decision <> 'experts' THEN now() - random() * interval '90 days' END,
    CASE WHEN r.id %% 2 = 0 AND r.decision <> 'experts' THEN 'consensus' ELSE '' END,
    CASE WHEN r.id %% 2 = 0 AND r.decision <> 'experts' THEN 'rule' ELSE '' END, 1, %(votes)s, r.answer, 0.97,
    CASE WHEN r.id %% 50 = 7 AND r.decision <> 'experts' THEN 'contested' WHEN r.id %% 40 = 2 THEN 'flagged' ELSE '' END
FROM machine_route r JOIN machine_prediction p ON p.id = r.prediction_id WHERE r.policy_id = %(policy)s
"""
REST = """
INSERT INTO crowd_consensus (status_id, task_key, log_posterior, answer_counts, answer, probability, majority, flagged)
SELECT id, 'T0', ARRAY[0, 0, 0, 0, 0, 0], ARRAY[6, 2, 1, 1, 0, 0], COALESCE(machine_answer, 0), 0.97,
    COALESCE(machine_answer, 0), review = 'flagged' FROM crowd_subjectstatus WHERE workflow_id = %(workflow)s;
INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count)
SELECT id, 'open', state, 'submission', retirement_reason, %(votes)s FROM crowd_subjectstatus
WHERE workflow_id = %(workflow)s AND state <> 'open';
ANALYZE;
INSERT INTO accounts_volunteer (anonymous_key)
SELECT %(name)s || n FROM generate_series(1, %(volunteers)s) n;
INSERT INTO crowd_skill (epoch_id, task_key, volunteer_id, terms, skill_bits, lower_bits, upper_bits, accuracy,
    answers_fitted, gold_seen, gold_right, muted)
SELECT %(epoch)s, 'T0', id, array_fill(0::bigint, ARRAY[36]), 1 + random(), 0.9, 2.1, 0.6 + 0.3 * random(),
    (1000 * random())::int, 5, 4, id %% 50 = 0 FROM accounts_volunteer WHERE anonymous_key LIKE %(name)s || '%%';
INSERT INTO crowd_classification (workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
    workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, counted, ip_key)
SELECT %(workflow)s, s.subject_id, v.id, %(name)s || s.subject_id || '-' || k, '', 1, 1,
    '[{"task": "T0", "value": 1}]', '{}', false, '', true, ''
FROM (SELECT subject_id, row_number() OVER (ORDER BY id) AS n FROM crowd_subjectstatus
    WHERE workflow_id = %(workflow)s) s
CROSS JOIN generate_series(0, %(votes)s - 1) k
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM accounts_volunteer
    WHERE anonymous_key LIKE %(name)s || '%%') v ON v.n = (s.n * 7 + k) %% %(volunteers)s;
ANALYZE;
INSERT INTO crowd_answer (classification_id, status_id, volunteer_id, task_key, answer, counted)
SELECT c.id, s.id, c.volunteer_id, 'T0', (c.id + s.id) %% 6, true FROM crowd_classification c
JOIN crowd_subjectstatus s ON s.workflow_id = c.workflow_id AND s.subject_id = c.subject_id
WHERE c.workflow_id = %(workflow)s
"""


def fill(size: int, *, name: str) -> Any:
    """A workflow of `size` subjects with ten classifications each, by a tenth as many volunteers. Returns it."""
    from django.db import connection, transaction

    from esocs.archive.models import IngestBatch, Shard
    from esocs.crowd.epochs import ensure_epoch
    from esocs.crowd.models import SkillEpoch
    from esocs.machine import monitoring, similar
    from esocs.projects.models import WorkflowVersion  # noqa: F401 - the registry must be whole
    from tests.support import factories
    from tests.support.routes import make_champion, make_policy

    owner = factories.make_user(f"{name}-{uuid.uuid4().hex[:6]}")
    project = factories.make_project(owner=owner, display_name=name, live=True)
    workflow = factories.make_workflow(project, answers=tuple(ANSWERS))
    ensure_epoch(workflow)
    policy = make_policy(make_champion(workflow))
    given: dict[str, Any] = {
        "name": f"{name}-",
        "project": project.pk,
        "workflow": workflow.pk,
        "set": workflow.subject_sets.get().pk,
        "model": policy.model_version_id,
        "policy": policy.pk,
        "threshold": policy.thresholds.get().pk,
        "epoch": SkillEpoch.objects.get(workflow=workflow, current=True).pk,
        "votes": VOTES,
        "volunteers": max(VOTES, size // 10),
    }
    with connection.cursor() as cursor:
        # Rows of one's own making need no check of what they refer to, which is half of the time.
        cursor.execute("SET session_replication_role = replica")
        for start in range(0, size, BATCH):
            count = min(BATCH, size - start)
            batch = IngestBatch.objects.create(source=f"{name} {start}", created_by=owner)
            shard = Shard.objects.create(
                batch=batch, kind="image", path=f"{batch.pk}.npy", sha256="0" * 64, shape=[count, 128, 128]
            )
            cursor.execute(SUBJECTS, given | {"batch": batch.pk, "start": start, "count": count, "shard": shard.pk})
        for statement in [STATUSES, *REST.split(";\n")]:
            cursor.execute(statement, given)
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM ANALYZE")
    similar.build_index(policy.model_version)
    with transaction.atomic():
        monitoring.count_drift(policy)()
    return workflow
