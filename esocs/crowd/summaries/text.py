"""What volunteers wrote: the most common text, and the text of the most common token at every place."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.summaries.responses import (
    MAX_TEXT,
    Response,
    Summary,
    by_count,
    counted,
    most_common,
    one_each,
    readable_text,
    share,
)

Tokens: TypeAlias = tuple[str, ...]

MAX_TOKENS = 1_000
"""Tokens of a text that is aligned; of a longer one the rest is left out, and the summary says so."""

MOST_REFERENCES = 30
"""Most common different texts among which the medoid is looked for."""

MOST_LISTED = 50
"""Different texts that a summary lists."""


def normalised(text: str, *, punctuation: bool = True) -> str:
    """The text as texts are compared: Unicode NFC, case folded, white space made single blanks.

    Args:
        text: any text.
        punctuation: whether punctuation (Unicode category P) counts; otherwise it is left out.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", readable_text(text)).casefold())
    if not punctuation:
        folded = "".join(c for c in folded if not unicodedata.category(c).startswith("P"))
    return " ".join(folded.split())


def summarise_text(responses: Sequence[Response], *, punctuation: bool = True) -> Summary:
    """Consensus of a text task.

    Two readings stand beside each other. *Most common*: the normalised text that most volunteers wrote. *Majority
    token*: every text is aligned, token by token, with the medoid (the text with the least total edit distance to all
    others) by the algorithm of Needleman & Wunsch (1970, J. Mol. Biol. 48, 443) with unit costs, and at every place
    the most common token is taken, or none where more volunteers have none there.

    Args:
        responses: value a text, or None.
        punctuation: whether texts that differ in punctuation alone are different.

    Returns:
        kind "text"; value {"texts": {normalised text: n}, the 50 most common, "distinct", "blank": volunteers who wrote
        nothing, "most_common": null or {"text": as most of them wrote it, "count", "share" of those who wrote, "tied":
        [normalised texts] if several are as common}, "majority": null or {"text", "agreement": mean share of the
        tokens, "tokens": [{"token", "count", "share" of those who wrote, "others": {token: n}}], "shortened": texts
        of more than 1,000 tokens}}.
    """
    raw: dict[str, Counter[str]] = defaultdict(Counter)
    rejected: list[str] = []
    seen_by = blank = 0
    for response in one_each(responses):
        text = "" if response.value is None else response.value
        if not isinstance(text, str):
            rejected.append("not_a_text")
            continue
        if len(text) > MAX_TEXT:
            rejected.append("too_long")
            continue
        seen_by += 1
        key = normalised(text, punctuation=punctuation)
        if key:
            raw[key][" ".join(readable_text(text).split())] += 1
        else:
            blank += 1
    counts = {text: forms.total() for text, forms in raw.items()}
    wrote = sum(counts.values())
    value = {
        "texts": dict(by_count(counts)[:MOST_LISTED]),
        "distinct": len(counts),
        "blank": blank,
        "most_common": _most_common_text(raw, counts),
        "majority": _majority(raw, punctuation=punctuation) if wrote else None,
    }
    return Summary("text", seen_by, counted(rejected), value)


def edit_distance(a: Tokens, b: Tokens) -> int:
    """Insertions, deletions and replacements that make b of a (Levenshtein 1966, Sov. Phys. Dokl. 10, 707)."""
    return int(_costs(a, b)[-1, -1])


def align(text: Tokens, reference: Tokens) -> list[tuple[int, int]]:
    """Global alignment of two token sequences by Needleman & Wunsch with unit costs; replacing before leaving out.

    Returns:
        Pairs (index in text, index in reference), in order; −1 where one of them has no token.
    """
    costs = _costs(text, reference)
    i, j = len(text), len(reference)
    pairs = []
    while i or j:
        replace = i and j and costs[i, j] == costs[i - 1, j - 1] + (text[i - 1] != reference[j - 1])
        if replace:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
            pairs.append((i, -1))
        else:
            j -= 1
            pairs.append((-1, j))
    return pairs[::-1]


def _costs(a: Tokens, b: Tokens) -> NDArray[np.int32]:
    """(len(a) + 1, len(b) + 1) edit distances of all beginnings of a and b."""
    codes = {token: code for code, token in enumerate(dict.fromkeys((*a, *b)))}
    coded = np.array([codes[token] for token in b], np.int32)
    across = np.arange(len(b) + 1, dtype=np.int32)
    costs = np.empty((len(a) + 1, len(b) + 1), np.int32)
    costs[0] = across
    for i, token in enumerate(a, start=1):
        row = costs[i]
        row[0] = i
        np.minimum(costs[i - 1, :-1] + (coded != codes[token]), costs[i - 1, 1:] + 1, out=row[1:])
        # What comes from the left: least of the row up to here, plus the steps since.
        costs[i] = np.minimum.accumulate(row - across) + across
    return costs


def _most_common_text(raw: Mapping[str, Counter[str]], counts: Mapping[str, int]) -> dict[str, Any] | None:
    names, count = most_common(counts)
    if not names:
        return None
    told: dict[str, Any] = {
        "text": _usual_form(raw[names[0]]),
        "count": count,
        "share": share(count, sum(counts.values())),
    }
    return told | ({"tied": names[:MOST_LISTED]} if len(names) > 1 else {})


def _usual_form(forms: Mapping[str, int]) -> str:
    return most_common(forms)[0][0]


@dataclass
class _Place:
    """Votes at one place of the alignment: normalised tokens, and the forms in which they were written."""

    votes: Counter[str] = field(default_factory=Counter)
    forms: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def vote(self, token: str, form: str, count: int) -> None:
        self.votes[token] += count
        self.forms[token][form] += count


def _majority(raw: Mapping[str, Counter[str]], *, punctuation: bool) -> dict[str, Any] | None:
    written = [(form, count) for key in sorted(raw) for form, count in sorted(raw[key].items())]
    forms = {form: [t for t in form.split() if normalised(t, punctuation=punctuation)] for form, _ in written}
    shortened = sum(count for form, count in written if len(forms[form]) > MAX_TOKENS)
    texts = {
        form: tuple(normalised(token, punctuation=punctuation) for token in tokens[:MAX_TOKENS])
        for form, tokens in forms.items()
    }
    weights: Counter[Tokens] = Counter()
    for form, count in written:
        weights[texts[form]] += count
    reference = _medoid(weights)
    wrote = weights.total()
    # Places in order: those of the reference, (k, 0), after the insertions before them, (k, i − many).
    places: dict[tuple[int, int], _Place] = defaultdict(_Place)
    aligned = {text: align(text, reference) for text in weights}
    for form, count in written:
        inserted = 0
        spot = 0
        for index, at in aligned[texts[form]]:
            if at >= 0:
                spot, inserted = at + 1, 0
                place = (at, 1 << 20)
            else:
                place = (spot, inserted)
                inserted += 1
            if index >= 0:
                places[place].vote(texts[form][index], forms[form][index], count)
    tokens = [told for key in sorted(places) if (told := _token(places[key], wrote=wrote)) is not None]
    if not tokens:
        return None
    return {
        "text": " ".join(token["token"] for token in tokens),
        "agreement": sum(token["share"] for token in tokens) / len(tokens),
        "tokens": tokens,
        "shortened": shortened,
    }


def _token(place: _Place, *, wrote: int) -> dict[str, Any] | None:
    """The most common token of a place; None where more volunteers have none there."""
    names, count = most_common(place.votes)
    if count < wrote - place.votes.total():
        return None
    token = names[0]
    return {
        "token": _usual_form(place.forms[token]),
        "count": count,
        "share": share(count, wrote),
        "others": {other: n for other, n in by_count(place.votes)[:MOST_LISTED] if other != token},
    }


def _medoid(weights: Mapping[Tokens, int]) -> Tokens:
    """Of the most common texts, the one with the least edit distance to the others, each as often as it was written."""
    some = sorted(weights, key=lambda text: (-weights[text], text))[:MOST_REFERENCES]
    totals = np.zeros(len(some), np.int64)
    for i, a in enumerate(some):
        for j in range(i):
            d = edit_distance(a, some[j])
            totals[i] += d * weights[some[j]]
            totals[j] += d * weights[a]
    return some[int(totals.argmin())]
