"""Next and submit: 8 labellers with no time to think, over keep-alive HTTP, beside a bare Django view.

A loop is one round trip, as the classify page makes it: the classification is sent, and the answer fills the queue up
again when as many subjects are missing as the page waits for. So one loop in three hands out three subjects. The peer's
view does one SELECT and one INSERT behind the same server. Rounds of both alternate.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import psycopg

from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import KeepAlive, Server, own_database, stores_cpu_s, web_server

LABELLERS = 8
SUBJECTS = 4_000
ROUNDS = 3
WARM_UP = 10
JSON_BODY = "Content-Type: application/json\r\n"
PROCESSES = ("web", "PostgreSQL", "Redis", "labellers")

# One loop of one labeller: the connection and the labeller's own state in, nothing out.
Loop = Callable[[KeepAlive], None]


@dataclass
class Figures:
    """What the rounds of one server add up to."""

    loops: int = 0
    seconds: float = 0.0
    cpu_s: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.loops / self.seconds

    def cpu_ms(self, process: str) -> float:
        """Processor time of one loop in one of `cpu_s`'s processes."""
        return 1e3 * self.cpu_s[process] / self.loops

    @property
    def p95_ms(self) -> float:
        return 1e3 * quantiles(self.latencies_s, n=20)[-1]


def main() -> None:
    """Run the rounds and print the figures."""
    arguments = parse_arguments(description=__doc__, size=4_000, size_help="loops of each server")
    with own_database() as database:
        workflow_id, project_id = fill(database)
        statements = count_statements(workflow_id, project_id)
        with (
            web_server("esocs.config.wsgi:application", path="/api/me") as site,
            web_server("tests.benchmarks.bare_django:application", path="/") as bare,
        ):
            ours, peer = measure(
                site, bare, database=database, workflow_id=workflow_id, project_id=project_id, loops=arguments.size
            )
    rows = [("esocs: next and submit", ours), ("Django: one SELECT, one INSERT", peer)]
    print(f"{LABELLERS} labellers, no time to think, keep-alive, PostgreSQL on a unix socket")
    print_table(
        ("server", "loops", "loops / s", "p95 ms", *(f"{process}: CPU ms" for process in PROCESSES)),
        [(name, each.loops, each.per_second, each.p95_ms, *map(each.cpu_ms, PROCESSES)) for name, each in rows],
    )
    print_result(
        name="volunteer_loop",
        ours=ours.per_second,
        peer=peer.per_second,
        unit="loops/s",
        p95_ms=ours.p95_ms,
        cpu_ms=ours.cpu_ms("web"),
        peer_cpu_ms=peer.cpu_ms("web"),
        all_cpu_ms=sum(map(ours.cpu_ms, PROCESSES)),
        peer_all_cpu_ms=sum(map(peer.cpu_ms, PROCESSES)),
        sql_statements=statements,
        labellers=LABELLERS,
        think_time_s=0,
    )


def fill(database: str) -> tuple[int, int]:
    """A workflow with open subjects, and the peer's table. Returns the ids of the workflow and its project."""
    from esocs.accounts.services import sign_up
    from esocs.crowd.models import SubjectStatus
    from esocs.crowd.services import ensure_epoch
    from esocs.projects.models import Media, Subject
    from esocs.projects.services import create_project, create_workflow

    owner = sign_up(login="owner", password=uuid.uuid4().hex)
    project = create_project(owner=owner, display_name="Bench", live=True)
    workflow = create_workflow(
        project=project,
        display_name="Shapes",
        subject_kind="image",
        question="What is it?",
        answers=["elliptical", "spiral", "edge-on", "merger", "star", "artifact"],
    )
    metadata = {"object": "ESO 510-G13", "filter": "r_SDSS", "seeing": 0.71, "exptime": 360.0}
    subjects = Subject.objects.bulk_create(
        [Subject(project=project, kind="image", metadata=metadata) for _ in range(SUBJECTS)]
    )
    Media.objects.bulk_create(
        [
            Media(subject=subject, media_type="image/jpeg", path=f"ab/{uuid.uuid4()}.jpg", size_bytes=9_000)
            for subject in subjects
        ]
    )
    epoch = ensure_epoch(workflow)
    SubjectStatus.objects.bulk_create(
        [SubjectStatus(workflow=workflow, subject=subject, epoch_id=epoch.epoch_id) for subject in subjects]
    )
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bench_vote (id bigserial PRIMARY KEY, subject_id bigint, answer int,"
            " created_at timestamptz DEFAULT now())"
        )
    return workflow.pk, project.pk


def analyse(database: str) -> None:
    """Tell PostgreSQL's planner how large its tables are by now."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ANALYZE")


def classification(*, subject_id: str, workflow_id: int, project_id: int, value: int) -> bytes:
    """A classification as the classify page sends it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    metadata = {
        "started_at": now,
        "finished_at": now,
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
        "user_language": "en",
        "workflow_version": "1.1",
        "utc_offset": "0",
        "viewport": {"width": 1400, "height": 1000},
        "subject_dimensions": [{"clientWidth": 882, "clientHeight": 882, "naturalWidth": 424, "naturalHeight": 424}],
    }
    links = {"project": str(project_id), "workflow": str(workflow_id), "subjects": [subject_id]}
    annotations = [{"task": "T0", "value": value}]
    body = {"classifications": {"annotations": annotations, "metadata": metadata, "links": links}}
    return json.dumps(body).encode()


def count_statements(workflow_id: int, project_id: int) -> int:
    """SQL statements of one loop, transaction control aside."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"host": "127.0.0.1"})
    address = f"/api/subjects/queued?workflow_id={workflow_id}&page_size=2"
    warm, measured = (each["id"] for each in client.get(address).json()["subjects"])
    statements: list[str] = []
    for subject_id in (warm, measured):
        body = classification(subject_id=subject_id, workflow_id=workflow_id, project_id=project_id, value=0)
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(
                "/api/classifications?refill=1&held=", body, "application/json", headers={"Idempotency-Key": subject_id}
            )
        assert answer.status_code == 201, answer.content
        # The text of a statement that the server has prepared is not sent again, and not known here.
        statements = [each["sql"] or "" for each in captured]
    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(not statement.startswith(control) for statement in statements)


class Labeller:
    """A volunteer's browser: its cookies, the page's queue, and an answer at once."""

    def __init__(self, *, seed: int, workflow_id: int, project_id: int) -> None:
        from esocs.web.views.classify import QUEUE_DEPTH, REFILL_FROM

        self._depth, self._refill_from = QUEUE_DEPTH, REFILL_FROM
        self._ids = {"workflow_id": workflow_id, "project_id": project_id}
        self._dice = random.Random(seed)
        self._cookies: dict[str, str] = {}
        self._queue: deque[str] = deque()

    def __call__(self, connection: KeepAlive) -> None:
        """Take the next subject of the queue, answer it, and take in what the answer brings."""
        if not self._queue:
            self._start(connection)
        subject_id = self._queue.popleft()
        # Nine in ten are right, so subjects reach a consensus and retire as they do in a campaign.
        value = int(subject_id) % 6 if self._dice.random() < 0.9 else self._dice.randrange(6)
        body = classification(subject_id=subject_id, value=value, **self._ids)
        headers = f"{JSON_BODY}{self._cookie_line()}Idempotency-Key: {uuid.uuid4().hex}\r\n"
        missing = self._depth - len(self._queue)
        refill = f"?refill={missing}&held={','.join(self._queue)}" if missing >= self._refill_from else ""
        answered = connection.request("POST", f"/api/classifications{refill}", headers, body)
        self._keep_cookies(answered[2])
        answer = _expect(201, answered)
        self._queue.extend(each["id"] for each in answer["meta"].get("subjects", ()))

    def _start(self, connection: KeepAlive) -> None:
        path = f"/api/subjects/queued?workflow_id={self._ids['workflow_id']}&page_size={self._depth}"
        answered = connection.request("GET", path, self._cookie_line())
        self._keep_cookies(answered[2])
        self._queue.extend(each["id"] for each in _expect(200, answered)["subjects"])
        assert self._queue, "no subject is left: use a smaller --size"

    def _cookie_line(self) -> str:
        kept = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return f"Cookie: {kept}\r\n" if kept else ""

    def _keep_cookies(self, answered: str) -> None:
        if answered:
            self._cookies |= dict(each.split("=", 1) for each in answered.split("; "))


class BareLabeller:
    """The same for the peer."""

    def __init__(self) -> None:
        self._subject = 0

    def __call__(self, connection: KeepAlive) -> None:
        body = json.dumps({"subject": self._subject, "value": self._subject % 6}).encode()
        self._subject = _expect(201, connection.request("POST", "/vote", JSON_BODY, body))["id"]


def _expect(status: int, answer: tuple[int, bytes, str]) -> Any:
    assert answer[0] == status, answer
    return json.loads(answer[1])


def measure(
    site: Server, bare: Server, *, database: str, workflow_id: int, project_id: int, loops: int
) -> tuple[Figures, Figures]:
    """Rounds of both servers, in turns, so that a noisy machine is as noisy to both."""
    ours, peer = Figures(), Figures()
    labellers: list[Loop] = [Labeller(seed=n, workflow_id=workflow_id, project_id=project_id) for n in range(LABELLERS)]
    bare_labellers: list[Loop] = [BareLabeller() for _ in range(LABELLERS)]
    each = max(1, loops // ROUNDS // LABELLERS)
    run_round(site, labellers, WARM_UP, Figures())
    run_round(bare, bare_labellers, WARM_UP, Figures())
    # Autovacuum does this within a minute; until then the planner believes the tables to be empty.
    analyse(database)
    for _ in range(ROUNDS):
        run_round(site, labellers, each, ours)
        run_round(bare, bare_labellers, each, peer)
    return ours, peer


def run_round(server: Server, loops: list[Loop], each: int, figures: Figures) -> None:
    """All labellers at once, `each` loops one; adds to the figures."""
    failures: list[BaseException] = []

    def label(loop: Loop) -> None:
        connection = KeepAlive(server.port)
        try:
            for _ in range(each):
                started = time.perf_counter()
                loop(connection)
                figures.latencies_s.append(time.perf_counter() - started)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=label, args=(loop,)) for loop in loops]
    cpu_s, started = _cpu_s(server), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures.seconds += time.perf_counter() - started
    figures.cpu_s += _cpu_s(server) - cpu_s
    figures.loops += each * len(loops)
    if failures:
        raise failures[0]


def _cpu_s(server: Server) -> Counter[str]:
    """Who used the processors so far: on few cores the labellers' own work slows the server, and PostgreSQL's does."""
    return Counter({"web": server.cpu_s(), **stores_cpu_s(), "labellers": time.process_time()})


if __name__ == "__main__":
    main()
