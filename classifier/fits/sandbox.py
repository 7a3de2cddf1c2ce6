"""Untrusted FITS files, read in a pool of limited child processes that are reused from file to file.

A child is a fresh interpreter over pipes, not a fork: that works inside a Celery prefork worker, it inherits
neither connections nor secrets, and its death is one file's error.
"""

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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from classifier.errors import EsocsError
from classifier.fits.child import READY
from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.errors import FitsError, TimedOutError, TooMuchMemoryError, UnreadableError
from classifier.fits.limits import Limits
from classifier.fits.wire import LENGTHS, MAX_BODY_BYTES, MAX_HEAD_BYTES, decode_answer, encode_request

_CHILD_MODULE = "classifier.fits.child"
# Requests in flight a child, so that it never waits for us; small ones only, so that we never wait for it.
_DEPTH = 16
_SMALL_REQUEST_BYTES = 2048
_START_TIMEOUT_S = 60.0
_READ_BYTES = 1 << 20
_LEAST_READ_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; absent from fcntl elsewhere
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "HOME")

Spec = CutSpec | Callable[[Path], CutSpec]


class ReaderUnavailableError(EsocsError):
    """The reading process cannot start: the installation is broken, no file is to blame."""

    code = "fits_reader_unavailable"
    status = 503


class FitsReader:
    """Reads FITS files in limited children. A context manager; for one thread at a time.

    Children start at the first file, are killed and replaced when a file makes them exceed a limit or crash,
    and are left behind (not killed) when the owner has forked.
    """

    def __init__(self, *, children: int = 1, limits: Limits | None = None, spec: Spec | None = None) -> None:
        """Prepare a reader; nothing starts yet.

        Args:
            children: Processes that read at once, at least 1.
            limits: Limits on each file.
            spec: Cut-outs to take, or a function from path to cut-outs; by default the target or the frame.
        """
        self._limits = limits or Limits()
        self._spec: Spec = spec or CutSpec()
        self._size = max(1, children)
        self._children: list[_Child] = []
        self._owner_pid = os.getpid()
        self._reading = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the children."""
        if self._owner_pid == os.getpid():
            for child in self._children:
                child.close()
        self._children = []

    def read(self, path: Path, *, spec: Spec | None = None) -> FitsContent:
        """Read one file.

        Args:
            path: The file.
            spec: Cut-outs to take from this one; None takes the reader's.

        Raises:
            FitsError: One of the errors of ``classifier.fits.errors``.
            ReaderUnavailableError: No child can start.
        """
        for _, answer in self.read_many([path], spec=spec):
            if isinstance(answer, FitsContent):
                return answer
            raise answer
        raise AssertionError

    def read_many(
        self, paths: Iterable[Path], *, spec: Spec | None = None
    ) -> Iterator[tuple[Path, FitsContent | FitsError]]:
        """Read files over all children, answers in the order of the paths; a bad file never stops the batch.

        Args:
            paths: The files; taken one by one, a few ahead of the answers.
            spec: Cut-outs to take; None takes the reader's.

        Yields:
            The path and its content or the error that refuses it.

        Raises:
            ReaderUnavailableError: No child can start.
        """
        if self._reading:
            raise RuntimeError("A FitsReader reads one batch at a time.")
        spec = spec or self._spec
        self._reading = True
        try:
            yield from self._read_in_order(iter(paths), spec)
        finally:
            self._reading = False
            for child in self._children:
                child.forget()

    def _read_in_order(self, paths: Iterator[Path], spec: Spec) -> Iterator[tuple[Path, FitsContent | FitsError]]:
        children = self._ready_children()
        order: deque[tuple[Path, _Child]] = deque()
        waiting: tuple[Path, bytes] | None = None
        turn = 0
        while True:
            while len(order) < _DEPTH * len(children):
                if waiting is None:
                    path = next(paths, None)
                    if path is None:
                        break
                    waiting = (path, _request(path, spec))
                child = children[turn % len(children)]
                if not child.accepts(waiting[1]):
                    break
                child.send(waiting[1])
                order.append((waiting[0], child))
                waiting = None
                turn += 1
            if not order:
                return
            path, child = order.popleft()
            yield path, child.receive()

    def _ready_children(self) -> list[_Child]:
        if self._owner_pid != os.getpid():
            # We are a fork: the pipes are shared with our parent, whose children these are.
            self._children, self._owner_pid = [], os.getpid()
        if not self._children:
            self._children = [_Child(self._limits) for _ in range(self._size)]
        return self._children


def _request(path: Path, spec: Spec) -> bytes:
    absolute = path if path.is_absolute() else path.absolute()
    return encode_request(str(absolute), spec(path) if callable(spec) else spec)


class _Child:
    """One limited process, its requests in flight, and what becomes of them when it dies."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: deque[bytes] = deque()
        self._received = _Received()
        self._process: subprocess.Popen[bytes] | None = None
        self._retried = False
        self._answered = 0

    def accepts(self, request: bytes) -> bool:
        """Whether a request can be sent without the risk that both sides wait for each other."""
        return not self._pending or (len(self._pending) < _DEPTH and len(request) <= _SMALL_REQUEST_BYTES)

    def send(self, request: bytes) -> None:
        """Hand over a request. A child that has died idle is replaced first."""
        if not self._pending and (self._process is None or self._process.poll() is not None):
            self._start()
        self._pending.append(request)
        self._write(request)

    def receive(self) -> FitsContent | FitsError:
        """The answer to the oldest request."""
        while True:
            try:
                head, body = self._next_frame()
            except _DiedError as death:
                error = self._bury(death)
                if error is None:
                    continue
                self._pending.popleft()
                self._resend()
                return error
            self._pending.popleft()
            self._retried = False
            self._answered += 1
            try:
                return decode_answer(head, body)
            except FitsError as error:
                return error

    def forget(self) -> None:
        """Drop requests whose answers nobody will take."""
        if self._pending:
            self._kill()
            self._pending.clear()

    def close(self) -> None:
        """Let the process end by the end of its input; kill it if it does not."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._pending:
            self._process.kill()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def _start(self) -> None:
        self._kill()
        self._answered = 0
        package_root = Path(__file__).resolve().parents[2]
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": str(package_root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        limits = json.dumps(dataclasses.asdict(self._limits))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD_MODULE, limits],
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
            greeting = self._take(len(READY), time.monotonic() + _START_TIMEOUT_S)
        except (OSError, _DiedError) as error:
            self._kill()
            raise ReaderUnavailableError(
                "The process that reads FITS files cannot start.",
                hint=f"Try: {sys.executable} -P -m {_CHILD_MODULE} '{{}}'",
            ) from error
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

    def _next_frame(self) -> tuple[bytes, bytes]:
        # The clock starts when we wait, not when the child began: a slow consumer is not the file's fault.
        deadline = time.monotonic() + self._limits.wall_s
        head_bytes, body_bytes = LENGTHS.unpack(self._take(LENGTHS.size, deadline))
        if head_bytes > MAX_HEAD_BYTES or body_bytes > MAX_BODY_BYTES:
            raise _DiedError(garbled=True)
        return self._take(head_bytes, deadline), self._take(body_bytes, deadline)

    def _take(self, count: int, deadline: float) -> bytes:
        """Exactly so many bytes of the child's output."""
        process = self._process
        if process is None or process.stdout is None:
            raise _DiedError
        while len(self._received) < count:
            try:
                more = self._received.read(process.stdout.fileno(), wanted=count)
            except BlockingIOError:
                _wait_for(process.stdout.fileno(), deadline)
                continue
            if not more:
                raise _DiedError
        return self._received.take(count)

    def _bury(self, death: _DiedError) -> FitsError | None:
        """The error of the file that a dead or stuck child was reading; None where it is read again."""
        process = self._process
        if process is None or death.timed_out:
            self._kill()
            return TimedOutError(f"Reading the file took more than {self._limits.wall_s:g} s.")
        if not death.garbled:
            # Its output has ended, so it is about to; one that lingers is killed below.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5.0)
        status = process.returncode
        self._kill()
        if status == 0 and self._answered > 0:
            self._resend()  # it retired after an answer; the files that wait are not to blame
            return None
        if status is None:
            return UnreadableError("The file made its reader give an answer that makes no sense.")
        if status == -signal.SIGXCPU:
            return TimedOutError(f"Reading the file took more than {self._limits.cpu_s} s of processor time.")
        if status == -signal.SIGKILL:
            # Not by us: the kernel short of memory, or an operator. The second time it is the file.
            if not self._retried:
                self._retried = True
                self._resend()
                return None
            self._retried = False
            return TooMuchMemoryError("The system ended the reading process, twice, for want of memory.")
        return UnreadableError(f"The file made its reader crash (status {status}).")

    def _resend(self) -> None:
        if self._pending:
            self._start()
            for request in self._pending:
                self._write(request)

    def _kill(self) -> None:
        self._received.clear()
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


def _wait_for(descriptor: int, deadline: float) -> None:
    """Until there is something to read, or the end.

    Raises:
        _DiedError: the deadline has passed.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLIN | select.POLLHUP)
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0.0 or not poller.poll(remaining_s * 1e3):
        raise _DiedError(timed_out=True)


class _DiedError(Exception):
    def __init__(self, *, timed_out: bool = False, garbled: bool = False) -> None:
        super().__init__()
        self.timed_out = timed_out
        self.garbled = garbled
