"""10,000 submissions from 64 threads, with replays, second tries and nonsense; then 32 volunteers on scarce subjects.

Nothing here is timed for its own sake: the figures are what was lost, doubled, or asked once too often, counted from
the rows after the server has answered everything over HTTP.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table
from tests.benchmarks.site import Server, own_database, web_server
from tests.benchmarks.volunteer_loop import classification

THREADS = 64
VOLUNTEERS = 150
LIMIT = 5
REPLAYS, SECOND_TRIES, MALFORMED = 0.30, 0.10, 0.05
SCARCE_VOLUNTEERS = 32
SCARCE_SUBJECTS = 150
QUEUE = 3
MALFORMED_BODIES = (
    b"",
    b"{",
    b"[]",
    b'{"classifications": {}}',
    b'{"classifications": {"annotations": 1, "metadata": {}, "links": {}}}',
    b"\xff\xfe\x00",
)


@dataclass(frozen=True)
class Request:
    """One POST: who, with which key, and what. Replays are equal requests."""

    volunteer: int
    subject: str
    key: str
    body: bytes


@dataclass
class Answers:
    """What the server said, gathered by all threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def add(self, request: Request, status: int, body: bytes) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == 201:
                self.bodies[request.key].append(body)
            else:
                self.codes[json.loads(body)["errors"][0]["code"]] += 1


def main() -> None:
    """Send, then count."""
    arguments = parse_arguments(description=__doc__, size=10_000, size_help="submissions")
    with own_database():
        workflow_id, subjects, tokens = fill("Many at once", subjects=max(10, arguments.size // 10))
        scarce_id, _, scarce_tokens = fill("Scarce", subjects=SCARCE_SUBJECTS, volunteers=SCARCE_VOLUNTEERS)
        requests = draw_requests(arguments.size, workflow_id, subjects)
        with web_server("esocs.config.wsgi:application", path="/api/me") as site:
            with Timer() as timer:
                answers = send_all(site, requests, tokens)
            label_until_empty(site, scarce_id, scarce_tokens)
        figures = count(workflow_id, answers) | count_scarce(scarce_id)
    print(f"{len(requests):,} requests by {THREADS} threads in {timer.wall_s:.0f} s; refused: {dict(answers.codes)}")
    print_table(("what", "count"), list(figures.items()))
    print_result(
        name="concurrent_submissions",
        ours=len(requests) / timer.wall_s,
        peer=None,
        unit="submissions/s",
        submissions=len(requests),
        **figures,
    )


def fill(name: str, *, subjects: int, volunteers: int = VOLUNTEERS) -> tuple[int, list[str], list[str]]:
    """A workflow with open subjects and a limit of five. Returns its id, the subjects' ids, the volunteers' tokens."""
    from esocs.accounts.identity import issue_token
    from esocs.accounts.models import User
    from esocs.crowd.models import SubjectStatus
    from esocs.crowd.services import ensure_epoch
    from esocs.projects.models import Media, Subject
    from esocs.projects.services import create_project, create_workflow

    users = [User.objects.create(login=f"{name.lower().replace(' ', '-')}-{n}") for n in range(volunteers)]
    project = create_project(owner=users[0], display_name=name, live=True)
    workflow = create_workflow(
        project=project, display_name=name, subject_kind="image", question="What?", answers=["a", "b", "c"]
    )
    workflow.retirement = {"criteria": "classification_count", "options": {"count": LIMIT}}
    workflow.save()
    made = Subject.objects.bulk_create([Subject(project=project, kind="image") for _ in range(subjects)])
    Media.objects.bulk_create(
        [Media(subject=s, media_type="image/jpeg", path=f"ab/{uuid.uuid4()}.jpg", size_bytes=9_000) for s in made]
    )
    epoch = ensure_epoch(workflow)
    SubjectStatus.objects.bulk_create(
        [SubjectStatus(workflow=workflow, subject=subject, epoch_id=epoch.epoch_id) for subject in made]
    )
    return workflow.pk, [str(subject.pk) for subject in made], [issue_token(user) for user in users]


def draw_requests(size: int, workflow_id: int, subjects: Sequence[str]) -> list[Request]:
    """First answers, and among them replays of some, second tries of others, and nonsense; all shuffled."""
    from esocs.projects.models import Workflow

    project_id = Workflow.objects.get(pk=workflow_id).project_id
    dice = random.Random(20261122)

    def answer(volunteer: int, subject: str) -> Request:
        body = classification(
            subject_id=subject, workflow_id=workflow_id, project_id=project_id, value=dice.randrange(3)
        )
        return Request(volunteer, subject, uuid.UUID(int=dice.getrandbits(128)).hex, body)

    replays, tries, nonsense = (round(size * share) for share in (REPLAYS, SECOND_TRIES, MALFORMED))
    pairs = dice.sample(range(VOLUNTEERS * len(subjects)), size - replays - tries - nonsense)
    firsts = [answer(pair % VOLUNTEERS, subjects[pair // VOLUNTEERS]) for pair in pairs]
    requests = firsts + dice.sample(firsts, replays)
    requests += [answer(first.volunteer, first.subject) for first in dice.sample(firsts, tries)]
    requests += [
        Request(dice.randrange(VOLUNTEERS), "", f"nonsense-{n}", dice.choice(MALFORMED_BODIES)) for n in range(nonsense)
    ]
    dice.shuffle(requests)
    return requests


def send_all(site: Server, requests: Sequence[Request], tokens: Sequence[str]) -> Answers:
    """Every request once, over 64 kept connections."""
    answers, waiting, lock = Answers(), iter(requests), threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=120)
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                connection.close()
                return
            headers = {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {tokens[request.volunteer]}",
                "Idempotency-Key": request.key,
            }
            connection.request("POST", "/api/classifications", request.body, headers)
            response = connection.getresponse()
            answers.add(request, response.status, response.read())

    _together(work, THREADS)
    return answers


def label_until_empty(site: Server, workflow_id: int, tokens: Sequence[str]) -> None:
    """32 volunteers at once, each with a queue of three and a moment's thought, until nothing is left for anybody."""
    from esocs.projects.models import Workflow

    project_id = Workflow.objects.get(pk=workflow_id).project_id
    numbers, lock = iter(range(len(tokens))), threading.Lock()

    def work() -> None:
        with lock:
            number = next(numbers)
        dice = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=120)
        headers = {"Authorization": f"Bearer {tokens[number]}", "Content-Type": "application/json"}
        while True:
            connection.request(
                "GET", f"/api/subjects/queued?workflow_id={workflow_id}&page_size={QUEUE}", headers=headers
            )
            queue = json.loads(connection.getresponse().read())["subjects"]
            if not queue:
                connection.close()
                return
            for each in queue:
                time.sleep(dice.expovariate(1 / 0.02))
                body = classification(subject_id=each["id"], workflow_id=workflow_id, project_id=project_id, value=0)
                keyed = headers | {"Idempotency-Key": uuid.uuid4().hex}
                connection.request("POST", "/api/classifications", body, keyed)
                connection.getresponse().read()

    _together(work, len(tokens))


def count(workflow_id: int, answers: Answers) -> dict[str, int]:
    """What the rows say beside what the server answered."""
    from django.db.models import Count

    from esocs.crowd.models import Classification, StatusChange, SubjectStatus

    rows = Classification.objects.filter(workflow=workflow_id)
    keys = set(rows.values_list("idempotency_key", flat=True))
    promised = set(answers.bodies)
    counted = Counter(rows.filter(counted=True).values_list("subject_id", flat=True))
    twice = rows.filter(counted=True).values("volunteer", "subject").annotate(n=Count("id")).filter(n__gt=1).count()
    statuses = SubjectStatus.objects.filter(workflow=workflow_id)
    miscounted = sum(
        count != counted[subject] for subject, count in statuses.values_list("subject_id", "classifications_count")
    )
    retirements = StatusChange.objects.filter(status__workflow=workflow_id, after="retired").values("status")
    retired_again = retirements.annotate(n=Count("id")).filter(n__gt=1).count()
    full = statuses.filter(classifications_count__gte=LIMIT)
    return {
        "stored": len(keys),
        "lost": len(promised - keys),
        "unannounced": len(keys - promised),
        "doubled": twice + miscounted + (rows.count() - len(keys)),
        "retired": statuses.filter(state="retired").count(),
        "retired_twice": retired_again,
        "left_open": full.exclude(state="retired").count(),
        "replays_that_differ": sum(_differ(bodies) for bodies in answers.bodies.values()),
        "server_errors": sum(n for status, n in answers.statuses.items() if status >= 500),
    }


def _differ(bodies: Sequence[bytes]) -> bool:
    """Whether answers say different things; the order of an object's members says nothing."""
    read = [json.loads(body) for body in bodies]
    return any(body != read[0] for body in read)


def count_scarce(workflow_id: int) -> dict[str, float]:
    """Counted classifications beyond the limit, over all; and whether every subject got its five."""
    from esocs.crowd.models import SubjectStatus

    counts = list(SubjectStatus.objects.filter(workflow=workflow_id).values_list("classifications_count", flat=True))
    return {
        "scarce_classifications": sum(counts),
        "scarce_unfinished": sum(count < LIMIT for count in counts),
        "over_classified_share": sum(max(0, count - LIMIT) for count in counts) / max(1, sum(counts)),
    }


def _together(work: Callable[[], None], threads: int) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
            raise

    started = [threading.Thread(target=guarded) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main()
