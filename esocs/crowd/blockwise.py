"""The fit's arithmetic over blocks of votes: sparse products, short rows, and threads that add up in order. Pure.

The fit's sums come from here; what they mean is said in `dawid_skene`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from esocs.crowd.votes import Block

Floats: TypeAlias = NDArray[np.float32]

MOST_THREADS = 8
"""Beyond that the memory's bandwidth is the limit."""

TALLY_ROWS = 1 << 16
"""Rows that wait, at least, before they are summed."""


def digamma(x: Floats) -> Floats:
    """ψ(x) for x > 0, to float32's precision, in a tenth of the time of the exact routine.

    ψ(x) = ψ(x + 4) − 1/x − 1/(x + 1) − 1/(x + 2) − 1/(x + 3), and the asymptotic series above 4
    (Abramowitz & Stegun 1964, 6.3.5 and 6.3.18).
    """
    # 1/x + 1/(x + 3) and 1/(x + 1) + 1/(x + 2) have denominators that differ by 2.
    product = x * (x + 3)
    recurrence = (2 * x + 3) * (2 * product + 2) / (product * (product + 2))
    z = x + 4
    w = 1 / (z * z)
    series = np.log(z) - 0.5 / z - w * (1 / 12 - w * (1 / 120 - w * (1 / 252)))
    return np.asarray(series - recurrence, np.float32)


def in_order(
    one: Callable[[Block], tuple[Floats, Floats]], blocks: Sequence[Block], *, threads: int | None
) -> Iterator[tuple[Block, tuple[Floats, Floats]]]:
    """Work on a few blocks at once (numpy and scipy let go of the interpreter), and yield them in their order."""
    n = min(len(blocks), threads or min(len(os.sched_getaffinity(0)), MOST_THREADS))
    if n < 2:
        yield from ((block, one(block)) for block in blocks)
        return
    with ThreadPoolExecutor(n) as pool:
        waiting = deque((block, pool.submit(one, block)) for block in blocks[: 2 * n])
        for block in blocks[2 * n :]:
            done, result = waiting.popleft()
            yield done, result.result()
            waiting.append((block, pool.submit(one, block)))
        yield from ((done, result.result()) for done, result in waiting)


def product(matrix: sparse.coo_array, dense: Floats) -> Floats:
    """Sparse by dense, of K − 1 columns: the remaining answer follows from the sum, or from the scale."""
    if dense.shape[1] == 0:
        return np.zeros((matrix.shape[0], 0), np.float32)
    return np.asarray(matrix @ dense)


class Tally:
    """Sums rows into a (U, K) table of float64: many at once by a sparse product, as single ones are slow."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self._total = np.zeros((n_rows, n_columns))
        self._index: list[NDArray[np.int64]] = []
        self._rows: list[Floats] = []
        self._waiting = 0

    def add(self, index: NDArray[np.int64] | None, rows: Floats) -> None:
        """Add rows to those of the index; None: to all of them, in their order."""
        if index is None:
            self._total += rows
            return
        self._index.append(index)
        self._rows.append(rows)
        self._waiting += len(index)
        if self._waiting >= max(len(self._total), TALLY_ROWS):
            self._flush()

    def total(self) -> NDArray[np.float64]:
        if self._waiting:
            self._flush()
        return self._total

    def _flush(self) -> None:
        index = np.concatenate(self._index)
        place = sparse.coo_array(
            (np.ones(len(index), np.float32), (index, np.arange(len(index)))),
            shape=(len(self._total), len(index)),
        )
        self._total += product(place, np.concatenate(self._rows))
        self._index, self._rows, self._waiting = [], [], 0


def shares(counts: Floats, *, prior: Floats | None, out: Floats) -> None:
    """The start: each answer's share of the votes; a subject's own prior counts as one vote more."""
    K = counts.shape[1]
    total = counts @ np.ones(K, np.float32)
    if prior is None:
        counts[total == 0] = 1
    else:
        opinion = np.empty_like(counts)
        softmax(prior.copy(), out=opinion)
        counts += opinion
    np.divide(counts, (counts @ np.ones(K, np.float32))[:, None], out=out)


def softmax(scores: Floats, *, out: Floats) -> None:
    """Row-wise softmax into `out`; column by column, as rows are short and numpy reduces them slowly."""
    K = scores.shape[1]
    if K == 2:
        expit(scores[:, 1] - scores[:, 0], out=out[:, 1])
        np.subtract(1, out[:, 1], out=out[:, 0])
        return
    highest = scores[:, 0].copy()
    for k in range(1, K):
        np.maximum(highest, scores[:, k], out=highest)
    scores -= highest[:, None]
    np.exp(scores, out=scores)
    total = scores @ np.ones(K, np.float32)
    np.divide(scores, total[:, None], out=out)


def sum_rows(group: NDArray[np.int64], *, n: int) -> sparse.csc_array:
    """(n, U) matrix of ones that sums the rows of each group."""
    return sparse.csc_array(
        (np.ones(len(group)), group, np.arange(len(group) + 1)),
        shape=(n, len(group)),
    )
