"""The crowd's rows. `Classification` is the source of truth; sums and counts elsewhere are audited caches."""

from __future__ import annotations

from esocs.crowd.caesar.models import (
    CaesarWorkflow,
    Extract,
    ExtractImport,
    Extractor,
    Reducer,
    RuleEffect,
    SubjectReduction,
    SubjectRuleMatch,
    Underived,
    UserReduction,
    UserRule,
    UserRuleMatch,
)
from esocs.crowd.models.retirement import RetirementSetting, SubjectRule
from esocs.crowd.models.skill import Skill, SkillEpoch
from esocs.crowd.models.statuses import Assignment, FactsVersion, Publication, StatusChange, SubjectStatus
from esocs.crowd.models.votes import HARMLESS_METADATA, Answer, Classification, Consensus, GoldStandard, TaskSummary

__all__ = [
    "HARMLESS_METADATA",
    "Answer",
    "Assignment",
    "CaesarWorkflow",
    "Classification",
    "Consensus",
    "Extract",
    "ExtractImport",
    "Extractor",
    "FactsVersion",
    "GoldStandard",
    "Publication",
    "Reducer",
    "RetirementSetting",
    "RuleEffect",
    "Skill",
    "SkillEpoch",
    "StatusChange",
    "SubjectReduction",
    "SubjectRule",
    "SubjectRuleMatch",
    "SubjectStatus",
    "TaskSummary",
    "Underived",
    "UserReduction",
    "UserRule",
    "UserRuleMatch",
]
