"""Which class and how hard each simulated object is: the survey's latent truth, drawn before any pixel.

The shares below are the source of truth for the class balance; docs/simulated-survey.md explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["image", "spectrum"]

BLOCK_SIZE: Final = 50

IMAGE_CLASSES: Final[dict[str, int]] = {
    "elliptical": 11,
    "spiral": 12,
    "edge-on": 8,
    "merger": 6,
    "star": 8,
    "artifact": 5,
}
"""Class to its count in every 50 images: 22, 24, 16, 12, 16 and 10 %."""

SPECTRUM_CLASSES: Final[dict[str, int]] = {
    "star": 11,
    "galaxy": 14,
    "emission-line galaxy": 12,
    "quasar": 8,
    "bad": 5,
}
"""Class to its count in every 50 spectra: 22, 28, 24, 16 and 10 %."""

_KIND_CODE: Final[dict[Kind, int]] = {"image": 1, "spectrum": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """What one object is before it is drawn: its class, and its latent difficulty in [0, 1]."""

    class_name: str
    difficulty: float

    @property
    def ambiguity(self) -> float:
        """0 for an object a careful reader is sure of; above difficulty 0.5 it rises to 1."""
        return max(0.0, 2.0 * self.difficulty - 1.0)

    @property
    def is_hard(self) -> bool:
        return self.difficulty > 0.5


def latent_difficulty(u: float, *, hard_share: float) -> float:
    """The quantile function of the latent difficulty.

    The lowest ``1 - hard_share`` of the distribution is uniform on [0, 0.5], the rest uniform on (0.5, 1].

    Args:
        u: A uniform number in [0, 1).
        hard_share: The share of objects whose difficulty exceeds 0.5, in [0, 1].
    """
    easy_share = 1.0 - hard_share
    if u < easy_share:
        return 0.5 * u / easy_share
    return 1.0 - 0.5 * (1.0 - u) / hard_share


def draw_object(*, kind: Kind, index: int, seed: int, hard_share: float) -> Draw:
    """Class and difficulty of the object ``index`` of this kind; the same however many others are made.

    Objects come in blocks of 50. Within a block the classes have their exact shares and the difficulties are
    stratified (a Latin square of one dimension), so a small survey has the shares of a large one.
    """
    block, place = divmod(index, BLOCK_SIZE)
    rng = np.random.default_rng([seed, _KIND_CODE[kind], 0, block])
    shares = IMAGE_CLASSES if kind == "image" else SPECTRUM_CLASSES
    names = np.repeat(np.array(list(shares)), list(shares.values()))
    class_name = str(rng.permutation(names)[place])
    strata: NDArray[np.float64] = (rng.permutation(BLOCK_SIZE) + rng.random(BLOCK_SIZE)) / BLOCK_SIZE
    return Draw(class_name=class_name, difficulty=latent_difficulty(float(strata[place]), hard_share=hard_share))


def object_rng(*, kind: Kind, index: int, seed: int) -> np.random.Generator:
    """The one stream of random numbers that draws the pixels and the header of object ``index``."""
    return np.random.default_rng([seed, _KIND_CODE[kind], 1, index])
