"""CPU time and memory of the skill fit beside crowd-kit's Dawid–Skene: same votes, same number of iterations.

Each fit runs in a process of its own, so that its peak memory above the loaded votes can be told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.report import Timer, parse_arguments, peak_memory_mb, print_result, print_table

ITERATIONS = 5
VOTES_PER_SUBJECT = 10
VOTES_PER_VOLUNTEER = 500
RUNS = 5
PEER_VOTES = 2_000_000
ANSWERS = (2, 10)


def main() -> None:
    arguments = parse_arguments(description=__doc__ or "", size=1_000_000, size_help="votes")
    with tempfile.TemporaryDirectory(prefix="crowd-speed-") as name:
        results = {K: measure(Path(name), n_votes=arguments.size, n_answers=K) for K in ANSWERS}
    rows = [
        [K, who, found["cpu_s"], found["memory_mb"], arguments.size / found["cpu_s"], found["accuracy"]]
        for K, both in results.items()
        for who, found in both.items()
    ]
    print_table(["answers", "fit", "CPU s", "peak MiB above the votes", "votes/s", "right %"], rows)
    ours = {K: both["ours"] for K, both in results.items()}
    peer = {K: both["crowd-kit"] for K, both in results.items() if "crowd-kit" in both}
    keys: dict[str, Any] = {}
    for K in ANSWERS:
        keys[f"cpu_s_{K}"], keys[f"memory_mb_{K}"] = ours[K]["cpu_s"], ours[K]["memory_mb"]
        keys[f"ratio_{K}"] = peer[K]["cpu_s"] / ours[K]["cpu_s"] if peer else None
        keys[f"votes_per_s_wall_{K}"] = arguments.size / ours[K]["wall_s"]
    traffic_s = fewest_bytes(arguments.size, n_answers=10) / copy_bytes_per_s()
    with tempfile.TemporaryDirectory(prefix="crowd-speed-") as name:
        tenth = measure(Path(name), n_votes=max(arguments.size // 10, 1000), n_answers=10, peer=False)["ours"]
    print_result(
        name="crowd_speed",
        ours=sum(found["cpu_s"] for found in ours.values()),
        peer=sum(found["cpu_s"] for found in peer.values()) or None,
        unit="CPU s for both fits",
        less_is_better=True,
        memory_ratio=min(peer[K]["memory_mb"] / ours[K]["memory_mb"] for K in ANSWERS) if peer else None,
        votes_per_s=arguments.size / ours[10]["cpu_s"],
        memory_bandwidth_share=traffic_s / ours[10]["cpu_s"],
        cost_of_a_vote_to_a_tenth_of_them=ours[10]["cpu_s"] / 10 / tenth["cpu_s"],
        **keys,
    )


def measure(folder: Path, *, n_votes: int, n_answers: int, peer: bool = True) -> dict[str, dict[str, float]]:
    """Our fit and the peer's on the same simulated votes; the least CPU time of a few runs of each.

    CPU time and memory on one thread, as the peer has no more; `wall_s` on all cores.
    """
    path = folder / f"votes-{n_answers}.npz"
    np.savez(path, **simulated_votes(n_votes, n_answers=n_answers))
    runs = {"ours": RUNS, "ours, all cores": 2}
    if peer and n_votes <= PEER_VOTES:
        runs["crowd-kit"] = 3
    found = {
        who: min((_in_a_process(path, who) for _ in range(n)), key=lambda found: found["cpu_s"])
        for who, n in runs.items()
    }
    found["ours"]["wall_s"] = found.pop("ours, all cores")["wall_s"]
    return found


def simulated_votes(n_votes: int, *, n_answers: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Votes in random order; volunteers' activity follows Zipf's law, their skill a Beta distribution."""
    rng = np.random.default_rng(seed)
    n_subjects = max(n_votes // VOTES_PER_SUBJECT, 1)
    n_volunteers = max(n_votes // VOTES_PER_VOLUNTEER, 20)
    subject = rng.permutation(np.resize(np.arange(n_subjects, dtype=np.int32), n_votes))
    activity = np.cumsum(1 / np.arange(1, n_volunteers + 1))
    volunteer = np.searchsorted(activity / activity[-1], rng.random(n_votes)).astype(np.int32)
    volunteer = rng.permutation(n_volunteers).astype(np.int32)[volunteer]
    truth = rng.integers(0, n_answers, n_subjects, dtype=np.int32)
    right = rng.random(n_votes, np.float32) < rng.beta(6, 2, n_volunteers).astype(np.float32)[volunteer]
    answer = np.where(right, truth[subject], rng.integers(0, n_answers, n_votes, dtype=np.int32))
    return {"subject": subject, "volunteer": volunteer, "answer": answer, "truth": truth}


def fewest_bytes(n_votes: int, *, n_answers: int) -> float:
    """What a fit cannot but read and write: both indices of every vote twice an iteration, each posterior once."""
    indices = 2 * 8.0 * n_votes
    posteriors = 2 * 4.0 * n_answers * n_votes / VOTES_PER_SUBJECT
    return (ITERATIONS + 1) * (indices + posteriors)


def copy_bytes_per_s() -> float:
    """Of one core, reading and writing."""
    source = np.ones(1 << 25, np.float32)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - started)
    return 2 * source.nbytes / best


def _in_a_process(path: Path, who: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.crowd_speed", "--one", who, str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _one(who: str, path: str) -> None:
    """In the child: load the votes, fit, and print what it took."""
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    truth = data.pop("truth")
    threads = 1 if who == "ours" else None
    run = _ours(data, len(truth), threads=threads) if who.startswith("ours") else _crowd_kit(data)
    before = _resident_mb()
    with Timer() as timer:
        answers = run()
    found = {
        "cpu_s": timer.cpu_s,
        "wall_s": timer.wall_s,
        "memory_mb": max(peak_memory_mb() - before, 1.0),
        "accuracy": 100 * float((answers == truth).mean()),
    }
    print(json.dumps(found))


def _ours(data: dict[str, NDArray[Any]], n_subjects: int, *, threads: int | None) -> Any:
    from esocs.crowd.dawid_skene import fit

    shape = {
        "n_subjects": n_subjects,
        "n_volunteers": int(data["volunteer"].max()) + 1,
        "n_answers": int(data["answer"].max()) + 1,
    }
    return lambda: fit(**data, **shape, iterations=ITERATIONS, threads=threads).posterior.argmax(axis=1)


def _crowd_kit(data: dict[str, NDArray[Any]]) -> Any:
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    table = pd.DataFrame({"task": data["subject"], "worker": data["volunteer"], "label": data["answer"]})
    return lambda: DawidSkene(ITERATIONS).fit_predict(table).sort_index().to_numpy()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        _one(sys.argv[2], sys.argv[3])
    else:
        main()
