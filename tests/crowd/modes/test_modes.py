"""What holds for every way of weighing votes: sound numbers whatever comes in, and live sums equal to the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import EsocsError
from esocs.crowd import posterior
from esocs.crowd.modes import DEFAULT_MODE, MODES, Gathered, UnknownModeError, get_mode
from esocs.crowd.modes.consensus import reach_consensus
from esocs.crowd.posterior import ReadOut
from esocs.crowd.votes import InvalidVotesError, Votes
from tests.benchmarks.crowd_sets import simulated

every_mode = pytest.mark.parametrize("name", list(MODES))


def votes_of(rows, *, n_subjects, n_volunteers, n_answers):
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Votes.build(
        subject=table[:, 0],
        volunteer=table[:, 1],
        answer=table[:, 2],
        n_subjects=n_subjects,
        n_volunteers=n_volunteers,
        n_answers=n_answers,
    )


def assert_sound(gathered, name):
    """Learn, reach a consensus, and look at every number; returns both."""
    votes, K = gathered.votes, gathered.votes.n_answers
    learned = get_mode(name).learn(gathered)
    reached = reach_consensus(gathered, learned)
    assert reached.probabilities.shape == (votes.n_subjects, K)
    assert ((reached.probabilities >= 0) & (reached.probabilities <= 1)).all()
    assert np.allclose(reached.probabilities.sum(axis=1), 1)
    assert ((reached.answer >= 0) & (reached.answer < K)).all()
    assert learned.class_prior.shape == learned.start.shape == (K,)
    assert (learned.class_prior >= 0).all()
    assert learned.class_prior.sum() == pytest.approx(1, abs=1e-5)
    volunteers = np.arange(-1, min(votes.n_volunteers, 1000))
    confusion = learned.confusion(volunteers)
    assert confusion.shape == (len(volunteers), K, K)
    assert (confusion >= 0).all()
    assert np.allclose(confusion.sum(axis=2), 1, atol=1e-4)
    terms = learned.terms(volunteers)
    assert terms.shape == confusion.shape
    assert terms.dtype == learned.start.dtype == reached.sums.dtype == np.int64
    return learned, reached


@st.composite
def gatherings(draw):
    """A few votes, each volunteer once on a subject, with or without gold, a machine and anonymous sessions."""
    S, V, K = draw(st.integers(0, 5)), draw(st.integers(0, 4)), draw(st.integers(1, 4))
    places = st.tuples(st.integers(0, max(S - 1, 0)), st.integers(0, max(V - 1, 0)))
    rows = draw(st.dictionaries(places, st.integers(0, K - 1), max_size=20 if S and V else 0))
    votes = votes_of([(s, v, a) for (s, v), a in rows.items()], n_subjects=S, n_volunteers=V, n_answers=K)
    gold = draw(st.none() | st.lists(st.integers(-1, K - 1), min_size=S, max_size=S))
    # Up to what a float holds: a prior is given up to a constant, so its size means nothing.
    nats = st.floats(-1e3, 1e3) | st.sampled_from([-1.7e308, -1e300, 0.0, 1e300, 1.7e308])
    log_prior = draw(st.none() | st.lists(st.lists(nats, min_size=K, max_size=K), min_size=S, max_size=S))
    anonymous = draw(st.none() | st.lists(st.booleans(), min_size=V, max_size=V))
    return list(rows.items()), Gathered(
        votes=votes,
        gold=None if gold is None else np.array(gold, np.int64),
        log_prior=None if log_prior is None else np.array(log_prior, np.float64).reshape(S, K),
        anonymous=None if anonymous is None else np.array(anonymous, bool),
    )


@every_mode
@given(drawn=gatherings())
@settings(max_examples=60, deadline=None)
def test_every_number_is_sound_whatever_the_votes_the_gold_and_the_machine(name, drawn):
    assert_sound(drawn[1], name)


@every_mode
@given(drawn=gatherings(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_live_sum_equals_the_batch_bit_for_bit_in_any_order(name, drawn, data):
    rows, gathered = drawn
    learned = get_mode(name).learn(gathered)
    reached = reach_consensus(gathered, learned)
    nobody = Gathered(votes=votes_of([], n_subjects=len(reached.sums), n_volunteers=0, n_answers=learned.n_answers))
    before = reach_consensus(
        Gathered(votes=nobody.votes, gold=gathered.gold, log_prior=gathered.log_prior), learned
    ).sums.tolist()
    # Before its first vote a sum is the machine's opinion, where the mode hears one.
    heard = learned.hears_the_machine and gathered.log_prior is not None
    opinions = [list(sums) if heard else None for sums in before]
    for (subject, volunteer), answer in data.draw(st.permutations(rows)):
        # One at a time, as the live path reads them.
        terms = learned.terms(np.array([volunteer]))[0].ravel().tolist()
        before[subject] = posterior.add(before[subject], terms, answer)
    assert before == reached.sums.tolist()
    votes, probabilities = gathered.votes.per_subject.tolist(), reached.probabilities.tolist()
    for sums, opinion, n, p in zip(before, opinions, votes, probabilities, strict=True):
        live = posterior.read_out(sums, reached.temper, votes=n, kind=learned.read_out, opinion=opinion)
        assert live == pytest.approx(p, abs=1e-9)


@every_mode
@pytest.mark.parametrize("seed", range(4))
def test_a_volunteers_terms_do_not_depend_on_whom_else_is_asked_for(name, seed):
    crowd = simulated(seed, n_subjects=300)
    gold = np.where(np.arange(300) < 100, crowd.truth, -1)
    learned = get_mode(name).learn(Gathered(votes=crowd.votes(), gold=gold))
    everybody = learned.terms(np.arange(-1, crowd.n_volunteers))
    alone = np.concatenate([learned.terms(np.array([v])) for v in range(-1, crowd.n_volunteers)])
    assert (everybody == alone).all()
    assert (learned.terms(np.arange(crowd.n_volunteers)[::-3]) == everybody[1:][::-3]).all()


@every_mode
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_votes_does_not_matter(name, seed):
    crowd = simulated(2, n_subjects=40, n_volunteers=12, per_subject=5)
    rows = np.stack([crowd.subject, crowd.volunteer, crowd.answer], axis=1)
    shuffled = np.random.default_rng(seed).permutation(rows)
    shape = {"n_subjects": 40, "n_volunteers": 12, "n_answers": crowd.n_answers}
    one, other = (Gathered(votes=votes_of(table, **shape)) for table in (rows, shuffled))
    sums = [reach_consensus(gathered, get_mode(name).learn(gathered)).sums for gathered in (one, other)]
    assert (sums[0] == sums[1]).all()


@every_mode
@pytest.mark.parametrize(("S", "V", "K"), [(0, 0, 1), (0, 0, 3), (2, 0, 4), (0, 3, 2), (3, 2, 2)])
def test_no_votes_leave_every_subject_even(name, S, V, K):
    _, reached = assert_sound(Gathered(votes=votes_of([], n_subjects=S, n_volunteers=V, n_answers=K)), name)
    assert np.allclose(reached.probabilities, 1 / K)
    assert (reached.majority == -1).all()
    assert not reached.flagged.any()


@every_mode
def test_one_volunteer_has_a_defined_result(name):
    rows = [(s, 0, s % 3) for s in range(9)]
    assert_sound(Gathered(votes=votes_of(rows, n_subjects=10, n_volunteers=1, n_answers=3)), name)


@every_mode
def test_a_task_with_one_answer_is_certain(name):
    rows = [(s, v, 0) for s in range(40) for v in range(30)]
    gathered = Gathered(
        votes=votes_of(rows, n_subjects=41, n_volunteers=31, n_answers=1),
        gold=np.zeros(41, np.int64),
        log_prior=np.zeros((41, 1)),
    )
    _, reached = assert_sound(gathered, name)
    assert (reached.probabilities == 1).all()


@every_mode
def test_answers_that_nobody_gave_get_a_defined_probability(name):
    rows = [(s, v, 1) for s in range(20) for v in range(6)]
    gold = np.where(np.arange(20) < 3, 1, -1)
    _, reached = assert_sound(
        Gathered(votes=votes_of(rows, n_subjects=20, n_volunteers=6, n_answers=4), gold=gold), name
    )
    assert (reached.answer == 1).all()


@every_mode
def test_all_spammers_have_a_defined_result(name):
    rng = np.random.default_rng(0)
    rows = [(s, v, rng.integers(0, 3)) for s in range(200) for v in rng.choice(25, 6, replace=False)]
    gold = np.where(np.arange(200) < 60, rng.integers(0, 3, 200), -1)
    for given_gold in (None, gold):
        assert_sound(
            Gathered(votes=votes_of(rows, n_subjects=200, n_volunteers=25, n_answers=3), gold=given_gold), name
        )


@every_mode
def test_gold_that_contradicts_every_vote_has_a_defined_result(name):
    rows = [(s, v, s % 2) for s in range(60) for v in range(5)]
    gold = 1 - np.arange(60) % 2
    votes = votes_of(rows, n_subjects=60, n_volunteers=5, n_answers=2)
    for share in (30, 60):
        assert_sound(Gathered(votes=votes, gold=np.where(np.arange(60) < share, gold, -1)), name)


@every_mode
def test_a_million_volunteers_with_one_vote_each_are_weighed(name):
    n = 1_000_000
    subject, volunteer = np.arange(n) % 1000, np.arange(n)
    votes = Votes.build(
        subject=subject,
        volunteer=volunteer,
        answer=(volunteer // 1000 + subject) % 3 // 2,  # two of three say 0
        n_subjects=1000,
        n_volunteers=n,
        n_answers=2,
    )
    _, reached = assert_sound(Gathered(votes=votes, gold=np.where(np.arange(1000) < 10, 0, -1)), name)
    assert (reached.majority == 0).all()
    assert (reached.answer == 0).all()


@every_mode
@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"gold": np.array([0, -2, 1])}, 1),
        ({"gold": np.array([0, 1, 2])}, 2),
        ({"gold": np.array([0.0, np.nan, 1.0])}, 1),
        ({"gold": np.array([0.0, 1.0, 0.5])}, 2),
        ({"gold": np.array([0, "one", 1], object)}, 1),
        ({"gold": np.array([0.0, 1.0, 1.0])}, -1),
        ({"gold": np.array([0, 1])}, -1),
        ({"log_prior": np.array([[0, 0], [np.nan, 0], [0, 0]])}, 1),
        ({"log_prior": np.array([[0, 0], [0, 0], [0, -np.inf]])}, 2),
        ({"log_prior": np.array([[np.inf, 0], [0, 0], [0, 0]])}, 0),
        ({"log_prior": np.zeros((3, 3))}, -1),
        ({"log_prior": np.zeros((2, 2))}, -1),
        ({"log_prior": np.full((3, 2), "0")}, -1),
    ],
)
def test_bad_gold_and_priors_are_refused_by_their_row(name, change, row):
    votes = votes_of([(0, 0, 0), (1, 0, 1), (2, 1, 1)], n_subjects=3, n_volunteers=2, n_answers=2)
    learned = get_mode(name).learn(Gathered(votes=votes))
    bad = Gathered(votes=votes, **change)
    for attempt in (lambda: get_mode(name).learn(bad), lambda: reach_consensus(bad, learned)):
        with pytest.raises(InvalidVotesError) as error:
            attempt()
        assert error.value.row == row
        assert row < 0 or f"Row {row}" in error.value.message


@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("subject", [0, 1, 3], 2),
        ("subject", [0, -1, 2], 1),
        ("volunteer", [-5, 0, 1], 0),
        ("volunteer", [0, 2, 1], 1),
        ("answer", [0, 1, 2], 2),
        ("answer", [0, -1, 1], 1),
        ("answer", [0.0, np.nan, 1.0], 1),
        ("answer", [0.0, 1.0, np.inf], 2),
        ("answer", [0.0, 0.5, 1.0], 1),
        ("answer", [0, None, 1], 1),
        ("answer", ["0", "1", "1"], 0),
        ("answer", [0, 1], 2),
        ("answer", [[0], [1], [0]], -1),
        ("subject", np.array([0, 2**63, 1], np.uint64), 1),
    ],
)
def test_a_bad_vote_is_refused_by_its_row(column, values, row):
    columns = {"subject": [0, 1, 2], "volunteer": [0, 0, 1], "answer": [0, 1, 1]} | {column: values}
    with pytest.raises(InvalidVotesError) as error:
        Votes.build(
            **{name: np.array(given_values) for name, given_values in columns.items()},
            n_subjects=3,
            n_volunteers=2,
            n_answers=2,
        )
    assert error.value.row == row
    assert row < 0 or f"Row {row}" in error.value.message


@every_mode
def test_a_prior_of_any_finite_size_counts_up_to_its_constant(name):
    votes = votes_of([(0, 0, 0), (1, 0, 1)], n_subjects=3, n_volunteers=1, n_answers=2)
    log_prior = np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    plain, shifted = (Gathered(votes=votes, log_prior=log_prior + constant) for constant in (0.0, 1e6))
    learned = [get_mode(name).learn(gathered) for gathered in (plain, shifted)]
    assert np.allclose(
        reach_consensus(plain, learned[0]).probabilities, reach_consensus(shifted, learned[1]).probabilities, atol=1e-5
    )
    huge = Gathered(votes=votes, log_prior=np.array([[1.7e308, -1.7e308], [-1.7e308, 1.7e308], [0.0, 0.0]]))
    _, reached = assert_sound(huge, name)
    if learned[0].hears_the_machine:
        assert reached.probabilities[0].tolist() == [1, 0]


@every_mode
def test_the_machine_decides_where_there_are_no_votes_if_the_mode_hears_it(name):
    rows = [(s, v, s % 3) for s in range(12) for v in range(4)]
    log_prior = np.log(np.tile([0.1, 0.7, 0.2], (13, 1)))
    votes = votes_of(rows, n_subjects=13, n_volunteers=4, n_answers=3)
    gathered = Gathered(votes=votes, log_prior=log_prior)
    learned, reached = assert_sound(gathered, name)
    assert learned.hears_the_machine == (learned.read_out != ReadOut.SHARES)
    if learned.read_out == ReadOut.BAYES:
        assert reached.probabilities[-1] == pytest.approx([0.1, 0.7, 0.2])
    if learned.read_out == ReadOut.SHARES:
        assert reached.probabilities[-1] == pytest.approx([1 / 3] * 3)
    assert reached.answer[-1] == (1 if learned.hears_the_machine else 0)


# With 2, 3, 5 and 8 answers. SWAP counts K·K cells on gold alone: with more than three answers it stays below the
# majority even where seven subjects in ten are gold, and nothing is claimed for it.
DIVERSE = [(name, seed) for name in MODES for seed in range(2 if name == "swap" else 4)]


@pytest.mark.parametrize(("name", "seed"), DIVERSE)
def test_it_is_no_worse_than_the_majority_on_a_simulated_crowd_of_diverse_skill(name, seed):
    crowd = simulated(seed)
    known = np.random.default_rng(seed).random(crowd.n_subjects) < 0.2
    gathered = Gathered(votes=crowd.votes(), gold=np.where(known, crowd.truth, -1))
    reached = reach_consensus(gathered, get_mode(name).learn(gathered))
    right = (reached.answer == crowd.truth)[~known].mean()
    majority = (crowd.shares().argmax(axis=1) == crowd.truth)[~known].mean()
    assert right >= majority - 0.005


@every_mode
def test_a_mode_is_described(name):
    mode = get_mode(name)
    assert mode.name == name
    assert mode.title
    assert mode.description.endswith(".")
    assert "\n" not in mode.description


def test_the_default_mode_comes_first_and_an_unknown_one_is_refused():
    assert next(iter(MODES)) == DEFAULT_MODE
    with pytest.raises(UnknownModeError) as error:
        get_mode("guess")
    assert isinstance(error.value, EsocsError)
    assert all(name in error.value.hint for name in MODES)


@every_mode
def test_how_sums_are_read_is_known_before_anything_is_learned(name):
    votes = votes_of([(0, 0, 0), (1, 0, 1)], n_subjects=2, n_volunteers=1, n_answers=2)
    assert get_mode(name).learn(Gathered(votes=votes)).read_out == get_mode(name).read_out
