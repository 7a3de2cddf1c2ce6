"""One module a kind of export: its header, and its rows in the order of the header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from esocs.releases.columns import caesar, classifications, consensus, flat, subjects, workflows
from esocs.releases.columns import credits as credited
from esocs.releases.models import Export
from esocs.releases.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How a kind of export is made; `lines` are its rows as CSV, where there is a quicker way to make them."""

    header: Callable[[Scope], Sequence[str]]
    rows: Callable[[Scope], Iterator[Sequence[Any]]]
    count: Callable[[Scope], int]
    lines: Callable[[Scope], Iterator[str]] | None = None


KINDS: dict[str, Columns] = {
    Export.Kind.CLASSIFICATIONS: Columns(
        header=classifications.header,
        rows=classifications.rows,
        count=classifications.count,
        lines=classifications.lines,
    ),
    Export.Kind.ANNOTATIONS: Columns(header=flat.header, rows=flat.rows, count=flat.count),
    Export.Kind.SUBJECTS: Columns(header=subjects.header, rows=subjects.rows, count=subjects.count),
    Export.Kind.WORKFLOWS: Columns(header=workflows.header, rows=workflows.rows, count=workflows.count),
    Export.Kind.CONSENSUS: Columns(header=consensus.header, rows=consensus.rows, count=consensus.count),
    Export.Kind.CREDITS: Columns(header=credited.header, rows=credited.rows, count=credited.count),
    **{
        kind: Columns(header=source.header, rows=source.rows, count=source.count)
        for kind, source in (
            (Export.Kind.EXTRACTS, caesar.EXTRACTS),
            (Export.Kind.SUBJECT_REDUCTIONS, caesar.SUBJECT_REDUCTIONS),
            (Export.Kind.USER_REDUCTIONS, caesar.USER_REDUCTIONS),
        )
    },
}
