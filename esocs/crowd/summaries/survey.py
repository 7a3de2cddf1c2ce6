"""Surveys: which choices (species, kinds of object) the volunteers saw, and what they answered about each.

"Nothing here" is a choice of the task like any other.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from esocs.crowd.summaries.responses import (
    Response,
    Summary,
    by_count,
    counted,
    half_up,
    median,
    most_common,
    one_each,
    readable_code,
    share,
)

Answers: TypeAlias = dict[str, tuple[str, ...]]

MOST_CHOICES = 200
"""Choices and questions of one volunteer that anybody reads."""

# Panoptes makes a code of a label by leaving out what is neither letter nor digit: "11-50" becomes "1150".
_BIN_CODES = {"1150": (11.0, 50.0)}
_RANGE = re.compile(r"(\d{1,6})\s*(?:-|–|—|to)\s*(\d{1,6})", re.IGNORECASE)
_AT_LEAST = re.compile(r"(\d{1,6})\s*(?:\+|plus|or more|and more|and over)", re.IGNORECASE)
_MORE_THAN = re.compile(r"(?:>|more than|over)\s*(\d{1,6})", re.IGNORECASE)


def summarise_survey(task: Mapping[str, Any], responses: Sequence[Response]) -> Summary:
    """Consensus of a survey task by the plurality algorithm of Snapshot Serengeti.

    The number n of different choices is the median of the volunteers' (a half goes up), and the n most chosen are the
    consensus (Swanson et al. 2015, Sci. Data 2, 150026). Evenness is Pielou's (1966, J. Theor. Biol. 13, 131) over the
    choices' counts: 0 where all chose the same, 1 where nobody agreed.

    Args:
        task: the task; labels of its `questions` tell what a code such as "1150" means.
        responses: value a list of {"choice", "answers": {question: answer or [answers]}}; [] or None: nothing chosen.
            The same choice twice counts once, with the answers of the first.

    Returns:
        kind "survey"; value {"n_choices": the median, "consensus": [choices], "tied": [choices] that were as frequent
        as the last of the consensus and are or are not in it, "evenness", "none": volunteers who chose nothing,
        "choices": {choice: {"count", "share" of seen_by, "questions": {question: {"answered_by", "counts": {answer:
        n}, "shares": {answer: share of answered_by}, "multiple": whether anybody gave several, "how_many": null, or
        where all answers are numbers or ranges {"median", "min", "max": answers, "median_low", "median_high": number,
        null for open}}}}}}. Of an even number of counts the higher middle one is the median, an answer that somebody
        gave.
    """
    chosen: Counter[str] = Counter()
    answers: dict[str, list[Answers]] = defaultdict(list)
    per_volunteer: list[int] = []
    rejected: list[str] = []
    for response in one_each(responses):
        value = [] if response.value is None else response.value
        if not isinstance(value, list | tuple):
            rejected.append("not_a_survey")
            continue
        read, reasons = _read(value)
        rejected += reasons
        per_volunteer.append(len(read))
        chosen.update(read.keys())
        for choice, given in read.items():
            answers[choice].append(given)
    seen_by = len(per_volunteer)
    n_choices = half_up(median(per_volunteer)) if per_volunteer else 0
    ranked = by_count(chosen)
    labels = _labels(task)
    value = {
        "n_choices": n_choices,
        "consensus": [choice for choice, _ in ranked[:n_choices]],
        "tied": _tied(ranked, n_choices),
        "evenness": evenness(list(chosen.values())),
        "none": per_volunteer.count(0),
        "choices": {
            choice: {
                "count": count,
                "share": share(count, seen_by),
                "questions": _questions(answers[choice], labels=labels),
            }
            for choice, count in ranked
        },
    }
    return Summary("survey", seen_by, counted(rejected), value)


def evenness(counts: Sequence[int]) -> float:
    """Pielou's evenness J = H / ln S of S counts, in [0, 1]; 0 for fewer than two."""
    counts = sorted(count for count in counts if count > 0)
    total = sum(counts)
    if len(counts) < 2:
        return 0.0
    entropy = -sum(count / total * math.log(count / total) for count in counts)
    return min(max(entropy / math.log(len(counts)), 0.0), 1.0)


def parse_count(answer: str) -> tuple[float, float | None] | None:
    """Least and greatest number that an answer stands for: "3", "11-50", "51+", ">50"; None for no number.

    The greatest is None where the range is open.
    """
    text = answer.strip()
    if text in _BIN_CODES:
        return _BIN_CODES[text]
    if text.isascii() and text.isdecimal() and len(text) <= 6:
        return float(text), float(text)
    if match := _RANGE.fullmatch(text):
        low, high = sorted((float(match[1]), float(match[2])))
        return low, high
    if match := _AT_LEAST.fullmatch(text):
        return float(match[1]), None
    if match := _MORE_THAN.fullmatch(text):
        return float(match[1]) + 1, None
    return None


def _read(value: Sequence[Any]) -> tuple[dict[str, Answers], list[str]]:
    """One volunteer's choices with their answers, each choice once; and why others were left out."""
    read: dict[str, Answers] = {}
    rejected = []
    for one in value:
        choice = readable_code(one.get("choice")) if isinstance(one, Mapping) else None
        if not choice:
            rejected.append("not_a_choice")
        elif choice not in read and len(read) >= MOST_CHOICES:
            rejected.append("too_many_choices")
        elif choice not in read:
            read[choice], bad = _read_answers(one.get("answers"))
            rejected += ["not_an_answer"] * bad
    return read, rejected


def _read_answers(given: Any) -> tuple[Answers, int]:
    """Answers by question, and how many could not be read."""
    if not isinstance(given, Mapping):
        return {}, int(bool(given))
    answers: Answers = {}
    bad = 0
    for question, answer in list(given.items())[:MOST_CHOICES]:
        name = readable_code(question)
        values = answer if isinstance(answer, list | tuple) else [] if answer is None else [answer]
        codes = [readable_code(one) for one in values]
        if name is None or None in codes:
            bad += 1
        elif codes:
            answers[name] = tuple(sorted({code for code in codes if code is not None}))
    return answers, bad


def _tied(ranked: Sequence[tuple[str, int]], n: int) -> list[str]:
    """All choices as frequent as the last one taken, where one of them was not taken."""
    if not 0 < n < len(ranked) or ranked[n - 1][1] != ranked[n][1]:
        return []
    return [choice for choice, count in ranked if count == ranked[n][1]]


def _questions(given: Sequence[Answers], *, labels: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    by_question: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for answers in given:
        for question, codes in answers.items():
            by_question[question].append(codes)
    told = {}
    for question, sets in sorted(by_question.items()):
        counts = Counter(code for codes in sets for code in codes)
        multiple = any(len(codes) > 1 for codes in sets)
        told[question] = {
            "answered_by": len(sets),
            "counts": dict(by_count(counts)),
            "shares": {code: share(count, len(sets)) for code, count in by_count(counts)},
            "most_common": most_common(counts)[0],
            "multiple": multiple,
            "how_many": None if multiple else _how_many(counts, question=question, labels=labels),
        }
    return told


def _how_many(
    counts: Mapping[str, int], *, question: str, labels: Mapping[tuple[str, str], str]
) -> dict[str, Any] | None:
    ranges = {}
    for code in counts:
        parsed = parse_count(labels.get((question, code), code)) or parse_count(code)
        if parsed is None:
            return None
        ranges[code] = parsed
    order = sorted(counts, key=lambda code: (ranges[code][0], ranges[code][1] or math.inf, code))
    everyone = [code for code in order for _ in range(counts[code])]
    middle = everyone[len(everyone) // 2]
    low, high = ranges[middle]
    return {"median": middle, "median_low": low, "median_high": high, "min": order[0], "max": order[-1]}


def _labels(task: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Labels of the questions' answers, where the task holds them itself and not a key of its strings."""
    labels = {}
    questions = task.get("questions")
    for question, asked in questions.items() if isinstance(questions, Mapping) else ():
        answers = asked.get("answers") if isinstance(asked, Mapping) else None
        for code, answer in answers.items() if isinstance(answers, Mapping) else ():
            label = answer.get("label") if isinstance(answer, Mapping) else None
            if isinstance(label, str):
                labels[str(question), str(code)] = label
    return labels
