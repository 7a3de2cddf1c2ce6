"""The texts of a workflow's tasks: taken out into `strings` and named for translators, as Panoptes does it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What volunteers read in a task, wherever in it: questions, answers, tools, their details, choices of a survey.
TEXTS = frozenset({"question", "help", "instruction", "label", "description", "title"})
# A survey's choice maps the choices it is confused with to a text each.
MAPS_OF_TEXTS = frozenset({"confusions"})


def extract_strings(
    tasks: Mapping[str, Any], strings: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Tasks with keys (`T0.answers.1.label`) in the place of texts, and the texts by key.

    Args:
        tasks: with texts, as a client sends them, or with keys, as they are kept.
        strings: texts of the keys that `tasks` already holds.

    Returns:
        The keyed tasks and their texts; extracting again from what was extracted changes nothing.
    """
    known = strings or {}
    found: dict[str, str] = {}

    def visit(value: Any, path: str, *, texts: bool = False) -> Any:
        if isinstance(value, Mapping):
            return {
                str(key): keep(item, f"{path}.{key}")
                if isinstance(item, str) and (texts or key in TEXTS)
                else visit(item, f"{path}.{key}", texts=key in MAPS_OF_TEXTS)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [visit(item, f"{path}.{place}") for place, item in enumerate(value)]
        return value

    def keep(text: str, path: str) -> str:
        found[path] = known.get(text, text)
        return path

    return {key: visit(task, key) for key, task in tasks.items()}, found


def translatable_strings(display_name: str, strings: Mapping[str, str]) -> dict[str, str]:
    """A workflow's texts under the names that translations use: `display_name`, `tasks.T0.question`."""
    return {"display_name": display_name, **{f"tasks.{key}": text for key, text in strings.items()}}


def nested_strings(prefix: str, value: Any) -> dict[str, str]:
    """Every text below a value by its path, as translations name a tutorial's steps: `steps.0.content`."""
    if isinstance(value, str):
        return {prefix: value}
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(str(place), item) for place, item in enumerate(value)]
    else:
        return {}
    return {path: text for key, item in pairs for path, text in nested_strings(f"{prefix}.{key}", item).items()}
