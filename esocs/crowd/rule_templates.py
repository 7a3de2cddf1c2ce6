"""Rules that scientists ask for in words, with blanks to fill: each becomes an expression of the rule language. Pure.

"Retire after 3 blanks", "when 5 agree", "after 1 expert", "after N in total", "move to another workflow's set when X".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from esocs.crowd.rule_language import InvalidRuleError

RETIREMENT_REASONS = ("classification_count", "flagged", "nothing_here", "consensus", "other", "human")
"""Panoptes' reasons."""

RENAMED_REASONS = {"blank": "nothing_here", "": "other"}
"""Zooniverse's older word for one, and none."""


@dataclass(frozen=True, kw_only=True)
class Blank:
    """A blank of a template.

    Attributes:
        name: its key in the options.
        label: what the scientist reads beside the field.
        kind: `count`, `answer` (index of the first question's answers), `probability` or `subject_set` (id).
        default: filled in at first.
    """

    name: str
    label: str
    kind: str
    default: Any = None


@dataclass(frozen=True, kw_only=True)
class Template:
    """A rule in words."""

    name: str
    title: str
    sentence: str
    blanks: tuple[Blank, ...]
    effect: str
    reason: str
    build: Callable[[str, Mapping[str, Any]], list[Any]]

    @property
    def asks_single(self) -> bool:
        """Whether it speaks of the answers to a first task that is a single choice."""
        return self.name in {"blanks", "agree", "move"}

    def fill(self, task_key: str, options: Mapping[str, Any], *, n_answers: int) -> tuple[list[Any], dict[str, Any]]:
        """The condition, and the checked options.

        Raises:
            InvalidRuleError: an option is missing or out of range.
        """
        checked = {blank.name: _checked(blank, options.get(blank.name), n_answers) for blank in self.blanks}
        return self.build(task_key, checked), checked


def _checked(blank: Blank, value: Any, n_answers: int) -> Any:
    if value is None or value == "":
        value = blank.default
    whole = blank.kind != "probability"
    try:
        number = int(value) if whole else float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRuleError(f"{blank.label}: {value!r} is not a number.") from None
    if isinstance(value, bool) or (whole and isinstance(value, float) and number != value):
        raise InvalidRuleError(f"{blank.label}: {value!r} is not a whole number.")
    low, high = {"count": (1, 10_000), "answer": (0, n_answers - 1), "probability": (0.0, 1.0)}.get(
        blank.kind, (1, 1 << 62)
    )
    if not low <= number <= high:
        raise InvalidRuleError(f"{blank.label}: {value!r} is not between {low} and {high}.")
    return number


def _at_least(fact: str, count: float) -> list[Any]:
    return ["gte", ["lookup", fact, 0], ["const", count]]


ANSWER = Blank(name="answer", label="Answer", kind="answer", default=0)

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            name="blanks",
            title="So many say there is nothing",
            sentence="Retire as “nothing here” once {count} volunteers have said “{answer}” and nobody anything else.",
            blanks=(ANSWER, Blank(name="count", label="Volunteers", kind="count", default=3)),
            effect="retire_subject",
            reason="nothing_here",
            build=lambda task, options: [
                "and",
                _at_least(f"votes.{task}.{options['answer']}", options["count"]),
                ["eq", ["lookup", f"votes.{task}.{options['answer']}", 0], ["lookup", f"votes.{task}.total", 0]],
            ],
        ),
        Template(
            name="agree",
            title="So many agree",
            sentence="Retire once {count} volunteers have given the same answer, whichever it is.",
            blanks=(Blank(name="count", label="Volunteers", kind="count", default=5),),
            effect="retire_subject",
            reason="consensus",
            build=lambda task, options: _at_least(f"votes.{task}.most", options["count"]),
        ),
        Template(
            name="expert",
            title="One expert is enough",
            sentence="Retire once {count} expert has answered.",
            blanks=(Blank(name="count", label="Experts", kind="count", default=1),),
            effect="retire_subject",
            reason="human",
            build=lambda _task, options: _at_least("experts.n", options["count"]),
        ),
        Template(
            name="total",
            title="So many in total",
            sentence="Retire once {count} volunteers have answered, whatever they said.",
            blanks=(Blank(name="count", label="Volunteers", kind="count", default=15),),
            effect="retire_subject",
            reason="classification_count",
            build=lambda _task, options: _at_least("count.classifications", options["count"]),
        ),
        Template(
            name="move",
            title="Move on to another workflow",
            sentence=(
                "Add the subject to the set “{subject_set}”, whose workflows then ask about it, once {count} volunteers"
                " have answered and “{answer}” is at least as probable as {probability}."
            ),
            blanks=(
                ANSWER,
                Blank(name="count", label="Volunteers", kind="count", default=3),
                Blank(name="probability", label="Probability", kind="probability", default=0.8),
                Blank(name="subject_set", label="Subject set", kind="subject_set"),
            ),
            effect="add_subject_to_set",
            reason="",
            build=lambda task, options: [
                "and",
                _at_least("count.classifications", options["count"]),
                ["eq", ["lookup", f"consensus.{task}.answer", -1], ["const", options["answer"]]],
                _at_least(f"consensus.{task}.probability", options["probability"]),
            ],
        ),
    )
}


def get_template(name: str) -> Template:
    """The template of that name.

    Raises:
        InvalidRuleError: no such template.
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        raise InvalidRuleError(f"There is no template {name!r}.", hint=f"Use one of {', '.join(TEMPLATES)}.") from None
