"""The live path's work in the database, as functions there: reading a status, storing an answer, handing out.

Each of their statements is planned once a connection and touches the rows it needs; as one large statement the same
work costs more to set up than to do. They are written anew after every `migrate`, so this module is the source of
truth. Nothing here decides what an answer means: sums, states and reasons come from Python as parameters.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connections, transaction

# Long enough for a page with a queue and a slow decision; an abandoned subject is soon free again.
RESERVED_FOR = "15 minutes"

# What waits for volunteers, and for experts: what was routed to them, and what they are to look at again. Written into
# the text, not bound: only then may a plan use the partial indexes of the queue.
WAITING = {
    "volunteers": "(st.state = 'open' AND st.audience = 'volunteers')",
    "experts": "((st.state = 'open' AND st.audience = 'experts') OR st.review <> '')",
}
# OFFSET 0 keeps it a look-up by index for each subject: a join would read all that the volunteer ever answered for each
# of them. A volunteer answers once; an expert may answer what they classified before they were asked as one.
UNANSWERED = {
    "volunteers": """NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = p_volunteer
                    AND c.workflow_id = p_workflow AND c.subject_id = st.subject_id OFFSET 0)""",
    "experts": """NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = p_volunteer
                    AND c.workflow_id = p_workflow AND c.subject_id = st.subject_id AND c.gold_standard OFFSET 0)""",
}

# How many people may be asked at once: the limit of classification_count; for a consensus the fewest that can settle it
# (two where the machine has an opinion), then one at a time, because each answer may be the last one needed. Of one's
# own, a reservation is as good as any number of others'.
ROOM = """(SELECT count(*) + 1000000 * count(*) FILTER (WHERE a.volunteer_id = p_volunteer)
                        FROM crowd_assignment a WHERE a.status_id = st.id AND a.expires_at > now())
                    + st.classifications_count < CASE
                        WHEN criteria = 'never_retire' OR st.review <> '' THEN st.classifications_count + 1000000
                        WHEN st.audience = 'experts' THEN st.classifications_count + 1
                        WHEN criteria = 'consensus' THEN GREATEST(
                            CASE WHEN st.machine_answer IS NULL THEN fewest ELSE LEAST(fewest, 2) END,
                            st.classifications_count + 1)
                        ELSE most END"""

# Rows that somebody else is just taking are skipped, not waited for. A statement does not see what others committed
# since it began; the next one does. So the rows are locked by one, and by the next those are left out that somebody
# faster has filled. Whoever is to be asked again for what they hold comes first.
HAND_OUT = """
CREATE FUNCTION crowd_hand_out_{audience}(p_workflow bigint, p_volunteer bigint, p_limit int,
    p_held bigint[], p_resume boolean, p_set bigint) RETURNS bigint[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    criteria text; most int; fewest int;
    kept bigint[] := '{{}}'; locked bigint[]; tried bigint[] := '{{}}'; fresh bigint[] := '{{}}';
BEGIN
    SELECT w.retirement->>'criteria', COALESCE((w.retirement#>>'{{options,count}}')::int, 15),
        COALESCE((w.retirement#>>'{{options,minimum}}')::int, 3)
    INTO criteria, most, fewest FROM projects_workflow w WHERE w.id = p_workflow AND w.active;
    IF NOT FOUND THEN RETURN kept; END IF;
    IF p_resume THEN
        -- Another page of the same volunteer may be taking its queue back: then these wait for its next request.
        kept := ARRAY(
            SELECT st.id FROM crowd_assignment a JOIN crowd_subjectstatus st ON st.id = a.status_id
            WHERE a.volunteer_id = p_volunteer AND st.workflow_id = p_workflow AND {waiting}
                AND a.expires_at > now() AND st.subject_id <> ALL(p_held)
                AND {unanswered}
            LIMIT p_limit FOR UPDATE OF a SKIP LOCKED);
    END IF;
    WHILE cardinality(kept) + cardinality(fresh) < p_limit LOOP
        IF p_set IS NULL THEN
            locked := ARRAY(
                SELECT st.id FROM crowd_subjectstatus st
                WHERE st.workflow_id = p_workflow AND {waiting}
                    AND st.subject_id <> ALL(p_held) AND st.id <> ALL(tried)
                    AND {unanswered}
                    AND {room}
                ORDER BY st.priority, st.random_key LIMIT p_limit - cardinality(kept) - cardinality(fresh)
                FOR NO KEY UPDATE SKIP LOCKED);
        ELSE
            locked := ARRAY(
                SELECT st.id FROM crowd_subjectstatus st
                WHERE st.workflow_id = p_workflow AND {waiting}
                    AND st.subject_id <> ALL(p_held) AND st.id <> ALL(tried)
                    AND EXISTS (SELECT 1 FROM projects_setmembersubject m
                        WHERE m.subject_set_id = p_set AND m.subject_id = st.subject_id)
                    AND {unanswered}
                    AND {room}
                ORDER BY st.priority, st.random_key LIMIT p_limit - cardinality(kept) - cardinality(fresh)
                FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        EXIT WHEN locked = '{{}}';
        tried := tried || locked;
        fresh := fresh || ARRAY(SELECT st.id FROM crowd_subjectstatus st WHERE st.id = ANY(locked) AND {room});
    END LOOP;
    INSERT INTO crowd_assignment (status_id, volunteer_id, expires_at)
    SELECT x.id, p_volunteer, now() + interval '{reserved}' FROM unnest(kept || fresh) AS x(id)
    ON CONFLICT (status_id, volunteer_id) DO UPDATE SET expires_at = EXCLUDED.expires_at, served_at = now();
    RETURN kept || fresh;
END $$
"""

# An array for each subject, in the order in which they are to be asked: what is shown, and at the end the status as
# `crowd_read_status` reads it.
SHOW = """
CREATE FUNCTION crowd_show(p_statuses bigint[]) RETURNS json
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT json_agg(json_build_array(s.id, s.kind, s.metadata, s.created_at, s.updated_at, now(),
            (SELECT json_agg(json_build_array(m.role, m.media_type, m.path) ORDER BY m.position)
                FROM projects_media m WHERE m.subject_id = s.id),
            json_build_array(st.workflow_id, st.id, st.xmin::text, st.state, st.audience, st.review, st.epoch_id,
                st.machine_answer, st.machine_prior, st.classifications_count, st.training,
                (SELECT json_agg(json_build_array(c.task_key, c.log_posterior, c.answer_counts))
                    FROM crowd_consensus c WHERE c.status_id = st.id))) ORDER BY st.priority, st.random_key)
        FROM crowd_subjectstatus st JOIN projects_subject s ON s.id = st.subject_id
        WHERE st.id = ANY(p_statuses));
END $$
"""

# A reservation that a crash forgets is made again: alone, it need not wait for the disk.
RESERVE = """
CREATE FUNCTION crowd_reserve_{audience}(p_workflow bigint, p_volunteer bigint, p_limit int,
    p_held bigint[], p_resume boolean, p_set bigint) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN crowd_show(crowd_hand_out_{audience}(p_workflow, p_volunteer, p_limit, p_held, p_resume, p_set));
END $$
"""

# Stable: all of it is read as of one moment. `seen` is the version of the row; `facts` that of what is known of the
# workflow (`crowd.facts`). The volunteer's own terms come too unless they are known under that version.
READ_STATUS = """
CREATE FUNCTION crowd_read_status(p_workflow bigint, p_subject bigint, p_volunteer bigint, p_known bigint,
    OUT id bigint, OUT state text, OUT audience text, OUT review text, OUT epoch_id bigint,
    OUT machine_answer int, OUT machine_prior bigint[], OUT n int, OUT training boolean, OUT seen text,
    OUT held boolean, OUT answered_before boolean, OUT facts bigint, OUT sums json, OUT own json)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    SELECT st.id, st.state, st.audience, st.review, st.epoch_id, st.machine_answer, st.machine_prior,
        st.classifications_count, st.training, st.xmin::text,
        a.served_at IS NOT NULL AND (st.retired_at IS NULL OR a.served_at <= st.retired_at),
        EXISTS (SELECT 1 FROM crowd_classification c WHERE c.workflow_id = p_workflow AND c.subject_id = p_subject
            AND c.volunteer_id = p_volunteer AND c.counted),
        (SELECT f.version FROM crowd_factsversion f WHERE f.workflow_id = p_workflow)
    INTO id, state, audience, review, epoch_id, machine_answer, machine_prior, n, training, seen, held,
        answered_before, facts
    FROM crowd_subjectstatus st
    LEFT JOIN crowd_assignment a ON a.status_id = st.id AND a.volunteer_id = p_volunteer
    WHERE st.workflow_id = p_workflow AND st.subject_id = p_subject;
    IF FOUND THEN
        sums := (SELECT json_agg(json_build_array(c.task_key, c.log_posterior, c.answer_counts))
            FROM crowd_consensus c WHERE c.status_id = crowd_read_status.id);
    END IF;
    IF p_known IS DISTINCT FROM facts THEN
        own := (SELECT json_agg(json_build_array(s.epoch_id, s.task_key, s.terms))
            FROM crowd_skill s JOIN crowd_skillepoch e ON e.id = s.epoch_id
            WHERE s.volunteer_id = p_volunteer AND e.workflow_id = p_workflow);
    END IF;
END $$
"""

CONSENSUS_COLUMNS = (
    "status_id, task_key, log_posterior, answer_counts, answer, probability, majority, flagged, updated_at"
)
CONSENSUS_CONFLICT = """ON CONFLICT (status_id, task_key) DO UPDATE SET log_posterior = EXCLUDED.log_posterior,
            answer_counts = EXCLUDED.answer_counts, answer = EXCLUDED.answer, probability = EXCLUDED.probability,
            majority = EXCLUDED.majority, flagged = EXCLUDED.flagged, updated_at = EXCLUDED.updated_at"""

# Nothing happens unless the row is the very version that was read, and with `p_facts` the workflow too: whoever was
# faster made it another one, and a row that is locked is looked at again when its lock is free. No `id` either when the
# key was used before or, which only a guess (`crowd.recalled`) does not know, the volunteer has answered. Answers are
# kept as they were given: their indices are those of the classification's own version. What the classification does to
# its subject was reckoned from that version of the row (`crowd.live`); `p_state` is null where the state stays. `made`
# is then the version that this makes. Loops, because there is mostly one answer, and one row takes half of what a set
# of one takes.
STORE = f"""
CREATE FUNCTION crowd_store(
    p_status bigint, p_seen xid, p_facts bigint,
    p_workflow bigint, p_subject bigint, p_volunteer bigint, p_key text, p_sha256 text,
    p_major int, p_minor int, p_annotations jsonb, p_metadata jsonb, p_gold boolean, p_expert text, p_ip text,
    p_counted boolean, p_tasks text[], p_answers int[], p_derived boolean,
    p_epoch bigint, p_questions text[], p_sums text[], p_counts text[], p_leading int[], p_probabilities float8[],
    p_majorities int[], p_flagged boolean[],
    p_before text, p_state text, p_reason text, p_review text, p_number int, p_n int, p_answer int,
    p_probability float8,
    p_limit int, p_held bigint[], p_resume boolean,
    OUT seen boolean, OUT id bigint, OUT created_at timestamptz, OUT subjects json, OUT made text)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    retires boolean := p_state = 'retired';
BEGIN
    PERFORM 1 FROM crowd_subjectstatus st WHERE st.id = p_status AND st.xmin = p_seen
        AND (p_facts IS NULL OR p_facts = (SELECT f.version FROM crowd_factsversion f WHERE f.workflow_id = p_workflow))
    FOR NO KEY UPDATE;
    seen := FOUND;
    IF NOT seen THEN RETURN; END IF;
    INSERT INTO crowd_classification AS c (workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
        workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, ip_key, counted)
    VALUES (p_workflow, p_subject, p_volunteer, p_key, p_sha256, p_major, p_minor, p_annotations, p_metadata, p_gold,
        p_expert, p_ip, p_counted)
    ON CONFLICT DO NOTHING RETURNING c.id, c.created_at INTO id, created_at;
    IF id IS NULL THEN RETURN; END IF;
    FOR i IN 1..cardinality(p_tasks) LOOP
        INSERT INTO crowd_answer (classification_id, status_id, volunteer_id, task_key, answer, counted)
        VALUES (crowd_store.id, p_status, p_volunteer, p_tasks[i], p_answers[i], p_counted);
    END LOOP;
    DELETE FROM crowd_assignment a WHERE a.status_id = p_status AND a.volunteer_id = p_volunteer;
    IF p_counted THEN
        FOR i IN 1..cardinality(p_questions) LOOP
            INSERT INTO crowd_consensus ({CONSENSUS_COLUMNS})
            VALUES (p_status, p_questions[i], p_sums[i]::bigint[], p_counts[i]::int[], p_leading[i],
                p_probabilities[i], p_majorities[i], p_flagged[i], now())
            {CONSENSUS_CONFLICT};
        END LOOP;
        IF p_state IS NULL THEN
            UPDATE crowd_subjectstatus st SET classifications_count = st.classifications_count + 1,
                epoch_id = COALESCE(p_epoch, st.epoch_id), updated_at = now()
            WHERE st.id = p_status RETURNING st.xmin::text INTO made;
        ELSE
            INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, epoch_number,
                classifications_count, answer, probability)
            VALUES (p_status, p_before, p_state, 'submission', p_reason, p_number, p_n, p_answer, p_probability);
            UPDATE crowd_subjectstatus st SET classifications_count = st.classifications_count + 1,
                epoch_id = COALESCE(p_epoch, st.epoch_id), updated_at = now(), state = p_state,
                audience = CASE WHEN p_state = 'contested' THEN 'experts'
                    WHEN st.state = 'contested' THEN 'volunteers' ELSE st.audience END,
                -- An audit that was drawn goes on, whatever else becomes of the subject.
                review = CASE WHEN st.review = 'audit' THEN st.review ELSE p_review END,
                retirement_reason = p_reason,
                retired_at = CASE WHEN retires THEN now() END,
                retirement_cause = CASE WHEN retires THEN 'rule' ELSE '' END,
                retired_epoch_number = CASE WHEN retires THEN p_number END,
                retired_count = CASE WHEN retires THEN p_n END,
                retired_answer = CASE WHEN retires THEN p_answer END,
                retired_probability = CASE WHEN retires THEN p_probability END
            WHERE st.id = p_status;
        END IF;
    END IF;
    IF p_derived THEN
        -- What is derived of the classification follows in the background (crowd.caesar.deriving).
        INSERT INTO crowd_underived (workflow_id, subject_id, classification_id, reconsider)
        VALUES (p_workflow, p_subject, crowd_store.id, false);
    END IF;
    IF p_limit > 0 THEN
        subjects := crowd_show(crowd_hand_out_volunteers(p_workflow, p_volunteer, p_limit, p_held, p_resume, NULL));
    END IF;
END $$
"""


def install_functions(using: str = "default", **_signal: Any) -> None:
    """Write the functions as they stand here, unless they are there already; a `post_migrate` handler."""
    texts = {"crowd_show": SHOW, "crowd_read_status": READ_STATUS, "crowd_store": STORE}
    for audience, waiting in WAITING.items():
        parts = {"waiting": waiting, "unanswered": UNANSWERED[audience], "room": ROOM}
        texts[f"crowd_hand_out_{audience}"] = HAND_OUT.format(audience=audience, reserved=RESERVED_FOR, **parts)
        texts[f"crowd_reserve_{audience}"] = RESERVE.format(audience=audience)
    edition = hashlib.sha256("".join(texts.values()).encode()).hexdigest()
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regproc('crowd_store'), 'pg_proc') = %s", [edition])
        if cursor.fetchone()[0]:
            return
        for name, text in texts.items():
            # Not replaced: what it takes and gives may have changed.
            cursor.execute(f"DROP FUNCTION IF EXISTS {name}")
            cursor.execute(text)
        cursor.execute(f"COMMENT ON FUNCTION crowd_store IS '{edition}'")
