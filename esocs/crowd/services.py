"""The crowd's writes, as the doors call them. Each verb has a module of its own beside this one."""

from esocs.crowd.as_panoptes.counting import record_as_panoptes
from esocs.crowd.as_panoptes.reserving import hand_out_by_streams
from esocs.crowd.as_panoptes.selecting import Selected, select_subjects
from esocs.crowd.budget import plan_publication
from esocs.crowd.epochs import ensure_epoch
from esocs.crowd.handout import QueuedSubject, hand_out_subjects, release_reservations
from esocs.crowd.publication import add_to_set, order_expert_tasks, publish_for_experts, publish_routes
from esocs.crowd.refit import refit_workflow
from esocs.crowd.retirement_settings import RuleRequest, change_retirement
from esocs.crowd.review import draw_audit
from esocs.crowd.revision import record_answer
from esocs.crowd.submission import Recorded, Refill, Submission, record_classification

__all__ = [
    "QueuedSubject",
    "Recorded",
    "Refill",
    "RuleRequest",
    "Selected",
    "Submission",
    "add_to_set",
    "change_retirement",
    "draw_audit",
    "ensure_epoch",
    "hand_out_by_streams",
    "hand_out_subjects",
    "order_expert_tasks",
    "plan_publication",
    "publish_for_experts",
    "publish_routes",
    "record_answer",
    "record_as_panoptes",
    "record_classification",
    "refit_workflow",
    "release_reservations",
    "select_subjects",
]
