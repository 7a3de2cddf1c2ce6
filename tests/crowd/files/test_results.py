"""Aggregating a file, end to end: what stands in the results, in both formats, byte for byte."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from esocs.crowd.files.errors import ClusterUnavailableError, PartitionsError, VotesFileError
from esocs.crowd.files.from_file import Aggregation, Options, aggregate_file
from esocs.crowd.files.reading import read_gold
from esocs.crowd.files.results import sha256_of
from esocs.crowd.modes import MODES, UnknownModeError
from tests.crowd.files.exporting import answer, row, write_export, write_workflows

ROOT = Path(__file__).resolve().parents[3]
VOTES = "subject,volunteer,answer\n" + "".join(
    f"s{s},v{v},{'=no' if (s + (v == 2) * s // 2) % 2 else 'yes'}\n" for s in range(12) for v in range(4)
)


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    path = tmp_path / "votes.csv"
    path.write_text(VOTES)
    return path


def aggregate(path: Path, name: str = "out", **options: Any) -> tuple[Aggregation, Path]:
    out = path.parent / name
    return aggregate_file(path, Options(out=out, **options)), out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_a_subject_says_everything_about_its_consensus(votes: Path) -> None:
    _, out = aggregate(votes)
    first = pq.read_table(out / "consensus.parquet").to_pylist()[0]
    probabilities = dict(first["probabilities"])
    assert first["subject"] == "s0"
    assert first["answer"] == first["majority"] == "yes"
    assert first["probability"] == probabilities["yes"] == pytest.approx(1 - probabilities["=no"])
    assert dict(first["votes"]) == {"=no": 0, "yes": 4}
    assert (first["n"], first["flagged"], first["gold"]) == (4, False, None)
    assert 0 <= first["expected_information_bits"] <= 1


def test_csv_says_what_parquet_says(votes: Path) -> None:
    gold = votes.parent / "gold.csv"
    gold.write_text("subject,answer\ns0,yes\ns1,=no\n")
    _, out = aggregate(votes, gold=gold)
    for table in ("consensus", "volunteers"):
        of_csv, of_parquet = rows_of(out / f"{table}.csv"), pq.read_table(out / f"{table}.parquet").to_pylist()
        assert len(of_csv) == len(of_parquet) > 0
        for texts, values in zip(of_csv, of_parquet, strict=True):
            assert list(texts) == list(values)
            for name, value in values.items():
                assert_same(texts[name], value)


def assert_same(text: str, value: Any) -> None:
    """A cell of the CSV and a value of the Parquet file."""
    if value is None:
        assert text == ""
    elif isinstance(value, bool):
        assert text == str(value).lower()
    elif isinstance(value, float):
        assert float(text) == pytest.approx(value, abs=1e-6)
    elif isinstance(value, list):
        assert json.loads(text) == pytest.approx(dict(value), abs=1e-6)
    else:
        assert text == str(value)


def test_a_text_that_looks_like_a_formula_is_quoted_and_not_altered(votes: Path) -> None:
    _, out = aggregate(votes)
    assert '"=no"' in (out / "consensus.csv").read_text()


@pytest.mark.parametrize("partitions", [0, 3])
def test_the_same_input_makes_the_same_bytes(votes: Path, partitions: int) -> None:
    done, one = aggregate(votes, "one", partitions=partitions)
    _, other = aggregate(votes, "other", partitions=partitions)
    names = [path.name for path in done.paths]
    assert names == ["consensus.csv", "consensus.parquet", "volunteers.csv", "volunteers.parquet"]
    assert sorted(path.name for path in one.iterdir()) == names
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_parquet_carries_what_it_was_made_of(votes: Path) -> None:
    _, out = aggregate(votes, mode="wawa")
    about = pq.read_schema(out / "volunteers.parquet").metadata
    assert about[b"esocs.mode"] == b"wawa"
    assert about[b"esocs.input"] == b"votes.csv"
    assert about[b"esocs.input_sha256"].decode() == sha256_of(votes)
    assert about[b"esocs.version"]


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_mode_aggregates_a_file(votes: Path, mode: str) -> None:
    gold = votes.parent / "gold.csv"  # without it SWAP believes nobody
    gold.write_text("subject,answer\n" + "".join(f"s{s},{'=no' if s % 2 else 'yes'}\n" for s in range(2, 8)))
    done, out = aggregate(votes, mode=mode, formats=["parquet"], gold=gold)
    rows = pq.read_table(out / "consensus.parquet").to_pylist()
    assert [row["answer"] for row in rows if row["subject"] == "s0"] == ["yes"]
    volunteers = pq.read_table(out / "volunteers.parquet").to_pylist()
    assert [row["n"] for row in volunteers] == [12] * 4
    assert done.questions[0].votes == 48


def test_only_the_format_asked_for_is_written_and_older_results_go(votes: Path) -> None:
    aggregate(votes)
    _, out = aggregate(votes, formats=["csv"])
    assert sorted(path.name for path in out.iterdir()) == ["consensus.csv", "volunteers.csv"]


def test_an_error_leaves_older_results_as_they_were(votes: Path) -> None:
    _, out = aggregate(votes)
    before = (out / "consensus.csv").read_bytes()
    votes.write_text(VOTES + "s1,v1\n")
    with pytest.raises(VotesFileError):
        aggregate(votes, partitions=2)
    assert (out / "consensus.csv").read_bytes() == before
    assert not [path for path in out.iterdir() if path.suffix not in {".csv", ".parquet"}]


def by_subject(out: Path, column: str) -> dict[str, Any]:
    table = pq.read_table(out / "consensus.parquet")
    return dict(zip(table["subject"].to_pylist(), table[column].to_pylist(), strict=True))


def test_partitions_give_the_same_results_as_memory(tmp_path: Path, real_data: Path) -> None:
    source = real_data / "crowd" / "bluebird" / "votes.csv"
    gold = real_data / "crowd" / "bluebird" / "truth.csv"
    runs = [
        aggregate_file(source, Options(out=tmp_path / str(n), gold=gold, partitions=n)).questions[0] for n in (0, 4)
    ]
    assert runs[0] == runs[1]
    assert by_subject(tmp_path / "0", "answer") == by_subject(tmp_path / "4", "answer")
    here, there = (by_subject(tmp_path / n, "probability") for n in ("0", "4"))
    assert max(abs(here[s] - there[s]) for s in here) < 1e-4
    bits = [pq.read_table(tmp_path / n / "volunteers.parquet")["skill_bits"].to_numpy() for n in ("0", "4")]
    assert np.abs(bits[0] - bits[1]).max() < 1e-4


def test_the_consensus_beats_chance_on_a_public_crowd(tmp_path: Path, real_data: Path) -> None:
    folder = real_data / "crowd" / "rte"
    aggregate_file(folder / "votes.csv", Options(out=tmp_path))
    truth, said = read_gold(folder / "truth.csv")[""], by_subject(tmp_path, "answer")
    assert np.mean([said[s] == truth[s] for s in truth]) > 0.9


def test_an_export_of_all_kinds_of_tasks_makes_all_three_tables(tmp_path: Path) -> None:
    marks = [{"tool": 0, "frame": 0, "x": 10.0, "y": 20.0, "details": []}]
    rows = [
        row(f"u{v}", str(s), answer("yes" if s % 2 else "no") + answer(["a"], task="T1") + answer(marks, task="T2"))
        for s in range(6)
        for v in range(4)
    ]
    done, out = aggregate(write_export(tmp_path / "e.csv", rows))
    assert [question.key for question in done.questions] == ["T0", "T1.0"]
    assert {row["question"] for row in rows_of(out / "consensus.csv")} == {"T0", "T1.0"}
    summaries = rows_of(out / "summaries.csv")
    assert done.summaries == len(summaries) == 6
    assert json.loads(summaries[0]["summary"])["marks"] == 4
    assert (summaries[0]["task"], summaries[0]["kind"], summaries[0]["seen_by"]) == ("T2", "drawing", "4")


def test_a_workflows_export_gives_the_answers_their_names_and_order(tmp_path: Path) -> None:
    task = {"type": "single", "question": "Kind?", "answers": ["star", "galaxy", "never chosen"]}
    workflows = write_workflows(tmp_path / "w.csv", {"1.1": {"T0": task}})
    rows = [row(f"u{v}", str(s), answer(s % 2)) for s in range(4) for v in range(3)]
    _, out = aggregate(write_export(tmp_path / "e.csv", rows), workflows=workflows, workflow_id="7")
    first = rows_of(out / "consensus.csv")[0]
    assert (first["question_text"], first["answer"]) == ("Kind?", "star")
    assert list(json.loads(first["votes"])) == ["star", "galaxy", "never chosen"]


@pytest.mark.parametrize("partitions", [0, 2])
def test_one_row_and_no_row_are_aggregated(tmp_path: Path, partitions: int) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("subject,volunteer,answer\ns,v,yes\n")
    done, out = aggregate(path, partitions=partitions)
    assert rows_of(out / "consensus.csv")[0]["probability"] == "1"
    path.write_text("subject,volunteer,answer\n")
    done, out = aggregate(path, partitions=partitions)
    assert not done.questions
    assert rows_of(out / "consensus.csv") == []
    assert pq.read_table(out / "consensus.parquet").num_rows == 0


def test_what_does_not_go_together_is_said(votes: Path) -> None:
    with pytest.raises(PartitionsError, match="The mode wawa is not fitted over partitions"):
        aggregate(votes, mode="wawa", partitions=2)
    with pytest.raises(UnknownModeError):
        aggregate(votes, mode="none")
    with pytest.raises(VotesFileError, match="--workflow is for classification exports"):
        aggregate(votes, workflow_id="7")
    export = write_export(votes.parent / "e.csv", [row("ann", "1", answer("a"))])
    with pytest.raises(VotesFileError, match="Name the workflow"):
        aggregate(export, workflows=export)


def test_a_cluster_that_does_not_answer_is_said(votes: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ClusterUnavailableError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        aggregate(votes, dask="tcp://127.0.0.1:1")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`manage.py aggregate` on a machine where no service runs."""
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "aggregate", *arguments],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_needs_no_database(votes: Path) -> None:
    done = command(str(votes), "--out", str(votes.parent / "out"), "--mode", "wawa", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert "12 subjects" in done.stdout
    assert str(votes.parent / "out" / "consensus.csv") in done.stdout
    assert rows_of(votes.parent / "out" / "consensus.csv")


def test_the_command_tells_of_rows_that_it_could_not_read(tmp_path: Path) -> None:
    export = write_export(tmp_path / "e.csv", [row("ann", "1", answer("a")), row("bob", "1", "[{")])
    done = command(str(export), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "1 unreadable" in done.stdout
    assert "row 3: the annotations are not JSON" in done.stderr
    strict = command(str(export), "--out", str(tmp_path / "out"), "--strict")
    assert strict.returncode == 1
    assert "invalid_votes_file" in strict.stderr
    assert "Traceback" not in strict.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["votes.csv"], "--out FOLDER"),
        (["votes.csv", "--out", "o", "--format", "xlsx"], "--format takes csv and parquet"),
        (["votes.csv", "--out", "o", "--audit"], "--audit is for our own rows"),
        (["--gold", "g.csv"], "--gold is for files"),
        (["--workflow", "seven"], "takes the id of a workflow"),
        (["--mode", "wawa"], "add --out"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("aggregate", *arguments)
