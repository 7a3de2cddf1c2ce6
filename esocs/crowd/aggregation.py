"""Our own rows as the tables that the aggregation of files takes (`esocs.crowd.files`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from esocs.accounts.models import Volunteer
from esocs.crowd.answers import read_answers
from esocs.crowd.files.questions import TaskResponses
from esocs.crowd.files.tables import ANONYMOUS_PREFIX, QuestionTable
from esocs.crowd.models import Classification
from esocs.crowd.summaries import embed_details
from esocs.crowd.summarising import summarised_tasks
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels, list_questions, question_label


def rows_of_workflow(workflow: Workflow) -> Iterator[QuestionTable]:
    """One table a question of the workflow: counted answers, gold, and the machine's opinion.

    Subjects are named by their id, volunteers by their login, and sessions without an account by
    `tables.ANONYMOUS_PREFIX` and their id.
    """
    for question in list_questions(workflow.tasks, workflow.first_task):
        table = read_answers(workflow, question)
        yield QuestionTable(
            key=question.key,
            text=question_label(workflow.tasks, workflow.strings, question.key),
            answers=answer_labels(workflow.tasks, workflow.strings, question.key),
            subjects=pa.array([str(pk) for pk in table.subjects.tolist()], pa.string()),
            volunteers=pa.array(_names(table.volunteers), pa.string()),
            anonymous=table.gathered.anonymous if table.gathered.anonymous is not None else np.zeros(0, bool),
            subject=table.subject.astype(np.int32),
            volunteer=table.volunteer.astype(np.int32),
            answer=table.answer.astype(np.int32),
            gold=table.gathered.gold,
            log_prior=table.gathered.log_prior,
            heard=table.gathered.heard,
        )


def responses_of_workflow(workflow: Workflow) -> Iterator[TaskResponses]:
    """What volunteers drew, wrote and estimated, one subject and task after another."""
    tasks = summarised_tasks(workflow)
    rows = Classification.objects.filter(workflow=workflow, counted=True).order_by("subject_id", "id")
    given = rows.values_list("subject_id", "volunteer_id", "annotations").iterator(chunk_size=500)
    for subject_id, submissions in groupby(given, key=itemgetter(0)) if tasks else ():
        said: dict[str, list[tuple[str, object]]] = {key: [] for key in tasks}
        for _, volunteer_id, answers in submissions:
            for annotation in embed_details(answers):
                if annotation.get("task") in said:
                    said[annotation["task"]].append((str(volunteer_id), annotation.get("value")))
        for key, responses in said.items():
            if responses:
                yield TaskResponses(task_key=key, task=tasks[key], subject=str(subject_id), responses=responses)


def _names(volunteers: NDArray[np.int64]) -> list[str]:
    named = Volunteer.objects.filter(id__in=volunteers.tolist(), user__isnull=False).values_list("id", "user__login")
    logins = dict(named)
    return [logins.get(pk, f"{ANONYMOUS_PREFIX}{pk}") for pk in volunteers.tolist()]
