"""Weights on disk: a safetensors file that carries its card, and the same card as JSON beside it.

The only place that opens weights. The source of truth is the safetensors file, named by its sha256: its card
(architecture, questions) lies in its header and is covered by the hash. The members of an ensemble lie in one file, so
that a model version is one file with one hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.data import Question
from classifier.errors import EsocsError

if TYPE_CHECKING:
    from classifier.networks import Network

CARD_FORMAT = 1
LARGEST_WEIGHTS_BYTES = 2 * 1024**3
LARGEST_HEADER_BYTES = 16 * 1024**2
MOST_MEMBERS = 64
CARD_KEY = "esocs_card"


class WeightsError(EsocsError):
    """The base of everything that can be wrong with a weights file."""

    code = "weights_invalid"
    status = 422


class WeightsMissingError(WeightsError):
    """There is no such file."""

    code = "weights_missing"
    status = 404


class WeightsChangedError(WeightsError):
    """The file is not the one whose sha256 was recorded."""

    code = "weights_changed"
    status = 409


class WeightsFormatError(WeightsError):
    """The file is not safetensors with a card: a pickle, a damaged file, another program's weights."""

    code = "weights_format"


class WeightsShapeError(WeightsError):
    """The tensors are not those of the architecture that the card names."""

    code = "weights_shape"


class WeightsLabelsError(WeightsError):
    """The questions or answers of the card are not those of the workflow."""

    code = "weights_labels"
    status = 409


@dataclass(frozen=True, kw_only=True)
class WeightsCard:
    """What a weights file says about itself.

    Attributes:
        architecture: Key of `classifier.networks.ARCHITECTURES`.
        arguments: Arguments of that class.
        questions: The questions it answers, in order.
        members: Networks of this architecture in the file, which are averaged; at least 1.
        facts: Free facts of the training: metrics, seconds, seed, hash of the training set.
        sha256: Hex digest of the safetensors file; empty before it is written.
    """

    architecture: str
    arguments: Mapping[str, Any]
    questions: tuple[Question, ...]
    members: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `WeightsCard.from_json` is its inverse."""
        return {
            "format": CARD_FORMAT,
            "architecture": self.architecture,
            "arguments": dict(self.arguments),
            "questions": [{"name": q.name, "answers": list(q.answers)} for q in self.questions],
            "members": self.members,
            "facts": dict(self.facts),
            **({"sha256": self.sha256} if self.sha256 else {}),
        }

    @classmethod
    def from_json(cls, card: Any) -> WeightsCard:
        """Reads a card.

        Raises:
            WeightsFormatError: A key is missing or of the wrong type, or the format is a later one.
        """
        try:
            if card["format"] != CARD_FORMAT:
                raise WeightsFormatError(f"The weights card has format {card['format']!r}, not {CARD_FORMAT}.")
            members = card.get("members", 1)
            if not isinstance(members, int) or not 1 <= members <= MOST_MEMBERS:
                raise WeightsFormatError(f"The weights card names {members!r} members, not 1 to {MOST_MEMBERS}.")
            return cls(
                architecture=str(card["architecture"]),
                arguments=dict(card["arguments"]),
                questions=tuple(Question(str(q["name"]), tuple(q["answers"])) for q in card["questions"]),
                members=members,
                facts=dict(card.get("facts", {})),
                sha256=str(card.get("sha256", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsFormatError(f"The weights card cannot be read: {error!r}") from error


def save_weights(
    networks: Sequence[Network],
    path: Path,
    *,
    questions: Sequence[Question],
    facts: Mapping[str, Any] | None = None,
) -> WeightsCard:
    """Writes `path` (".safetensors") and its card beside it (".json"), each whole or not at all.

    Args:
        networks: One trained network, or the members of an ensemble: alike but for their weights.
        path: Where to write; directories are made.
        questions: Name and answers of every head.
        facts: What to remember of the training; must be JSON.

    Returns:
        The card with the sha256 of the file as written.

    Raises:
        WeightsLabelsError: The questions are not those of the network's heads.
        WeightsShapeError: The networks differ in architecture or arguments, or there are none or too many.
    """
    import safetensors.torch

    first = networks[0] if networks else None
    if first is None or len(networks) > MOST_MEMBERS:
        raise WeightsShapeError(f"A weights file holds 1 to {MOST_MEMBERS} networks, not {len(networks)}.")
    if any((n.architecture, n.arguments) != (first.architecture, first.arguments) for n in networks):
        raise WeightsShapeError("The members of an ensemble must be of one architecture, with the same arguments.")
    if not _heads_answer(questions, first.arguments):
        raise WeightsLabelsError(f"The network answers {first.arguments['answers']}, not {_labels(questions)}.")
    card = WeightsCard(
        architecture=first.architecture,
        arguments=first.arguments,
        questions=tuple(questions),
        members=len(networks),
        facts=dict(facts or {}),
    )
    tensors = {
        _member_prefix(card, member) + name: value.detach().cpu().contiguous()
        for member, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
    content = safetensors.torch.save(tensors, {CARD_KEY: json.dumps(card.as_json())})
    card = WeightsCard.from_json({**card.as_json(), "sha256": hashlib.sha256(content).hexdigest()})
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(path, content)
    _write_whole(card_path(path), json.dumps(card.as_json(), indent=2).encode() + b"\n")
    return card


def load_weights(
    path: Path, *, sha256: str, questions: Sequence[Question] | None = None
) -> tuple[tuple[Network, ...], WeightsCard]:
    """Reads the network, or the members of an ensemble, back: on the CPU, ready for inference.

    The bytes are hashed and parsed from one read, so the file cannot change in between. Nothing in it is run, and
    no memory is taken for what its card describes before its tensors are known to be just that.

    Args:
        path: The safetensors file.
        sha256: The hex digest recorded when it was written, from the database and not from beside the file.
        questions: The workflow's questions; when given, the card must have the same, in the same order.

    Raises:
        WeightsMissingError: No file.
        WeightsChangedError: Another sha256.
        WeightsFormatError: A pickle, a damaged file or no card.
        WeightsLabelsError: Other questions or answers.
        WeightsShapeError: Tensors that do not fit the architecture, or are not finite.
        UnknownArchitectureError: An architecture this version does not have.
    """
    import safetensors
    import safetensors.torch
    import torch

    from classifier.networks import build_network

    content = _read_checked(path, sha256)
    try:
        card = _card_inside(content)
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError) as error:
        # A safetensors file may begin with these bytes too, so they only name what could not be read.
        pickled = content[:2] == b"PK" or content[:1] == b"\x80"
        reason = "a pickle, which can run programs; only safetensors are read" if pickled else str(error)
        raise WeightsFormatError(f"{path.name} is not a network of esocs: {reason}.") from error
    if questions is not None and card.questions != tuple(questions):
        raise WeightsLabelsError(
            f"{path.name} answers {_labels(card.questions)}, the workflow asks {_labels(questions)}.",
            hint="Train a model version for this workflow version.",
        )
    if not _heads_answer(card.questions, card.arguments):
        raise WeightsShapeError(f"{path.name}: the heads are not those of the card's questions.")
    with torch.device("meta"):
        described = build_network(card.architecture, card.arguments).state_dict()
    expected = {
        _member_prefix(card, member) + name: (value.shape, value.dtype)
        for member in range(card.members)
        for name, value in described.items()
    }
    if {name: (value.shape, value.dtype) for name, value in tensors.items()} != expected:
        raise WeightsShapeError(f"The tensors in {path.name} are not those of {card.architecture}.")
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise WeightsShapeError(f"{path.name} holds values that are not finite.")
    networks = []
    for member in range(card.members):
        prefix = _member_prefix(card, member)
        network = build_network(card.architecture, card.arguments)
        network.load_state_dict({name: tensors[prefix + name] for name in described})
        networks.append(network.eval())
    return tuple(networks), WeightsCard.from_json({**card.as_json(), "sha256": sha256})


def _member_prefix(card: WeightsCard, member: int) -> str:
    """A single network's tensors keep their own names."""
    return f"{member}." if card.members > 1 else ""


def read_card(path: Path) -> WeightsCard:
    """The JSON card beside a weights file, for people and pages; not covered by the hash. Needs no torch."""
    try:
        return WeightsCard.from_json(json.loads(card_path(path).read_bytes()))
    except FileNotFoundError as error:
        raise WeightsMissingError(f"There is no card {card_path(path).name}.") from error
    except (ValueError, RecursionError) as error:
        raise WeightsFormatError(f"{card_path(path).name} is not JSON: {error}") from error


def card_path(path: Path) -> Path:
    """Where the JSON card of a weights file lies."""
    return path.with_suffix(".json")


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_WEIGHTS_BYTES:
            raise WeightsFormatError(f"{path.name} has {size_bytes} bytes, more than any network here.")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WeightsMissingError(
            f"There is no weights file {path.name}.", hint="Restore it from the backup, or roll back."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256.lower():
        raise WeightsChangedError(
            f"{path.name} is not the file that was registered: its sha256 differs.",
            hint="Restore it from the backup, or register it as a new model version.",
        )
    return content


def _card_inside(content: bytes) -> WeightsCard:
    header_bytes = int.from_bytes(content[:8], "little")
    if header_bytes > min(len(content) - 8, LARGEST_HEADER_BYTES):
        raise ValueError(f"its header of {header_bytes} bytes is longer than the file, or than any network's")
    header = json.loads(content[8 : 8 + header_bytes])
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    if CARD_KEY not in metadata:
        raise ValueError("it has no card, so another program wrote it")
    return WeightsCard.from_json(json.loads(metadata[CARD_KEY]))


def _heads_answer(questions: Sequence[Question], arguments: Mapping[str, Any]) -> bool:
    # As lists: the heads are numbered, so the order of the questions is part of their meaning.
    heads = arguments.get("answers")
    return isinstance(heads, dict) and list(heads.items()) == [(q.name, len(q.answers)) for q in questions]


def _labels(questions: Sequence[Question]) -> str:
    return "; ".join(f"{question.name}: {', '.join(question.answers)}" for question in questions)


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
