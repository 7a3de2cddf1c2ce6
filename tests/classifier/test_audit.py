"""The alarm fires when the audit contradicts the promise, soon or late, and rarely while the promise holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from classifier.audit import watch_audit
from classifier.selection import SelectionInputError


def stream(rate, count, seed):
    return np.random.default_rng(seed).random(count) < rate


def test_the_alarm_is_rarely_false_while_the_promise_holds():
    fired = sum(watch_audit(stream(0.05, 500, seed), alpha=0.05, delta=0.05).withdrawn for seed in range(150))
    assert fired <= stats.binom.ppf(0.999, 150, 0.05)


@pytest.mark.parametrize("quiet", [0, 400])
def test_the_alarm_fires_when_the_error_quadruples_early_or_late(quiet):
    for seed in range(10):
        wrong = np.concatenate([stream(0.02, quiet, seed), stream(0.2, 300, 100 + seed)])
        alarm = watch_audit(wrong, alpha=0.05, delta=0.01)
        assert alarm.fired_at is not None
        assert alarm.fired_at > quiet


def test_an_alarm_once_fired_stays():
    wrong = np.concatenate([np.ones(20, dtype=bool), np.zeros(2000, dtype=bool)])
    alarm = watch_audit(wrong, alpha=0.05, delta=0.01)
    assert alarm.withdrawn
    assert alarm.log_wealth[-1] < np.log(100)
    assert alarm.p_value <= 0.01


def test_an_empty_stream_says_nothing():
    alarm = watch_audit([], alpha=0.01)
    assert (alarm.count, alarm.errors, alarm.fired_at, alarm.p_value) == (0, 0, None, 1.0)


@given(alpha=st.floats(0.005, 0.5), length=st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_the_expected_wealth_at_error_rate_alpha_is_one(alpha, length):
    expected = 0.0
    for code in range(2**length):
        wrong = np.array([(code >> bit) & 1 for bit in range(length)], dtype=bool)
        chance = np.prod(np.where(wrong, alpha, 1 - alpha))
        expected += chance * np.exp(watch_audit(wrong, alpha=alpha, restart_every=3).log_wealth[-1])
    assert expected == pytest.approx(1.0, rel=1e-9)


def test_what_was_seen_is_not_seen_differently_when_more_arrives():
    wrong = stream(0.1, 300, 0)
    whole, part = (watch_audit(w, alpha=0.05) for w in (wrong, wrong[:170]))
    np.testing.assert_allclose(whole.log_wealth[:170], part.log_wealth)


# Several groups


def mixed(rates, count, seed):
    """Which group each audited subject is of, and whether the machine was wrong on it."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, len(rates), count)
    return groups, rng.random(count) < np.asarray(rates)[groups]


def test_with_levels_of_their_own_groups_give_rarely_a_false_alarm():
    alphas = np.array([0.01, 0.05, 0.2])
    fired = 0
    for seed in range(150):
        groups, wrong = mixed(alphas, 500, seed)
        fired += watch_audit(wrong, alpha=alphas[groups], groups=groups, n_groups=3, delta=0.05).withdrawn
    assert fired <= stats.binom.ppf(0.999, 150, 0.05)


def test_one_bad_group_among_five_is_found_and_named():
    for seed in range(10):
        groups, wrong = mixed([0.005, 0.005, 0.15, 0.005, 0.005], 1000, seed)
        alarm = watch_audit(wrong, alpha=0.02, groups=groups, n_groups=5, delta=0.01)
        assert alarm.withdrawn
        assert max(alarm.groups, key=lambda group: group.log_wealth).group == 2
        assert [group.count for group in alarm.groups] == np.bincount(groups).tolist()


@given(codes=st.integers(0, 2**6 - 1))
@settings(max_examples=20, deadline=None)
def test_an_error_not_known_yet_never_makes_an_alarm_out_of_none(codes):
    known = np.array([(codes >> bit) & 1 for bit in range(6)], dtype=bool)
    later = known | (np.arange(6) % 2 == 0)
    groups = [0, 1, 0, 1, 0, 1]
    before, after = (watch_audit(w, alpha=0.1, groups=groups).log_wealth for w in (known, later))
    assert (before <= after + 1e-12).all()


@given(alpha=st.floats(0.01, 0.4), second=st.floats(0.01, 0.4))
@settings(max_examples=20, deadline=None)
def test_the_expected_wealth_of_several_groups_is_one_as_well(alpha, second):
    groups = np.array([0, 1, 1, 0, 1])
    levels = np.array([alpha, second])[groups]
    expected = 0.0
    for code in range(2**5):
        wrong = np.array([(code >> bit) & 1 for bit in range(5)], dtype=bool)
        chance = np.prod(np.where(wrong, levels, 1 - levels))
        alarm = watch_audit(wrong, alpha=levels, groups=groups, n_groups=3, restart_every=2)
        expected += chance * np.exp(alarm.log_wealth[-1])
    assert expected == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    "given_",
    [
        {"alpha": 0.0},
        {"alpha": [0.1, 1.0]},
        {"alpha": 0.1, "delta": 1.0},
        {"alpha": 0.1, "groups": [0]},
    ],
)
def test_levels_and_lengths_that_cannot_be_are_refused(given_):
    with pytest.raises(SelectionInputError):
        watch_audit([True, False], **given_)
