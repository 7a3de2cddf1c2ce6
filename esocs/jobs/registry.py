"""Which kinds of job there are, on which queue each runs, and the function that runs it.

`KINDS` is the source of truth for queues, so that a process that never imports a room's tasks (the web) can still
enqueue them. A room's `tasks.py` adds the function with `@handler(kind)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from classifier.errors import EsocsError

QUEUES = ("ingest", "gpu", "default", "export")

KINDS: dict[str, str] = {
    "accounts.forget_tokens": "default",
    "archive.ingest": "ingest",
    "projects.make_subjects": "default",
    "machine.predict": "gpu",
    "machine.route": "default",
    "machine.count_drift": "default",
    "machine.tend_indexes": "default",
    "machine.index_embeddings": "default",
    "machine.withdraw": "default",
    "crowd.publish": "default",
    "crowd.publish_waiting": "default",
    "crowd.watch_audit": "default",
    "crowd.refit": "default",
    "crowd.reconsider": "default",
    "crowd.follow_settings": "default",
    "crowd.apply_rule": "default",
    "crowd.derive": "default",
    "crowd.call_extractor": "default",
    "crowd.call_reducer": "default",
    "crowd.import_extracts": "default",
    "crowd.summarise": "default",
    "crowd.count": "default",
    "crowd.sweep_assignments": "default",
    "crowd.measure_reliability": "default",
    "training.retrain": "gpu",
    "community.forget_traces": "default",
    "releases.export": "export",
}


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What a handler is given: the row's identity and its payload, never a live row."""

    id: int
    kind: str
    key: str
    attempt: int
    payload: dict[str, Any]
    report_progress: Callable[[int, int], None]


# A handler does its long work outside a transaction and returns the effect, which is committed together with the
# job's finish; or None when there is nothing to write.
Effect = Callable[[], None]
Handler = Callable[[JobContext], Effect | None]


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """A job that is due once in every slot of `every_s` seconds."""

    kind: str
    every_s: int


_handlers: dict[str, Handler] = {}
_periodic: dict[str, Periodic] = {}


class UnknownJobKindError(EsocsError):
    """A job names a kind that nobody handles."""

    code = "unknown_job_kind"


class PermanentJobError(EsocsError):
    """Trying again cannot help: the job fails at once, with this error."""

    code = "job_failed_permanently"


def handler(kind: str) -> Callable[[Handler], Handler]:
    """Register the function that runs jobs of this kind."""
    if kind not in KINDS:
        raise UnknownJobKindError(f"The job kind {kind!r} has no queue.", hint="Add it to registry.KINDS.")

    def register(function: Handler) -> Handler:
        _handlers[kind] = function
        return function

    return register


def periodic(kind: str, *, every_s: int) -> None:
    """Have a job of this kind enqueued once in every slot of `every_s` seconds."""
    _periodic[kind] = Periodic(kind=kind, every_s=every_s)


def get_handler(kind: str) -> Handler:
    try:
        return _handlers[kind]
    except KeyError:
        raise UnknownJobKindError(f"No handler is registered for the job kind {kind!r}.") from None


def list_periodic() -> list[Periodic]:
    return list(_periodic.values())
