"""Hostile FITS: mutated copies of good files, each read through the limited child as the ingest reads it.

With ``--data`` the files of that folder are mutated beside the simulated ones. A crash is any exception but a named
error, or a reader that died of a file; a file is over the limits if it took longer than the wall time allowed or its
reader held more memory than allowed.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from classifier.fits.content import FitsContent
from classifier.fits.errors import FitsError, TimedOutError, TooMuchMemoryError
from classifier.fits.limits import MIB, Limits
from classifier.fits.sandbox import FitsReader
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.classifier.fits.mutations import mutate, originals

LIMITS = Limits(cpu_s=5, wall_s=15.0, memory_bytes=1024 * MIB, expanded_bytes=128 * MIB)
# Between the reader's deadline and our clock lie the kill and the start of another child.
GRACE_S = 5.0
SEED = 20261122


def main() -> None:
    """Mutate, read, and count what became of each."""
    arguments = parse_arguments(description=__doc__, size=1500, size_help="mutated files")
    with tempfile.TemporaryDirectory(prefix="fits-fuzz-") as name:
        folder = Path(name)
        good = originals(folder)
        if arguments.data is not None:
            files = sorted(path for path in arguments.data.rglob("*") if path.is_file() and ".fits" in path.name)
            good |= {path.name: path.read_bytes() for path in files}
        with FitsReader(limits=LIMITS) as reader:
            campaign = Campaign(folder=folder, reader=reader)
            accepted = sum(campaign.read(f"good {what}", content) for what, content in good.items())
            started = time.perf_counter()
            campaign.run(good, count=arguments.size)
            elapsed_s = time.perf_counter() - started
            again = sum(campaign.read(f"good {what}", content) for what, content in good.items())
    kinds = {code for code in campaign.outcomes if code not in {"image", "spectrum"}}
    print_table(("outcome", "files"), campaign.outcomes.most_common())
    for failure in campaign.failures[:20]:
        print(failure)
    print(f"the slowest took {campaign.slowest_s:.2f} s: {campaign.slowest}")
    print(f"{accepted} of {len(good)} good files accepted before, {again} after")
    print_result(
        name="fits_fuzz",
        ours=arguments.size / elapsed_s,
        peer=None,
        unit="files/s",
        files_per_s=arguments.size / elapsed_s,
        crashes=campaign.crashes,
        over_limit=campaign.over_limit,
        error_kinds=len(kinds),
        good_files=len(good),
        good_files_accepted=min(accepted, again),
        slowest_s=campaign.slowest_s,
        most_memory_mb=campaign.most_memory_bytes / MIB,
        timed_out=campaign.outcomes[TimedOutError.code],
        too_much_memory=campaign.outcomes[TooMuchMemoryError.code],
        mutations=arguments.size,
    )


class Campaign:
    """Reads files one by one and keeps the counts.

    Attributes:
        outcomes: ``image``, ``spectrum`` or an error's code, and how often.
        crashes: Exceptions that are no ``FitsError``, and readers that died.
        over_limit: Files that broke the wall time or memory limit.
        slowest_s: Longest wall time of a file, a new child's start included.
        slowest: Which file that was.
        most_memory_bytes: Largest resident memory of a child.
        failures: What led to a crash or over the limits, in words.
    """

    def __init__(self, *, folder: Path, reader: FitsReader) -> None:
        self.outcomes: Counter[str] = Counter()
        self.crashes = self.over_limit = self.most_memory_bytes = 0
        self.slowest_s = 0.0
        self.slowest = ""
        self.failures: list[str] = []
        self._reader = reader
        self._path = folder / "mutated.fits"

    def run(self, good: dict[str, bytes], *, count: int) -> None:
        """Read so many mutated files; the n-th is the same in every run."""
        names = list(good)
        for index in range(count):
            rng = random.Random(SEED + index)
            name = names[index % len(names)]
            ways, damaged = mutate(good[name], rng)
            self.read(f"{index} {name}: {ways}", damaged)

    def read(self, what: str, content: bytes) -> bool:
        """Read one file; whether it was accepted."""
        self._path.write_bytes(content)
        answer: FitsContent | Exception
        started = time.perf_counter()
        try:
            answer = self._reader.read(self._path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            answer = error
        elapsed_s = time.perf_counter() - started
        self.outcomes[_kind(answer)] += 1
        if not isinstance(answer, FitsContent | FitsError) or "made its reader" in str(answer):
            self.crashes += 1
            self.failures.append(f"crash: {what}: {answer!r:.200}")
        memory_bytes = _peak_memory_bytes()
        if elapsed_s > self.slowest_s:
            self.slowest_s, self.slowest = elapsed_s, what
        self.most_memory_bytes = max(self.most_memory_bytes, memory_bytes)
        if elapsed_s > LIMITS.wall_s + GRACE_S or memory_bytes > LIMITS.memory_bytes:
            self.over_limit += 1
            self.failures.append(f"over the limits: {what}: {elapsed_s:.1f} s, {memory_bytes / MIB:.0f} MiB")
        return isinstance(answer, FitsContent)


def _kind(answer: FitsContent | Exception) -> str:
    if isinstance(answer, FitsContent):
        return answer.kind
    return answer.code if isinstance(answer, FitsError) else type(answer).__name__


def _peak_memory_bytes() -> int:
    """Largest resident memory of the children so far, from the kernel's high-water mark."""
    peak = 0
    for child in psutil.Process().children():
        try:
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        except OSError:
            continue
        peak = max(peak, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
    return peak


if __name__ == "__main__":
    main()
