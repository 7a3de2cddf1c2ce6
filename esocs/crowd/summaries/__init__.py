"""What volunteers draw, write, count and estimate, summarised per task and subject. Pure: values in, JSON out.

Start with `summarise_task`.
"""

from __future__ import annotations

from esocs.crowd.summaries.answers import summarise_answers
from esocs.crowd.summaries.clustering import Cluster, Clustering, InvalidClusteringError, cluster_marks
from esocs.crowd.summaries.consensus import consensus_shape, spread
from esocs.crowd.summaries.drawing import summarise_drawing
from esocs.crowd.summaries.dropdown import summarise_dropdown
from esocs.crowd.summaries.reading import Mark, Rejected, embed_details, read_mark, read_marks
from esocs.crowd.summaries.responses import Response, Summary
from esocs.crowd.summaries.slider import summarise_slider
from esocs.crowd.summaries.summary import infer_type, summarise_task
from esocs.crowd.summaries.survey import summarise_survey
from esocs.crowd.summaries.text import summarise_text

__all__ = [
    "Cluster",
    "Clustering",
    "InvalidClusteringError",
    "Mark",
    "Rejected",
    "Response",
    "Summary",
    "cluster_marks",
    "consensus_shape",
    "embed_details",
    "infer_type",
    "read_mark",
    "read_marks",
    "spread",
    "summarise_answers",
    "summarise_drawing",
    "summarise_dropdown",
    "summarise_slider",
    "summarise_survey",
    "summarise_task",
    "summarise_text",
]
