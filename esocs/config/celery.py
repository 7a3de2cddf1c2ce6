"""The Celery application. A message carries a job's id and nothing else; `esocs.jobs` is the source of truth."""

from __future__ import annotations

import os

from celery import Celery
from kombu import Queue

from esocs.jobs.registry import QUEUES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "esocs.config.settings")

app = Celery("esocs")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in QUEUES]
app.autodiscover_tasks()
app.conf.beat_schedule = {
    # Any number of beats may tick: a periodic job claims its (name, slot) in the ledger.
    "tick": {"task": "esocs.jobs.tick", "schedule": 5.0, "options": {"queue": "default", "expires": 30}},
}
