"""Rows for tests, made by the rooms' own services where there is one."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from esocs.accounts import services as accounts
from esocs.accounts.models import User, Volunteer
from esocs.crowd import services as crowd
from esocs.crowd.models import Consensus, SubjectStatus
from esocs.crowd.services import Recorded, Submission
from esocs.projects import services as projects
from esocs.projects.models import Media, Project, SetMemberSubject, Subject, Workflow, WorkflowVersion
from esocs.projects.rules import build_question, count_answers

PASSWORD = "a-long-enough-passphrase"
_number = itertools.count(1)


def make_user(login: str | None = None, **fields: Any) -> User:
    return accounts.sign_up(login=login or f"person{next(_number)}", password=PASSWORD, **fields)


def make_volunteer(*, anonymous: bool = True) -> Volunteer:
    if anonymous:
        return accounts.volunteer_for_anonymous(uuid.uuid4().hex)
    return accounts.volunteer_for_user(make_user())


def make_project(*, owner: User | None = None, display_name: str | None = None, live: bool = True) -> Project:
    return projects.create_project(
        owner=owner or make_user(), display_name=display_name or f"Project {next(_number)}", live=live
    )


def make_workflow(
    project: Project | None = None,
    *,
    kind: str = "image",
    answers: tuple[str, ...] = ("Yes", "No", "Unclear"),
    question: str = "Is it a galaxy?",
    display_name: str | None = None,
    **fields: Any,
) -> Workflow:
    return projects.create_workflow(
        project=project or make_project(),
        display_name=display_name or f"Workflow {next(_number)}",
        subject_kind=kind,
        question=question,
        answers=list(answers),
        **fields,
    )


def make_subject(
    project: Project,
    *,
    kind: str = "image",
    published_in: Workflow | None = None,
    metadata: dict[str, Any] | None = None,
    audience: str = "volunteers",
) -> Subject:
    """A subject with a location (no file behind it), open in a workflow if one is named."""
    subject = Subject.objects.create(project=project, kind=kind, metadata=metadata or {})
    name = uuid.uuid4()
    extension, media_type = (".jpg", "image/jpeg") if kind == "image" else (".png", "image/png")
    Media.objects.create(
        subject=subject, media_type=media_type, name=name, path=f"{name.hex[:2]}/{name}{extension}", size_bytes=1
    )
    if published_in is not None:
        for subject_set in published_in.subject_sets.all():
            SetMemberSubject.objects.create(subject_set=subject_set, subject=subject)
        start = crowd.ensure_epoch(published_in)
        status = SubjectStatus.objects.create(
            workflow=published_in, subject=subject, epoch_id=start.epoch_id, audience=audience
        )
        K = count_answers(published_in.tasks, published_in.first_task)
        if K == 0:  # there is no consensus on what is drawn, written or found
            return subject
        Consensus.objects.create(
            status=status,
            task_key=published_in.first_task,
            log_posterior=start.log_prior,
            answer_counts=[0] * K,
            answer=0,
            probability=1 / K,
        )
    return subject


TREE_LABELS = ("Bar", "Ring", "Tail")


def make_tree_workflow(
    project: Project | None = None, *, answers: tuple[str, ...] = ("Smooth", "Disk"), **fields: Any
) -> Workflow:
    """T0 single → T1 single, which only some reach, and T2 multiple with three labels."""
    workflow = make_workflow(project, answers=answers, question="What is it?", **fields)
    tasks, strings = dict(workflow.tasks), dict(workflow.strings)
    for key, question, labels in (("T1", "Has it arms?", ("Arms", "None")), ("T2", "What else?", TREE_LABELS)):
        more, words = build_question(question=question, answers=list(labels), task_key=key)
        tasks |= more
        strings |= words
    tasks["T1"]["required"] = False
    tasks["T2"] |= {"type": "multiple", "required": False}
    return ask(workflow, tasks, strings)


def ask(
    workflow: Workflow, tasks: dict[str, Any], strings: dict[str, str] | None = None, *, first: str = "T0"
) -> Workflow:
    """Make these the tasks that a workflow asked from its first version on."""
    words = {**workflow.strings, **(strings or {})}
    Workflow.objects.filter(pk=workflow.pk).update(tasks=tasks, strings=words, first_task=first)
    WorkflowVersion.objects.filter(workflow=workflow).update(tasks=tasks, strings=words, first_task=first)
    return Workflow.objects.get(pk=workflow.pk)


def publish(workflow: Workflow, n: int = 1, *, audience: str = "volunteers") -> list[Subject]:
    """Subjects open in a workflow whatever it asks, without a consensus before their first answer."""
    start = crowd.ensure_epoch(workflow)
    subjects = [make_subject(workflow.project) for _ in range(n)]
    SubjectStatus.objects.bulk_create(
        SubjectStatus(workflow=workflow, subject=subject, epoch_id=start.epoch_id, audience=audience)
        for subject in subjects
    )
    return subjects


def classify(
    workflow: Workflow, subject: Subject, volunteer: Volunteer | int | None = None, **answers: Any
) -> Recorded:
    """One submission: `T0=1`, `T2=[0, 2]`; `gold=user` for an expert's, `version` and `key` where they matter."""
    gold, version, key = (answers.pop(name, None) for name in ("gold", "version", "key"))
    if isinstance(volunteer, Volunteer):
        volunteer = volunteer.pk
    return crowd.record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=gold.volunteer.pk if gold else volunteer or make_volunteer().pk,
            user_id=gold.pk if gold else None,
            gold_standard=gold is not None,
            annotations=[{"task": task, "value": value} for task, value in answers.items()],
            metadata={},
            workflow_version=version or workflow.version,
            idempotency_key=key or uuid.uuid4().hex,
        )
    )
