"""Votes and gold from plain files: any spelling that means something is read, and a fault names file and row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.reading import read_gold, read_votes
from esocs.crowd.files.tables import QuestionTable


def written(folder: Path, text: str | bytes, name: str = "votes.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def triples(table: QuestionTable) -> list[tuple[str, str, str]]:
    """The votes by name, sorted."""
    subjects, volunteers = table.subjects.to_pylist(), table.volunteers.to_pylist()
    return sorted(
        (subjects[s], volunteers[v], table.answers[a])
        for s, v, a in zip(table.subject, table.volunteer, table.answer, strict=True)
    )


VOTES = [("s1", "u1", "yes"), ("s1", "u2", "no"), ("s2", "u1", "no")]


@pytest.mark.parametrize(
    "text",
    [
        "subject,volunteer,answer\ns1,u1,yes\ns1,u2,no\ns2,u1,no\n",
        "task,worker,label\ns1,u1,yes\ns1,u2,no\ns2,u1,no",
        "\ufeffSubject,VOLUNTEER, Answer \r\ns1,u1,yes\r\ns1,u2,no\r\ns2,u1,no\r\n",
        'x,answer,"subject",volunteer,y\n1,yes," s1 ",u1,"a,b"\n2,no,s1,u2,"c\nd"\n3,no,s2,u1,\n',
        "subject;volunteer;answer\ns1;u1;yes\ns1;u2;no\ns2;u1;no\n",
        "subject\tvolunteer\tanswer\ns1\tu1\tyes\ns1\tu2\tno\ns2\tu1\tno\n",
    ],
)
def test_spellings_of_the_same_votes_are_the_same_table(tmp_path: Path, text: str) -> None:
    table, report = read_votes(written(tmp_path, text))
    assert triples(table) == VOTES
    assert (report.rows, report.n_skipped, report.repeats) == (3, 0, 0)


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    text = gzip.compress(b"subject,volunteer,answer\ns1,u1,yes\ns1,u2,no\ns2,u1,no\n")
    table, _ = read_votes(written(tmp_path, text, name="votes.csv.gz"))
    assert triples(table) == VOTES


def test_parquet_with_integers_or_dictionaries_is_read_as_csv_is(tmp_path: Path) -> None:
    columns = {"task": [10, 2, 2], "worker": pa.array(["a", "b", "a"]).dictionary_encode(), "label": [1, 0, 1]}
    pq.write_table(pa.table(columns), tmp_path / "votes.parquet")
    of_parquet, _ = read_votes(tmp_path / "votes.parquet")
    of_csv, _ = read_votes(written(tmp_path, "task,worker,label\n10,a,1\n2,b,0\n2,a,1\n"))
    assert triples(of_parquet) == triples(of_csv)
    assert of_parquet.subjects.to_pylist() == ["2", "10"]


def test_a_volunteers_first_vote_on_a_subject_counts(tmp_path: Path) -> None:
    table, report = read_votes(written(tmp_path, "subject,volunteer,answer\ns,u,yes\ns,u,no\nt,u,no\n"))
    assert triples(table) == [("s", "u", "yes"), ("t", "u", "no")]
    assert report.repeats == 1


def test_an_anonymous_session_is_known_by_its_name(tmp_path: Path) -> None:
    table, _ = read_votes(written(tmp_path, "subject,volunteer,answer\ns,not-logged-in-ab,1\ns,ann,0\n"))
    assert dict(zip(table.volunteers.to_pylist(), table.anonymous, strict=True)) == {
        "ann": False,
        "not-logged-in-ab": True,
    }


def test_a_row_with_an_empty_cell_is_counted_and_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "subject,volunteer,answer\ns,u,yes\ns,,no\n,v,no\ns,w,  \n")
    table, report = read_votes(path)
    assert len(table.answer) == 1
    assert report.n_skipped == 3
    assert [(skipped.row, skipped.reason) for skipped in report.skipped] == [
        (3, "the volunteer is empty"),
        (4, "the subject is empty"),
        (5, "the answer is empty"),
    ]
    with pytest.raises(VotesFileError, match=r"votes\.csv, row 3: the volunteer is empty"):
        read_votes(path, strict=True)


@pytest.mark.parametrize(
    ("text", "row", "what"),
    [
        (b"", 1, "the first row is empty"),
        (b"subject,answer\na,b\n", 1, "no column for the volunteer"),
        (b"subject,volunteer,answer\na,b,c\na,b\n", 3, "2 cells"),
        (b"subject,volunteer,answer\na,b,c\na,b,c,d\n", 3, "4 cells"),
        (b"subject,volunteer,answer\na,\xff\xfe,c\n", 1, "UTF-8"),
        (b"PAR1 and nothing more", 0, "Parquet"),
    ],
)
def test_a_fault_names_the_file_and_the_row(tmp_path: Path, text: bytes, row: int, what: str) -> None:
    with pytest.raises(VotesFileError, match=what) as raised:
        read_votes(written(tmp_path, text))
    assert raised.value.row == row
    assert "votes.csv" in str(raised.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(VotesFileError, match="no such file"):
        read_votes(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["subject,volunteer,answer\n", "subject,volunteer,answer"])
def test_a_header_alone_is_no_votes(tmp_path: Path, text: str) -> None:
    table, report = read_votes(written(tmp_path, text))
    assert len(table.answer) == report.rows == 0


def test_gold_is_read_by_question(tmp_path: Path) -> None:
    path = written(tmp_path, "question,subject,answer\nT0,a,yes\nT1.2,a,1\nT0,b,\n", name="gold.csv")
    assert read_gold(path) == {"T0": {"a": "yes"}, "T1.2": {"a": "1"}}
    assert read_gold(written(tmp_path, "task,label\na,0\na,0\n", name="gold.csv")) == {"": {"a": "0"}}


def test_gold_that_contradicts_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VotesFileError, match=r"gold\.csv, row 3: subject a"):
        read_gold(written(tmp_path, "task,label\na,0\na,1\n", name="gold.csv"))


def test_gold_may_name_an_answer_and_a_subject_that_nobody_gave(tmp_path: Path) -> None:
    path = written(tmp_path, "subject,volunteer,answer\ns1,u,yes\ns2,u,no\n")
    table, _ = read_votes(path, gold={"s2": "maybe", "s9": "yes"})
    assert table.answers == ("maybe", "no", "yes")
    assert table.gold is not None
    assert table.gold.tolist() == [-1, 0]


@pytest.mark.parametrize("name", ["adult", "bluebird", "cf_amt", "dog", "possent", "rte", "trec"])
def test_public_crowds_are_read(real_data: Path, name: str) -> None:
    table, report = read_votes(real_data / "crowd" / name / "votes.csv")
    assert report.rows == len(table.answer) + report.repeats > 4000
    assert report.n_skipped == 0
