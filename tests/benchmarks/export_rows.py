"""100,000 classifications to Panoptes' CSV, labels resolved, beside PostgreSQL's own COPY … TO of the same columns.

The peer writes what is stored, as it is stored: the least that any export must do. Each runs in a process of its own,
so that its peak memory is its own; the first tenth of the rows is exported too, to see whether memory stays flat.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import SETTINGS, own_database

VOTES_A_SUBJECT = 5
VOLUNTEERS = 500
ANSWERS = ["elliptical", "spiral, or a 🌀", "edge-on", "merger", "star", "artifact"]

FILL = """
INSERT INTO projects_subject (project_id, kind, updated_at, metadata)
SELECT %(project)s, 'image', now(), jsonb_build_object('object', 'ESO ' || n, 'filter', 'r_SDSS', 'seeing', 0.71,
    'ra', 10.0 + n * 1e-4, 'dec', -30.0 + n * 1e-4, 'exptime', 360, '#dp_id', 'ADP.2026-01-01T00:00:00.' || n)
FROM generate_series(1, %(subjects)s) n;
INSERT INTO crowd_subjectstatus (workflow_id, subject_id, audience, state, blind, priority, classifications_count,
    retired_at, retirement_reason, retirement_cause, review)
SELECT %(workflow)s, id, 'volunteers', CASE WHEN id %% 2 = 0 THEN 'retired' ELSE 'open' END, false, 0, %(votes)s,
    CASE WHEN id %% 2 = 0 THEN now() END, CASE WHEN id %% 2 = 0 THEN 'consensus' ELSE '' END, '', ''
FROM projects_subject WHERE project_id = %(project)s;
INSERT INTO accounts_volunteer (anonymous_key) SELECT 'bench-' || n FROM generate_series(1, %(volunteers)s) n;
INSERT INTO crowd_classification (workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
    workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, counted, ip_key)
SELECT %(workflow)s, s.id, v.id, md5(s.id || '-' || v.id), '', 1, 1,
    jsonb_build_array(jsonb_build_object('task', 'T0', 'value', (s.id + v.id) %% 6)),
    jsonb_build_object('started_at', '2026-01-31T12:00:00.000Z', 'finished_at', '2026-01-31T12:00:02.500Z',
        'user_agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0',
        'user_language', 'en', 'utc_offset', '0', 'source', 'api', 'live_project', true,
        'session', md5(v.id::text) || md5(v.id::text || 'b'),
        'viewport', jsonb_build_object('width', 1400, 'height', 1000),
        'subject_dimensions', jsonb_build_array(jsonb_build_object('clientWidth', 882, 'clientHeight', 882,
            'naturalWidth', 424, 'naturalHeight', 424))),
    false, '', true, ''
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM projects_subject WHERE project_id = %(project)s) s
CROSS JOIN generate_series(0, %(votes)s - 1) k
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM accounts_volunteer
    WHERE anonymous_key LIKE 'bench-%%') v
    ON v.n = (s.n * %(votes)s + k) %% %(volunteers)s
LIMIT %(rows)s;
"""

# The same columns, unresolved and as the database writes them.
COPY = """
COPY (
    SELECT c.id, COALESCE(u.login, 'not-logged-in-' || v.anonymous_key), v.user_id, c.ip_key, c.workflow_id,
        w.display_name, c.workflow_major || '.' || c.workflow_minor, c.created_at, c.gold_standard, c.expert,
        c.metadata, c.annotations,
        jsonb_build_object(s.id, s.metadata || jsonb_build_object('retired', st.retired_at)), c.subject_id
    FROM crowd_classification c
    JOIN accounts_volunteer v ON v.id = c.volunteer_id
    LEFT JOIN accounts_user u ON u.id = v.user_id
    JOIN projects_workflow w ON w.id = c.workflow_id
    JOIN projects_subject s ON s.id = c.subject_id
    LEFT JOIN crowd_subjectstatus st ON st.workflow_id = c.workflow_id AND st.subject_id = c.subject_id
    WHERE c.workflow_id = {workflow} ORDER BY c.id
) TO STDOUT WITH (FORMAT csv, HEADER)
"""


def main() -> None:
    """Fill the database, export by both, and print the figures."""
    run("export_rows", description=__doc__, size=100_000)


def run(name: str, *, description: str | None, size: int) -> None:
    """The benchmark under a name and a default size; `panoptes_export` is the same work on a million rows."""
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        print(json.dumps(PARTS[sys.argv[1]](int(sys.argv[2]))))
        return
    arguments = parse_arguments(description=description, size=size, size_help="classifications")
    with own_database():
        workflow_id = fill(arguments.size)
        tenth = fill(max(1, arguments.size // 10))
        small = _in_own_process("esocs", tenth)
        ours = _in_own_process("esocs", workflow_id)
        peer = _in_own_process("copy", workflow_id)
    keys = ("rows", "rows_per_s", "first_byte_s", "peak_memory_mb", "megabytes")
    figures = {"esocs, a tenth": small, "esocs": ours, "PostgreSQL COPY … TO, unresolved": peer}
    print_table(("export", *keys), [(what, *(each[key] for key in keys)) for what, each in figures.items()])
    print_result(
        name=name,
        ours=ours["rows_per_s"],
        peer=peer["rows_per_s"],
        unit="rows/s",
        rows_per_s=ours["rows_per_s"],
        first_byte_s=ours["first_byte_s"],
        peak_memory_mb=ours["peak_memory_mb"],
        peak_memory_mb_of_a_tenth=small["peak_memory_mb"],
        rows=ours["rows"],
        cpu_s=ours["cpu_s"],
    )


def fill(rows: int) -> int:
    """A project with one workflow and that many classifications. Returns the workflow's id."""
    import uuid

    from django.db import connection

    from esocs.accounts.services import sign_up
    from esocs.projects.services import create_project, create_workflow

    owner = sign_up(login=f"owner{rows}", password=uuid.uuid4().hex)
    project = create_project(owner=owner, display_name=f"Bench {rows}", live=True)
    workflow = create_workflow(
        project=project, display_name="Shapes", subject_kind="image", question="What is it?", answers=ANSWERS
    )
    parameters = {
        "project": project.pk,
        "workflow": workflow.pk,
        "rows": rows,
        "subjects": -(-rows // VOTES_A_SUBJECT),
        "votes": VOTES_A_SUBJECT,
        "volunteers": VOLUNTEERS,
    }
    with connection.cursor() as cursor:
        for statement in FILL.replace("'bench-", f"'bench-{rows}-").split(";\n"):
            if statement.strip():
                cursor.execute(statement, parameters)
        cursor.execute("ANALYZE")
    return workflow.pk


def _in_own_process(part: str, workflow_id: int) -> dict[str, Any]:
    module = sys.modules["__main__"].__spec__
    assert module is not None
    command = [sys.executable, "-m", module.name, part, str(workflow_id)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": SETTINGS}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


def export_by_esocs(workflow_id: int) -> dict[str, Any]:
    """The product's own export, from the order to the published file."""
    import django

    django.setup()
    from esocs.projects.models import Workflow
    from esocs.releases import services, writing
    from esocs.releases.models import Export

    workflow = Workflow.objects.select_related("project").get(pk=workflow_id)
    export = Export.objects.create(project=workflow.project, workflow=workflow, kind="classifications")
    first_bytes: list[float] = []
    put = writing._Compressor.put

    def note_first(compressor: writing._Compressor, piece: bytes) -> None:
        first_bytes.append(time.perf_counter())
        put(compressor, piece)

    writing._Compressor.put = note_first  # type: ignore[method-assign]
    started, cpu_s = time.perf_counter(), time.process_time()
    services.write_export(export)()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    export.refresh_from_db()
    assert export.row_count is not None
    assert export.size_bytes is not None
    return {
        "rows": export.row_count,
        "rows_per_s": export.row_count / seconds,
        "first_byte_s": first_bytes[0] - started,
        "peak_memory_mb": peak_memory_mb(),
        "megabytes": export.size_bytes / 1e6,
        "cpu_s": cpu_s,
    }


def export_by_copy(workflow_id: int) -> dict[str, Any]:
    """COPY into a file, uncompressed."""
    import psycopg

    from esocs.config import embedded
    from tests.benchmarks.site_settings import DATABASE

    url = embedded.postgres_url(embedded.default_var(), name=DATABASE)
    size, rows, first = 0, 0, 0.0
    started, cpu_s = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(url) as connection:
        with (
            (Path(folder) / "copy.csv").open("wb") as file,
            connection.cursor().copy(COPY.format(workflow=workflow_id).encode()) as copy,
        ):
            for piece in copy:
                first = first or time.perf_counter()
                size += file.write(piece)
                rows += 1
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    return {
        "rows": rows - 1,
        "rows_per_s": (rows - 1) / seconds,
        "first_byte_s": first - started,
        "peak_memory_mb": peak_memory_mb(),
        "megabytes": size / 1e6,
        "cpu_s": cpu_s,
    }


def peak_memory_mb() -> float:
    """Largest resident memory since this process began to run Python.

    `ru_maxrss` would count the benchmark's own memory too, which a child has until it starts its program.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"esocs": export_by_esocs, "copy": export_by_copy}


if __name__ == "__main__":
    main()
