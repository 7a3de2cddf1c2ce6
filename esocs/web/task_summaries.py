"""What volunteers drew, wrote, set and listed on one subject, made ready to be shown.

`TaskSummary.value` is the source of truth; its forms stand in the docstrings of crowd.summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from PIL import Image, UnidentifiedImageError

from esocs.crowd.models import TaskSummary
from esocs.projects.models import Media, Workflow
from esocs.web import overlay

MOST_LINES = 20
TOOL_COLOURS = 4


@dataclass(frozen=True, kw_only=True)
class DrawnShape:
    """One cluster of marks: its consensus over the picture and its line in the table."""

    number: int
    tool: str
    shape: str
    path: str
    spread_path: str
    spread_width: float
    label_x: float
    label_y: float
    colour: int
    count: int
    share: float
    spread: str
    details: list[str]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture with what was drawn on it; no address and no size where there is no picture to draw on."""

    number: int
    url: str
    width: float
    height: float
    shapes: list[DrawnShape]

    @property
    def font_size(self) -> float:
        return 0.045 * min(self.width, self.height)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table with a bar: a text, a choice, an option or a bin, and how many gave it."""

    label: str
    count: int
    share: float
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a summary: sentences, and a table of lines."""

    title: str
    facts: list[tuple[str, str]]
    lines: list[Line]


@dataclass(frozen=True, kw_only=True)
class SummaryView:
    """The summary of one task."""

    summary: TaskSummary
    question: str
    frames: list[Frame]
    blocks: list[Block]

    @property
    def rejected(self) -> int:
        return sum(n for n in self.summary.rejected.values() if isinstance(n, int))


def view_summaries(
    workflow: Workflow, summaries: Sequence[TaskSummary], pictures: Sequence[Media]
) -> list[SummaryView]:
    """Every summary of a subject, in the order of its tasks.

    Args:
        workflow: whose tasks were answered.
        summaries: of one subject.
        pictures: its locations, in the order of the frames.
    """
    return [_view(workflow, summary, pictures) for summary in summaries]


def _view(workflow: Workflow, summary: TaskSummary, pictures: Sequence[Media]) -> SummaryView:
    task = workflow.tasks.get(summary.task_key, {})
    text = task.get("question") or task.get("instruction") or summary.task_key
    value = summary.value if isinstance(summary.value, Mapping) else {}
    frames: list[Frame] = []
    blocks: list[Block] = []
    if summary.kind == "drawing":
        frames = _frames(workflow, task, value, pictures)
        blocks = [_drawing_facts(value)]
    elif summary.kind == "survey":
        blocks = _survey(workflow, task, value)
    elif summary.kind == "dropdown":
        blocks = [_select(select, number) for number, select in enumerate(value.get("selects", []), start=1)]
    elif summary.kind in PLAIN:
        blocks = [PLAIN[summary.kind](value, summary.seen_by)]
    return SummaryView(summary=summary, question=_text(workflow, text), frames=frames, blocks=blocks)


def _text(workflow: Workflow, key: Any) -> str:
    return str(workflow.strings.get(str(key), key))


def _frames(workflow: Workflow, task: Any, value: Mapping[str, Any], pictures: Sequence[Media]) -> list[Frame]:
    clusters: list[Mapping[str, Any]] = value.get("clusters", [])
    images = [media for media in pictures if media.media_type.startswith("image/")]
    numbered = list(enumerate(clusters, start=1))
    frames = []
    for number in sorted({cluster.get("frame", 0) for cluster in clusters}):
        picture = images[number] if number < len(images) else None
        size_px = _size_px(picture)
        shapes = [
            _shape(workflow, task, cluster, place, size_px=size_px)
            for place, cluster in numbered
            if cluster.get("frame", 0) == number
        ]
        frames.append(
            Frame(
                number=number,
                url=picture.url if picture and size_px[0] else "",
                width=size_px[0],
                height=size_px[1],
                shapes=shapes,
            )
        )
    return frames


def _size_px(picture: Media | None) -> tuple[float, float]:
    """Width and height; of a picture whose row does not tell, from its file; (0, 0) where that cannot be read."""
    if picture is None:
        return 0.0, 0.0
    if picture.width_px and picture.height_px:
        return float(picture.width_px), float(picture.height_px)
    try:
        with Image.open(settings.MEDIA_ROOT / picture.path) as image:
            return float(image.width), float(image.height)
    except (OSError, UnidentifiedImageError):
        return 0.0, 0.0


def _shape(
    workflow: Workflow, task: Any, cluster: Mapping[str, Any], number: int, *, size_px: tuple[float, float]
) -> DrawnShape:
    tools = task.get("tools", [])
    tool = cluster.get("tool", 0)
    label = tools[tool].get("label", "") if tool < len(tools) and isinstance(tools[tool], Mapping) else ""
    shape, mark, spread = str(cluster.get("shape", "")), cluster.get("mark", {}), cluster.get("spread", {})
    x, y = overlay.anchor(shape, mark, size_px=size_px)
    return DrawnShape(
        number=number,
        tool=_text(workflow, label) or f"tool {tool + 1}",
        shape=shape,
        path=overlay.shape_path(shape, mark, size_px=size_px) if size_px[0] else "",
        spread_path=overlay.spread_path(shape, mark, spread, size_px=size_px) if size_px[0] else "",
        spread_width=overlay.spread_width(shape, spread),
        label_x=x,
        label_y=y,
        colour=tool % TOOL_COLOURS,
        count=cluster.get("count", 0),
        share=cluster.get("share", 0.0),
        spread=overlay.describe_spread(spread),
        details=[one for detail in cluster.get("details", []) if (one := _in_brief(detail))],
    )


def _drawing_facts(value: Mapping[str, Any]) -> Block:
    facts = [
        ("Marks", str(value.get("marks", 0))),
        ("Confirmed by nobody else", str(value.get("unclustered", 0))),
        ("Drew nothing", str(value.get("drew_nothing", 0))),
    ]
    if value.get("left_out"):
        facts.append(("Not looked at, too many", str(value["left_out"])))
    return Block(title="", facts=facts, lines=[])


def _in_brief(detail: Any) -> str:
    """A sub-task's summary (`Summary.to_dict`) on one line."""
    told = detail if isinstance(detail, Mapping) else {}
    match told.get("kind"):
        case "answers":
            return ", ".join(f"{name}: {one['count']}" for name, one in list(told.get("answers", {}).items())[:5])
        case "text":
            common = told.get("most_common")
            return f"“{common['text']}” ({common['count']})" if common else ""
        case "slider":
            return f"{told['median']:.4g} (median)" if told.get("median") is not None else ""
        case "dropdown":
            return ", ".join(str(name) for select in told.get("selects", []) for name in select.get("most_common", []))
        case _:
            return ""


def _text_block(value: Mapping[str, Any], seen_by: int) -> Block:
    common, majority = value.get("most_common"), value.get("majority")
    facts = []
    if common:
        facts.append(("Most common", f"“{common['text']}” ({common['count']} of {seen_by})"))
    if majority:
        facts.append(("Word by word", f"“{majority['text']}” (mean agreement {majority['agreement']:.2f})"))
    if value.get("blank"):
        facts.append(("Wrote nothing", str(value["blank"])))
    wrote = seen_by - value.get("blank", 0)
    texts = list(value.get("texts", {}).items())[:MOST_LINES]
    lines = [Line(label=text, count=n, share=n / wrote if wrote else 0.0) for text, n in texts]
    return Block(title="", facts=facts, lines=lines)


def _slider_block(value: Mapping[str, Any], _seen_by: int) -> Block:
    names = {"median": "Median", "mean": "Mean", "sd": "Standard deviation", "min": "Least", "max": "Greatest"}
    facts = [(name, f"{value[key]:.4g}") for key, name in names.items() if value.get(key) is not None]
    histogram = value.get("histogram") or {"edges": [], "counts": []}
    edges, counts = histogram["edges"], histogram["counts"]
    most = max(counts, default=0) or 1
    lines = [
        Line(label=f"{edges[i]:g} – {edges[i + 1]:g}", count=n, share=n / most, chosen=n == most)
        for i, n in enumerate(counts)
    ]
    return Block(title="", facts=facts, lines=lines)


def _answers_block(value: Mapping[str, Any], _seen_by: int) -> Block:
    common = set(map(str, value.get("most_common", [])))
    lines = [
        Line(label=str(name), count=told["count"], share=told["share"], chosen=str(name) in common)
        for name, told in list(value.get("answers", {}).items())[:MOST_LINES]
    ]
    return Block(title="", facts=[("Left it empty", str(value.get("unanswered", 0)))], lines=lines)


PLAIN = {"text": _text_block, "slider": _slider_block, "answers": _answers_block}


def _select(select: Mapping[str, Any], number: int) -> Block:
    labels, common = select.get("labels", {}), set(map(str, select.get("most_common", [])))
    lines = [
        Line(
            label=str(labels.get(name, name)),
            count=n,
            share=select.get("shares", {}).get(name, 0.0),
            chosen=name in common,
        )
        for name, n in list(select.get("counts", {}).items())[:MOST_LINES]
    ]
    answered = select.get("answered_by", 0)
    written = list(select.get("free_text", {}).items())[:MOST_LINES]
    lines += [Line(label=f"“{text}”", count=n, share=n / answered if answered else 0.0) for text, n in written]
    return Block(title=f"List {number}", facts=[("Answered by", str(answered))], lines=lines)


def _survey(workflow: Workflow, task: Any, value: Mapping[str, Any]) -> list[Block]:
    offered = task.get("choices", {}) if isinstance(task.get("choices"), Mapping) else {}

    def name(code: str) -> str:
        return _text(workflow, offered.get(code, {}).get("label", code))

    consensus = value.get("consensus", [])
    evenness = value.get("evenness")
    facts = [("Consensus", ", ".join(map(name, consensus)) or "nothing")]
    if evenness is not None:
        facts.append(("Evenness (0: all agree)", f"{evenness:.2f}"))
    facts.append(("Chose nothing", str(value.get("none", 0))))
    choices = list(value.get("choices", {}).items())[:MOST_LINES]
    lines = [
        Line(label=name(code), count=told["count"], share=told["share"], chosen=code in consensus)
        for code, told in choices
    ]
    blocks = [Block(title="", facts=facts, lines=lines)]
    for code, told in choices:
        for question, given in told.get("questions", {}).items():
            if code in consensus:
                asked = [
                    Line(label=str(answer), count=n, share=given.get("shares", {}).get(answer, 0.0))
                    for answer, n in list(given.get("counts", {}).items())[:MOST_LINES]
                ]
                blocks.append(Block(title=f"{name(code)}: {question}", facts=_how_many(given), lines=asked))
    return blocks


def _how_many(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    number = given.get("how_many")
    return (
        [("Median", str(number["median"])), ("From", str(number["min"])), ("To", str(number["max"]))] if number else []
    )
