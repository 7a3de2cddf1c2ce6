"""Caesar's addresses. Ids are checked by the views, so that a bad one gets an answer in form."""

from __future__ import annotations

from django.urls import path

from esocs.panoptes.caesar import configured, derived

WORKFLOW = "workflows/<str:pk>"
SUBJECT_RULE = f"{WORKFLOW}/subject_rules/<str:rule_id>"
USER_RULE = f"{WORKFLOW}/user_rules/<str:rule_id>"

urlpatterns = [
    path("workflows", configured.Workflows.as_view(), name="caesar-workflows"),
    path(WORKFLOW, configured.Workflow.as_view(), name="caesar-workflow"),
    path(f"{WORKFLOW}/extractors", configured.Extractors.as_view(), name="caesar-extractors"),
    path(f"{WORKFLOW}/extractors/<str:name>", configured.ExtractorDetail.as_view(), name="caesar-extractor"),
    path(f"{WORKFLOW}/extractors/<str:name>/extracts", derived.ExtractorExtracts.as_view(), name="caesar-extracts"),
    path(f"{WORKFLOW}/reducers", configured.Reducers.as_view(), name="caesar-reducers"),
    path(f"{WORKFLOW}/reducers/<str:name>", configured.ReducerDetail.as_view(), name="caesar-reducer"),
    path(f"{WORKFLOW}/subject_rules", configured.SubjectRules.as_view(), name="caesar-subject-rules"),
    path(SUBJECT_RULE, configured.SubjectRuleDetail.as_view(), name="caesar-subject-rule"),
    path(f"{SUBJECT_RULE}/subject_rule_effects", configured.SubjectRuleEffects.as_view(), name="caesar-effects"),
    path(
        f"{SUBJECT_RULE}/subject_rule_effects/<str:effect_id>",
        configured.SubjectRuleEffectDetail.as_view(),
        name="caesar-effect",
    ),
    path(f"{WORKFLOW}/user_rules", configured.UserRules.as_view(), name="caesar-user-rules"),
    path(USER_RULE, configured.UserRuleDetail.as_view(), name="caesar-user-rule"),
    path(f"{USER_RULE}/user_rule_effects", configured.UserRuleEffects.as_view(), name="caesar-user-effects"),
    path(
        f"{USER_RULE}/user_rule_effects/<str:effect_id>",
        configured.UserRuleEffectDetail.as_view(),
        name="caesar-user-effect",
    ),
    path(f"{WORKFLOW}/extracts/import", derived.ExtractImports.as_view(), name="caesar-import"),
    path(f"{WORKFLOW}/subjects/<str:subject_id>/extracts", derived.SubjectExtracts.as_view()),
    path(f"{WORKFLOW}/subjects/<str:subject_id>/reductions", derived.SubjectReductions.as_view()),
    path(f"{WORKFLOW}/users/<str:user_id>/reductions", derived.UserReductions.as_view()),
    path(f"{WORKFLOW}/subject_reductions/<str:key>", derived.WrittenSubjectReduction.as_view()),
    path(f"{WORKFLOW}/user_reductions/<str:key>", derived.WrittenUserReduction.as_view()),
]
