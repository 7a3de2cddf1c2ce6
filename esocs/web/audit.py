"""The audit's certificates as sentences, and how many more answers would make one good enough."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from esocs.crowd.certificates import Certificate, upper_error_bound

MOST_AUDITS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CertificateLine:
    """A certificate beside what one wishes of it: an error of at most 1 − τ among the subjects retired at τ.

    Attributes:
        certificate: the certificate.
        own: whether τ is the workflow's own.
        more: audited subjects without an error that would still be needed; None where no number of them is enough.
        bound_width: of the picture's bar, in percent of its width.
        wish_width: where 1 − τ lies on it, likewise.
    """

    certificate: Certificate
    own: bool
    more: int | None
    bound_width: float
    wish_width: float

    @property
    def wish(self) -> float:
        return 1 - self.certificate.threshold

    @property
    def left(self) -> int:
        """Subjects that it speaks of and that are not audited yet."""
        return self.certificate.covered - self.certificate.audited

    @property
    def certified(self) -> bool:
        return self.more == 0


def describe_certificates(certificates: Sequence[Certificate], *, own: Collection[float]) -> list[CertificateLine]:
    """Each certificate with its wish.

    Args:
        certificates: one for each τ.
        own: the workflow's own τ, if it retires by one.
    """
    lines = []
    for certificate in certificates:
        wish = 1 - certificate.threshold
        # A bar that fills the picture says "anything is possible"; otherwise bound and wish share one scale.
        scale = min(max(certificate.bound, wish) * 1.25, 1.0)
        lines.append(
            CertificateLine(
                certificate=certificate,
                own=certificate.threshold in own,
                more=count_more_audits(certificate, wish=wish),
                bound_width=100 * certificate.bound / scale,
                wish_width=100 * wish / scale,
            )
        )
    return lines


def count_more_audits(certificate: Certificate, *, wish: float) -> int | None:
    """The fewest further audited subjects, all of them right, after which the bound is at most `wish`.

    Args:
        certificate: what is known by now.
        wish: an error rate in [0, 1].

    Returns:
        None where more than a million would not do.
    """
    errors, audited = certificate.errors, certificate.audited

    def enough(more: int) -> bool:
        return upper_error_bound(errors, audited + more, confidence=certificate.confidence) <= wish + 1e-12

    if enough(0):
        return 0
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_AUDITS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
