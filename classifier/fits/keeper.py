"""One limited child as its reader sees it: files in flight, answers, and what becomes of them when it dies."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from classifier.errors import EsocsError
from classifier.fits.block import SLOTS, SharedBlock
from classifier.fits.child import READY
from classifier.fits.content import FitsContent
from classifier.fits.errors import FitsError, TimedOutError, TooMuchMemoryError, UnreadableError
from classifier.fits.limits import Limits
from classifier.fits.wire import LENGTHS, MAX_BODY_BYTES, MAX_HEAD_BYTES, decode_answers, encode_requests

# A pipe holds the requests of all batches in flight, so that we never wait for a child that waits for us.
LARGEST_REQUEST_BYTES = 24 << 10
_CHILD_MODULE = "classifier.fits.child"
_START_TIMEOUT_S = 60.0
_READ_BYTES = 1 << 20
_LEAST_READ_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; absent from fcntl elsewhere
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "HOME")


class ReaderUnavailableError(EsocsError):
    """The reading process cannot start: the installation is broken, no file is to blame."""

    code = "fits_reader_unavailable"
    status = 503


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Files that go to a child together, and what is asked about each."""

    paths: list[Path]
    requests: list[str]

    @property
    def size_bytes(self) -> int:
        """Of the requests."""
        return sum(map(len, self.requests))


@dataclasses.dataclass(slots=True, eq=False)
class _Asked:
    """A file in flight.

    Attributes:
        request: What was asked.
        slot: Where its arrays come.
        answer: None as long as it is not known.
        retried: Whether its child was killed from outside while reading it, once.
        doubted: Whether one of several files, nobody knows which, made their child babble: each is asked alone.
        sent: Whether the child has the request.
    """

    request: str
    slot: int
    answer: FitsContent | FitsError | None = None
    retried: bool = False
    doubted: bool = False
    sent: bool = True


class Child:
    """One limited process, its files in flight, and what becomes of them when it dies."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: deque[_Asked] = deque()
        self._slot = 0
        self._received = _Received()
        self._process: subprocess.Popen[bytes] | None = None
        self._block: SharedBlock | None = None
        # Files that this process has answered.
        self._answered = 0

    def accepts(self, batch: Batch) -> bool:
        """Whether a slot is free for it, and it can be sent without the risk that both sides wait for each other."""
        slots = {asked.slot for asked in self._asked}
        if any(asked.doubted for asked in self._open()):
            return False
        return not slots or (len(slots) < SLOTS and batch.size_bytes <= LARGEST_REQUEST_BYTES)

    def send(self, batch: Batch) -> None:
        """Hand over a batch. A child that has died idle is replaced first."""
        if not self._asked and (self._process is None or self._process.poll() is not None):
            self._start()
        self._slot = (self._slot + 1) % SLOTS
        self._asked.extend(_Asked(request, self._slot) for request in batch.requests)
        self._write(encode_requests(self._slot, batch.requests))

    def receive(self) -> FitsContent | FitsError:
        """The answer to the oldest request."""
        while self._asked[0].answer is None:
            try:
                self._ask_doubted()
                self._take_answers()
            except _DiedError as death:
                self._bury(death)
                self._resend()
        answer = self._asked.popleft().answer
        assert answer is not None
        return answer

    def forget(self) -> None:
        """Drop requests whose answers nobody will take."""
        if self._asked:
            self._kill()
            self._asked.clear()

    def close(self) -> None:
        """Let the process end by the end of its input; kill it if it does not."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._asked:
            self._process.kill()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None
        self._drop_block()

    def _start(self) -> None:
        self._kill()
        self._answered = 0
        package_root = Path(__file__).resolve().parents[2]
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": str(package_root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        limits = json.dumps(dataclasses.asdict(self._limits))
        # A new block for each: what killed a child may have left anything in the old one.
        shared = SharedBlock.create()
        try:
            self._block = SharedBlock(shared)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD_MODULE, limits, str(shared)],
                pass_fds=(shared,),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                process_group=0,
                bufsize=0,
            )
            assert self._process.stdout is not None
            os.set_blocking(self._process.stdout.fileno(), False)
            self._widen(self._process.stdout.fileno())
            greeting = self._take(len(READY), _Watch(None, _START_TIMEOUT_S))
        except (OSError, _DiedError) as error:
            self._kill()
            raise ReaderUnavailableError(
                "The process that reads FITS files cannot start.",
                hint=f"Try: {sys.executable} -P -c 'import {_CHILD_MODULE}'",
            ) from error
        finally:
            os.close(shared)
        if greeting != READY:
            self._kill()
            raise ReaderUnavailableError("The process that reads FITS files is of another version.")

    @staticmethod
    def _widen(descriptor: int) -> None:
        """A pipe that holds several answers lets the child work on; a default one does too, more slowly."""
        try:
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            return

    def _write(self, request: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
        except BrokenPipeError:
            return  # the next receive sees the death and sends again what was not answered

    def _take_answers(self) -> None:
        """The next frame, and what it answers."""
        watch = _Watch(self._block, self._limits.wall_s, files=len(self._open()))
        head_bytes, texts_bytes, body_bytes = LENGTHS.unpack(self._take(LENGTHS.size, watch))
        if max(head_bytes, texts_bytes) > MAX_HEAD_BYTES or body_bytes > MAX_BODY_BYTES:
            raise _DiedError(garbled=True)
        head, texts, body = (self._take(count, watch) for count in (head_bytes, texts_bytes, body_bytes))
        # A frame is of one batch: from the first file without an answer to the last of its slot at most.
        open_ones = [asked for asked in self._open() if asked.sent]
        batch = [asked for asked in open_ones if asked.slot == open_ones[0].slot]
        assert self._block is not None
        try:
            answers = decode_answers(head, texts, body, block=self._block, slot=batch[0].slot)
        except ValueError as error:
            raise _DiedError(garbled=True) from error
        if not 0 < len(answers) <= len(batch):
            raise _DiedError(garbled=True)
        for asked, answer in zip(batch, answers, strict=False):
            asked.answer = answer
        self._answered += len(answers)

    def _take(self, count: int, watch: _Watch) -> bytes:
        """Exactly so many bytes of the child's output."""
        process = self._process
        if process is None or process.stdout is None:
            raise _DiedError
        while len(self._received) < count:
            try:
                more = self._received.read(process.stdout.fileno(), wanted=count)
            except BlockingIOError:
                watch.wait_for(process.stdout.fileno())
                continue
            if not more:
                raise _DiedError
        return self._received.take(count)

    def _bury(self, death: _DiedError) -> None:
        """Answer for the file that a dead or stuck child was reading, unless it is to be read again."""
        process = self._process
        if process is not None and not death.garbled and not death.timed_out:
            # Its output has ended, so it is about to; one that lingers is killed below.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5.0)
        status = None if process is None or death.garbled else process.returncode
        sent = [asked for asked in self._open() if asked.sent]
        asked, retired = self._last_begun(sent), status == 0 and self._answered > 0
        self._kill()
        if retired:
            return  # after an answer: the files that wait are not to blame
        if process is None or death.timed_out:
            asked.answer = TimedOutError(f"Reading the file took more than {self._limits.wall_s:g} s.")
        elif status is None and len(sent) > 1:
            # The child may have gone on to the next files before its nonsense was seen.
            for one in self._open():
                one.doubted = True
        elif status == -signal.SIGKILL and not asked.retried:
            # Not by us: the kernel short of memory, or an operator. The second time it is the file.
            asked.retried = True
        else:
            asked.answer = self._blame(status)

    def _blame(self, status: int | None) -> FitsError:
        """The error of the file during which the child ended so; None where it was ended for its nonsense."""
        if status is None:
            return UnreadableError("The file made its reader give an answer that makes no sense.")
        if status == -signal.SIGXCPU:
            return TimedOutError(f"Reading the file took more than {self._limits.cpu_s} s of processor time.")
        if status == -signal.SIGKILL:
            return TooMuchMemoryError("The system ended the reading process, twice, for want of memory.")
        return UnreadableError(f"The file made its reader crash (status {status}).")

    def _last_begun(self, sent: Sequence[_Asked]) -> _Asked:
        """The file that the child had begun last; the first without an answer where its count makes no sense."""
        number = 0 if self._block is None else self._block.begun - self._answered - 1
        return sent[number if 0 <= number < len(sent) else 0]

    def _open(self) -> list[_Asked]:
        return [asked for asked in self._asked if asked.answer is None]

    def _ask_doubted(self) -> None:
        """Ask about the first open file, if it is one that is asked alone."""
        asked = self._open()[0]
        if not asked.sent:
            asked.sent = True
            self._write(encode_requests(asked.slot, [asked.request]))

    def _resend(self) -> None:
        """Ask a new child for what has no answer, batch by batch."""
        open_ones = self._open()
        if not open_ones:
            return
        self._start()
        for asked in open_ones:
            asked.sent = not asked.doubted
        for slot in dict.fromkeys(asked.slot for asked in open_ones if asked.sent):
            self._write(
                encode_requests(slot, [asked.request for asked in open_ones if asked.sent and asked.slot == slot])
            )

    def _kill(self) -> None:
        self._received.clear()
        self._drop_block()
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self._process = None

    def _drop_block(self) -> None:
        if self._block is not None:
            self._block.close()
            self._block = None


class _Received:
    """What a child has written and nobody has taken, in one block of memory that is used again and again."""

    def __init__(self) -> None:
        self._block = bytearray(_READ_BYTES)
        self._first = self._last = 0

    def __len__(self) -> int:
        return self._last - self._first

    def read(self, descriptor: int, *, wanted: int) -> int:
        """Read what there is, so that `wanted` bytes fit. Returns how many came, 0 at the end of the output."""
        room = max(wanted - len(self), _LEAST_READ_BYTES)
        if len(self._block) - self._last < room:
            kept = self._block[self._first : self._last]
            size = max(_READ_BYTES, len(kept) + room)
            if size != len(self._block):
                self._block = bytearray(size)
            self._block[: len(kept)] = kept
            self._first, self._last = 0, len(kept)
        with memoryview(self._block) as view:
            count = os.readv(descriptor, [view[self._last :]])
        self._last += count
        return count

    def take(self, count: int) -> bytes:
        """The oldest bytes."""
        with memoryview(self._block) as view:
            taken = bytes(view[self._first : self._first + count])
        self._first += count
        if self._first == self._last:
            self._first = self._last = 0
        return taken

    def clear(self) -> None:
        """Forget all of it."""
        self._first = self._last = 0


class _Watch:
    """How long we have waited for the file that a child is reading: until it begins the next, the time runs."""

    def __init__(self, block: SharedBlock | None, wall_s: float, *, files: int = 1) -> None:
        # The clock starts when we wait, not when the child began: a slow consumer is not the file's fault.
        self._block, self._wall_s = block, wall_s
        self._since, self._begun = time.monotonic(), self._count()
        # A child that a file has taken over may count without end.
        self._end = self._since + files * wall_s

    def wait_for(self, descriptor: int) -> None:
        """Until there is something to read.

        Raises:
            _DiedError: the child has been at one file for too long.
        """
        poller = select.poll()
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
        while True:
            remaining_s = min(self._since + self._wall_s, self._end) - time.monotonic()
            if remaining_s <= 0.0:
                raise _DiedError(timed_out=True)
            # In parts, so that a file is found out soon after its time, not when another could have passed too.
            if poller.poll(min(remaining_s, self._wall_s / 4) * 1e3):
                return
            if (begun := self._count()) != self._begun:
                self._since, self._begun = time.monotonic(), begun

    def _count(self) -> int:
        return 0 if self._block is None else self._block.begun


class _DiedError(Exception):
    def __init__(self, *, timed_out: bool = False, garbled: bool = False) -> None:
        super().__init__()
        self.timed_out = timed_out
        self.garbled = garbled
