"""The skill fit: right on simulated crowds, harmless at the edges, and clear about bad rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd import dawid_skene
from esocs.crowd import votes as votes_module
from esocs.crowd.dawid_skene import InvalidVotesError, Votes, fit


def simulated(*, S=600, V=30, K=3, per_subject=7, accuracy=(0.5, 0.95), seed=0):
    """Votes of volunteers whose accuracy is drawn evenly between two bounds; errors are spread evenly."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, S)
    skill = rng.uniform(*accuracy, V)
    subject = np.repeat(np.arange(S), per_subject)
    volunteer = np.concatenate([rng.choice(V, per_subject, replace=False) for _ in range(S)])
    right = rng.random(len(subject)) < skill[volunteer]
    wrong = (truth[subject] + rng.integers(1, K, len(subject))) % K
    return (
        truth,
        skill,
        {
            "subject": subject,
            "volunteer": volunteer,
            "answer": np.where(right, truth[subject], wrong),
            "n_subjects": S,
            "n_volunteers": V,
            "n_answers": K,
        },
    )


def majority_accuracy(truth, votes):
    shares = np.zeros((votes["n_subjects"], votes["n_answers"]))
    np.add.at(shares, (votes["subject"], votes["answer"]), 1)
    return (shares.argmax(axis=1) == truth).mean()


def assert_sound(fitted):
    assert np.isfinite(fitted.posterior).all()
    assert np.allclose(fitted.posterior.sum(axis=1), 1, atol=1e-4)
    assert np.isfinite(fitted.confusion).all()
    assert np.allclose(fitted.confusion.sum(axis=2), 1, atol=1e-4)
    assert np.allclose(fitted.class_prior.sum(), 1, atol=1e-4)


def test_it_recovers_the_answers_better_than_the_majority():
    truth, _, votes = simulated()
    fitted = fit(**votes)
    assert_sound(fitted)
    assert (fitted.posterior.argmax(axis=1) == truth).mean() > majority_accuracy(truth, votes) + 0.005


def test_it_recovers_each_volunteers_skill():
    _, skill, votes = simulated(S=3000)
    diagonal = np.einsum("vkk->v", fit(**votes).confusion) / 3
    assert np.abs(diagonal - skill).max() < 0.08


def test_a_volunteer_without_votes_gets_the_shrinkage_matrix():
    _, _, votes = simulated()
    votes["n_volunteers"] += 1
    guessed, learned = fit(**votes, learn_strength=False), fit(**votes)
    half_pooled = 0.5 * guessed.pooled + 0.5 * dawid_skene.diagonal_matrix(3)
    assert np.allclose(guessed.confusion[-1], half_pooled, atol=1e-6)
    assert np.allclose(learned.confusion[-1], learned.shrinkage, atol=1e-6)


def test_the_confusion_matrix_is_counts_and_shrinkage():
    _, _, votes = simulated()
    fitted = fit(**votes, strength=8.0, learn_strength=False)
    counts, shrinkage = fitted.counts, dawid_skene.shrinkage_matrix(fitted.pooled)
    by_hand = (counts + 8 * shrinkage) / (counts.sum(axis=2, keepdims=True) + 8)
    assert np.allclose(fitted.confusion, by_hand, atol=1e-6)
    assert counts.sum() == pytest.approx(len(votes["subject"]), rel=1e-5)


def test_an_anonymous_session_is_shrunk_twice_as_hard():
    _, _, votes = simulated()
    fitted = fit(**votes, anonymous=np.arange(30) == 4)
    assert (fitted.strength / fitted.factor).tolist() == [16.0 if v == 4 else 8.0 for v in range(30)]


def test_gold_is_clamped_and_teaches_who_is_right():
    truth, _, votes = simulated(V=9, per_subject=5, accuracy=(0.2, 0.7), seed=3)
    gold = np.where(np.arange(600) < 120, truth, -1)
    without, with_gold = fit(**votes), fit(**votes, gold=gold)
    assert (with_gold.posterior[:120].argmax(axis=1) == truth[:120]).all()
    assert with_gold.posterior[:120].max(axis=1).min() == 1
    rest = slice(120, None)
    assert (with_gold.posterior[rest].argmax(axis=1) == truth[rest]).mean() >= (
        without.posterior[rest].argmax(axis=1) == truth[rest]
    ).mean()


def test_contradictory_gold_is_kept_as_the_experts_gave_it():
    truth, _, votes = simulated()
    wrong = (truth + 1) % 3
    fitted = fit(**votes, gold=wrong)
    assert (fitted.posterior.argmax(axis=1) == wrong).all()
    assert_sound(fitted)


def test_a_prior_decides_where_there_are_no_votes():
    _, _, votes = simulated()
    votes["n_subjects"] += 1
    log_prior = np.zeros((votes["n_subjects"], 3))
    log_prior[-1] = np.log([0.1, 0.7, 0.2])
    fitted = fit(**votes, log_prior=log_prior)
    assert fitted.posterior[-1].tolist() == pytest.approx([0.1, 0.7, 0.2], abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_votes_does_not_matter(seed):
    _, _, votes = simulated(S=50, V=8, per_subject=4)
    order = np.random.default_rng(seed).permutation(len(votes["subject"]))
    shuffled = votes | {name: votes[name][order] for name in ("subject", "volunteer", "answer")}
    assert (fit(**votes).posterior == fit(**shuffled).posterior).all()


def test_small_blocks_give_the_same_fit(monkeypatch):
    _, _, votes = simulated()
    whole = fit(**votes)
    assert len(Votes.build(**votes).first_vote) == 2
    monkeypatch.setattr(votes_module, "BLOCK_VOTES", 64)
    assert len(Votes.build(**votes).first_vote) > 50
    blocked = fit(**votes)
    assert np.allclose(whole.posterior, blocked.posterior, atol=1e-5)
    assert np.allclose(whole.confusion, blocked.confusion, atol=1e-5)


def test_a_warm_start_goes_on_where_the_earlier_fit_stopped():
    _, _, votes = simulated()
    six = fit(**votes, iterations=6)
    five_and_one = fit(**votes, iterations=1, initial=fit(**votes, iterations=5))
    assert np.allclose(six.posterior, five_and_one.posterior, atol=1e-4)


def test_a_warm_start_takes_in_new_volunteers():
    _, _, votes = simulated()
    earlier = fit(**votes)
    votes["volunteer"] = np.where(votes["volunteer"] == 3, 30, votes["volunteer"])
    votes["n_volunteers"] = 31
    assert_sound(fit(**votes, initial=earlier))
    with pytest.raises(InvalidVotesError):
        fit(**{**votes, "n_volunteers": 31}, initial=fit(**{**votes, "n_volunteers": 40}))


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 1)), max_size=30),
    n_answers=st.integers(2, 4),
)
@settings(max_examples=80, deadline=None)
def test_it_is_never_nan_whatever_the_votes(rows, n_answers):
    table = np.array(rows, np.int64).reshape(-1, 3)
    fitted = fit(
        subject=table[:, 0],
        volunteer=table[:, 1],
        answer=table[:, 2],
        n_subjects=5,
        n_volunteers=4,
        n_answers=n_answers,
    )
    assert_sound(fitted)


def test_no_votes_one_volunteer_and_one_answer_have_a_defined_result():
    empty = np.zeros(0, np.int64)
    nothing = fit(subject=empty, volunteer=empty, answer=empty, n_subjects=2, n_volunteers=0, n_answers=4)
    assert nothing.posterior.tolist() == [[0.25] * 4] * 2
    nobody = fit(subject=empty, volunteer=empty, answer=empty, n_subjects=0, n_volunteers=0, n_answers=2)
    assert nobody.posterior.shape == (0, 2)
    ones = np.zeros(3, np.int64)
    single = fit(subject=np.arange(3), volunteer=ones, answer=ones, n_subjects=3, n_volunteers=1, n_answers=1)
    assert single.posterior.tolist() == [[1.0]] * 3


def test_a_million_volunteers_with_one_vote_each_are_fitted():
    n = 1_000_000
    fitted = fit(
        subject=np.arange(n) % 1000,
        volunteer=np.arange(n),
        answer=(np.arange(n) // 1000) % 3 // 2,
        n_subjects=1000,
        n_volunteers=n,
        n_answers=2,
        iterations=2,
    )
    assert np.isfinite(fitted.posterior).all()
    assert (fitted.posterior.argmax(axis=1) == 0).all()


def test_all_spammers_have_a_defined_result():
    rng = np.random.default_rng(0)
    S, V = 300, 20
    subject = np.repeat(np.arange(S), 5)
    volunteer = np.concatenate([rng.choice(V, 5, replace=False) for _ in range(S)])
    fitted = fit(
        subject=subject,
        volunteer=volunteer,
        answer=rng.integers(0, 2, len(subject)),
        n_subjects=S,
        n_volunteers=V,
        n_answers=2,
    )
    assert_sound(fitted)


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"subject": [0, 1, 9]}, 2),
        ({"volunteer": [0, -1, 1]}, 1),
        ({"answer": [0, 1, 2]}, 2),
        ({"answer": [0, 1]}, 2),
        ({"answer": [0.0, 1.0, 0.0]}, -1),
        ({"gold": [0, -2, 1]}, 1),
        ({"gold": [0, 5, 1]}, 1),
        ({"log_prior": [[0, 0], [np.nan, 0], [0, 0]]}, 1),
        ({"log_prior": [[0, 0], [0, 0], [0, -np.inf]]}, 2),
        ({"log_prior": [[0, 0]]}, -1),
        ({"anonymous": [True]}, -1),
        ({"iterations": 0}, -1),
        ({"strength": 0.0}, -1),
        ({"strength": float("nan")}, -1),
        ({"n_answers": 0}, -1),
    ],
)
def test_a_bad_row_is_named(change, row):
    arguments = {
        "subject": [0, 1, 2],
        "volunteer": [0, 1, 1],
        "answer": [0, 1, 0],
        "n_subjects": 3,
        "n_volunteers": 2,
        "n_answers": 2,
    } | change
    lists = {name: np.array(value) if isinstance(value, list) else value for name, value in arguments.items()}
    with pytest.raises(InvalidVotesError) as error:
        fit(**lists)
    assert error.value.row == row
    assert row < 0 or str(row) in error.value.message


def test_the_strength_is_learned_from_how_different_the_volunteers_are():
    _, _, alike = simulated(S=2000, V=60, accuracy=(0.75, 0.75))
    _, _, diverse = simulated(S=2000, V=60, accuracy=(0.05, 1.0), seed=1)
    assert fit(**alike).factor >= 2
    assert fit(**diverse).factor <= 1


def test_a_handful_of_votes_leaves_the_guessed_strength():
    few = np.arange(4)
    fitted = fit(subject=few, volunteer=few, answer=few % 2, n_subjects=4, n_volunteers=4, n_answers=2)
    assert fitted.factor == 1


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2)), max_size=40),
    block_votes=st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_the_sorted_votes_hold_every_vote_once(rows, block_votes):
    table = np.array(rows, np.int64).reshape(-1, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(votes_module, "BLOCK_VOTES", block_votes)
        votes = Votes.build(
            subject=table[:, 0],
            volunteer=table[:, 1],
            answer=table[:, 2],
            n_subjects=7,
            n_volunteers=4,
            n_answers=3,
        )
        found = []
        for block in votes.blocks:
            pairs = votes.pairs[block.pairs][block.matrix.col]
            subjects = block.matrix.row + block.subjects.start
            found += zip(subjects.tolist(), (pairs // 3).tolist(), (pairs % 3).tolist(), strict=True)
    assert sorted(found) == sorted(rows)


def test_only_the_first_vote_of_a_volunteer_on_a_subject_counts():
    subject, volunteer = np.array([1, 0, 1, 1, 0]), np.array([2, 2, 2, 3, 2])
    assert dawid_skene.first_votes(subject, volunteer).tolist() == [True, True, False, True, False]
