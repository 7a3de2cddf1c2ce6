"""Labels and weights of what is trained on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.training import rules
from esocs.training.rules import LabelledSubject

STRATA = st.sampled_from(["random", "routed", "unknown"])
SUBJECTS = st.lists(
    st.tuples(st.integers(1, 10**6), STRATA), min_size=1, max_size=40, unique_by=lambda pair: pair[0]
).map(lambda pairs: [subject(pk, stratum) for pk, stratum in pairs])
POPULATION = st.fixed_dictionaries({"random": st.integers(1, 10**6), "routed": st.integers(0, 10**6)})


def subject(pk: int, stratum: str = "random", counts: tuple[float, ...] = (3.0, 0.0)) -> LabelledSubject:
    return LabelledSubject(subject_id=pk, source="seed", counts=counts, stratum=stratum)


def sha256(rows: list[rules.ManifestRow], **changed: object) -> str:
    given_ = {"workflow_id": 1, "task_key": "T0", "class_names": ["a", "b"], **changed}
    return rules.manifest_sha256(**given_, rows=rows)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6).filter(any), st.randoms(use_true_random=False))
def test_a_soft_label_shares_out_as_many_votes_as_were_cast(votes: list[int], random: object) -> None:
    posterior = [1 / len(votes)] * len(votes)
    label = rules.soft_label(posterior, votes)
    assert sum(label) == pytest.approx(sum(votes), abs=0.001 * len(votes))
    assert min(label) >= 0


def test_an_experts_answer_is_a_label_of_one_class() -> None:
    assert rules.expert_label(1, 3) == (0.0, rules.EXPERT_COUNTS, 0.0)


@given(SUBJECTS, POPULATION)
def test_every_weight_is_positive_and_within_its_range(
    subjects: list[LabelledSubject], population: dict[str, int]
) -> None:
    rows = rules.weigh(subjects, population=population)
    low, high = rules.WEIGHT_RANGE
    assert sorted(row.subject_id for row in rows) == [row.subject_id for row in rows]
    assert {row.subject_id for row in rows} == {s.subject_id for s in subjects}
    assert all(low <= row.weight <= high for row in rows)


@given(SUBJECTS, POPULATION, st.randoms(use_true_random=False))
def test_neither_weights_nor_name_depend_on_the_order(
    subjects: list[LabelledSubject], population: dict[str, int], random: object
) -> None:
    shuffled = sorted(subjects, key=lambda s: hash((s.subject_id, 5)))
    rows, again = (rules.weigh(given_, population=population) for given_ in (subjects, shuffled))
    assert rows == again
    assert sha256(rows) == sha256(again)


def test_each_stratum_weighs_as_much_as_it_has_subjects() -> None:
    # Half of the labels are of the routed, of whom there are a fifth.
    subjects = [subject(pk, "random" if pk % 2 else "routed") for pk in range(1, 101)]
    rows = rules.weigh(subjects, population={"random": 800, "routed": 200})
    weight = {row.subject_id: row.weight for row in rows}
    assert weight[1] == pytest.approx(1.6)
    assert weight[2] == pytest.approx(0.4)


def test_other_labels_classes_or_weights_are_another_training_set() -> None:
    rows = rules.weigh([subject(1), subject(2)], population={"random": 2})
    other = rules.weigh([subject(1), subject(2, counts=(0.0, 3.0))], population={"random": 2})
    names = {sha256(rows), sha256(other), sha256(rows, class_names=["a", "c"]), sha256(rows, workflow_id=2)}
    assert len(names) == 4
    assert sha256(rows) == sha256(list(rows))
