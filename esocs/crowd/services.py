"""The crowd's writes, as the doors call them. Each verb has a module of its own beside this one."""

from esocs.crowd.handout import QueuedSubject, hand_out_subjects, release_reservations
from esocs.crowd.publication import order_expert_tasks, publish_for_experts, publish_routes
from esocs.crowd.refit import ensure_epoch, refit_workflow
from esocs.crowd.submission import Recorded, Submission, record_classification

__all__ = [
    "QueuedSubject",
    "Recorded",
    "Submission",
    "ensure_epoch",
    "hand_out_subjects",
    "order_expert_tasks",
    "publish_for_experts",
    "publish_routes",
    "record_classification",
    "refit_workflow",
    "release_reservations",
]
