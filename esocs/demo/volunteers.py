"""Simulated people at work: they vote through the real HTTP API until nothing is left to ask them.

They alone read the truth, as eyes would read the sky; the pipeline never does.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from esocs.accounts.models import User
from esocs.accounts.services import sign_up
from esocs.demo.client import ApiClient, ApiError
from esocs.demo.people import Person, give_answer, give_expert_answer
from esocs.demo.survey import TruthRow, read_truth

SESSION_SIZE = 20
THREADS = 4
# What a volunteer is told when others were faster or an expert took over; no failure of the site's.
POLITE_REFUSALS = {403, 422}


@dataclass(kw_only=True)
class Tally:
    """What the people did."""

    answers: int = 0
    refused: int = 0
    unknown: int = 0
    by_person: Counter[int] = field(default_factory=Counter)


class TruthBook:
    """What each simulated product really is, as class indices of the workflow that shows it."""

    def __init__(self, path: Path) -> None:
        self._rows: dict[str, TruthRow] = {row.dp_id: row for row in read_truth(path)}

    def look_up(self, subject: dict[str, Any], labels: list[str]) -> tuple[int, int, float] | None:
        """(truth, second, difficulty) of a queued subject; None for a product that was not simulated."""
        row = self._rows.get(str(subject["metadata"].get("#dp_id", "")))
        if row is None or row.class_name not in labels:
            return None
        second = labels.index(row.second_class) if row.second_class in labels else labels.index(row.class_name)
        return labels.index(row.class_name), second, row.difficulty


def read_labels(workflow: dict[str, Any]) -> list[str]:
    """The answers' texts of the workflow's first task, as the API gives them."""
    answers = workflow["tasks"][workflow["first_task"]]["answers"]
    strings = workflow.get("strings") or {}
    return [str(strings.get(answer["label"], answer["label"])) for answer in answers]


def prepare_accounts(people: list[Person], *, password: str) -> None:
    """Accounts for those who sign in, with this run's password; the others stay anonymous."""
    known = {user.login: user for user in User.objects.filter(login__startswith="simulated-")}
    for person in people:
        if person.signed_in and person.login in known:
            known[person.login].set_password(password)
            known[person.login].save(update_fields=["password"])
        elif person.signed_in:
            sign_up(login=person.login, password=password)


def label_as_expert(
    *,
    url: str,
    login: str,
    password: str,
    workflow_id: int,
    truth: TruthBook,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """An expert answers everything that waits for experts in a workflow. Returns how many."""
    rng = np.random.default_rng([seed, workflow_id])
    client = ApiClient(url)
    client.sign_in(login, password)
    workflow = client.get_workflow(workflow_id)
    labels = read_labels(workflow)
    answered = 0
    seen: set[str] = set()
    while True:
        queue = [s for s in client.take_queue(workflow_id, size=50, audience="experts") if s["id"] not in seen]
        if not queue:
            return answered
        for subject in queue:
            seen.add(subject["id"])
            known = truth.look_up(subject, labels)
            if known is None:
                continue
            right, second, difficulty = known
            answer = give_expert_answer(truth=right, second=second, difficulty=difficulty, rng=rng)
            client.classify(workflow, subject["id"], answer, gold=True)
            answered += 1
        if on_progress is not None:
            on_progress(answered)


class Crowd:
    """People who come and go, the busy ones more often, until nobody is given anything new."""

    def __init__(
        self,
        people: list[Person],
        *,
        url: str,
        password: str,
        workflow_ids: list[int],
        truth: TruthBook,
        seed: int,
        left_alone: frozenset[str] = frozenset(),
    ) -> None:
        """`left_alone`: ids of subjects that they never answer, so that something is left for a visitor."""
        self._people = people
        self._url = url
        self._password = password
        self._workflow_ids = workflow_ids
        self._truth = truth
        self._left_alone = left_alone
        self._rng = np.random.default_rng(seed)
        self._rngs = {person.number: np.random.default_rng([seed, person.number]) for person in people}
        self._clients: dict[int, ApiClient] = {}
        self._lock = threading.Lock()
        self._away: set[int] = set()
        self._idle: dict[int, int] = {person.number: 0 for person in people}
        self._workflows: dict[int, dict[str, Any]] = {}
        self.tally = Tally()

    def work(self, *, most: int | None = None, on_progress: Callable[[int], None] | None = None) -> Tally:
        """Vote until nothing is left (or `most` answers were given)."""
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            for future in [pool.submit(self._come_and_go, most, on_progress) for _ in range(THREADS)]:
                future.result()
        return self.tally

    def _come_and_go(self, most: int | None, on_progress: Callable[[int], None] | None) -> None:
        while most is None or self.tally.answers < most:
            person = self._next_person()
            if person is None:
                return
            given = self._session(person)
            with self._lock:
                self._away.discard(person.number)
                # Somebody who twice in a row finds nothing new does not come again, unless others answer meanwhile:
                # what they held, and did not settle, is free then.
                self._idle[person.number] += 1
                if given:
                    self._idle[person.number] = 0
                    for number, times in self._idle.items():
                        self._idle[number] = min(times, 1)
                if on_progress is not None:
                    on_progress(self.tally.answers)

    def _next_person(self) -> Person | None:
        with self._lock:
            free = [p for p in self._people if p.number not in self._away and self._idle[p.number] < 2]
            if not free:
                return None
            weights = np.array([p.activity for p in free])
            person = free[int(self._rng.choice(len(free), p=weights / weights.sum()))]
            self._away.add(person.number)
            return person

    def _session(self, person: Person) -> int:
        """One sitting: a queue in each workflow, answered to its end."""
        client = self._client(person)
        given = 0
        for workflow_id in self._workflow_ids:
            workflow = self._workflow(client, workflow_id)
            labels = read_labels(workflow)
            for subject in client.take_queue(workflow_id, size=SESSION_SIZE):
                given += self._answer(person, client, workflow, subject, labels)
        return given

    def _answer(
        self, person: Person, client: ApiClient, workflow: dict[str, Any], subject: dict[str, Any], labels: list[str]
    ) -> int:
        known = None if subject["id"] in self._left_alone else self._truth.look_up(subject, labels)
        if known is None:
            self.tally.unknown += 1
            return 0
        right, second, difficulty = known
        answer = give_answer(
            person,
            truth=right,
            second=second,
            difficulty=difficulty,
            n_answers=len(labels),
            rng=self._rngs[person.number],
        )
        try:
            client.classify(workflow, subject["id"], answer)
        except ApiError as error:
            if error.answered not in POLITE_REFUSALS:
                raise
            self.tally.refused += 1
            return 0
        with self._lock:
            self.tally.answers += 1
            self.tally.by_person[person.number] += 1
        return 1

    def _client(self, person: Person) -> ApiClient:
        if person.number not in self._clients:
            client = ApiClient(self._url)
            if person.signed_in:
                client.sign_in(person.login, self._password)
            self._clients[person.number] = client
        return self._clients[person.number]

    def _workflow(self, client: ApiClient, workflow_id: int) -> dict[str, Any]:
        if workflow_id not in self._workflows:
            self._workflows[workflow_id] = client.get_workflow(workflow_id)
        return self._workflows[workflow_id]
