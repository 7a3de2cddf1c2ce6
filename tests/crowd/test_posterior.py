"""The live posterior: exact sums in any order, and what is read out of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd import posterior
from esocs.crowd.dawid_skene import Votes, fit
from esocs.crowd.posterior import InvalidPosteriorError

K, SUBJECTS, VOLUNTEERS = 3, 4, 5

vote_rows = st.dictionaries(
    st.tuples(st.integers(0, SUBJECTS - 1), st.integers(0, VOLUNTEERS - 1)),
    st.integers(0, K - 1),
    max_size=SUBJECTS * VOLUNTEERS,
)


def votes_of(rows: dict[tuple[int, int], int]) -> Votes:
    keys = list(rows)
    return Votes.build(
        subject=np.array([subject for subject, _ in keys], np.int64),
        volunteer=np.array([volunteer for _, volunteer in keys], np.int64),
        answer=np.array([rows[key] for key in keys], np.int64),
        n_subjects=SUBJECTS,
        n_volunteers=VOLUNTEERS,
        n_answers=K,
    )


def batch(rows: dict[tuple[int, int], int], terms: np.ndarray) -> np.ndarray:
    """All sums at once, (SUBJECTS, K)."""
    votes = votes_of(rows)
    return posterior.batch(votes, pair_terms=posterior.pair_terms_of(terms, votes.pairs), start=start_of_all())


class LiveCrowd:
    """The live path in the small: rows, sums under an epoch's terms, and the switch to another epoch."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], int] = {}
        self.switch()

    def submit(self, subject: int, volunteer: int, answer: int) -> None:
        if (subject, volunteer) in self.rows:
            return
        self.rows[subject, volunteer] = answer
        self.sums[subject] = posterior.add(self.sums[subject], self.terms[volunteer].ravel().tolist(), answer)

    def switch(self) -> None:
        """Fit the skill from the rows, whatever their order, and recompute every sum under it."""
        rows = dict(sorted(self.rows.items()))
        self.terms = terms_of(rows)
        self.sums = batch(rows, self.terms).tolist()


def terms_of(rows: dict[tuple[int, int], int]) -> np.ndarray:
    keys = list(rows)
    fitted = fit(
        subject=np.array([subject for subject, _ in keys], np.int64),
        volunteer=np.array([volunteer for _, volunteer in keys], np.int64),
        answer=np.array([rows[key] for key in keys], np.int64),
        n_subjects=SUBJECTS,
        n_volunteers=VOLUNTEERS,
        n_answers=K,
    )
    return posterior.log_likelihood_terms(fitted.confusion)


def start_of_all() -> np.ndarray:
    return np.tile(posterior.start(np.log([0.5, 0.3, 0.2])), (SUBJECTS, 1))


@given(rows=vote_rows, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_duplication_and_interleaving_with_the_refit_ends_in_the_same_bits(rows, data):
    arrivals = list(rows.items())
    repeats = data.draw(st.lists(st.sampled_from(arrivals), max_size=8)) if arrivals else []
    shuffled = data.draw(st.permutations(arrivals + repeats))
    refits = data.draw(st.sets(st.integers(0, max(len(shuffled) - 1, 0)), max_size=3))

    live = LiveCrowd()
    for at, ((subject, volunteer), answer) in enumerate(shuffled):
        if at in refits:
            live.switch()
        live.submit(subject, volunteer, answer)
    live.switch()

    assert live.rows == rows
    ordered = dict(sorted(rows.items()))
    expected = batch(ordered, terms_of(ordered))
    assert live.sums == expected.tolist()


@given(rows=vote_rows, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_live_sum_equals_the_batch_bit_for_bit_within_an_epoch(rows, seed):
    rng = np.random.default_rng(seed)
    terms = posterior.log_likelihood_terms(rng.dirichlet(np.ones(K), size=(VOLUNTEERS, K)))
    sums = start_of_all().tolist()
    for (subject, volunteer), answer in rows.items():
        sums[subject] = posterior.add(sums[subject], terms[volunteer].ravel().tolist(), answer)
    at_once = batch(rows, terms)
    assert sums == at_once.tolist()
    for row, L in zip(posterior.read_out_all(at_once, 0.5), sums, strict=True):
        assert posterior.read_out(L, 0.5) == pytest.approx(row.tolist(), abs=1e-12)


@given(
    L=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=30),
    answer=st.integers(0, 29),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_subtract_undoes_add_exactly(L, answer, seed):
    size = len(L)
    confusion = np.random.default_rng(seed).dirichlet(np.ones(size), size=size)
    terms = posterior.log_likelihood_terms(confusion).ravel().tolist()
    answer %= size
    assert posterior.subtract(posterior.add(L, terms, answer), terms, answer) == L


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 8), concentration=st.floats(0.01, 10))
def test_one_submission_never_moves_the_odds_by_more_than_nineteen(seed, size, concentration):
    confusion = np.random.default_rng(seed).dirichlet(np.full(size, concentration), size=size)
    terms = posterior.log_likelihood_terms(confusion)
    spread = terms.max(axis=0) - terms.min(axis=0)
    assert spread.max() <= posterior.to_fixed([np.log(19)])[0]
    assert (terms.max(axis=0) == 0).all()


def test_a_weight_of_zero_silences_a_volunteer():
    confusion = np.array([[0.9, 0.1], [0.2, 0.8]])
    terms = posterior.log_likelihood_terms(np.stack([confusion, confusion]), weight=np.array([0.0, 1.0]))
    assert not terms[0].any()
    assert terms[1].any()


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=12), st.floats(0.05, 2))
def test_a_read_out_is_a_distribution_whatever_the_sums(L, temper):
    p = posterior.read_out(L, temper)
    assert sum(p) == pytest.approx(1)
    assert all(0 <= value <= 1 for value in p)


def test_log_zero_stays_finite_and_a_nan_is_refused():
    assert posterior.to_fixed([-np.inf, np.inf]).tolist() == [-(1024 << 32), 1024 << 32]
    with pytest.raises(InvalidPosteriorError):
        posterior.to_fixed([0.0, np.nan])
    with pytest.raises(InvalidPosteriorError):
        posterior.log_likelihood_terms(np.array([[np.nan, 1], [0.5, 0.5]]))
    with pytest.raises(InvalidPosteriorError):
        posterior.read_out([0, 1], float("nan"))


def test_an_answer_that_does_not_exist_is_refused():
    for answer in (-1, 2):
        with pytest.raises(InvalidPosteriorError):
            posterior.add([0, 0], [0, -1, -1, 0], answer)
    with pytest.raises(InvalidPosteriorError):
        posterior.add([0, 0], [0, -1, -1], 1)


def test_the_machine_can_neither_exclude_nor_settle_an_answer():
    log_prior = posterior.machine_log_prior([1.0, 0.0])
    assert np.exp(log_prior).tolist() == pytest.approx([0.99, 0.01])


def test_the_machine_is_corrected_for_the_classes_it_was_trained_on():
    log_prior = posterior.machine_log_prior([0.5, 0.5], class_prior=[0.9, 0.1], training_prior=[0.5, 0.5])
    assert np.exp(log_prior).tolist() == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize("probabilities", [[0.0, 0.0], [np.nan, 1.0], [-0.1, 1.1], [np.inf, 0.0]])
def test_meaningless_machine_probabilities_are_refused(probabilities):
    with pytest.raises(InvalidPosteriorError):
        posterior.machine_log_prior(probabilities)


def test_one_more_classification_tells_most_where_the_answer_is_open():
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    unsure, sure = posterior.start(np.log([0.5, 0.5])), posterior.start(np.log([0.999, 0.001]))
    information = posterior.expected_information(np.array([unsure, sure]), confusion, 1.0)
    assert information[0] == pytest.approx(1 + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.2))
    assert 0 < information[1] < 0.01
    assert posterior.expected_information(unsure, np.full((2, 2), 0.5), 1.0) == 0


def test_the_temper_is_a_half_without_gold_and_a_little_gold_moves_it_a_little():
    L = posterior.to_fixed(np.tile([0.0, -40.0], (100, 1)))
    wrong = np.ones(100, int)
    none = np.full(100, -1)
    assert posterior.fit_temper(L, none) == 0.5
    one = np.where(np.arange(100) < 1, wrong, none)
    assert 0.2 < posterior.fit_temper(L, one) < 0.5
    assert posterior.fit_temper(L, wrong) == pytest.approx(0.05, abs=0.01)


def test_the_temper_undoes_a_known_overconfidence():
    rng = np.random.default_rng(1)
    honest = np.log(rng.dirichlet([1, 1, 1], size=20_000))
    truth = (np.exp(honest).cumsum(axis=1) > rng.random((len(honest), 1))).argmax(axis=1)
    temper = posterior.fit_temper(posterior.to_fixed(honest * 4), truth)
    assert temper == pytest.approx(0.25, abs=0.01)


@given(n=st.integers(0, 200), temper=st.floats(0.05, 2))
def test_further_votes_are_discounted_and_four_are_not(n, temper):
    assert posterior.temper_at(temper, posterior.VOTES_AT_TEMPER) == pytest.approx(temper)
    assert posterior.temper_at(temper, n + 1) <= posterior.temper_at(temper, n)
    assert posterior.temper_at(temper, n + 1) * (n + 1) > posterior.temper_at(temper, n) * n


@given(
    L=st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=6),
    n=st.integers(0, 40),
    temper=st.floats(0.05, 2),
)
def test_the_read_out_of_one_subject_is_that_of_many(L, n, temper):
    many = posterior.read_out_all(np.array([L, L]), temper, votes=np.array([n, n]))
    assert posterior.read_out(L, temper, votes=n) == pytest.approx(many[1].tolist(), abs=1e-9)


def test_another_vote_is_worth_its_cost_only_where_it_may_change_the_answer():
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    p = np.array([[0.5, 0.5], [0.99, 0.01]])
    assert posterior.worth_asking(p, confusion, error_cost=10, vote_cost=1).tolist() == [True, False]
    assert not posterior.worth_asking(p, confusion, error_cost=1, vote_cost=1).any()


@given(
    L=st.lists(st.integers(-(1 << 40), 1 << 40), min_size=K, max_size=K),
    opinion=st.lists(st.integers(-(1 << 36), 0), min_size=K, max_size=K),
    n=st.integers(0, 40),
    temper=st.floats(0.05, 2),
)
def test_the_temper_leaves_the_machines_opinion_as_it_is(L, opinion, n, temper):
    one = posterior.read_out(L, temper, votes=n, opinion=opinion)
    many = posterior.read_out_all(np.array([L]), temper, votes=np.array([n]), opinion=np.array([opinion]))
    assert np.allclose(one, many[0], atol=1e-9)
    alone = posterior.read_out(opinion, temper, votes=n, opinion=opinion)
    assert np.allclose(alone, posterior.read_out(opinion, 1.0, kind=posterior.ReadOut.BAYES), atol=1e-9)


def test_with_a_machine_the_temper_is_fitted_to_the_votes_alone():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 4000)
    opinion = posterior.to_fixed(np.log(np.where(np.eye(2)[truth] > 0, 0.8, 0.2)))
    flipped = rng.random(4000) < 0.2
    opinion[flipped] = opinion[flipped][:, ::-1]
    honest = posterior.to_fixed(np.log(np.where(np.eye(2)[truth] > 0, 0.7, 0.3)))
    wrong = rng.random(4000) < 0.3
    honest[wrong] = honest[wrong][:, ::-1]
    assert posterior.fit_temper(opinion + 4 * honest, truth, opinion=opinion) == pytest.approx(0.25, abs=0.03)


def test_an_opinion_is_one_of_the_first_question_where_the_mode_hears_it():
    said = [-1, -2]
    assert posterior.opinion_in(said, first=True, n_answers=2, kind="tempered") == said
    assert posterior.opinion_in(said, first=False, n_answers=2, kind="tempered") is None
    assert posterior.opinion_in(said, first=True, n_answers=3, kind="tempered") is None
    assert posterior.opinion_in(said, first=True, n_answers=2, kind="shares") is None
    assert posterior.opinion_in(None, first=True, n_answers=2, kind="bayes") is None
