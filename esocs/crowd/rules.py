"""The crowd's decisions, pure: when a subject retires, and which volunteers are heard."""

from __future__ import annotations

from esocs.crowd.retirement import (
    Consensus,
    Decision,
    InvalidRetirementError,
    decide,
    majority_answer,
    parse_consensus,
)
from esocs.crowd.skill import VolunteerSkill, volunteer_skill

__all__ = [
    "Consensus",
    "Decision",
    "InvalidRetirementError",
    "VolunteerSkill",
    "decide",
    "majority_answer",
    "parse_consensus",
    "volunteer_skill",
]
