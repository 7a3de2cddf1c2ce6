"""The crowd's decisions, pure: when a subject retires, and which volunteers are heard."""

from __future__ import annotations

from esocs.crowd.retirement import (
    Answered,
    Consensus,
    Decision,
    Effect,
    InvalidRetirementError,
    Rule,
    check_criterion,
    decide,
    majority_answer,
    parse_consensus,
    task_of,
)
from esocs.crowd.rule_language import InvalidRuleError
from esocs.crowd.skill import VolunteerSkill, volunteer_skill

__all__ = [
    "Answered",
    "Consensus",
    "Decision",
    "Effect",
    "InvalidRetirementError",
    "InvalidRuleError",
    "Rule",
    "VolunteerSkill",
    "check_criterion",
    "decide",
    "majority_answer",
    "parse_consensus",
    "task_of",
    "volunteer_skill",
]
