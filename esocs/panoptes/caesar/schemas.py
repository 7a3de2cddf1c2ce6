"""Caesar's documents in OpenAPI's words. `esocs.crowd.caesar.documents` makes what this describes."""

from __future__ import annotations

from esocs.panoptes.schema import COUNT, FLAG, MAP, TEXT, TIME, Schema, nullable, object_of

NUMBER: Schema = {"type": "integer", "minimum": 1}
TIMES: dict[str, Schema] = {"created_at": TIME, "updated_at": TIME}
ANYTHING: Schema = {}

CAESAR: dict[str, Schema] = {
    "CaesarWorkflow": object_of(
        id=NUMBER,
        project_id=NUMBER,
        name=TEXT,
        public_extracts=FLAG,
        public_reductions=FLAG,
        rules_applied={"type": "string", "enum": ["all_matching_rules", "first_matching_rule"]},
        status={"type": "string", "enum": ["active", "paused", "halted"]},
        **TIMES,
    ),
    "CaesarExtractor": object_of(
        id=NUMBER,
        workflow_id=NUMBER,
        key=TEXT,
        type=TEXT,
        task_key=TEXT,
        if_missing=TEXT,
        minimum_workflow_version=nullable(TEXT),
        config=MAP,
        **TIMES,
    ),
    "CaesarReducer": object_of(
        id=NUMBER,
        workflow_id=NUMBER,
        key=TEXT,
        type=TEXT,
        topic=TEXT,
        reduction_mode=TEXT,
        filters=MAP,
        grouping=MAP,
        config=MAP,
        **TIMES,
    ),
    "CaesarRule": object_of(
        id=NUMBER, workflow_id=NUMBER, condition={"type": "array", "items": {}}, row_order=COUNT, **TIMES
    ),
    "CaesarEffect": object_of(
        ("subject_rule_id", "user_rule_id"),
        id=NUMBER,
        subject_rule_id=NUMBER,
        user_rule_id=NUMBER,
        action=TEXT,
        config=MAP,
        **TIMES,
    ),
    "CaesarExtract": object_of(
        id=NUMBER,
        workflow_id=NUMBER,
        extractor_key=TEXT,
        classification_id=nullable(NUMBER),
        classification_at=nullable(TIME),
        subject_id=NUMBER,
        user_id=nullable(NUMBER),
        machine_data=FLAG,
        data=MAP,
        **TIMES,
    ),
    "CaesarReduction": object_of(
        ("subject_id", "user_id"),
        id=NUMBER,
        reducer_key=TEXT,
        workflow_id=NUMBER,
        reducible=object_of(id=NUMBER, type=TEXT),
        subject_id=NUMBER,
        user_id=NUMBER,
        subgroup=TEXT,
        data=ANYTHING,
        failure=nullable(TEXT),
        **TIMES,
    ),
    "CaesarImport": object_of(
        id=NUMBER,
        workflow_id=NUMBER,
        file=TEXT,
        state={"type": "string", "enum": ["importing", "finished", "failed"]},
        progress={"type": "array", "items": COUNT},
        rows_read=nullable(COUNT),
        rows_kept=COUNT,
        problems={"type": "array", "items": object_of(line=COUNT, message=TEXT)},
        failure=nullable(TEXT),
        created_at=TIME,
        finished_at=nullable(TIME),
    ),
}
