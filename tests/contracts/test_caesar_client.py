"""Zooniverse's own Caesar client (panoptes-client 1.7.1): every call that it can make, on a live server."""

from __future__ import annotations

import base64
import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.db import transaction
from panoptes_client import Panoptes, Workflow
from panoptes_client.caesar import Caesar
from panoptes_client.panoptes import PanoptesAPIException

from esocs.crowd.caesar import deriving, objects
from esocs.crowd.models import CaesarWorkflow, Extract, ExtractImport, RuleEffect, SubjectStatus, Underived
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects import models as rows
from esocs.projects.community import create_collection
from tests.support.factories import PASSWORD, classify, make_project, make_user, make_workflow, publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow() -> rows.Workflow:
    project = make_project(owner=make_user("owner"), live=False)
    return make_workflow(project, retirement={"criteria": "never_retire", "options": {}})


@pytest.fixture
def caesar(live_server: Any, workflow: rows.Workflow) -> Iterator[Caesar]:
    with Panoptes(endpoint=live_server.url, username="owner", password=PASSWORD):
        yield Caesar(endpoint=f"{live_server.url}/caesar")


Other = Callable[[dict[str, bytes]], tuple[str, list[tuple[str, dict[str, str], Any]]]]


@pytest.fixture
def other_server(settings: Any) -> Iterator[Other]:
    """Somebody else's server: answers each path as it is told, and keeps what it was sent."""
    started: list[ThreadingHTTPServer] = []

    def start(answers: dict[str, bytes]) -> tuple[str, list[tuple[str, dict[str, str], Any]]]:
        seen: list[tuple[str, dict[str, str], Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                self._answer(parse_qs(sent.decode()) if form else json.loads(sent))

            def _answer(self, sent: Any) -> None:
                seen.append((self.path, dict(self.headers), sent))
                body = answers.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(server)
        origin = f"http://127.0.0.1:{server.server_port}"
        settings.OUTBOUND_ALLOWED = [origin]
        return origin, seen

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def derive(workflow: rows.Workflow) -> None:
    """Derive, and run what that orders, until nothing is left."""
    while True:
        waiting = Job.objects.filter(
            kind__in=["crowd.apply_rule", "crowd.call_extractor", "crowd.call_reducer"], state="queued"
        )
        if Underived.objects.filter(workflow=workflow).exists():
            with transaction.atomic():
                deriving.derive_workflow(workflow.pk)()
        elif waiting.exists():
            jobs.drain(list(waiting.values_list("id", flat=True)))
        else:
            return


def test_a_workflow_is_made_known_and_changed(caesar: Caesar, workflow: rows.Workflow) -> None:
    with pytest.raises(PanoptesAPIException, match=r"(?i)couldn't find workflow with 'id'"):
        caesar.get_workflow(workflow.pk)
    made = caesar.save_workflow(workflow.pk)
    assert (made["id"], made["public_extracts"], made["status"]) == (workflow.pk, False, "active")
    changed = caesar.save_workflow(workflow.pk, public_extracts=True, public_reductions=True)
    assert (changed["public_extracts"], changed["public_reductions"]) == (True, True)
    assert caesar.get_workflow(workflow.pk) == {**changed, "updated_at": caesar.get_workflow(workflow.pk)["updated_at"]}
    assert CaesarWorkflow.objects.get().public_reductions


def test_a_subject_is_retired_as_the_clients_documentation_says(caesar: Caesar, workflow: rows.Workflow) -> None:
    pk = workflow.pk
    caesar.save_workflow(pk)
    extractor = caesar.create_workflow_extractor(pk, "complete", "question", "T0", {"if_missing": "ignore"})
    assert {k: extractor[k] for k in ("key", "type", "task_key", "if_missing", "config")} == {
        "key": "complete", "type": "question", "task_key": "T0", "if_missing": "ignore", "config": {},
    }  # fmt: skip
    filters = {"filters": {"extractor_keys": ["complete"]}}
    for kind, key in (("stats", "complete"), ("count", "count"), ("consensus", "c")):
        assert caesar.create_workflow_reducer(pk, kind, key, filters)["filters"] == filters["filters"]
    rule = caesar.create_workflow_rule(pk, "subject", '["gte", ["lookup", "complete.0", 0], ["const", 3]]')
    effect = caesar.create_workflow_rule_effect(pk, "subject", rule["id"], "retire_subject", {"reason": "consensus"})
    assert (effect["action"], effect["config"]) == ("retire_subject", {"reason": "consensus"})
    assert [each["key"] for each in caesar.get_workflow_extractors(pk)] == ["complete"]
    assert [each["key"] for each in caesar.get_workflow_reducers(pk)] == ["complete", "count", "c"]
    rules = caesar.http_get(f"workflows/{pk}/subject_rules")[0]
    assert [each["condition"] for each in rules] == [["gte", ["lookup", "complete.0", 0], ["const", 3]]]
    assert caesar.http_get(f"workflows/{pk}/subject_rules/{rule['id']}/subject_rule_effects")[0] == [effect]
    (subject,) = publish(workflow)
    for answer in (0, 1, 0, 0):
        classify(workflow, subject, make_user().volunteer, T0=answer)
    derive(workflow)
    reductions = caesar.get_reductions_by_workflow_and_subject(pk, subject.pk)
    assert {each["reducer_key"]: each["data"] for each in reductions} == {
        "complete": {"0": 3, "1": 1},
        "count": {"classifications": 4, "extracts": 4},
        "c": {"most_likely": "0", "num_votes": 3, "agreement": 0.75},
    }
    extracts = caesar.get_extracts_by_workflow_and_subject(pk, subject.pk)
    assert [each["data"] for each in extracts] == [{"0": 1}, {"1": 1}, {"0": 1}, {"0": 1}]
    assert all(each["user_id"] and each["extractor_key"] == "complete" for each in extracts)
    assert SubjectStatus.objects.get(subject=subject).retirement_reason == "consensus"


def test_the_helpers_of_a_workflow_make_the_same_calls(
    caesar: Caesar, workflow: rows.Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They always call Zooniverse's own host; only where it lies is changed.
    monkeypatch.setattr("panoptes_client.workflow.Caesar", lambda: Caesar(endpoint=caesar.endpoint))
    found = Workflow.find(workflow.pk)
    found.configure_for_alice()
    assert [each["type"] for each in found.caesar_extractors()] == ["question", "external"]
    assert [each["key"] for each in found.caesar_reducers()] == ["alice", "complete", "count"]
    complete, count = found.caesar_rules("subject")
    assert complete["condition"] == ["gte", ["lookup", "complete.0", 0], ["const", 3]]
    assert count["condition"] == ["gte", ["lookup", "count.classifications", 0], ["const", 30]]
    actions = [each["action"] for each in found.caesar_effects("subject", complete["id"])]
    assert actions == ["external", "retire_subject"]
    harder = make_workflow(workflow.project)
    rule = found.add_caesar_rule('["gte", ["lookup", "seen.classifications", 0], ["const", 2]]', "user")
    effect = found.add_caesar_rule_effect("user", rule["id"], "promote_user", {"workflow_id": harder.pk})
    assert effect["config"] == {"workflow_id": harder.pk}
    assert [each["id"] for each in found.caesar_rules("user")] == [rule["id"]]
    assert found.caesar_effects("user", rule["id"]) == [effect]
    (subject,) = publish(workflow)
    assert found.caesar_subject_extracts(subject.pk) == []
    assert found.caesar_subject_reductions(subject.pk) == []
    assert found.caesar_subject_reductions(subject.pk, "count") == []


def test_every_action_of_the_client_is_taken(caesar: Caesar, workflow: rows.Workflow) -> None:
    pk = workflow.pk
    caesar.save_workflow(pk)
    target = make_workflow(workflow.project).subject_sets.get()
    collection = create_collection(owner=workflow.project.owner, display_name="Best")
    call = {"url": "https://science.example.org/x", "reducer_key": "c"}
    configs: dict[str, dict[str, Any]] = {
        "retire_subject": {"reason": "blank"},
        "add_subject_to_set": {"subject_set_id": str(target.pk)},
        "add_to_collection": {"collection_id": str(collection.pk)},
        "external": call,
        "external_with_basic_auth": {**call, "username": "me", "password": "secret"},
    }
    rule = caesar.create_workflow_rule(pk, "subject", '["const", false]')
    for action in Caesar.RULE_TO_ACTION_TYPES["subject"]:
        made = caesar.create_workflow_rule_effect(pk, "subject", rule["id"], action, configs[action])
        assert made["subject_rule_id"] == rule["id"]
        assert "secret" not in json.dumps(made)
    for kind in Caesar.EXTRACTOR_TYPES:
        needs = {
            "shape": {"shape": "point"},
            "external": {"url": call["url"]},
            "pluck_field": {"field_map": {"a": "$.id"}},
        }
        assert caesar.create_workflow_extractor(pk, f"e-{kind}", kind, "T0", needs.get(kind))["type"] == kind
    for kind in Caesar.REDUCER_TYPES:
        needs = {"unique_count": {"field": "a"}, "external": {"url": call["url"]}}
        if kind == "sqs":
            with pytest.raises(PanoptesAPIException, match="this site has no key"):
                caesar.create_workflow_reducer(pk, kind, kind)
        else:
            assert caesar.create_workflow_reducer(pk, kind, kind, needs.get(kind))["type"] == kind


def test_a_machines_extracts_are_imported_and_its_bad_rows_are_named(
    caesar: Caesar, workflow: rows.Workflow, other_server: Other
) -> None:
    first, second = publish(workflow, 2)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["extractor_key", "subject_id", "data"])
    for key, subject_id, data in (
        ("network", first.pk, '{"empty": 0.97}'),
        ("network", second.pk, '{"empty": 0.02, "galaxy": 0.98}'),
        ("unknown", first.pk, "{}"),
        ("network", 999_999, "{}"),
        ("network", "one", "{}"),
        ("network", first.pk, "[1]"),
        ("network", first.pk, "{"),
        ("network", first.pk, '{"a": NaN}'),
    ):
        writer.writerow([key, subject_id, data])
    origin, seen = other_server({"/extracts.csv": file.getvalue().encode(), "/nonsense.csv": b"a,b\n1,2\n"})
    pk = workflow.pk
    caesar.save_workflow(pk)
    caesar.create_workflow_extractor(pk, "network", "external", "T0", {"url": "https://science.example.org/x"})
    caesar.create_workflow_reducer(pk, "first_extract", "network")
    rule = caesar.create_workflow_rule(pk, "subject", '["gte", ["lookup", "network.empty", 0], ["const", 0.95]]')
    caesar.create_workflow_rule_effect(pk, "subject", rule["id"], "retire_subject", {"reason": "blank"})
    for _ in range(2):  # the same file again changes nothing
        made = caesar.import_data_extracts(pk, f"{origin}/extracts.csv")[0]
        assert made["state"] == "importing"
        jobs.drain(list(Job.objects.filter(kind="crowd.import_extracts", state="queued").values_list("id", flat=True)))
        derive(workflow)
    assert [path for path, _, _ in seen] == ["/extracts.csv", "/extracts.csv"]
    newest = caesar.http_get(f"workflows/{pk}/extracts/import")[0][0]
    assert (newest["state"], newest["rows_read"], newest["rows_kept"]) == ("finished", 8, 2)
    assert [(each["line"], each["message"][:22]) for each in newest["problems"]] == [
        (4, "There is no extractor "),
        (5, "The project has no sub"),
        (6, "subject_id 'one' is no"),
        (7, "data are no JSON objec"),
        (8, "data are not JSON."),
        (9, "data are not JSON."),
    ]
    assert Extract.objects.filter(machine_data=True).count() == 2
    (extract,) = caesar.get_extracts_by_workflow_and_subject(pk, first.pk)
    assert (extract["data"], extract["machine_data"], extract["classification_id"]) == ({"empty": 0.97}, True, None)
    statuses = dict(SubjectStatus.objects.filter(workflow=workflow).values_list("subject", "retirement_reason"))
    assert statuses == {first.pk: "nothing_here", second.pk: ""}
    caesar.import_data_extracts(pk, f"{origin}/nonsense.csv")
    jobs.drain(list(Job.objects.filter(kind="crowd.import_extracts", state="queued").values_list("id", flat=True)))
    failed = caesar.http_get(f"workflows/{pk}/extracts/import")[0][0]
    assert failed["state"] == "failed"
    assert "no column extractor_key" in failed["failure"]
    assert ExtractImport.objects.count() == 3
    for hostile in ("http://169.254.169.254/x.csv", "file:///etc/passwd", "https://localhost:5432/"):
        with pytest.raises(PanoptesAPIException):
            caesar.import_data_extracts(pk, hostile)


def test_another_server_extracts_reduces_and_is_told(
    caesar: Caesar, workflow: rows.Workflow, other_server: Other
) -> None:
    origin, seen = other_server(
        {"/extract": b'{"length": 3}', "/reduce": b'{"mean": 3.5, "inner": {"n": 2}}', "/told": b"", "/bad": b"[1]"}
    )
    pk = workflow.pk
    caesar.save_workflow(pk)
    caesar.create_workflow_extractor(pk, "lengths", "external", "T0", {"url": f"{origin}/extract"})
    caesar.create_workflow_reducer(pk, "external", "means", {"url": f"{origin}/reduce"})
    rule = caesar.create_workflow_rule(pk, "subject", '["gte", ["lookup", "means.inner.n", 0], ["const", 2]]')
    told = {"url": f"{origin}/told", "reducer_key": "means"}
    caesar.create_workflow_rule_effect(pk, "subject", rule["id"], "external", told)
    secret = {**told, "username": "me", "password": "pässword"}
    effect = caesar.create_workflow_rule_effect(pk, "subject", rule["id"], "external_with_basic_auth", secret)
    assert effect["config"] == {**secret, "password": "********"}
    kept = RuleEffect.objects.get(pk=effect["id"])
    assert "pässword" not in str(kept.config)
    objects.save_effect(kept.subject_rule, effect, kept, author=workflow.project.owner)  # what is shown, sent back
    (subject,) = publish(workflow)
    author = make_user()
    classify(workflow, subject, author.volunteer, T0=1)
    derive(workflow)
    calls = {path: (headers, sent) for path, headers, sent in seen}
    sent = calls["/extract"][1]
    assert (sent["subject_id"], sent["user_id"], sent["annotations"]) == (
        subject.pk, author.pk, {"T0": [{"task": "T0", "value": 1}]},
    )  # fmt: skip
    assert [each["data"] for each in calls["/reduce"][1]] == [{"length": 3}]
    assert [path for path, _, _ in seen].count("/told") == 2
    assert calls["/told"][1]["data"] == {"mean": 3.5, "inner": {"n": 2}}
    keys = [headers["Idempotency-Key"] for _, headers, _ in seen]
    assert len(set(keys)) == len(keys) == 4
    [sent_with] = [headers["Authorization"] for _, headers, _ in seen if "Authorization" in headers]
    assert base64.b64decode(sent_with.removeprefix("Basic ")).decode() == "me:pässword"
    before = len(seen)
    deriving.order_all(pk)
    derive(workflow)
    assert len(seen) == before, "what was answered is not asked again"
    assert caesar.get_extracts_by_workflow_and_subject(pk, subject.pk)[0]["data"] == {"length": 3}


def test_extracts_go_into_a_queue_and_its_reader_writes_the_reduction(
    caesar: Caesar, workflow: rows.Workflow, other_server: Other, settings: Any
) -> None:
    settings.SQS_ACCESS_KEY_ID, settings.SQS_SECRET_ACCESS_KEY = "AKIDEXAMPLE", "secret"
    origin, seen = other_server({"/1/queue": b"<SendMessageResponse/>"})
    pk = workflow.pk
    caesar.save_workflow(pk)
    caesar.create_workflow_extractor(pk, "q", "question", "T0", {"if_missing": "ignore"})
    caesar.create_workflow_reducer(pk, "sqs", "queued", {"queue_url": f"{origin}/1/queue"})
    (subject,) = publish(workflow)
    classify(workflow, subject, make_user().volunteer, T0=1)
    derive(workflow)
    [(path, headers, form)] = seen
    assert path == "/1/queue"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert form["Action"] == ["SendMessage"]
    [extract] = json.loads(form["MessageBody"][0])
    assert (extract["subject_id"], extract["data"]) == (subject.pk, {"1": 1})
    assert caesar.get_reductions_by_workflow_and_subject(pk, subject.pk) == []
    caesar.http_put(f"workflows/{pk}/subject_reductions/queued", json={
        "reduction": {"subject_id": subject.pk, "data": {"seen": 1}}
    })  # fmt: skip
    [reduction] = caesar.get_reductions_by_workflow_and_subject(pk, subject.pk)
    assert (reduction["reducer_key"], reduction["data"]) == ("queued", {"seen": 1})
