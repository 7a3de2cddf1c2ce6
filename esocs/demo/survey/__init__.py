"""A simulated ESO survey as honest FITS: images in six classes, spectra in five, their truth kept apart."""

from esocs.demo.survey.difficulty import IMAGE_CLASSES, SPECTRUM_CLASSES
from esocs.demo.survey.simulation import InvalidSurveyError, SurveySummary, simulate
from esocs.demo.survey.truth import TruthRow, read_truth

__all__ = [
    "IMAGE_CLASSES",
    "SPECTRUM_CLASSES",
    "InvalidSurveyError",
    "SurveySummary",
    "TruthRow",
    "read_truth",
    "simulate",
]
