"""How wrong a consensus can be, from an audited sample: exact bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from esocs.crowd.certificates import certify, upper_error_bound


@pytest.mark.parametrize(
    ("errors", "audited", "bound"), [(0, 59, 0.05), (0, 299, 0.01), (0, 58, 0.0504), (1, 93, 0.0500), (0, 1, 0.95)]
)
def test_known_bounds(errors: int, audited: int, bound: float) -> None:
    assert upper_error_bound(errors, audited) == pytest.approx(bound, abs=1e-3)
    if (errors, audited) in {(0, 59), (0, 299)}:
        assert upper_error_bound(errors, audited) <= bound


@given(audited=st.integers(1, 400), share=st.floats(0, 0.99), confidence=st.sampled_from([0.9, 0.95, 0.99]))
def test_at_the_bound_so_few_errors_are_as_rare_as_the_confidence_says(
    audited: int, share: float, confidence: float
) -> None:
    errors = int(share * audited)
    p = upper_error_bound(errors, audited, confidence=confidence)
    assert binom.cdf(errors, audited, p) == pytest.approx(1 - confidence, rel=1e-6)
    assert p >= errors / audited


def test_nothing_audited_certifies_nothing() -> None:
    assert upper_error_bound(0, 0) == 1.0
    assert upper_error_bound(7, 7) == 1.0
    for errors, audited in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="cannot be"):
            upper_error_bound(errors, audited)


def test_the_bound_covers_the_true_error_in_nineteen_of_twenty_audits() -> None:
    rng = np.random.default_rng(2)
    bounds = [upper_error_bound(int(e), 100) for e in rng.binomial(100, 0.03, size=2000)]
    assert np.mean(np.array(bounds) >= 0.03) >= 0.95


def test_each_threshold_has_its_certificate() -> None:
    low, high = certify(
        p=np.array([0.9, 0.95, 0.99, 0.99]),
        wrong=np.array([True, False, False, False]),
        retired_p=np.array([0.9, 0.9, 0.95, 0.99, 0.99]),
        thresholds=[0.9, 0.95],
    )
    assert (low.audited, low.errors, low.covered) == (4, 1, 5)
    assert (high.audited, high.errors, high.covered) == (3, 0, 3)
    (empty,) = certify(
        p=np.zeros(0), wrong=np.zeros(0, bool), retired_p=np.array([0.9]), thresholds=[0.95], confidence=0.95
    )
    assert (empty.audited, empty.bound, empty.covered) == (0, 1.0, 0)
